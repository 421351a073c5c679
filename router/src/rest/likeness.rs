//! Queries that score points by examples inside the shards: recommendations by
//! the best score or by the sum of scores, discovery, and context. Decides how
//! clients write them, which points they name, and what the shards are sent.

use std::fmt;

use quoit_proto::v1;
use quoit_proto::v1::objective::Kind;
use quoit_ring::PointId;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::error::Error;
use super::lookup::Source;
use super::openapi::shape::{any_of, list, named, null, shaped};
use super::vectors::Start;

/// Two examples, and with them two sides of the space.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContextPair)]
pub(crate) struct Pair {
    pub(crate) positive: Start,
    pub(crate) negative: Start,
}

/// One pair or a list of them, and whether they came as a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    pub(crate) all: Vec<Pair>,
    is_list: bool,
}

shaped!(Pairs as "ContextInput" of Pair => any_of([
    named::<Pair>(),
    list(named::<Pair>()),
    null(),
]));

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a pair like {\"positive\": …, \"negative\": …} or a list of pairs")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Pairs, A::Error> {
                let all = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                let is_list = true;
                Ok(Pairs { all, is_list })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Pairs, A::Error> {
                let one = Pair::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Pairs {
                    all: vec![one],
                    is_list: false,
                })
            }
        }

        deserializer.deserialize_any(PairsVisitor)
    }
}

/// What is near a target, where the context allows.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiscoverInput)]
pub(crate) struct Discover {
    pub(crate) target: Start,
    #[serde(default)]
    pub(crate) context: Pairs,
}

/// How points are scored.
#[derive(Debug, Clone)]
pub(crate) enum Scoring {
    /// The most similar of all examples decides.
    BestScore {
        positive: Vec<Start>,
        negative: Vec<Start>,
    },
    /// The sum of similarities does.
    SumScores {
        positive: Vec<Start>,
        negative: Vec<Start>,
    },
    /// The side of each pair, then the similarity to the target.
    Discover(Discover),
    /// How far on the negative side of each pair.
    Context(Pairs),
}

/// A scoring by examples, checked.
#[derive(Debug, Clone)]
pub(crate) struct Likeness {
    pub(crate) scoring: Scoring,
    /// Where it is in the body.
    pub(crate) field: String,
    /// Where the points are that are examples, if not in the collection itself.
    pub(crate) from: Option<Source>,
    /// The place of the name whose vectors are compared.
    pub(crate) using: usize,
}

impl Scoring {
    /// All examples, and where each is, below the query's own place.
    pub(crate) fn starts(&self) -> Vec<(String, &Start)> {
        match self {
            Self::BestScore { positive, negative } | Self::SumScores { positive, negative } => {
                let of = |name: &str, list: &[Start]| -> Vec<String> {
                    (0..list.len()).map(|i| format!("{name}[{i}]")).collect()
                };
                let places = of("positive", positive).into_iter();
                let places = places.chain(of("negative", negative));
                places.zip(positive.iter().chain(negative)).collect()
            }
            Self::Discover(Discover { target, context }) => {
                let target = ("target".to_owned(), target);
                std::iter::once(target)
                    .chain(context.starts("context"))
                    .collect()
            }
            Self::Context(pairs) => pairs.starts(""),
        }
    }

    /// What the shards are sent, once each example is a vector.
    pub(crate) fn objective(
        &self,
        vector: impl Fn(&Start) -> Result<Vec<f32>, Error>,
    ) -> Result<v1::Objective, Error> {
        let one = |start: &Start| {
            Ok::<_, Error>(v1::Vector {
                values: vector(start)?,
                ..v1::Vector::default()
            })
        };
        let examples = |positive: &[Start], negative: &[Start]| {
            Ok::<_, Error>(v1::Examples {
                positive: positive.iter().map(one).collect::<Result<_, _>>()?,
                negative: negative.iter().map(one).collect::<Result<_, _>>()?,
            })
        };
        let pairs = |pairs: &Pairs| {
            let pair = |pair: &Pair| {
                Ok::<_, Error>(v1::Pair {
                    positive: Some(one(&pair.positive)?),
                    negative: Some(one(&pair.negative)?),
                })
            };
            pairs.all.iter().map(pair).collect::<Result<Vec<_>, _>>()
        };
        let kind = match self {
            Self::BestScore { positive, negative } => {
                Kind::BestScore(examples(positive, negative)?)
            }
            Self::SumScores { positive, negative } => {
                Kind::SumScores(examples(positive, negative)?)
            }
            Self::Discover(Discover { target, context }) => Kind::Discover(v1::Discover {
                target: Some(one(target)?),
                context: pairs(context)?,
            }),
            Self::Context(context) => Kind::Context(v1::Context {
                pairs: pairs(context)?,
            }),
        };
        Ok(v1::Objective { kind: Some(kind) })
    }
}

impl Pairs {
    fn starts(&self, name: &str) -> Vec<(String, &Start)> {
        let mut starts = Vec::with_capacity(2 * self.all.len());
        for (i, pair) in self.all.iter().enumerate() {
            let at = if self.is_list {
                format!("{name}[{i}].")
            } else if name.is_empty() {
                String::new()
            } else {
                format!("{name}.")
            };
            starts.push((format!("{at}positive"), &pair.positive));
            starts.push((format!("{at}negative"), &pair.negative));
        }
        starts
    }
}

impl Likeness {
    /// The points that are examples.
    pub(crate) fn points(&self) -> Vec<PointId> {
        let starts = self.scoring.starts();
        let points = starts.into_iter().filter_map(|(_, start)| match start {
            Start::Point(id) => Some(*id),
            Start::Vector(_) => None,
        });
        points.collect()
    }
}
