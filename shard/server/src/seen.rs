//! What a replica has seen of its shard in etcd since it started: the wish, the
//! schema, who has registered. What was seen last stays while etcd is away. It
//! decides who is to be a member, and who is not.

use quoit_cluster::Seen as Cluster;
use quoit_ring::{Registration, Revision, ShardId, Versioned};
use quoit_shard::{Member, Wished};
use std::collections::BTreeMap;

/// What was seen last.
#[derive(Debug)]
pub struct Seen {
    /// Of the whole cluster.
    pub cluster: Cluster,
    shard: ShardId,
}

impl Seen {
    /// Nothing yet.
    pub fn new(shard: ShardId) -> Self {
        Self {
            cluster: Cluster::default(),
            shard,
        }
    }

    /// The nodes of this shard, with what they say of themselves, once that was seen.
    pub fn nodes(&self) -> Option<BTreeMap<u64, &Versioned<Registration>>> {
        let all = self.cluster.nodes()?;
        let own = all.range((self.shard, 0)..=(self.shard, u64::MAX));
        Some(own.map(|((_, node), kept)| (*node, kept)).collect())
    }

    /// The members that the shard is to have, if all of that was seen.
    pub fn wished(&self) -> Option<Wished> {
        let (wish, nodes) = (self.cluster.wish()?, self.nodes()?);
        let nodes = nodes.iter();
        Some(Wished {
            generation: wish.generation,
            replicas: wish.spec.replicas,
            nodes: nodes.map(|(n, kept)| (*n, member(&kept.value))).collect(),
        })
    }

    /// Whether a node is not to be a member: its place is one too many, or has a
    /// newer node.
    pub fn is_superfluous(&self, node: u64, ordinal: u32) -> bool {
        let replicas = self.cluster.wish().map(|wish| wish.spec.replicas);
        let nodes = self.nodes().unwrap_or_default();
        let mut newer = nodes.range(node + 1..);
        replicas.is_some_and(|replicas| ordinal >= replicas)
            || newer.any(|(_, kept)| kept.value.ordinal == ordinal)
    }

    /// Registrations of nodes that are neither to be members, nor are any.
    pub fn superfluous(&self, members: impl Fn(u64) -> bool) -> Vec<(u64, Revision)> {
        let nodes = self.nodes().unwrap_or_default();
        let superfluous = nodes.iter().filter(|(node, kept)| {
            self.is_superfluous(**node, kept.value.ordinal) && !members(**node)
        });
        superfluous
            .map(|(node, kept)| (*node, kept.revision))
            .collect()
    }
}

/// A registered node as a member.
pub fn member(registration: &Registration) -> Member {
    Member {
        address: registration.address.clone(),
        ordinal: registration.ordinal,
        zone: registration.zone.clone().unwrap_or_default(),
        wish: 0,
    }
}
