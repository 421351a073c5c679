//! Searches: `points/query` and its batch, and the older `points/search` and
//! `points/recommend`. All of them become the same plan, and the searches of a
//! batch go to each shard together.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::{PartialSchema, ToSchema};

use super::body::decode;
use super::call::Call;
use super::envelope::{self, Reply, Show};
use super::error::Error;
use super::explain::explained;
use super::filter::JsonFilter;
use super::likeness::{Discover, Pairs};
use super::lookup::LookupFrom;
use super::not_yet::NotYet;
use super::openapi::shape::{Parts, Shape, add, any_of, list, named, object, shaped, text};
use super::payload::WithVector;
use super::plan::{Ask, Plan, SearchParams};
use super::prefetch::Prefetches;
use super::run::run;
use super::vectors::{Bare, Finite, Start};
use super::wish::{Recommend, Strategy, Wish};
use crate::catalog::Collection;
use crate::check;
use crate::fanout::search::Scored;
use crate::select::Selector;

/// A query, and what of the points it finds is answered.
#[derive(Deserialize, ToSchema)]
#[schema(as = QueryRequest)]
pub(crate) struct QueryBody {
    query: Option<Wish>,
    limit: Option<u64>,
    offset: Option<u64>,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default)]
    prefetch: Prefetches,
    lookup_from: Option<LookupFrom>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The older search by a vector.
#[derive(Deserialize, ToSchema)]
#[schema(as = SearchRequest)]
pub(crate) struct SearchBody {
    vector: Older,
    limit: u64,
    offset: Option<u64>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// Several searches of one kind.
#[derive(Deserialize)]
pub(crate) struct Batch<T> {
    searches: Vec<T>,
}

impl<T: ToSchema> PartialSchema for Batch<T> {
    fn schema() -> Shape {
        object(&[("searches", list(named::<T>()))], &[]).into()
    }
}

impl<T: ToSchema> ToSchema for Batch<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Batch", T::name()).into()
    }

    fn schemas(parts: &mut Parts) {
        add::<T>(parts);
    }
}

/// The vector of the older call: a list of numbers, or `{name, vector}`.
pub(crate) struct Older {
    pub(crate) vector: Vec<f32>,
    pub(crate) name: Option<String>,
}

shaped!(Older as "NamedVectorStruct" of Bare => any_of([
    named::<Bare>(),
    object(&[("name", text()), ("vector", named::<Bare>())], &[]).into(),
]));

impl<'de> Deserialize<'de> for Older {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
            vector: Bare,
        }

        struct OlderVisitor;

        impl<'de> Visitor<'de> for OlderVisitor {
            type Value = Older;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Older, A::Error> {
                let Bare(vector) = Bare::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(Older { vector, name: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Older, A::Error> {
                let Named { name, vector } = Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Older {
                    vector: vector.0,
                    name: Some(name),
                })
            }
        }

        deserializer.deserialize_any(OlderVisitor)
    }
}

/// The older call for what is near to some and far from others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecommendRequest)]
pub(crate) struct RecommendBody {
    positive: Option<Vec<Start>>,
    negative: Option<Vec<Start>>,
    strategy: Option<Strategy>,
    limit: u64,
    offset: Option<u64>,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    lookup_from: Option<LookupFrom>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The older call for what is near a target where a context allows, or for
/// what the context prefers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiscoverRequest)]
pub(crate) struct DiscoverBody {
    target: Option<Start>,
    #[serde(default)]
    context: Pairs,
    limit: u64,
    offset: Option<u64>,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    lookup_from: Option<LookupFrom>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

impl From<DiscoverBody> for Asked {
    fn from(body: DiscoverBody) -> Self {
        let context = body.context;
        let wish = match body.target {
            Some(target) => Wish::Discover(Discover { target, context }),
            None => Wish::Context(context),
        };
        Self {
            ask: Ask {
                wish: Some(wish),
                prefetch: Prefetches::default(),
                filter: body.filter.0,
                params: body.params,
                score_threshold: None,
                offset: body.offset,
                limit: Some(body.limit),
                using: body.using,
                lookup_from: body.lookup_from,
                field: "",
            },
            with_payload: body.with_payload,
            with_vector: body.with_vector,
        }
    }
}

/// A search, and what of its points is answered.
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) with_payload: Option<Selector>,
    pub(crate) with_vector: WithVector,
}

impl Asked {
    /// What of its points is answered. A search answers no payload where nothing
    /// is said.
    pub(crate) fn checked(
        self,
        collection: &Collection,
        place: &str,
    ) -> Result<(Ask, Show), Error> {
        let payload = self.with_payload.unwrap_or(Selector::Nothing);
        let show = Show::new(collection, payload, self.with_vector, place)?;
        Ok((self.ask, show))
    }
}

impl From<QueryBody> for Asked {
    fn from(body: QueryBody) -> Self {
        Self {
            ask: Ask {
                wish: body.query,
                prefetch: body.prefetch,
                filter: body.filter.0,
                params: body.params,
                score_threshold: body.score_threshold,
                offset: body.offset,
                limit: body.limit,
                using: body.using,
                lookup_from: body.lookup_from,
                field: "query",
            },
            with_payload: body.with_payload,
            with_vector: body.with_vector,
        }
    }
}

impl From<SearchBody> for Asked {
    fn from(body: SearchBody) -> Self {
        let Older { vector, name } = body.vector;
        Self {
            ask: Ask {
                wish: Some(Wish::nearest(Start::Vector(vector))),
                prefetch: Prefetches::default(),
                filter: body.filter.0,
                params: body.params,
                score_threshold: body.score_threshold,
                offset: body.offset,
                limit: Some(body.limit),
                using: name,
                lookup_from: None,
                field: "vector",
            },
            with_payload: body.with_payload,
            with_vector: body.with_vector,
        }
    }
}

impl From<RecommendBody> for Asked {
    fn from(body: RecommendBody) -> Self {
        Self {
            ask: Ask {
                wish: Some(Wish::Recommend(Recommend {
                    positive: body.positive,
                    negative: body.negative,
                    strategy: body.strategy,
                })),
                prefetch: Prefetches::default(),
                filter: body.filter.0,
                params: body.params,
                score_threshold: body.score_threshold,
                offset: body.offset,
                limit: Some(body.limit),
                using: body.using,
                lookup_from: body.lookup_from,
                field: "",
            },
            with_payload: body.with_payload,
            with_vector: body.with_vector,
        }
    }
}

/// `POST /collections/{c}/points/query`.
pub(crate) async fn query(call: Call) -> Result<Reply, Error> {
    one::<QueryBody>(call, points).await
}

/// `POST /collections/{c}/points/query/batch`.
pub(crate) async fn query_batch(call: Call) -> Result<Reply, Error> {
    many::<QueryBody>(call, points).await
}

/// `POST /collections/{c}/points/search`.
pub(crate) async fn search(call: Call) -> Result<Reply, Error> {
    one::<SearchBody>(call, hits).await
}

/// `POST /collections/{c}/points/search/batch`.
pub(crate) async fn search_batch(call: Call) -> Result<Reply, Error> {
    many::<SearchBody>(call, hits).await
}

/// `POST /collections/{c}/points/recommend`.
pub(crate) async fn recommend(call: Call) -> Result<Reply, Error> {
    one::<RecommendBody>(call, hits).await
}

/// `POST /collections/{c}/points/recommend/batch`.
pub(crate) async fn recommend_batch(call: Call) -> Result<Reply, Error> {
    many::<RecommendBody>(call, hits).await
}

/// `POST /collections/{c}/points/discover`.
pub(crate) async fn discover(call: Call) -> Result<Reply, Error> {
    one::<DiscoverBody>(call, hits).await
}

/// `POST /collections/{c}/points/discover/batch`.
pub(crate) async fn discover_batch(call: Call) -> Result<Reply, Error> {
    many::<DiscoverBody>(call, hits).await
}

/// Writes what a search has found.
type Write = fn(&mut Vec<u8>, &[Scored], &Show) -> Result<(), Error>;

async fn one<T: Into<Asked> + DeserializeOwned>(
    mut call: Call,
    write: Write,
) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let asked: Asked = decode::<T>(&body)?.into();
    let (ask, show) = asked.checked(&collection, "")?;
    let plan = Plan::new(&collection, &*call.app.catalog, ask, show.with(), "")?;
    let plan = plan.explained(call.params.explain);
    let found = run(&collection, std::slice::from_ref(&plan)).await?;
    let found = found.into_iter().next().unwrap_or_default();
    let reply = Reply::written(|buffer| write(buffer, &found.hits, &show))?;
    if plan.explain {
        reply.with("explain", &explained(&plan, &found))
    } else {
        Ok(reply)
    }
}

async fn many<T: Into<Asked> + DeserializeOwned>(
    mut call: Call,
    write: Write,
) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let batch: Batch<T> = decode(&body)?;
    check::searches(&collection, batch.searches.len())?;
    let (mut plans, mut shows) = (Vec::new(), Vec::new());
    let (mut steps, mut copies) = (0, 0);
    for (i, body) in batch.searches.into_iter().enumerate() {
        let place = format!("searches[{i}].");
        let (ask, show) = body.into().checked(&collection, &place)?;
        let plan = Plan::new(&collection, &*call.app.catalog, ask, show.with(), &place)?;
        // Prefetches are searches too: a few in each of many add up.
        steps += plan.steps.len();
        check::searches(&collection, steps)?;
        copies += plan.copies;
        check::copies(&collection, copies, place.trim_end_matches('.'))?;
        plans.push(plan.explained(call.params.explain));
        shows.push(show);
    }
    let found = run(&collection, &plans).await?;
    let reply = Reply::written(|buffer| {
        envelope::list(buffer, found.iter().zip(&shows), |buffer, (found, show)| {
            write(buffer, &found.hits, show)
        })
    })?;
    if call.params.explain {
        let all = plans.iter().zip(&found);
        let all: Vec<_> = all.map(|(plan, found)| explained(plan, found)).collect();
        reply.with("explain", &all)
    } else {
        Ok(reply)
    }
}

fn points(buffer: &mut Vec<u8>, found: &[Scored], show: &Show) -> Result<(), Error> {
    buffer.extend_from_slice(b"{\"points\":");
    hits(buffer, found, show)?;
    buffer.push(b'}');
    Ok(())
}

/// Writes points with their scores.
pub(crate) fn hits(buffer: &mut Vec<u8>, found: &[Scored], show: &Show) -> Result<(), Error> {
    envelope::list(buffer, found, |buffer, hit| {
        envelope::scored(buffer, hit, show)
    })
}
