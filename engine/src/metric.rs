//! How near two vectors are: the exact kernels for rerank and scan, and the
//! score a client sees. Inside the engine a *distance* is smaller for nearer
//! points, whatever the metric; only [`Metric::score`] knows what clients expect.

use numkong::{Dot, Euclidean};

/// How the distance of two vectors is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The cosine of the angle; vectors are stored normalised to length one.
    Cosine,
    /// The dot product.
    Dot,
    /// The length of the difference.
    Euclid,
    /// The sum of the absolute differences.
    Manhattan,
}

impl Metric {
    /// The distance: smaller is nearer. Both slices must have the same length.
    #[must_use]
    pub fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        debug_assert_eq!(a.len(), b.len());
        let distance = match self {
            Self::Cosine | Self::Dot => f32::dot(a, b).map(|d| -d),
            Self::Euclid => f32::sqeuclidean(a, b),
            Self::Manhattan => return manhattan(a, b),
        };
        // The kernels answer nothing for slices of unequal length alone, and
        // an unequal length must never win; nor must infinity less infinity,
        // which some order as the least of all numbers.
        #[allow(clippy::cast_possible_truncation)]
        distance
            .map(|d| d as f32)
            .filter(|d| !d.is_nan())
            .unwrap_or(f32::INFINITY)
    }

    /// The score that clients see: for `Cosine` and `Dot` higher is nearer,
    /// for `Euclid` and `Manhattan` it is the distance itself.
    #[must_use]
    pub fn score(self, distance: f32) -> f32 {
        match self {
            // Plus zero: the score of orthogonal vectors is 0 and not -0.
            Self::Cosine | Self::Dot => -distance + 0.0,
            Self::Euclid => distance.max(0.0).sqrt(),
            Self::Manhattan => distance,
        }
    }

    /// Whether a score passes a client's threshold.
    #[must_use]
    pub fn passes(self, score: f32, threshold: f32) -> bool {
        match self {
            Self::Cosine | Self::Dot => score >= threshold,
            Self::Euclid | Self::Manhattan => score <= threshold,
        }
    }

    /// Brings a vector into the form in which it is stored and compared. A
    /// vector of length zero has no direction and stays as it is.
    pub fn prepare(self, vector: &mut [f32]) {
        if self != Self::Cosine {
            return;
        }
        let norm = f32::dot(vector, vector).unwrap_or(0.0).sqrt();
        if norm > 0.0 && norm.is_finite() {
            let scale = norm.recip();
            for x in vector {
                // The product is at most about one in size.
                #[allow(clippy::cast_possible_truncation)]
                {
                    *x = (f64::from(*x) * scale) as f32;
                }
            }
        }
    }
}

/// The kernel library has no L1; sixteen sums side by side let the compiler
/// use the vector unit.
fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for i in 0..16 {
            sums[i] += (x[i] - y[i]).abs();
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y).abs()).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        let (a, b) = ([1.0_f32, 2.0, 3.0], [2.0_f32, 0.0, 3.0]);
        assert!((Metric::Dot.score(Metric::Dot.distance(&a, &b)) - 11.0).abs() < 1e-6);
        assert!(
            (Metric::Euclid.score(Metric::Euclid.distance(&a, &b)) - 5.0_f32.sqrt()).abs() < 1e-6
        );
        assert!((Metric::Manhattan.score(Metric::Manhattan.distance(&a, &b)) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn manhattan_counts_the_elements_past_the_last_whole_chunk() {
        let (a, b) = (vec![1.0_f32; 37], vec![-1.0_f32; 37]);
        assert!((Metric::Manhattan.distance(&a, &b) - 74.0).abs() < 1e-4);
    }

    #[test]
    fn a_cosine_vector_is_stored_with_length_one_and_a_zero_vector_as_it_is() {
        let mut v = [3.0_f32, 4.0];
        Metric::Cosine.prepare(&mut v);
        assert!((v[0] - 0.6).abs() < 1e-7 && (v[1] - 0.8).abs() < 1e-7);
        let mut zero = [0.0_f32; 2];
        Metric::Cosine.prepare(&mut zero);
        assert_eq!(zero.map(f32::to_bits), [0, 0]);
    }
}
