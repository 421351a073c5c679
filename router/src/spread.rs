//! Which of the points that were found are answered if they are also to differ
//! from each other: maximal marginal relevance. One after the other, the point
//! is taken that is near to the query and far from those taken before. Pure.

use crate::catalog::Metric;

/// How many points one can choose from: each choice looks at every one that is
/// left.
pub(crate) const MAX_CANDIDATES: usize = 1_000;

/// A point that may be taken.
pub(crate) struct Candidate {
    /// The score that the search gave it.
    pub(crate) score: f32,
    pub(crate) vector: Vec<f32>,
}

/// The places of the points that are taken, in the order in which they are.
/// `diversity` is from 0, where only the query counts, to 1.
///
/// Of equals the last is taken, and the last takes the place of the one that
/// is taken: that is how Qdrant resolves ties.
pub(crate) fn spread(
    metric: Metric,
    candidates: &[Candidate],
    diversity: f32,
    limit: usize,
) -> Vec<usize> {
    struct Left<'a> {
        place: usize,
        vector: &'a [f32],
        relevance: f32,
        /// How similar the most similar of those taken is.
        nearest: f32,
    }

    let mut left: Vec<Left> = candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| Left {
            place,
            vector: &candidate.vector,
            relevance: relevance(metric, candidate.score),
            nearest: f32::NEG_INFINITY,
        })
        .collect();
    let mut taken = Vec::with_capacity(limit.min(left.len()));
    while taken.len() < limit {
        let is_first = taken.is_empty();
        let worth = |one: &Left| {
            if is_first {
                one.relevance
            } else {
                (1.0 - diversity) * one.relevance - diversity * one.nearest
            }
        };
        let best = left
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| worth(a).total_cmp(&worth(b)));
        let Some((best, _)) = best else { break };
        let one = left.swap_remove(best);
        for other in &mut left {
            let similar = similarity(metric, one.vector, other.vector);
            other.nearest = other.nearest.max(similar);
        }
        taken.push(one.place);
    }
    taken
}

/// The score as a similarity. Distances are weighed as Qdrant compares them
/// inside, the Euclidean one squared.
fn relevance(metric: Metric, score: f32) -> f32 {
    match metric {
        Metric::Cosine | Metric::Dot => score,
        Metric::Euclid => -(score * score),
        Metric::Manhattan => -score,
    }
}

/// Stored vectors of a cosine collection have the length 1 already.
fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    match metric {
        Metric::Cosine | Metric::Dot => pairs.map(|(x, y)| x * y).sum(),
        Metric::Euclid => -pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f32>(),
        Metric::Manhattan => -pairs.map(|(x, y)| (x - y).abs()).sum::<f32>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(all: &[(f32, [f32; 2])]) -> Vec<Candidate> {
        let candidate = |(score, vector): &(f32, [f32; 2])| Candidate {
            score: *score,
            vector: vector.to_vec(),
        };
        all.iter().map(candidate).collect()
    }

    #[test]
    fn diversity_prefers_what_differs_and_none_keeps_the_order() {
        let twins_and_another =
            candidates(&[(0.9, [1.0, 0.0]), (0.89, [1.0, 0.01]), (0.5, [0.0, 1.0])]);
        let take = |diversity| spread(Metric::Cosine, &twins_and_another, diversity, 2);
        assert_eq!(take(0.0), [0, 1]);
        assert_eq!(take(0.5), [0, 2]);
        assert_eq!(take(1.0), [0, 2], "the first is always the nearest");
    }

    #[test]
    fn distances_count_against_a_point() {
        // At 1, at 1.1 and at -2 from the query.
        for metric in [Metric::Euclid, Metric::Manhattan] {
            let line = candidates(&[(1.0, [1.0, 0.0]), (1.1, [1.1, 0.0]), (2.0, [-2.0, 0.0])]);
            assert_eq!(spread(metric, &line, 0.0, 3), [0, 1, 2]);
            assert_eq!(spread(metric, &line, 0.6, 2), [0, 2]);
        }
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        assert!(spread(Metric::Dot, &[], 0.5, 3).is_empty());
        let one = candidates(&[(1.0, [1.0, 0.0])]);
        assert_eq!(spread(Metric::Dot, &one, 0.5, 3), [0]);
    }
}
