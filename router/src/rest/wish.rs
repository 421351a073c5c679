//! What a `query` asks for, as clients write it: a vector or a point, or an
//! object that tells by its key which kind of query it is.

mod schema;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{SeqAccessDeserializer, StrDeserializer, U64Deserializer};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::likeness::{Discover, Pairs};
use super::order::JsonOrder;
use super::vectors::{Finite, Rest, Start, refuse_object};

/// A query.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// What is nearest to a vector or a point, spread out where `mmr` says so.
    Nearest { start: Start, mmr: Option<Mmr> },
    /// What is nearest to some and far from others.
    Recommend(Recommend),
    /// The prefetches, as one list.
    Fuse(Fusion),
    /// What is near a target, where some pairs allow.
    Discover(Discover),
    /// What is on the better side of some pairs.
    Context(Pairs),
    /// Any points.
    Sample,
    /// Points in the order of a field.
    OrderBy(JsonOrder),
}

/// How much the answers are to differ from each other.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mmr {
    pub(crate) diversity: Option<Finite>,
    pub(crate) candidates_limit: Option<u64>,
}

/// Examples to be near to and far from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecommendInput)]
pub(crate) struct Recommend {
    pub(crate) positive: Option<Vec<Start>>,
    pub(crate) negative: Option<Vec<Start>>,
    pub(crate) strategy: Option<Strategy>,
}

/// How lists become one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fusion {
    /// By the places in them.
    Rrf(Rrf),
    /// By the scores in them.
    Dbsf,
}

/// What of fusion by places can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rrf {
    pub(crate) k: Option<u64>,
    pub(crate) weights: Option<Vec<Finite>>,
}

/// How examples are made use of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecommendStrategy)]
pub(crate) enum Strategy {
    /// One vector stands for them.
    #[default]
    AverageVector,
    /// Each point is scored by the example that it is most like.
    BestScore,
    /// Each point is scored by all of them.
    SumScores,
}

/// How lists become one: by places, or by scores.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Fusion)]
enum FusionName {
    Rrf,
    Dbsf,
}

/// Points by chance.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Sample)]
enum SampleName {
    Random,
}

impl<'de> Deserialize<'de> for Wish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WishVisitor)
    }
}

struct WishVisitor;

impl Wish {
    /// What is nearest, and no more.
    pub(crate) fn nearest(start: Start) -> Self {
        Self::Nearest { start, mmr: None }
    }
}

impl<'de> Visitor<'de> for WishVisitor {
    type Value = Wish;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a vector, a point id or an object like {\"nearest\": …}")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Wish, E> {
        Start::deserialize(U64Deserializer::new(id)).map(Wish::nearest)
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Wish, E> {
        Start::deserialize(StrDeserializer::new(id)).map(Wish::nearest)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Wish, A::Error> {
        Start::deserialize(SeqAccessDeserializer::new(seq)).map(Wish::nearest)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wish, A::Error> {
        let mut found: Option<Wish> = None;
        let mut spread = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let wish = match key.as_ref() {
                "nearest" => Wish::nearest(map.next_value()?),
                "recommend" => Wish::Recommend(map.next_value()?),
                "fusion" => Wish::Fuse(match map.next_value()? {
                    FusionName::Rrf => Fusion::Rrf(Rrf::default()),
                    FusionName::Dbsf => Fusion::Dbsf,
                }),
                "rrf" => Wish::Fuse(Fusion::Rrf(map.next_value()?)),
                "sample" => {
                    let SampleName::Random = map.next_value()?;
                    Wish::Sample
                }
                "mmr" => {
                    spread = map.next_value::<Option<Mmr>>()?;
                    continue;
                }
                "order_by" => Wish::OrderBy(map.next_value()?),
                "discover" => Wish::Discover(map.next_value()?),
                "context" => Wish::Context(map.next_value()?),
                "formula" | "relevance_feedback" => {
                    let text = format_args!("a {key} query is not supported yet");
                    return Err(de::Error::custom(text));
                }
                "indices" | "values" | "text" | "image" | "object" | "model" if found.is_none() => {
                    let key = Some(key);
                    return Err(refuse_object(Rest { key, map }));
                }
                // What Qdrant does not know it does not mind beside the rest.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if found.replace(wish).is_some() {
                return Err(de::Error::custom(format_args!(
                    "{key} beside another kind of query: ask for one, and combine several by `prefetch`"
                )));
            }
        }
        match (found, spread) {
            (Some(Wish::Nearest { start, .. }), mmr) => Ok(Wish::Nearest { start, mmr }),
            (Some(_), Some(_)) => Err(de::Error::custom("mmr goes with nearest alone")),
            (Some(wish), None) => Ok(wish),
            (None, _) => Err(de::Error::missing_field("nearest")),
        }
    }
}
