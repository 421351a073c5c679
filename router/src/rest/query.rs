//! Searches: `points/query` and its batch, and the older `points/search`. All
//! of them become the same plan, and a batch is one request to each shard.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use futures::future::try_join_all;
use quoit_filter::Filter;
use quoit_ring::PointId;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::body::decode;
use super::call::Call;
use super::envelope::{self, Reply, Show};
use super::error::Error;
use super::filter::JsonFilter;
use super::not_yet::{NotYet, Unnamed};
use super::payload::{Selector, WithVector};
use super::points::window;
use super::upsert::fitting;
use super::vectors::{Bare, Finite, Sought};
use crate::catalog::Collection;
use crate::fanout::read::{self, With};
use crate::fanout::search::{self, Nearest, Scored};

#[derive(Deserialize)]
struct QueryBody {
    query: Option<Sought>,
    limit: Option<u64>,
    offset: Option<u64>,
    #[serde(default, rename = "using")]
    _using: Unnamed,
    #[serde(default)]
    filter: JsonFilter,
    #[serde(default)]
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default, rename = "prefetch")]
    _prefetch: NotYet,
    #[serde(default, rename = "lookup_from")]
    _lookup_from: NotYet,
    #[serde(default, rename = "shard_key")]
    _shard_key: NotYet,
}

/// Of Qdrant's search parameters those that change an answer. What says how
/// quantized vectors or filters are searched has nothing to act on here.
#[derive(Deserialize, Default, Clone, Copy)]
struct SearchParams {
    hnsw_ef: Option<u64>,
    exact: Option<bool>,
    #[serde(default, rename = "indexed_only")]
    _indexed_only: NotYet,
}

#[derive(Deserialize)]
struct SearchBody {
    vector: Older,
    limit: u64,
    offset: Option<u64>,
    #[serde(default)]
    filter: JsonFilter,
    #[serde(default)]
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default, rename = "shard_key")]
    _shard_key: NotYet,
}

#[derive(Deserialize)]
struct Batch<T> {
    searches: Vec<T>,
}

/// The vector of the older call: a list of numbers, or `{name, vector}`.
struct Older(Vec<f32>);

impl<'de> Deserialize<'de> for Older {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "name")]
            _name: Unnamed,
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
                Ok(Older(vector))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Older, A::Error> {
                let named = Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Older(named.vector.0))
            }
        }

        deserializer.deserialize_any(OlderVisitor)
    }
}

/// What one search does.
enum Goal {
    /// Ranks by nearness to a vector.
    Vector(Vec<f32>),
    /// Ranks by nearness to a point, which is itself left out.
    Point(PointId),
    /// Ranks nothing: points in the order of their ids.
    Order,
}

/// One search, checked.
struct Plan {
    goal: Goal,
    offset: usize,
    limit: usize,
    show: Show,
    score_threshold: Option<f32>,
    hnsw_ef: Option<u32>,
    exact: bool,
    filter: Filter,
}

/// `POST /collections/{c}/points/query`.
pub(crate) async fn query(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let plans = vec![plan_query(&collection, decode(&body)?, "")?];
    let answers = run(&collection, &plans).await?;
    Reply::written(|buffer| {
        let answer = plans.first().zip(answers.first());
        answer.map_or(Ok(()), |(plan, hits)| points(buffer, hits, &plan.show))
    })
}

/// `POST /collections/{c}/points/query/batch`.
pub(crate) async fn query_batch(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let batch: Batch<QueryBody> = decode(&body)?;
    let plans = plan_all(&collection, batch, plan_query)?;
    let answers = run(&collection, &plans).await?;
    Reply::written(|buffer| {
        envelope::list(
            buffer,
            plans.iter().zip(&answers),
            |buffer, (plan, hits)| points(buffer, hits, &plan.show),
        )
    })
}

/// `POST /collections/{c}/points/search`.
pub(crate) async fn search(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let plans = vec![plan_search(&collection, decode(&body)?, "")?];
    let answers = run(&collection, &plans).await?;
    Reply::written(|buffer| {
        let answer = plans.first().zip(answers.first());
        answer.map_or(Ok(()), |(plan, found)| hits(buffer, found, &plan.show))
    })
}

/// `POST /collections/{c}/points/search/batch`.
pub(crate) async fn search_batch(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let batch: Batch<SearchBody> = decode(&body)?;
    let plans = plan_all(&collection, batch, plan_search)?;
    let answers = run(&collection, &plans).await?;
    Reply::written(|buffer| {
        envelope::list(
            buffer,
            plans.iter().zip(&answers),
            |buffer, (plan, found)| hits(buffer, found, &plan.show),
        )
    })
}

fn points(buffer: &mut Vec<u8>, found: &[Scored], show: &Show) -> Result<(), Error> {
    buffer.extend_from_slice(b"{\"points\":");
    hits(buffer, found, show)?;
    buffer.push(b'}');
    Ok(())
}

fn hits(buffer: &mut Vec<u8>, found: &[Scored], show: &Show) -> Result<(), Error> {
    envelope::list(buffer, found, |buffer, hit| {
        envelope::scored(buffer, hit, show)
    })
}

fn plan_all<T>(
    collection: &Collection,
    batch: Batch<T>,
    plan: impl Fn(&Collection, T, &str) -> Result<Plan, Error>,
) -> Result<Vec<Plan>, Error> {
    let (max, got) = (
        collection.params().limits.max_batch_searches,
        batch.searches.len(),
    );
    if got > max {
        let message =
            format!("{got} searches are more than the {max} of one request: send several");
        return Err(Error::validate("searches", message));
    }
    let plans = batch.searches.into_iter().enumerate();
    plans
        .map(|(i, body)| plan(collection, body, &format!("searches[{i}].")))
        .collect()
}

fn plan_query(collection: &Collection, body: QueryBody, place: &str) -> Result<Plan, Error> {
    let goal = match body.query {
        Some(Sought::Vector(vector)) => {
            fitting(collection, &vector, || format!("{place}query"))?;
            Goal::Vector(vector)
        }
        Some(Sought::Point(id)) => Goal::Point(id.0),
        None => Goal::Order,
    };
    let (offset, limit) = window(collection, body.offset, body.limit, place)?;
    let (hnsw_ef, exact) = how(collection, body.params, place)?;
    Ok(Plan {
        goal,
        offset,
        limit,
        show: Show {
            payload: body.with_payload.unwrap_or(Selector::Nothing),
            vector: body.with_vector.0,
        },
        score_threshold: body.score_threshold.map(|t| t.0),
        hnsw_ef,
        exact,
        filter: body.filter.0,
    })
}

fn plan_search(collection: &Collection, body: SearchBody, place: &str) -> Result<Plan, Error> {
    let Older(vector) = body.vector;
    fitting(collection, &vector, || format!("{place}vector"))?;
    let (offset, limit) = window(collection, body.offset, Some(body.limit), place)?;
    let (hnsw_ef, exact) = how(collection, body.params, place)?;
    Ok(Plan {
        goal: Goal::Vector(vector),
        offset,
        limit,
        show: Show {
            payload: body.with_payload.unwrap_or(Selector::Nothing),
            vector: body.with_vector.0,
        },
        score_threshold: body.score_threshold.map(|t| t.0),
        hnsw_ef,
        exact,
        filter: body.filter.0,
    })
}

fn how(
    collection: &Collection,
    params: Option<SearchParams>,
    place: &str,
) -> Result<(Option<u32>, bool), Error> {
    let params = params.unwrap_or_default();
    let max = collection.params().limits.max_hnsw_ef;
    let ef = match params.hnsw_ef {
        // Nothing is a candidate list of no length: the index's own is meant.
        None | Some(0) => None,
        Some(ef) => match u32::try_from(ef) {
            Ok(ef) if ef <= max => Some(ef),
            _ => {
                let message = format!("{ef} is more than {max}: `exact` searches everything");
                return Err(Error::validate(format!("{place}params.hnsw_ef"), message));
            }
        },
    };
    Ok((ef, params.exact.unwrap_or(false)))
}

/// Runs the plans, all at once; one list for each.
async fn run(collection: &Collection, plans: &[Plan]) -> Result<Vec<Vec<Scored>>, Error> {
    let vectors = vectors_of(collection, plans).await?;
    let searches: Vec<Nearest> = plans
        .iter()
        .filter_map(|plan| {
            let (vector, exclude) = match &plan.goal {
                Goal::Vector(vector) => (Cow::Borrowed(vector), None),
                Goal::Point(id) => (Cow::Borrowed(vectors.get(id)?), Some(*id)),
                Goal::Order => return None,
            };
            Some(Nearest {
                vector: vector.into_owned(),
                offset: plan.offset,
                limit: plan.limit,
                with_payload: plan.show.payload.wants_any(),
                with_vector: plan.show.vector,
                score_threshold: plan.score_threshold,
                hnsw_ef: plan.hnsw_ef,
                exact: plan.exact,
                filter: plan.filter.clone(),
                exclude,
            })
        })
        .collect();
    let ordered = plans.iter().filter(|plan| matches!(plan.goal, Goal::Order));
    let pages = try_join_all(ordered.map(|plan| in_order(collection, plan)));
    let (found, pages) = futures::try_join!(search::search(collection, &searches), pages)?;

    let (mut found, mut pages) = (found.into_iter(), pages.into_iter());
    let answers = plans.iter().map(|plan| match plan.goal {
        Goal::Vector(_) | Goal::Point(_) => found.next().unwrap_or_default(),
        Goal::Order => pages.next().unwrap_or_default(),
    });
    Ok(answers.collect())
}

/// The vectors of the points that plans start from.
async fn vectors_of(
    collection: &Collection,
    plans: &[Plan],
) -> Result<HashMap<PointId, Vec<f32>>, Error> {
    let ids: Vec<PointId> = plans
        .iter()
        .filter_map(|plan| match plan.goal {
            Goal::Point(id) => Some(id),
            Goal::Vector(_) | Goal::Order => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let with = With {
        payload: false,
        vector: true,
    };
    let rows = read::retrieve(collection, &ids, with).await?;
    let vectors: HashMap<_, _> = rows.into_iter().map(|r| (r.id, r.point.vector)).collect();
    match ids.iter().find(|id| !vectors.contains_key(id)) {
        Some(id) => Err(Error::FindPoint(*id)),
        None => Ok(vectors),
    }
}

/// The points in the order of their ids, each with the score 1, which is what
/// Qdrant answers where nothing is ranked.
async fn in_order(
    collection: &Collection,
    plan: &Plan,
) -> Result<Vec<Scored>, crate::fanout::Error> {
    let all = plan.offset + plan.limit;
    let page = read::scroll(collection, &plan.filter, None, all, plan.show.with()).await?;
    let rows = page.rows.into_iter().skip(plan.offset);
    Ok(rows.map(|row| Scored { row, score: 1.0 }).collect())
}
