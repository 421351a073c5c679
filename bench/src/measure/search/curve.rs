//! Rates over recall, measured at some points and read off between them.

/// What one candidate list gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The recall.
    pub recall: f64,
    /// Searches a second.
    pub rate: f64,
    /// Searches a second of processor time.
    pub rate_by_cpu: f64,
}

/// What growing candidate lists give.
pub struct Curve(Vec<Point>);

impl Curve {
    /// A curve through points in the order of their lists.
    pub fn new(points: Vec<Point>) -> Self {
        Self(points)
    }

    /// The points that were measured.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        self.0.iter()
    }

    /// The rate at a recall, between the two points around it; nothing where
    /// no list measured gives less, or none gives more.
    pub fn at(&self, recall: f64) -> Option<Point> {
        let pair = |pair: &&[Point]| pair[0].recall <= recall && recall <= pair[1].recall;
        let pair = self.0.windows(2).find(pair)?;
        let (low, high) = (pair[0], pair[1]);
        let span = high.recall - low.recall;
        let share = if span > 0.0 {
            (recall - low.recall) / span
        } else {
            0.0
        };
        // Each step of recall costs a factor, so the line is straight for the
        // logarithm of the rate.
        let between = |low: f64, high: f64| low * (high / low).powf(share);
        Some(Point {
            recall,
            rate: between(low.rate, high.rate),
            rate_by_cpu: between(low.rate_by_cpu, high.rate_by_cpu),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(recall: f64, rate: f64) -> Point {
        Point {
            recall,
            rate,
            rate_by_cpu: rate,
        }
    }

    #[test]
    fn a_rate_is_read_off_between_its_neighbours_and_nowhere_else() {
        let curve = Curve::new(vec![
            point(0.9, 400.0),
            point(0.96, 100.0),
            point(0.98, 50.0),
        ]);
        assert!((curve.at(0.93).unwrap().rate - 200.0).abs() < 1e-6);
        assert!((curve.at(0.96).unwrap().rate - 100.0).abs() < 1e-6);
        assert_eq!(curve.at(0.89), None);
        assert_eq!(curve.at(0.99), None);
    }
}
