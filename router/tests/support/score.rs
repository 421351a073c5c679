//! What a shard in memory scores points by.

use quoit_proto::v1::objective::Kind;
use quoit_proto::v1::{Objective, Pair, Query, Vector};

use super::{FakeShard, Metric};

/// A query as points are compared with it.
pub(super) struct Scorer<'a> {
    shard: &'a FakeShard,
    using: String,
    nearest: Vec<f32>,
    objective: Option<Objective>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(shard: &'a FakeShard, query: &Query) -> Self {
        Self {
            shard,
            using: query.using.clone(),
            nearest: shard.prepared(&query.using, query.vector.clone()),
            objective: query.objective.clone(),
        }
    }

    /// Whether a lower score is a better one.
    pub(super) fn is_distance(&self) -> bool {
        let of_metric = matches!(
            self.shard.metrics[&self.using],
            Metric::Euclid | Metric::Manhattan
        );
        self.objective.is_none() && of_metric
    }

    pub(super) fn score(&self, point: &[f32]) -> f32 {
        match &self.objective {
            None => self.shard.score(&self.using, &self.nearest, point),
            Some(objective) => self.by(objective.kind.as_ref().unwrap(), point),
        }
    }

    fn to(&self, example: &Vector, point: &[f32]) -> f32 {
        let example = self.shard.prepared(&self.using, example.values.clone());
        let score = self.shard.score(&self.using, &example, point);
        match self.shard.metrics[&self.using] {
            Metric::Cosine | Metric::Dot => score,
            Metric::Euclid => -score * score,
            Metric::Manhattan => -score,
        }
    }

    fn by(&self, kind: &Kind, point: &[f32]) -> f32 {
        let to = |example: &Vector| self.to(example, point);
        let sides = |pair: &Pair| {
            let (positive, negative) = (pair.positive.as_ref(), pair.negative.as_ref());
            (to(positive.unwrap()), to(negative.unwrap()))
        };
        let best = |all: &[Vector]| all.iter().map(to).fold(f32::NEG_INFINITY, f32::max);
        match kind {
            Kind::BestScore(all) => match (best(&all.positive), best(&all.negative)) {
                (liked, disliked) if liked > disliked => share(liked),
                (_, disliked) => -share(disliked),
            },
            Kind::SumScores(all) => {
                let sum = |all: &[Vector]| all.iter().map(to).sum::<f32>();
                sum(&all.positive) - sum(&all.negative)
            }
            Kind::Discover(discover) => {
                let rank = |pair: &Pair| {
                    let (positive, negative) = sides(pair);
                    f32::from(i8::from(positive > negative) - i8::from(positive < negative))
                };
                let ranks: f32 = discover.context.iter().map(rank).sum();
                ranks + share(to(discover.target.as_ref().unwrap()))
            }
            Kind::Context(context) => {
                let loss = |pair: &Pair| {
                    let (positive, negative) = sides(pair);
                    squash((positive - negative - f32::EPSILON).min(0.0))
                };
                context.pairs.iter().map(loss).sum()
            }
        }
    }
}

fn squash(x: f32) -> f32 {
    x / (1.0 + x.abs())
}

fn share(x: f32) -> f32 {
    f32::midpoint(squash(x), 1.0)
}
