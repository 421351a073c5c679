//! The searches inside a search, as clients write them: one, or a list.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::filter::JsonFilter;
use super::lookup::LookupFrom;
use super::openapi::shape::{any_of, list, named, null, shaped};
use super::plan::{Ask, SearchParams};
use super::vectors::Finite;
use super::wish::Wish;

/// One of them. A field that is not known is refused: a mistyped `filter`
/// would let in what was to be left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefetch {
    #[serde(default, rename = "prefetch")]
    inner: Prefetches,
    query: Option<Wish>,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    limit: Option<u64>,
    lookup_from: Option<LookupFrom>,
}

impl Prefetch {
    /// What it asks for.
    pub(crate) fn into_ask(self) -> Ask {
        Ask {
            wish: self.query,
            prefetch: self.inner,
            filter: self.filter.0,
            params: self.params,
            score_threshold: self.score_threshold,
            offset: None,
            limit: self.limit,
            using: self.using,
            lookup_from: self.lookup_from,
            field: "query",
        }
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Prefetches {
    pub(crate) all: Vec<Prefetch>,
    /// Whether they came as a list, for texts that say which one is wrong.
    pub(crate) is_list: bool,
}

shaped!(Prefetches as "Prefetches" of Prefetch => any_of([
    named::<Prefetch>(),
    list(named::<Prefetch>()),
    null(),
]));

impl<'de> Deserialize<'de> for Prefetches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PrefetchesVisitor;

        impl<'de> Visitor<'de> for PrefetchesVisitor {
            type Value = Prefetches;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a prefetch or a list of prefetches")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Prefetches, E> {
                Ok(Prefetches::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Prefetches, A::Error> {
                let all = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                let is_list = true;
                Ok(Prefetches { all, is_list })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Prefetches, A::Error> {
                let one = Prefetch::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Prefetches {
                    all: vec![one],
                    is_list: false,
                })
            }
        }

        deserializer.deserialize_any(PrefetchesVisitor)
    }
}
