//! Sends searches to every shard and merges what comes back.

use std::collections::BTreeSet;

use quoit_filter::Filter;
use quoit_proto::v1::{Objective, Query, SearchRequest, ShardExplanation};
use quoit_ring::PointId;

use super::{Error, Row, ask_all, row};
use crate::catalog::{Collection, VectorParams};
use crate::fanout::read::With;
use crate::merge::{Order, merge};

/// One search, checked.
#[derive(Debug, Clone)]
pub(crate) struct Nearest {
    /// Empty with an objective.
    pub(crate) vector: Vec<f32>,
    /// The place of the name whose vectors it is compared with.
    pub(crate) using: usize,
    /// What points are scored by instead of by nearness to the vector.
    pub(crate) objective: Option<Objective>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) with: With,
    pub(crate) score_threshold: Option<f32>,
    pub(crate) hnsw_ef: Option<u32>,
    pub(crate) exact: bool,
    /// Leave out what the index does not have yet.
    pub(crate) indexed_only: bool,
    /// Say how it went.
    pub(crate) explain: bool,
    pub(crate) filter: Filter,
    /// The points that are left out: those that the vector is made of.
    pub(crate) exclude: BTreeSet<PointId>,
}

/// A point and its score.
#[derive(Debug, Clone)]
pub(crate) struct Scored {
    pub(crate) row: Row,
    pub(crate) score: f32,
}

/// What a search found in all shards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// The best first.
    pub(crate) hits: Vec<Scored>,
    /// How it went in each shard, if that was asked for.
    pub(crate) explanations: Vec<ShardExplanation>,
}

/// Runs some searches on the whole collection; one answer for each.
pub(crate) async fn search(
    collection: &Collection,
    searches: &[Nearest],
) -> Result<Vec<Found>, Error> {
    if searches.is_empty() {
        return Ok(Vec::new());
    }
    let queries: Vec<Query> = searches.iter().map(|s| to_query(collection, s)).collect();
    let answers = ask_all(collection, |target| {
        let request = SearchRequest {
            vnodes: target.bits.clone(),
            queries: queries.clone(),
            freshness: collection.freshness(),
        };
        target.client.search(request)
    })
    .await?;
    answers.check(collection, |answer| &answer.not_here)?;
    let mut parts: Vec<Parts> = searches.iter().map(|_| Parts::default()).collect();
    for (target, answer) in answers.all {
        if answer.results.len() != searches.len() {
            return Err(Error::ReadAnswer {
                shard: target.shard,
                what: "not one list for each search",
            });
        }
        for (parts, hits) in parts.iter_mut().zip(answer.results) {
            parts
                .explanations
                .extend(hits.explanation.map(|e| ShardExplanation {
                    shard: target.shard.0,
                    explanation: Some(e),
                }));
            let list = hits.hits.into_iter().map(|hit| {
                let point = hit.point.ok_or(Error::ReadAnswer {
                    shard: target.shard,
                    what: "a hit without a point",
                })?;
                let row = row(target.shard, point)?;
                let score = hit.score;
                Ok(Scored { row, score })
            });
            parts.lists.push(list.collect::<Result<_, Error>>()?);
        }
    }

    let merged = searches.iter().zip(parts).map(|(search, parts)| {
        let mut lists = parts.lists;
        for list in &mut lists {
            list.retain(|hit| !search.exclude.contains(&hit.row.id));
        }
        let order = match search.objective {
            None => used(collection, search).metric.order(),
            Some(_) => Order::HigherFirst,
        };
        let key = |hit: &Scored| (order.rank(hit.score), hit.row.id);
        Found {
            hits: merge(lists, key, search.offset, search.limit),
            explanations: parts.explanations,
        }
    });
    Ok(merged.collect())
}

/// What the shards answered to one search.
#[derive(Default)]
struct Parts {
    lists: Vec<Vec<Scored>>,
    explanations: Vec<ShardExplanation>,
}

/// The search as one shard sees it. Any shard may hold all of the best, so
/// each is asked for the skipped ones too, and for as many more as are to be
/// left out: a filter that says so would keep the search from the graph.
fn to_query(collection: &Collection, search: &Nearest) -> Query {
    let limit = search.offset.saturating_add(search.limit);
    let limit = limit.saturating_add(search.exclude.len());
    Query {
        vector: search.vector.clone(),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        with_payload: search.with.payload,
        with_vectors: collection.params().names(search.with.vectors),
        score_threshold: search.score_threshold,
        hnsw_ef: search.hnsw_ef,
        exact: search.exact,
        indexed_only: search.indexed_only,
        explain: search.explain,
        filter: Some((&search.filter).into()),
        using: used(collection, search).name.clone(),
        objective: search.objective.clone(),
    }
}

fn used<'a>(collection: &'a Collection, search: &Nearest) -> &'a VectorParams {
    // A plan names none that is not there.
    &collection.params().vectors[search.using]
}
