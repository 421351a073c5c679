//! A group begins once, whoever is first.

use super::*;
use crate::data::FORMAT;
use quoit_cluster::spec;
use quoit_crds::{Metric, VectorCollectionSpec};
use quoit_disk::RealDisk;
use quoit_ring::{Change, Named, Revision, Versioned};
use quoit_shard::log::LogOptions;
use quoit_shard::{MemberId, Membership, ShardOptions, Stamp, Timing, UpkeepOptions};
use quoit_store::{MemoryStore, RingValue};
use std::path::Path;
use uuid::Uuid;

const UID: Uuid = Uuid::from_u128(7);

/// A store in which, between a look at whether the group has begun and the word that it
/// has, another replica says so.
#[derive(Clone, Default)]
struct Raced {
    store: MemoryStore,
    others: Arc<parking_lot::Mutex<Option<Beginning>>>,
}

#[async_trait::async_trait]
impl Values for Raced {
    async fn get(&self, name: &ValueName) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        self.store.get(name).await
    }

    async fn list(&self, under: &ValueName) -> Result<Named, StoreError> {
        self.store.list(under).await
    }

    async fn change(&self, change: Change<'_>) -> Result<Revision, SwapError> {
        let others = self.others.lock().take();
        if let Some(others) = others {
            let done = self.store.swap(change.name, None, &others.to_bytes()).await;
            done.unwrap();
        }
        self.store.change(change).await
    }

    fn watch(&self, under: &ValueName) -> Watch<Named> {
        self.store.watch(under)
    }

    fn place(&self, name: &ValueName) -> String {
        self.store.place(name)
    }
}

fn spec() -> VectorCollectionSpec {
    let mut spec = VectorCollectionSpec::unnamed(2, Metric::Euclid);
    (spec.shards, spec.replicas, spec.ring.vnodes) = (1, 3, 64);
    spec
}

fn registration(node: u64, ordinal: u32) -> Registration {
    Registration {
        address: format!("127.0.0.1:{node}"),
        zone: None,
        ordinal,
    }
}

fn beginning(nodes: &[(u64, u32)]) -> Beginning {
    let members = nodes.iter().map(|(n, o)| (*n, registration(*n, *o)));
    Beginning {
        members: members.collect(),
    }
}

/// A replica with an empty folder.
async fn replica(dir: &Path, node: u64, ordinal: u32, values: &Raced) -> Tended {
    let engine = spec::resolve(&spec()).unwrap().engine;
    let member = MemberId {
        collection: UID,
        group: 0,
        node,
    };
    let options = ShardOptions {
        disk: Arc::new(RealDisk),
        dir: dir.join(node.to_string()),
        birth: Some(VnodeSet::new()),
        stamp: Stamp::new(member, ShardId(0), &engine),
        params: engine,
        tuning: spec::tuning(1, 1 << 20),
        upkeep: UpkeepOptions::default(),
        log: LogOptions::new(7, node),
        membership: Membership::Member {
            ordinal,
            peers: Arc::new(quoit_shard::grpc::GrpcPeers::default()),
            timing: Timing::default(),
        },
        max_tail: spec::MAX_TAIL,
    };
    Tended {
        keeper: Arc::new(Keeper::open(options).await.unwrap()),
        registration: registration(node, ordinal),
        record: Record {
            format: FORMAT,
            collection: UID,
            shard: 0,
            ordinal,
            node,
            is_begun: true,
            spec: spec(),
        },
        rings: Arc::new(RingValue::new(values.clone(), UID)),
        values: Arc::new(values.clone()),
        is_remembered: AtomicBool::new(false),
    }
}

/// The collection, with nodes that have registered, as it is seen.
async fn seen(values: &Raced, nodes: &[(u64, u32)]) -> Seen {
    let rings = RingValue::new(values.store.clone(), UID);
    quoit_cluster::declare(&values.store, &rings, UID, "docs", &spec())
        .await
        .unwrap();
    for (node, ordinal) in nodes {
        let name = ValueName::node(ShardId(0), *node);
        let bytes = registration(*node, *ordinal).to_bytes();
        values.store.swap(&name, None, &bytes).await.unwrap();
    }
    let mut seen = Seen::new(ShardId(0));
    let wish = values.store.list(&ValueName::wish()).await.unwrap();
    seen.cluster.see_wish(&wish).unwrap();
    let nodes = values.store.list(&ValueName::nodes(ShardId(0))).await;
    seen.cluster.see_nodes(&nodes.unwrap()).unwrap();
    seen
}

#[tokio::test]
async fn of_two_who_begin_the_group_at_once_both_begin_with_the_members_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let values = Raced::default();
    // The one at the place 2 lost its disk: this one knows of that, and another not yet.
    let seen = seen(&values, &[(1, 0), (2, 1), (3, 2), (4, 2)]).await;
    let first = beginning(&[(1, 0), (2, 1), (3, 2)]);
    *values.others.lock() = Some(first.clone());
    let tended = replica(dir.path(), 1, 0, &values).await;
    let shard = tended.keeper.current().unwrap();

    tended.begin(&shard, &seen).await.unwrap();
    assert!(values.others.lock().is_none(), "another was first");
    assert!(
        !shard.is_member().await.unwrap(),
        "nothing is begun by halves"
    );
    tended.begin(&shard, &seen).await.unwrap();
    assert!(shard.is_member().await.unwrap());
    let shown = async {
        while shard.members().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_mins(1), shown).await;
    shown.unwrap();
    assert_eq!(shard.members(), [1, 2, 3].into());
    let kept = values.get(&ValueName::bootstrapped(ShardId(0))).await;
    let kept = kept.unwrap().unwrap().value;
    assert_eq!(Beginning::from_bytes(&kept).unwrap(), first);
}

#[tokio::test]
async fn one_with_an_empty_disk_begins_no_group_that_has_begun_and_waits_for_its_leader() {
    let dir = tempfile::tempdir().unwrap();
    let values = Raced::default();
    // All others have lost their disks too: nobody could say that there was a group.
    let seen = seen(&values, &[(4, 0), (5, 1), (6, 2)]).await;
    let first = beginning(&[(1, 0), (2, 1), (3, 2)]);
    let name = ValueName::bootstrapped(ShardId(0));
    values.swap(&name, None, &first.to_bytes()).await.unwrap();
    let tended = replica(dir.path(), 6, 2, &values).await;
    let shard = tended.keeper.current().unwrap();
    for _ in 0..3 {
        tended.begin(&shard, &seen).await.unwrap();
        assert!(!shard.is_member().await.unwrap());
    }
    let kept = values.get(&name).await.unwrap().unwrap().value;
    assert_eq!(Beginning::from_bytes(&kept).unwrap(), first);
}

#[tokio::test]
async fn a_group_does_not_begin_before_there_is_a_replica_for_each_place() {
    let dir = tempfile::tempdir().unwrap();
    let values = Raced::default();
    let seen = seen(&values, &[(1, 0), (2, 1), (4, 3)]).await;
    let tended = replica(dir.path(), 1, 0, &values).await;
    let shard = tended.keeper.current().unwrap();
    tended.begin(&shard, &seen).await.unwrap();
    assert!(!shard.is_member().await.unwrap());
    let name = ValueName::bootstrapped(ShardId(0));
    assert!(values.get(&name).await.unwrap().is_none());
}
