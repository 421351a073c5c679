//! Makes one list of several, each best first: by the places that a point has
//! in them (reciprocal rank fusion), or by its scores, made comparable by the
//! mean and the spread of each list (distribution-based score fusion). Pure.
//!
//! Of points with equal scores the one that came first, in the earliest list,
//! stays first: the same lists always make the same answer.

use std::collections::HashMap;
use std::hash::Hash;

/// What Qdrant takes for `k` where nothing is said.
pub(crate) const DEFAULT_K: u64 = 2;

/// Fuses by places. The point at the place `i` of a list, counted from 0, gets
/// `1 / ((i + 1) / weight + k - 1)`: with a weight of 1 that is `1 / (k + i)`.
/// A list without a weight has 1; one of weight 0 adds its points and no score.
pub(crate) fn by_places<K: Copy + Eq + Hash>(
    lists: &[Vec<(K, f32)>],
    k: u64,
    weights: &[f32],
) -> Vec<(K, f32)> {
    let weights = weights.iter().copied().chain(std::iter::repeat(1.0));
    // A k beyond 2^53 makes every score next to nothing, rounded or not.
    #[allow(clippy::cast_precision_loss)]
    let k = k as f64;
    let scored = lists.iter().zip(weights).flat_map(|(list, weight)| {
        let weight = f64::from(weight);
        (1_u32..).zip(list).map(move |(place, (id, _))| {
            let score = if weight > 0.0 {
                1.0 / (f64::from(place) / weight + k - 1.0)
            } else {
                0.0
            };
            (*id, score)
        })
    });
    summed(scored)
}

/// Fuses by scores. A list's scores are stretched so that three standard
/// deviations below its mean become 0 and three above it 1; a list of one
/// point, or of equal scores, says nothing of its spread and gives 0.5.
///
/// Larger is better, as in Qdrant, also where scores are distances.
pub(crate) fn by_scores<K: Copy + Eq + Hash>(lists: &[Vec<(K, f32)>]) -> Vec<(K, f32)> {
    let scored = lists.iter().flat_map(|list| {
        let scores: Vec<f64> = list.iter().map(|(_, score)| f64::from(*score)).collect();
        // The length of a list is far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let count = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        let (low, width) = (mean - 3.0 * deviation, 6.0 * deviation);
        let stretched = move |score: f64| {
            if width > 0.0 {
                (score - low) / width
            } else {
                0.5
            }
        };
        let ids = list.iter().map(|(id, _)| *id);
        ids.zip(scores.into_iter().map(stretched))
    });
    summed(scored)
}

/// Adds up the scores of each point, best first.
fn summed<K: Copy + Eq + Hash>(scored: impl Iterator<Item = (K, f64)>) -> Vec<(K, f32)> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut sums: Vec<(K, f64)> = Vec::new();
    for (id, score) in scored {
        let place = *places.entry(id).or_insert(sums.len());
        match sums.get_mut(place) {
            Some((_, sum)) => *sum += score,
            None => sums.push((id, score)),
        }
    }
    sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    // Scores are f32 for clients. Weights may be so large that a sum is not:
    // infinity has no form in JSON.
    #[allow(clippy::cast_possible_truncation)]
    let narrow = |score: f64| (score as f32).min(f32::MAX);
    sums.into_iter()
        .map(|(id, score)| (id, narrow(score)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(ids: &[u32]) -> Vec<(u32, f32)> {
        ids.iter().map(|id| (*id, 7.0)).collect()
    }

    fn near(got: &[(u32, f32)], want: &[(u32, f32)]) {
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert_eq!(got.0, want.0);
            assert!((got.1 - want.1).abs() < 1e-6, "{got:?} {want:?}");
        }
    }

    #[test]
    fn places_count_from_the_constant_on() {
        let got = by_places(&[ranked(&[1, 2]), ranked(&[2, 3, 4])], DEFAULT_K, &[]);
        let third = 1.0 / 3.0;
        near(&got, &[(2, third + 0.5), (1, 0.5), (3, third), (4, 0.25)]);
    }

    #[test]
    fn a_weight_brings_places_together_and_a_weight_of_nothing_scores_nothing() {
        let lists = [ranked(&[1, 2]), ranked(&[3])];
        near(
            &by_places(&lists, 1, &[2.0, 0.5]),
            &[(1, 2.0), (2, 1.0), (3, 0.5)],
        );
        near(
            &by_places(&lists, 1, &[0.0, 1.0]),
            &[(3, 1.0), (1, 0.0), (2, 0.0)],
        );
    }

    #[test]
    fn of_equal_scores_the_first_found_comes_first() {
        let got = by_places(&[ranked(&[9, 1]), ranked(&[5, 3])], 2, &[]);
        assert_eq!(got.iter().map(|p| p.0).collect::<Vec<_>>(), [9, 5, 1, 3]);
    }

    #[test]
    fn scores_of_lists_of_any_scale_become_comparable() {
        let small = vec![(1, 0.3), (2, 0.2), (3, 0.1)];
        let large = vec![(2, 3000.0), (4, 2000.0), (5, 1000.0)];
        let fused = by_scores(&[small, large]);
        let up = 2.0 / 3.0;
        near(&fused[..3], &[(2, 0.5 + up), (1, up), (4, 0.5)]);
    }

    #[test]
    fn a_list_without_spread_gives_the_middle() {
        near(&by_scores(&[vec![(1, 3.0)], vec![]]), &[(1, 0.5)]);
        near(
            &by_scores(&[vec![(1, 3.0), (2, 3.0)]]),
            &[(1, 0.5), (2, 0.5)],
        );
    }

    #[test]
    fn a_sum_beyond_all_numbers_is_still_a_number() {
        let lists = vec![ranked(&[1]); 3];
        let got = by_places(&lists, 1, &[f32::MAX; 3]);
        near(&got, &[(1, f32::MAX)]);
    }
}
