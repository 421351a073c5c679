//! Reads that are no search: by id, in the order of ids, and counts.

use std::collections::{BTreeMap, HashMap};

use futures::future::{join_all, try_join_all};
use quoit_filter::Filter;
use quoit_proto::v1::{
    CountRequest, DigestsRequest, DigestsResponse, RetrieveRequest, ScrollRequest, StatusResponse,
};
use quoit_ring::{PointId, ShardId, VnodeSet};

use super::{Error, Row, ask_all, asked, row};
use crate::catalog::{Collection, VectorSet};
use crate::merge::merge;

/// What of each point is wanted beside its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct With {
    pub(crate) payload: bool,
    pub(crate) vectors: VectorSet,
}

/// One page in the order of ids.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// The first id of the next page.
    pub(crate) next: Option<PointId>,
}

/// The points of some ids, in their order and each once; those that are not
/// there are left out.
pub(crate) async fn retrieve(
    collection: &Collection,
    ids: &[PointId],
    with: With,
) -> Result<Vec<Row>, Error> {
    let mut requests: BTreeMap<usize, RetrieveRequest> = BTreeMap::new();
    for id in ids {
        let vnode = collection.vnode_of(*id);
        let request = requests.entry(collection.owner_of(vnode)).or_default();
        request.ids.push((*id).into());
        request.vnodes.push(u32::from(vnode.0));
        request.with_payload = with.payload;
        request.with_vectors = collection.params().names(with.vectors);
        request.freshness = collection.freshness();
    }
    let asked_of = requests.values().map(|r| r.vnodes.len()).sum();
    let answers = try_join_all(requests.into_iter().map(|(index, request)| {
        let target = &collection.targets()[index];
        async move {
            let answer = target.client.retrieve(request).await;
            Ok((target, answer.map_err(|e| asked(target, e))?))
        }
    }))
    .await?;

    let mut found = HashMap::with_capacity(ids.len());
    for (target, answer) in answers {
        if let Some(first) = answer.not_here.first() {
            return Err(Error::FindVnodes {
                missing: answer.not_here.len(),
                asked: asked_of,
                first: first.vnode,
            });
        }
        for point in answer.points {
            let row = row(target.shard, point)?;
            found.insert(row.id, row);
        }
    }
    // Taking each out of the map answers an id that was asked twice once.
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Up to `limit` points that meet a filter and whose ids are `from` or after it.
pub(crate) async fn scroll(
    collection: &Collection,
    filter: &Filter,
    from: Option<PointId>,
    limit: usize,
    with: With,
) -> Result<Page, Error> {
    // One more than the page: the next page starts with it.
    let more = limit.saturating_add(1);
    let answers = ask_all(collection, |target| {
        let request = ScrollRequest {
            vnodes: target.bits.clone(),
            from: from.map(Into::into),
            limit: u32::try_from(more).unwrap_or(u32::MAX),
            with_payload: with.payload,
            with_vectors: collection.params().names(with.vectors),
            filter: Some(filter.into()),
            order_by: None,
            freshness: collection.freshness(),
        };
        target.client.scroll(request)
    })
    .await?;
    answers.check(collection, |answer| &answer.not_here)?;
    let mut lists = Vec::with_capacity(answers.all.len());
    for (target, answer) in answers.all {
        let rows = answer.points.into_iter().map(|p| row(target.shard, p));
        lists.push(rows.collect::<Result<Vec<_>, _>>()?);
    }
    let mut rows = merge(lists, |row| row.id, 0, more);
    let next = (rows.len() > limit).then(|| rows.pop()).flatten();
    Ok(Page {
        rows,
        next: next.map(|row| row.id),
    })
}

/// Up to `limit` points of some vnodes that meet a filter, without what is in
/// them: of each shard those with the least ids.
pub(crate) async fn ids_within(
    collection: &Collection,
    filter: &Filter,
    vnodes: &VnodeSet,
    limit: usize,
) -> Result<Vec<Row>, Error> {
    let answers = ask_all(collection, |target| {
        let owned = VnodeSet::from_bytes(&target.bits);
        let wanted: VnodeSet = owned.iter().filter(|v| vnodes.contains(*v)).collect();
        let request = ScrollRequest {
            vnodes: wanted.to_bytes(),
            from: None,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            with_payload: false,
            with_vectors: Vec::new(),
            filter: Some(filter.into()),
            order_by: None,
            freshness: collection.freshness(),
        };
        target.client.scroll(request)
    })
    .await?;
    let mut lists = Vec::with_capacity(answers.all.len());
    for (target, answer) in answers.all {
        if let Some(first) = answer.not_here.first() {
            return Err(Error::FindVnodes {
                missing: answer.not_here.len(),
                asked: vnodes.len(),
                first: first.vnode,
            });
        }
        let rows = answer.points.into_iter().map(|p| row(target.shard, p));
        lists.push(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(merge(lists, |row| row.id, 0, limit))
}

/// How many points of the collection meet a filter.
pub(crate) async fn count(collection: &Collection, filter: &Filter) -> Result<u64, Error> {
    let answers = ask_all(collection, |target| {
        let request = CountRequest {
            vnodes: target.bits.clone(),
            filter: Some(filter.into()),
            freshness: collection.freshness(),
        };
        target.client.count(request)
    })
    .await?;
    answers.check(collection, |answer| &answer.not_here)?;
    Ok(answers.all.iter().map(|(_, answer)| answer.count).sum())
}

/// What the replicas of each shard have of each vnode.
pub(crate) async fn digests(
    collection: &Collection,
) -> Result<Vec<(ShardId, DigestsResponse)>, Error> {
    try_join_all(collection.targets().iter().map(|target| async move {
        let answer = target.client.digests(DigestsRequest {}).await;
        Ok((target.shard, answer.map_err(|e| asked(target, e))?))
    }))
    .await
}

/// What each shard says of itself, or why it says nothing.
pub(crate) async fn status(collection: &Collection) -> Vec<Result<StatusResponse, Error>> {
    join_all(
        collection.targets().iter().map(|target| async move {
            target.client.status().await.map_err(|e| asked(target, e))
        }),
    )
    .await
}
