//! What replicas that run do while what is in etcd turns bad or goes: they serve, they
//! write none of it, and they say what to do as soon as they need it.

use crate::support::{Cluster, UID, count, put, until};
use quoit_ring::{Ring, ShardId, ShardState, Table, ValueName, Values};
use std::fs;
use uuid::Uuid;

/// Replaces what is kept under a name, or removes it.
async fn set(cluster: &Cluster, name: &ValueName, bytes: Option<&[u8]>) {
    let store = cluster.store();
    let kept = store.get(name).await.unwrap().map(|kept| kept.revision);
    match (bytes, kept) {
        (Some(bytes), kept) => drop(store.swap(name, kept, bytes).await.unwrap()),
        (None, Some(kept)) => drop(store.remove(name, kept).await.unwrap()),
        (None, None) => {}
    }
}

async fn kept(cluster: &Cluster, name: &ValueName) -> Option<Vec<u8>> {
    let kept = cluster.store().get(name).await.unwrap();
    kept.map(|kept| kept.value)
}

/// The collection's ring as it would be with this epoch, and every vnode at a shard.
fn ring(present: &[u8], uid: Uuid, epoch: u64, shard: u32) -> Vec<u8> {
    let mut parts = Ring::from_bytes(present).unwrap().into_parts();
    parts.table = Table::owned_by(parts.table.vnodes(), ShardId(shard));
    parts.shards = [(ShardId(shard), ShardState::Active)].into();
    (parts.uid, parts.epoch) = (uid, epoch);
    Ring::from_parts(parts).unwrap().to_bytes()
}

#[tokio::test]
async fn replicas_whose_ring_turns_bad_serve_and_restart_and_a_new_one_waits_for_it_or_says_why() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(0).await;
    let name = ValueName::ring();
    let good = ring(&kept(&cluster, &name).await.unwrap(), UID, 5, 0);
    set(&cluster, &name, Some(&good)).await;
    let foreign = ring(&good, Uuid::from_u128(8), 9, 0);
    // One of before: it has not this shard, but another.
    let old = ring(&good, UID, 4, 1);
    let half = &good[..good.len() / 2];
    let mut points = 1;
    for bytes in [
        Some(&b"garbage"[..]),
        Some(half),
        Some(&foreign),
        Some(&old),
        None,
    ] {
        set(&cluster, &name, bytes).await;
        cluster.replicas[2].kill();
        cluster.start(2);
        cluster.ready(3).await;
        cluster.leader(points).await;
        points += 1;
        cluster.same(3, points).await;
        assert_eq!(
            kept(&cluster, &name).await.as_deref(),
            bytes,
            "nobody writes it"
        );
    }

    // One that comes anew needs the ring, and says so.
    let nodes = cluster.nodes();
    cluster.replicas[2].kill();
    fs::remove_dir_all(&cluster.replicas[2].data).unwrap();
    cluster.start(2);
    cluster.replicas[2].has_said("has no ring").await;
    set(&cluster, &name, Some(&good)).await;
    cluster.ready(3).await;
    cluster.same(3, points).await;
    assert!(cluster.nodes()[&2] > nodes[&2]);
}

#[tokio::test]
async fn a_shard_that_is_to_be_founded_by_a_bad_ring_is_not_and_says_what_to_do() {
    let mut cluster = Cluster::new(3).await;
    let begun = ValueName::bootstrapped(ShardId(0));
    // They register, and their group does not begin yet.
    set(&cluster, &begun, Some(b"garbage")).await;
    cluster.start_all();
    for replica in &cluster.replicas {
        replica.has_said("it is never written anew").await;
    }
    let name = ValueName::ring();
    let good = kept(&cluster, &name).await.unwrap();
    let foreign = ring(&good, Uuid::from_u128(8), 9, 0);
    let old = ring(&good, UID, 1, 1);
    let bad = [
        (Some(&b"garbage"[..]), "put back a ring from a backup"),
        (
            Some(&foreign),
            "is the ring of collection 00000000-0000-0000-0000-000000000008",
        ),
        (Some(&old), "the ring in etcd has no shard 0: put back"),
        (None, "the ring is gone from etcd: put it back"),
    ];
    set(&cluster, &name, bad[0].0).await;
    set(&cluster, &begun, None).await;
    for (bytes, says) in bad {
        set(&cluster, &name, bytes).await;
        until(&format!("one to say {says:?}"), async || {
            let mut replicas = cluster.replicas.iter();
            replicas.any(|r| r.said().contains(says)).then_some(())
        })
        .await;
        for replica in &cluster.replicas {
            replica.is_unready("its shard has no vnodes yet").await;
            assert!(put(&replica.client(), 1).await.is_err());
        }
    }
    set(&cluster, &name, Some(&good)).await;
    cluster.ready(3).await;
    cluster.leader(1).await;
    cluster.same(3, 1).await;
}

#[tokio::test]
async fn what_else_turns_bad_in_etcd_is_left_as_it_was_and_said_with_the_remedy() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    let mut points = 0;
    for (name, bytes, says) in [
        (
            ValueName::wish(),
            Some(&b"[]"[..]),
            "the wish is not as Quoit writes it; apply the collection again",
        ),
        (
            ValueName::schema(),
            Some(b"[]"),
            "apply the collection again",
        ),
        (
            ValueName::node(ShardId(0), 77),
            Some(b"[]"),
            "shards/0/nodes/77",
        ),
        (ValueName::wish(), None, ""),
        (ValueName::bootstrapped(ShardId(0)), Some(b"[]"), ""),
    ] {
        let before = kept(&cluster, &name).await;
        set(&cluster, &name, bytes).await;
        for replica in &cluster.replicas {
            replica.has_said(says).await;
        }
        let leader = cluster.leader(points).await;
        points += 1;
        let leads = cluster.replicas[leader].client();
        assert_eq!(count(&leads).await.unwrap(), points);
        cluster.ready(3).await;
        set(&cluster, &name, before.as_deref()).await;
    }
    cluster.same(3, points).await;
    let registered = cluster.registered().await;
    assert_eq!(registered.keys().filter_map(ValueName::as_node).count(), 3);
}
