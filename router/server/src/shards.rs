//! The shards as the router reaches them: a set of replicas for each, behind
//! connections that are kept. What is known of a replica, how quick it is, whether
//! it fails, outlives a change of the others.

use quoit_process::chain;
use quoit_proto::reach::Reach;
use quoit_proto::{RemoteShard, ShardClient};
use quoit_ring::{Registration, ShardId};
use quoit_router::{Replica, ReplicaOptions, ReplicaSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// One shard.
struct Shard {
    replicas: watch::Sender<Vec<Replica>>,
    set: Arc<ReplicaSet>,
}

impl Shard {
    fn new(zone: String) -> Self {
        let (replicas, told) = watch::channel(Vec::new());
        let options = ReplicaOptions {
            zone,
            ..ReplicaOptions::default()
        };
        let set = Arc::new(ReplicaSet::new(told, options));
        Self { replicas, set }
    }
}

/// All shards.
pub struct Shards {
    reach: Reach,
    zone: String,
    sets: BTreeMap<ShardId, Shard>,
    /// Each replica with where it said it was.
    connected: BTreeMap<(ShardId, u64), (Registration, Replica)>,
}

impl Shards {
    /// None yet.
    pub fn new(reach: Reach, zone: String) -> Self {
        Self {
            reach,
            zone,
            sets: BTreeMap::new(),
            connected: BTreeMap::new(),
        }
    }

    /// These are there now, and no others.
    pub fn set(&mut self, replicas: &BTreeMap<ShardId, BTreeMap<u64, Registration>>) {
        let is_there = |(shard, node): &(ShardId, u64)| {
            replicas
                .get(shard)
                .is_some_and(|nodes| nodes.contains_key(node))
        };
        self.connected.retain(|key, _| is_there(key));
        self.sets.retain(|shard, _| replicas.contains_key(shard));
        for (shard, nodes) in replicas {
            let nodes = nodes.iter();
            let members: Vec<Replica> = nodes
                .filter_map(|(node, r)| self.replica(*shard, *node, r))
                .collect();
            let shard = self.sets.entry(*shard);
            let shard = shard.or_insert_with(|| Shard::new(self.zone.clone()));
            shard.replicas.send_replace(members);
        }
    }

    fn replica(
        &mut self,
        shard: ShardId,
        node: u64,
        registration: &Registration,
    ) -> Option<Replica> {
        let key = (shard, node);
        if let Some((known, replica)) = self.connected.get(&key)
            && known == registration
        {
            return Some(replica.clone());
        }
        let channel = match self.reach.channel(&registration.address) {
            Ok(channel) => channel,
            Err(error) => {
                let error = chain(&error);
                tracing::error!(%shard, node, error, "a replica cannot be asked: it registered with");
                return None;
            }
        };
        let replica = Replica {
            node,
            ordinal: registration.ordinal,
            zone: registration.zone.clone().unwrap_or_default(),
            client: Arc::new(RemoteShard::new(channel)),
        };
        self.connected
            .insert(key, (registration.clone(), replica.clone()));
        Some(replica)
    }

    /// As a collection asks them.
    pub fn clients(&self) -> BTreeMap<ShardId, Arc<dyn ShardClient>> {
        let client =
            |(id, shard): (&ShardId, &Shard)| (*id, shard.set.clone() as Arc<dyn ShardClient>);
        self.sets.iter().map(client).collect()
    }
}
