//! Full precision to one byte a dimension, for a graph of a quarter of the
//! size. Ours rather than the graph library's, which normalises what it
//! quantizes and so ruins distances that depend on length.
//!
//! The range is learnt from the vectors at hand when a graph is begun, by
//! quantiles, so that a rare outlier does not cost all others their precision;
//! what lies outside is clamped. Rerank on full precision repairs the order.

use crate::metric::Metric;

/// The share of the components, at each end, that may be clamped.
const CLAMPED: f64 = 0.0005;

/// A linear map from f32 to i8, the same for all dimensions.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantizer {
    /// The value that becomes 0.
    middle: f32,
    /// Steps a unit.
    scale: f32,
}

impl Quantizer {
    /// Learns the range of a sample of vectors.
    pub fn learn<'a>(metric: Metric, sample: impl Iterator<Item = &'a [f32]>) -> Self {
        let mut values: Vec<f32> = sample.flatten().copied().collect();
        if values.is_empty() {
            return Self {
                middle: 0.0,
                scale: 127.0,
            };
        }
        let last = values.len() - 1;
        // A rank is far below 2^53 and not negative.
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rank = (last as f64 * CLAMPED) as usize;
        let low = *values.select_nth_unstable_by(rank, f32::total_cmp).1;
        let high = *values.select_nth_unstable_by(last - rank, f32::total_cmp).1;
        let middle = match metric {
            // An inner product changes with the origin, a difference does not.
            Metric::Cosine | Metric::Dot => 0.0,
            Metric::Euclid | Metric::Manhattan => low.midpoint(high),
        };
        let reach = (high - middle).abs().max((low - middle).abs());
        let scale = if reach > 0.0 { 127.0 / reach } else { 127.0 };
        Self { middle, scale }
    }

    /// A vector's bytes.
    pub fn quantize(self, vector: &[f32]) -> Vec<i8> {
        let one = |x: &f32| {
            let steps = (x - self.middle) * self.scale;
            // Clamped to the range just before.
            #[allow(clippy::cast_possible_truncation)]
            let byte = steps.round().clamp(-127.0, 127.0) as i8;
            byte
        };
        vector.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_costs_the_others_no_precision() {
        let mut sample: Vec<f32> = (0..10_000_u16)
            .map(|i| f32::from(i % 200) / 100.0 - 1.0)
            .collect();
        sample[17] = 1e6;
        let quantizer = Quantizer::learn(Metric::Dot, std::iter::once(sample.as_slice()));
        assert_eq!(
            quantizer.quantize(&[1.0, -1.0, 0.5, 1e6]),
            [127, -127, 64, 127]
        );
    }

    #[test]
    fn a_distance_uses_the_whole_range_of_values_that_are_never_negative() {
        let sample: Vec<f32> = (0..=255_u16).map(f32::from).collect();
        let quantizer = Quantizer::learn(Metric::Euclid, std::iter::once(sample.as_slice()));
        assert_eq!(quantizer.quantize(&[0.0, 255.0]), [-127, 127]);
    }

    #[test]
    fn equal_values_are_no_division_by_zero() {
        let quantizer = Quantizer::learn(Metric::Euclid, std::iter::once([0.0_f32; 8].as_slice()));
        assert_eq!(quantizer.quantize(&[0.0]), [0]);
    }
}
