//! What points are scored by, where it is not nearness to one vector: how alike
//! they are to some examples and how unlike others. The definitions are those of
//! Qdrant. Pure.
//!
//! A *similarity* is greater for nearer vectors, whatever the metric: the negated
//! distance of [`Metric::distance`]. A score is better the higher it is.
//!
//! Which points can be among the best, a graph tells of most objectives: those
//! near to some vectors, the *seeds*. Of all others a bound of their score is
//! known, and a search ends when what it has is no worse than that.

use crate::metric::Metric;
use std::borrow::Cow;

/// An objective. All vectors are of the collection's dimension.
#[derive(Clone, Debug, PartialEq)]
pub enum Objective {
    /// By the most similar of all examples: the more similar a positive one is,
    /// the better, and the less similar a negative one.
    BestScore(Examples),
    /// By the sum of the similarities to the positive examples less the sum of
    /// those to the negative ones.
    SumScores(Examples),
    /// On how many more pairs' positive side than negative, then by the
    /// similarity to a target.
    Discover {
        /// What is to be near.
        target: Vec<f32>,
        /// Where it is to be.
        context: Vec<Pair>,
    },
    /// By how far on the negative side of each pair, if at all.
    Context(Vec<Pair>),
}

/// What is liked, and what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// What is.
    pub positive: Vec<Vec<f32>>,
    /// What is not.
    pub negative: Vec<Vec<f32>>,
}

/// Two vectors, and with them two sides of the space.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The better side.
    pub positive: Vec<f32>,
    /// The other.
    pub negative: Vec<f32>,
}

impl Objective {
    /// All its vectors.
    pub(crate) fn vectors_mut(&mut self) -> Vec<&mut Vec<f32>> {
        match self {
            Self::BestScore(examples) | Self::SumScores(examples) => examples
                .positive
                .iter_mut()
                .chain(&mut examples.negative)
                .collect(),
            Self::Discover { target, context } => std::iter::once(target)
                .chain(context.iter_mut().flat_map(Pair::both_mut))
                .collect(),
            Self::Context(pairs) => pairs.iter_mut().flat_map(Pair::both_mut).collect(),
        }
    }

    /// How many vectors a point is compared with.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::BestScore(examples) | Self::SumScores(examples) => {
                examples.positive.len() + examples.negative.len()
            }
            Self::Discover { context, .. } => 1 + 2 * context.len(),
            Self::Context(pairs) => 2 * pairs.len(),
        }
    }

    /// The score of a point by its similarity to each vector.
    pub(crate) fn score(&self, similarity: impl Fn(&[f32]) -> f32) -> f32 {
        // Adding 0 makes -0 into 0: equal similarities must compare as equal.
        let similarity = |vector: &Vec<f32>| similarity(vector) + 0.0;
        let best = |of: &[Vec<f32>]| {
            let all = of.iter().map(similarity);
            all.fold(f32::NEG_INFINITY, f32::max)
        };
        let sum = |of: &[Vec<f32>]| of.iter().map(similarity).sum::<f32>();
        match self {
            Self::BestScore(Examples { positive, negative }) => {
                let (liked, disliked) = (best(positive), best(negative));
                if liked > disliked {
                    share(liked)
                } else {
                    -share(disliked)
                }
            }
            Self::SumScores(Examples { positive, negative }) => sum(positive) - sum(negative),
            Self::Discover { target, context } => {
                let side = |pair: &Pair| {
                    let (here, there) = (similarity(&pair.positive), similarity(&pair.negative));
                    if here > there {
                        1.0
                    } else if here < there {
                        -1.0
                    } else {
                        0.0
                    }
                };
                context.iter().map(side).sum::<f32>() + share(similarity(target))
            }
            Self::Context(pairs) => {
                let loss = |pair: &Pair| {
                    let ahead = similarity(&pair.positive) - similarity(&pair.negative);
                    squashed((ahead - f32::EPSILON).min(0.0))
                };
                pairs.iter().map(loss).sum()
            }
        }
    }

    /// The vectors near to which the best points are; none where the best may be
    /// anywhere.
    pub(crate) fn seeds(&self, metric: Metric) -> Vec<Cow<'_, [f32]>> {
        match self {
            Self::BestScore(examples) => borrowed(&examples.positive),
            Self::SumScores(examples) => match metric {
                // A sum of products is the product with the sum, and a sum of
                // squared distances is least where the weighted mean is.
                Metric::Cosine | Metric::Dot => middle(examples, 1.0),
                Metric::Euclid if weight(examples) > 0.0 => middle(examples, weight(examples)),
                Metric::Manhattan if examples.negative.is_empty() => borrowed(&examples.positive),
                Metric::Euclid | Metric::Manhattan => Vec::new(),
            },
            Self::Discover { target, context } => std::iter::once(target)
                .chain(context.iter().map(|pair| &pair.positive))
                .map(|vector| Cow::Borrowed(&vector[..]))
                .collect(),
            Self::Context(pairs) => pairs
                .iter()
                .map(|pair| Cow::Borrowed(&pair.positive[..]))
                .collect(),
        }
    }

    /// The best score that a point can have which is to no seed more similar than
    /// this, seed by seed.
    pub(crate) fn bound(&self, metric: Metric, similarities: &[f32]) -> f32 {
        let first = similarities.first().copied().unwrap_or(f32::INFINITY);
        match self {
            Self::BestScore(_) => {
                let most = similarities.iter().copied();
                share(most.fold(f32::NEG_INFINITY, f32::max))
            }
            Self::SumScores(examples) => match metric {
                Metric::Cosine | Metric::Dot => first,
                Metric::Euclid => {
                    let weight = weight(examples);
                    let [middle] = &middle(examples, weight)[..] else {
                        return f32::INFINITY;
                    };
                    let there = self.score(|vector| -metric.distance(vector, middle));
                    weight * first + there
                }
                Metric::Manhattan => similarities.iter().sum(),
            },
            Self::Discover { context, .. } => {
                // Far fewer pairs than a float can count.
                #[expect(clippy::cast_precision_loss)]
                let pairs = context.len() as f32;
                pairs + share(first)
            }
            Self::Context(_) => 0.0,
        }
    }
}

impl Pair {
    fn both_mut(&mut self) -> [&mut Vec<f32>; 2] {
        [&mut self.positive, &mut self.negative]
    }
}

fn borrowed(vectors: &[Vec<f32>]) -> Vec<Cow<'_, [f32]>> {
    vectors.iter().map(|v| Cow::Borrowed(&v[..])).collect()
}

/// By how many there are more positive examples than negative ones.
fn weight(examples: &Examples) -> f32 {
    // Far fewer than a float can count.
    #[expect(clippy::cast_precision_loss)]
    let weight = examples.positive.len() as f32 - examples.negative.len() as f32;
    weight
}

/// The sum of the positive examples less that of the negative ones, over a
/// divisor; none if it is out of range or has no direction.
fn middle(examples: &Examples, divisor: f32) -> Vec<Cow<'static, [f32]>> {
    let first = examples.positive.first().or(examples.negative.first());
    let mut middle = vec![0.0_f32; first.map_or(0, Vec::len)];
    for (vectors, sign) in [(&examples.positive, 1.0), (&examples.negative, -1.0)] {
        for vector in vectors {
            for (sum, x) in middle.iter_mut().zip(vector) {
                *sum += sign * x / divisor;
            }
        }
    }
    let is_somewhere = middle.iter().all(|x| x.is_finite()) && middle.iter().any(|x| *x != 0.0);
    if is_somewhere {
        vec![Cow::Owned(middle)]
    } else {
        Vec::new()
    }
}

/// From -1 to 1, in the order of numbers.
fn squashed(x: f32) -> f32 {
    if x.is_finite() {
        x / (1.0 + x.abs())
    } else {
        x
    }
}

/// From 0 to 1, in the order of numbers.
fn share(x: f32) -> f32 {
    0.5 * (squashed(x) + 1.0)
}
