//! A small shard and what is asked of it.

use quoit_disk::Disk;
use quoit_engine::{HnswParams, Metric, Params, Tuning};
use quoit_proto::v1;
use quoit_proto::{ShardClient, ShardError};
use quoit_ring::{PointId, ShardId, VnodeCount, VnodeSet};
use quoit_shard::log::LogOptions;
use quoit_shard::{MemberId, Membership, Shard, ShardOptions, Stamp, UpkeepOptions, Watermark};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub const DIMENSION: usize = 4;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_mins(2);

pub fn vnodes() -> VnodeCount {
    VnodeCount::new(64).unwrap()
}

pub fn all_vnodes() -> VnodeSet {
    vnodes().iter().collect()
}

pub fn params() -> Params {
    let index = Some(HnswParams::default());
    Params::unnamed(DIMENSION, Metric::Euclid, index, vnodes())
}

/// A shard that holds the whole ring, on a disk that is never full.
pub fn options(disk: Arc<dyn Disk>, dir: &Path) -> ShardOptions {
    ShardOptions {
        disk,
        dir: dir.join("shard"),
        stamp: Stamp::new(
            MemberId::alone(Uuid::from_u128(7), ShardId(0)),
            ShardId(0),
            &params(),
        ),
        birth: Some(all_vnodes()),
        params: params(),
        tuning: Tuning {
            index_threads: 1,
            ..Tuning::default()
        },
        upkeep: UpkeepOptions {
            watermark: Watermark {
                stop_below: 0,
                start_above: 0,
            },
            ..UpkeepOptions::default()
        },
        log: LogOptions::new(7, 1),
        membership: Membership::Alone,
        max_tail: 8192,
    }
}

/// An upsert of these points, each with its number in its vector.
pub fn upsert(points: &[(u64, u16)]) -> v1::WriteRequest {
    let write = |(id, number): &(u64, u16)| {
        let upsert = v1::Upsert {
            vectors: vec![vector(vec![f32::from(*number); DIMENSION])],
            payload: b"{\"a\":1}".to_vec().into(),
        };
        write_of(*id, None, v1::change::Kind::Upsert(upsert))
    };
    v1::WriteRequest {
        writes: points.iter().map(write).collect(),
    }
}

/// The one vector of a point.
pub fn vector(values: Vec<f32>) -> v1::Vector {
    let name = String::new();
    v1::Vector { name, values }
}

/// A change of one point.
pub fn write_of(
    id: u64,
    only_if: Option<v1::operation::OnlyIf>,
    kind: v1::change::Kind,
) -> v1::VnodeWrite {
    v1::VnodeWrite {
        vnode: u32::from(vnodes().vnode_of(&PointId::Num(id).to_key()).0),
        operations: vec![v1::Operation {
            id: Some(PointId::Num(id).into()),
            only_if,
            change: Some(v1::Change { kind: Some(kind) }),
        }],
        ..Default::default()
    }
}

/// The seqs that a write came to.
pub fn seqs(response: &v1::WriteResponse) -> Vec<u64> {
    let seq = |outcome: &v1::VnodeOutcome| match &outcome.kind {
        Some(v1::vnode_outcome::Kind::Done(done)) => done.seq,
        other => panic!("not done: {other:?}"),
    };
    response.outcomes.iter().map(seq).collect()
}

pub async fn count(shard: &Shard) -> Result<u64, ShardError> {
    let request = v1::CountRequest {
        vnodes: all_vnodes().to_bytes(),
        filter: None,
        ..Default::default()
    };
    Ok(shard.count(request).await?.count)
}

/// The number in a point's vector, if the point is there.
pub async fn number_of(shard: &impl ShardClient, id: u64) -> Option<f32> {
    let id = PointId::Num(id);
    let request = v1::RetrieveRequest {
        ids: vec![id.into()],
        vnodes: vec![u32::from(vnodes().vnode_of(&id.to_key()).0)],
        with_payload: true,
        with_vectors: vec![String::new()],
        ..Default::default()
    };
    let answer = shard.retrieve(request).await.unwrap();
    answer.points.first().map(|p| p.vectors[0].values[0])
}

/// Asks until the answer is the one that is waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(reached) = ask().await {
            return reached;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
