//! `GET /quoit/v1/collections/{c}/digests`: what each replica has of each vnode,
//! so that replicas can be compared without reading a point.

use quoit_proto::v1::{ReplicaDigests, VnodeDigest};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use crate::fanout;

/// All shards of a collection.
#[derive(Serialize, ToSchema)]
#[schema(as = Digests)]
pub(crate) struct Digests {
    shards: Vec<Shard>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShardDigests)]
struct Shard {
    id: u32,
    replicas: Vec<Replica>,
}

/// What a replica has. Two that have applied the same have the same.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplicaDigests)]
struct Replica {
    node: u64,
    /// The log index up to which all entries are in it.
    applied: u64,
    /// Those that the shard holds, in order.
    vnodes: Vec<Held>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VnodeDigest)]
struct Held {
    vnode: u32,
    /// The custody number.
    c: u64,
    /// How many changes of its points there were.
    seq: u64,
    /// Its points.
    count: u64,
    /// The sum of its points' hashes: 32 digits of hexadecimal.
    digest: String,
}

impl From<ReplicaDigests> for Replica {
    fn from(replica: ReplicaDigests) -> Self {
        Self {
            node: replica.node,
            applied: replica.applied,
            vnodes: replica.vnodes.into_iter().map(Held::from).collect(),
        }
    }
}

impl From<VnodeDigest> for Held {
    fn from(vnode: VnodeDigest) -> Self {
        let digits = vnode.digest.iter().rev().map(|b| format!("{b:02x}"));
        Self {
            vnode: vnode.vnode,
            c: vnode.c,
            seq: vnode.seq,
            count: vnode.count,
            digest: digits.collect(),
        }
    }
}

/// Asks all shards.
pub(crate) async fn digests(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let shards = fanout::read::digests(&collection).await?;
    let shard = |(id, answer): (quoit_ring::ShardId, quoit_proto::v1::DigestsResponse)| Shard {
        id: id.0,
        replicas: answer.replicas.into_iter().map(Replica::from).collect(),
    };
    Reply::of(&Digests {
        shards: shards.into_iter().map(shard).collect(),
    })
}
