//! What a right answer is. Descriptions repeat, so that several points are
//! equally near, and by ids alone even an exact search would seem to miss some:
//! an answer is right when its score is not worse than that of the true k-th.
//! Scores are computed here from the vectors, so that a server is not judged by
//! what it says of itself.

use crate::Matrix;

/// How much worse than the true k-th a score may be: what rounding does.
const TOLERANCE: f64 = 1e-6;

/// How near two vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The cosine of the angle between them.
    Cosine,
    /// The length of their difference.
    Euclid,
}

/// Which scores are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Likeness: the higher the nearer.
    HigherIsBetter,
    /// Distance: the lower the nearer.
    LowerIsBetter,
}

impl Measure {
    /// Which scores are better.
    #[must_use]
    pub fn order(self) -> Order {
        match self {
            Self::Cosine => Order::HigherIsBetter,
            Self::Euclid => Order::LowerIsBetter,
        }
    }

    /// The score of two vectors of the same length.
    #[must_use]
    pub fn score(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
        match self {
            Self::Cosine => {
                let (dot, aa, bb) = pairs().fold((0.0, 0.0, 0.0), |(dot, aa, bb), (x, y)| {
                    (dot + x * y, aa + x * x, bb + y * y)
                });
                let lengths: f64 = aa * bb;
                if lengths > 0.0 {
                    dot / lengths.sqrt()
                } else {
                    0.0
                }
            }
            Self::Euclid => pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
        }
    }
}

/// Whether an answer with this score is right, given the score of the true k-th.
#[must_use]
pub fn is_right(order: Order, score: f64, kth: f64) -> bool {
    match order {
        Order::HigherIsBetter => score >= kth - TOLERANCE,
        Order::LowerIsBetter => score <= kth + TOLERANCE,
    }
}

/// The part of the `k` answers to one query that are right, from 0 to 1, given
/// the scores of *different* points and that of the true k-th. An answer that is
/// not there is not right; more than `k` count as `k`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a handful of answers")]
pub fn recall_by_score(order: Order, k: usize, scores: &[f64], kth: f64) -> f64 {
    let right = scores
        .iter()
        .filter(|score| is_right(order, **score, kth))
        .count();
    right.min(k) as f64 / k.max(1) as f64
}

/// The points, the queries and their true neighbours: what answers are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'a> {
    pub(crate) measure: Measure,
    pub(crate) points: &'a Matrix<f32>,
    pub(crate) queries: &'a Matrix<f32>,
    pub(crate) neighbors: &'a Matrix<i32>,
}

impl Truth<'_> {
    /// The score of a point for a query; nothing where one of them is not there.
    #[must_use]
    pub fn score(&self, query: usize, id: u64) -> Option<f64> {
        let point = self.points.row(usize::try_from(id).ok()?)?;
        Some(self.measure.score(self.queries.row(query)?, point))
    }

    /// The score of the true k-th neighbour of a query; nothing where the data
    /// set does not tell so many.
    #[must_use]
    pub fn kth(&self, query: usize, k: usize) -> Option<f64> {
        let id = self.neighbors.row(query)?.get(k.checked_sub(1)?)?;
        self.score(query, u64::try_from(*id).ok()?)
    }

    /// The recall at `k` of the answers to one query, best first. An id that is
    /// answered twice counts once, and one that no point has is wrong.
    #[must_use]
    pub fn recall(&self, query: usize, k: usize, ids: &[u64]) -> Option<f64> {
        let kth = self.kth(query, k)?;
        let mut ids = ids.get(..k).unwrap_or(ids).to_vec();
        ids.sort_unstable();
        ids.dedup();
        let scores: Vec<f64> = ids.iter().filter_map(|id| self.score(query, *id)).collect();
        Some(recall_by_score(self.measure.order(), k, &scores, kth))
    }

    /// The mean recall at `k` of the answers to all queries, in their order;
    /// nothing where the answers are of other queries, or `k` is more than the
    /// data set tells.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "thousands of queries")]
    pub fn mean_recall<I: AsRef<[u64]>>(&self, k: usize, answers: &[I]) -> Option<f64> {
        if answers.len() != self.queries.rows() {
            return None;
        }
        let each = answers
            .iter()
            .enumerate()
            .map(|(query, ids)| self.recall(query, k, ids.as_ref()));
        let sum: f64 = each.sum::<Option<f64>>()?;
        Some(sum / answers.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.6, 0.8];

    fn with_truth(measure: Measure, neighbors: Vec<i32>, check: impl FnOnce(Truth)) {
        let points = Matrix::new(2, POINTS.to_vec()).unwrap();
        let queries = Matrix::new(2, vec![2.0, 0.0]).unwrap();
        let neighbors = Matrix::new(neighbors.len(), neighbors).unwrap();
        check(Truth {
            measure,
            points: &points,
            queries: &queries,
            neighbors: &neighbors,
        });
    }

    #[test]
    fn a_score_is_right_up_to_rounding() {
        assert!(is_right(Order::HigherIsBetter, 0.8, 0.8));
        assert!(is_right(Order::HigherIsBetter, 0.8 - 5e-7, 0.8));
        assert!(!is_right(Order::HigherIsBetter, 0.8 - 2e-6, 0.8));
        assert!(is_right(Order::LowerIsBetter, 0.8 + 5e-7, 0.8));
        assert!(!is_right(Order::LowerIsBetter, 0.8 + 2e-6, 0.8));
        assert!(!is_right(Order::HigherIsBetter, f64::NAN, 0.8));
    }

    #[test]
    fn measures_are_what_they_are_called() {
        assert!((Measure::Cosine.score(&[2.0, 0.0], &[3.0, 4.0]) - 0.6).abs() < 1e-12);
        assert!((Measure::Euclid.score(&[2.0, 0.0], &[5.0, 4.0]) - 5.0).abs() < 1e-12);
        assert!(
            Measure::Cosine.score(&[0.0, 0.0], &[3.0, 4.0]).abs() < 1e-12,
            "a vector of no length is like none"
        );
    }

    #[test]
    fn a_tie_is_as_right_as_the_one_that_was_listed() {
        with_truth(Measure::Cosine, vec![0, 2, 3], |truth| {
            assert_eq!(truth.recall(0, 1, &[2]), Some(1.0));
            assert_eq!(truth.recall(0, 2, &[2, 0]), Some(1.0));
            assert_eq!(truth.recall(0, 2, &[0, 3]), Some(0.5));
        });
    }

    #[test]
    fn distances_are_judged_the_other_way_round() {
        with_truth(Measure::Euclid, vec![0, 2, 3], |truth| {
            assert_eq!(truth.recall(0, 3, &[0, 2, 3]), Some(1.0));
            assert_eq!(truth.recall(0, 2, &[2, 1]), Some(0.5));
        });
    }

    #[test]
    fn twice_the_same_an_unknown_one_and_one_that_lacks_are_no_answers() {
        with_truth(Measure::Cosine, vec![0, 2, 3], |truth| {
            assert_eq!(truth.recall(0, 2, &[0, 0]), Some(0.5));
            assert_eq!(truth.recall(0, 2, &[0, 99]), Some(0.5));
            assert_eq!(truth.recall(0, 2, &[0]), Some(0.5));
            assert_eq!(
                truth.recall(0, 2, &[1, 3, 0, 2]),
                Some(0.0),
                "only the first two count"
            );
        });
    }

    #[test]
    fn what_the_data_set_does_not_tell_is_not_judged() {
        with_truth(Measure::Cosine, vec![0, 2, 3], |truth| {
            assert_eq!(truth.recall(0, 4, &[0]), None);
            assert_eq!(truth.recall(0, 0, &[0]), None);
            assert_eq!(truth.recall(1, 1, &[0]), None);
            assert_eq!(truth.mean_recall(1, &[vec![0], vec![0]]), None);
            assert_eq!(truth.mean_recall(1, &[vec![2]]), Some(1.0));
        });
    }
}
