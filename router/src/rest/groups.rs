//! `points/query/groups` and the older `points/search/groups`: the best points
//! of each value of a field. More and more points are ranked until there are
//! enough groups; groups that are short then are filled by searches of their
//! own.

use std::collections::HashMap;

use quoit_filter::{Filter, Path};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::{self, Reply};
use super::error::Error;
use super::filter::JsonFilter;
use super::lookup::{LookupFrom, WithLookup};
use super::not_yet::NotYet;
use super::payload::WithVector;
use super::plan::{Ask, Goal, Plan, SearchParams};
use super::prefetch::Prefetches;
use super::query::{Asked, Older, hits};
use super::run::run;
use super::vectors::{Finite, Start};
use super::wish::{Recommend, Strategy, Wish};
use crate::catalog::Collection;
use crate::fanout::search::Scored;
use crate::groups::{Group, GroupId, Groups, groups_of};
use crate::select::Selector;
use crate::spread::MAX_CANDIDATES;

const DEFAULT_GROUPS: u64 = 10;
const DEFAULT_SIZE: u64 = 3;

/// By how much more is asked for as long as there are too few groups.
const GROWTH: usize = 4;

/// How often it is asked for points of other groups than those that fill all
/// that one search may find.
const MAX_ROUNDS: usize = 3;

/// A query, and how the points it finds are grouped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueryGroupsRequest)]
pub(crate) struct QueryGroupsBody {
    query: Option<Wish>,
    #[serde(default)]
    prefetch: Prefetches,
    group_by: String,
    group_size: Option<u64>,
    limit: Option<u64>,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    with_lookup: Option<WithLookup>,
    lookup_from: Option<LookupFrom>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The older search by a vector, for groups.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SearchGroupsRequest)]
pub(crate) struct SearchGroupsBody {
    vector: Older,
    group_by: String,
    group_size: u64,
    limit: u64,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    with_lookup: Option<WithLookup>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The older call for groups of what is near to some and far from others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecommendGroupsRequest)]
pub(crate) struct RecommendGroupsBody {
    positive: Option<Vec<Start>>,
    negative: Option<Vec<Start>>,
    strategy: Option<Strategy>,
    group_by: String,
    group_size: u64,
    limit: u64,
    using: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    params: Option<SearchParams>,
    score_threshold: Option<Finite>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    with_lookup: Option<WithLookup>,
    lookup_from: Option<LookupFrom>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// A search, and how its points are grouped.
struct Grouped {
    asked: Asked,
    group_by: String,
    group_size: Option<u64>,
    limit: Option<u64>,
    with_lookup: Option<WithLookup>,
}

impl From<QueryGroupsBody> for Grouped {
    fn from(body: QueryGroupsBody) -> Self {
        Self {
            asked: Asked {
                ask: Ask {
                    wish: body.query,
                    prefetch: body.prefetch,
                    filter: body.filter.0,
                    params: body.params,
                    score_threshold: body.score_threshold,
                    offset: None,
                    limit: None,
                    using: body.using,
                    lookup_from: body.lookup_from,
                    field: "query",
                },
                with_payload: body.with_payload,
                with_vector: body.with_vector,
            },
            group_by: body.group_by,
            group_size: body.group_size,
            limit: body.limit,
            with_lookup: body.with_lookup,
        }
    }
}

impl From<SearchGroupsBody> for Grouped {
    fn from(body: SearchGroupsBody) -> Self {
        Self {
            asked: Asked {
                ask: Ask {
                    wish: Some(Wish::nearest(Start::Vector(body.vector.vector))),
                    prefetch: Prefetches::default(),
                    filter: body.filter.0,
                    params: body.params,
                    score_threshold: body.score_threshold,
                    offset: None,
                    limit: None,
                    using: body.vector.name,
                    lookup_from: None,
                    field: "vector",
                },
                with_payload: body.with_payload,
                with_vector: body.with_vector,
            },
            group_by: body.group_by,
            group_size: Some(body.group_size),
            limit: Some(body.limit),
            with_lookup: body.with_lookup,
        }
    }
}

impl From<RecommendGroupsBody> for Grouped {
    fn from(body: RecommendGroupsBody) -> Self {
        Self {
            asked: Asked {
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
                    offset: None,
                    limit: None,
                    using: body.using,
                    lookup_from: body.lookup_from,
                    field: "",
                },
                with_payload: body.with_payload,
                with_vector: body.with_vector,
            },
            group_by: body.group_by,
            group_size: Some(body.group_size),
            limit: Some(body.limit),
            with_lookup: body.with_lookup,
        }
    }
}

/// `POST /collections/{c}/points/query/groups`.
pub(crate) async fn query_groups(call: Call) -> Result<Reply, Error> {
    grouped::<QueryGroupsBody>(call).await
}

/// `POST /collections/{c}/points/search/groups`.
pub(crate) async fn search_groups(call: Call) -> Result<Reply, Error> {
    grouped::<SearchGroupsBody>(call).await
}

/// `POST /collections/{c}/points/recommend/groups`.
pub(crate) async fn recommend_groups(call: Call) -> Result<Reply, Error> {
    grouped::<RecommendGroupsBody>(call).await
}

async fn grouped<T: Into<Grouped> + DeserializeOwned>(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: Grouped = decode::<T>(&body)?.into();
    let (mut ask, show) = body.asked.checked(&collection, "")?;
    let path = body.group_by.parse();
    let by: Path = path.map_err(|e| Error::fit("group_by", format!("{e}")))?;
    let (limit, size) = counts(&collection, body.limit, body.group_size)?;
    ask.limit = Some(limit.saturating_mul(size) as u64);
    let mut with = show.with();
    // It says which group a point is in.
    with.payload = true;
    if let Some(Wish::Nearest { mmr: Some(mmr), .. }) = &mut ask.wish {
        // Chosen among so many: there is no choice among those after them.
        let most = collection.params().limits.max_search_limit;
        let most = most.min(MAX_CANDIDATES) as u64;
        mmr.candidates_limit = mmr.candidates_limit.or(Some(most));
    }
    let lookup = body.with_lookup;
    let lookup = lookup.map(|l| l.resolve(&collection, &*call.app.catalog));
    let lookup = lookup.transpose()?;
    let plan = Plan::new(&collection, &*call.app.catalog, ask, with, "")?;
    let search = Search {
        collection: &collection,
        plan,
        by,
        limit,
        size,
    };
    let groups = search.run().await?;
    let ids = groups.iter().map(|group| &group.id);
    let found = match &lookup {
        Some(lookup) => lookup.points(ids).await?,
        None => HashMap::new(),
    };
    Reply::written(|buffer| {
        buffer.extend_from_slice(b"{\"groups\":");
        envelope::list(buffer, &groups, |buffer, group| {
            buffer.extend_from_slice(b"{\"id\":");
            serde_json::to_writer(&mut *buffer, &group.id)?;
            buffer.extend_from_slice(b",\"hits\":");
            hits(buffer, &group.hits, &show)?;
            if let Some(lookup) = &lookup
                && let Some(row) = group.id.point().and_then(|id| found.get(&id))
            {
                buffer.extend_from_slice(b",\"lookup\":");
                envelope::record(buffer, row, &lookup.show)?;
            }
            buffer.push(b'}');
            Ok(())
        })?;
        buffer.push(b'}');
        Ok(())
    })
}

/// Checks how many groups are wanted, and how many points of each.
fn counts(
    collection: &Collection,
    limit: Option<u64>,
    size: Option<u64>,
) -> Result<(usize, usize), Error> {
    let (limit, size) = (
        limit.unwrap_or(DEFAULT_GROUPS),
        size.unwrap_or(DEFAULT_SIZE),
    );
    for (field, value) in [("limit", limit), ("group_size", size)] {
        if value == 0 {
            let message = "value 0 invalid, must be 1 or larger";
            return Err(Error::validate(field, message));
        }
    }
    let max = collection.params().limits.max_search_limit;
    let points = limit.saturating_mul(size);
    if points > max as u64 {
        let field = if limit > max as u64 {
            "limit"
        } else {
            "group_size"
        };
        let message = format!(
            "limit times group_size is {points} and may be {max} at most: ask for fewer groups, or smaller ones"
        );
        return Err(Error::validate(field, message));
    }
    // Both are within a bound that is a usize.
    let narrow = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok((narrow(limit), narrow(size)))
}

/// A search for groups.
struct Search<'a> {
    collection: &'a Collection,
    plan: Plan,
    by: Path,
    limit: usize,
    size: usize,
}

impl Search<'_> {
    async fn run(&self) -> Result<Vec<Group<Scored>>, Error> {
        let max = self.collection.params().limits.max_search_limit;
        let (plan, is_closed) = self.first();
        let mut asked = plan.last().map_or(max, |step| step.limit);
        let (mut groups, is_whole) = loop {
            let found = self.ranked(&plan, asked, None).await?;
            let is_whole = is_closed || found.len() < asked;
            let mut groups = Groups::new(self.limit, self.size);
            self.add(&mut groups, &found)?;
            if is_whole || groups.are_found() || asked == max {
                break (groups, is_whole);
            }
            asked = asked.saturating_mul(GROWTH).min(max);
        };
        if !is_whole {
            self.find_others(&plan, &mut groups).await?;
            self.fill(&mut groups.all).await?;
        }
        Ok(groups.all)
    }

    /// Looks for more groups among the points that are in none of those known.
    async fn find_others(&self, plan: &Plan, groups: &mut Groups<Scored>) -> Result<(), Error> {
        let max = self.collection.params().limits.max_search_limit;
        for _ in 0..MAX_ROUNDS {
            if groups.are_found() {
                break;
            }
            let known = groups.all.iter().filter_map(|g| g.id.condition(&self.by));
            let others = Filter {
                must_not: known.collect(),
                ..Filter::default()
            };
            let before = groups.all.len();
            let found = self.ranked(plan, max, Some(others)).await?;
            self.add(groups, &found)?;
            // A group that no condition tells is found again and again.
            if found.len() < max || groups.all.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// The plan to start with, and whether what it finds is all there is to
    /// group. What a query makes of its prefetches is, and what it chooses among
    /// candidates. Prefetches find more where groups have several points, within
    /// the bound on all of them.
    fn first(&self) -> (Plan, bool) {
        let mut plan = self.plan.clone();
        let max = self.collection.params().limits.max_search_limit;
        let Some((last, inner)) = plan.steps.split_last_mut() else {
            return (plan, true);
        };
        if let Goal::Near(_, Some(spread)) = &last.goal {
            last.limit = spread.candidates;
            return (plan, true);
        }
        if inner.is_empty() {
            return (plan, false);
        }
        let sum: usize = inner.iter().map(|step| step.limit).sum();
        let factor = self.size.min(max / sum.max(1)).max(1);
        for step in inner {
            step.limit *= factor;
        }
        last.limit = max;
        (plan, true)
    }

    async fn ranked(
        &self,
        plan: &Plan,
        limit: usize,
        narrow: Option<Filter>,
    ) -> Result<Vec<Scored>, Error> {
        let found = run(self.collection, &[narrowed(plan, limit, narrow)]).await?;
        Ok(found.into_iter().next().unwrap_or_default().hits)
    }

    fn add(&self, groups: &mut Groups<Scored>, found: &[Scored]) -> Result<(), Error> {
        for hit in found {
            groups.add(groups_of(&hit.row.point.payload, &self.by)?, hit);
        }
        Ok(())
    }

    /// Finds the best points of each group that has too few so far.
    async fn fill(&self, groups: &mut [Group<Scored>]) -> Result<(), Error> {
        let limits = self.collection.params().limits;
        let is_short = |group: &Group<Scored>| {
            group.hits.len() < self.size && group.id.condition(&self.by).is_some()
        };
        let mut short: Vec<usize> = (0..groups.len())
            .filter(|at| is_short(&groups[*at]))
            .collect();
        let mut asked = self.size;
        for _ in 0..MAX_ROUNDS {
            let mut still_short = Vec::new();
            for some in short.chunks(limits.max_batch_searches.max(1)) {
                let plans = some.iter().map(|at| self.of_one(&groups[*at].id, asked));
                let found = run(self.collection, &plans.collect::<Vec<_>>()).await?;
                for (at, found) in some.iter().zip(found) {
                    let group = &mut groups[*at];
                    let there_is_more = found.hits.len() == asked;
                    let own = self.own(&group.id, found.hits)?;
                    if own.len() < self.size && there_is_more {
                        still_short.push(*at);
                    }
                    if own.len() > group.hits.len() {
                        group.hits = own;
                    }
                }
            }
            short = still_short;
            if short.is_empty() {
                break;
            }
            asked = asked.saturating_mul(GROWTH).min(limits.max_search_limit);
        }
        Ok(())
    }

    /// The search for the points of one group.
    fn of_one(&self, id: &GroupId, limit: usize) -> Plan {
        let own = Filter {
            must: id.condition(&self.by).into_iter().collect(),
            ..Filter::default()
        };
        narrowed(&self.plan, limit, Some(own))
    }

    /// The first of some points that are in a group: one that has its value
    /// may have others too that keep it from all groups.
    fn own(&self, id: &GroupId, found: Vec<Scored>) -> Result<Vec<Scored>, Error> {
        let mut own = Vec::with_capacity(self.size);
        for hit in found {
            if own.len() < self.size && groups_of(&hit.row.point.payload, &self.by)?.contains(id) {
                own.push(hit);
            }
        }
        Ok(own)
    }
}

/// The same search for so many points that meet another filter too.
fn narrowed(plan: &Plan, limit: usize, narrow: Option<Filter>) -> Plan {
    let mut plan = plan.clone();
    if let Some(step) = plan.steps.last_mut() {
        step.limit = limit;
        if let Some(filter) = narrow {
            step.filter.must.extend(filter.must);
            step.filter.must_not.extend(filter.must_not);
        }
    }
    plan
}
