//! What a replica shows of its cluster to routers that cannot ask etcd.

use crate::support::{Cluster, spec, until};
use quoit_cluster::{KeptSchema, Nodes, Seen};
use quoit_crds::VectorCollectionSpec;
use quoit_ring::{Registration, Ring, ShardId, ValueName, Values};
use std::fs;

/// Puts a value in the place of another.
async fn set(cluster: &Cluster, name: ValueName, bytes: &[u8]) {
    let store = cluster.store();
    let kept = store.get(&name).await.unwrap().unwrap();
    let set = store.swap(&name, Some(kept.revision), bytes).await;
    set.unwrap();
}

async fn set_alias(cluster: &Cluster, alias: &str) {
    let schema = KeptSchema {
        aliases: [alias.to_owned()].into(),
        ..KeptSchema::default()
    };
    set(cluster, ValueName::schema(), &schema.to_bytes()).await;
}

fn has_alias(alias: &str) -> impl Fn(&Seen) -> bool {
    move |seen| seen.schema().is_some_and(|it| it.aliases.contains(alias))
}

/// The nodes of all shards that are registered.
fn nodes(seen: &Seen) -> usize {
    seen.nodes().map_or(0, Nodes::len)
}

/// A shard of one replica.
async fn alone() -> Cluster {
    let cluster = Cluster::without_collection(1);
    let spec = VectorCollectionSpec {
        replicas: 1,
        ..spec()
    };
    cluster.declare(&spec).await;
    cluster
}

/// Waits until a replica has kept what has this in it.
async fn keeps(cluster: &Cluster, place: usize, part: &str) {
    until("what is shown to be kept", async || {
        let file = cluster.replicas[place].data.join("cluster");
        let kept = fs::read_to_string(file).ok()?;
        kept.contains(part).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_shows_what_etcd_shows_and_after_a_restart_without_etcd_what_it_saw_before() {
    let mut cluster = alone().await;
    // One of another shard is shown too.
    let other = Registration {
        address: "127.0.0.1:9".to_owned(),
        zone: None,
        ordinal: 0,
    };
    let name = ValueName::node(ShardId(5), 99);
    let store = cluster.store();
    store.swap(&name, None, &other.to_bytes()).await.unwrap();
    cluster.start(0);
    cluster.ready(1).await;
    let replica = &cluster.replicas[0];
    replica
        .shows("itself and the other", |seen| nodes(seen) == 2)
        .await;
    set_alias(&cluster, "one").await;
    replica.shows("the alias", has_alias("one")).await;
    keeps(&cluster, 0, "\"one\"").await;
    let before = cluster.replicas[0].picture().await.unwrap();

    cluster.etcd.kill().unwrap();
    assert_eq!(cluster.replicas[0].picture().await.unwrap(), before);
    cluster.replicas[0].kill();
    cluster.start(0);
    cluster.ready(1).await;
    assert_eq!(cluster.replicas[0].picture().await.unwrap(), before);

    cluster.etcd.restart().unwrap();
    set_alias(&cluster, "two").await;
    cluster.replicas[0]
        .shows("the next alias", has_alias("two"))
        .await;
}

#[tokio::test]
async fn a_ring_that_is_older_or_garbage_is_not_shown() {
    let mut cluster = alone().await;
    cluster.start(0);
    let first = cluster.store().get(&ValueName::ring()).await.unwrap();
    let first = first.unwrap().value;
    let ring = |epoch| {
        let mut parts = Ring::from_bytes(&first).unwrap().into_parts();
        parts.epoch = epoch;
        Ring::from_parts(parts).unwrap().to_bytes()
    };
    let has_epoch = |epoch| move |seen: &Seen| seen.ring().unwrap().epoch() == epoch;
    set(&cluster, ValueName::ring(), &ring(5)).await;
    let replica = &cluster.replicas[0];
    replica.shows("the ring", has_epoch(5)).await;
    for (bytes, says) in [
        (&ring(4)[..], "that of epoch 5 was seen"),
        (b"garbage", "cannot be read as a ring"),
    ] {
        set(&cluster, ValueName::ring(), bytes).await;
        replica.has_said(says).await;
        let seen = replica.picture().await.unwrap();
        assert_eq!(seen.ring().unwrap().epoch(), 5, "{says}");
    }
    set(&cluster, ValueName::ring(), &ring(6)).await;
    replica.shows("the next ring", has_epoch(6)).await;
}

#[tokio::test]
async fn what_was_kept_and_is_damaged_is_told_of_left_aside_and_kept_anew() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    keeps(&cluster, 0, "shards/0/nodes").await;
    let etcd_is_away = |cluster: &mut Cluster| {
        cluster.etcd.kill().unwrap();
        cluster.replicas[0].kill();
    };
    etcd_is_away(&mut cluster);
    fs::write(cluster.replicas[0].data.join("cluster"), "garbage").unwrap();
    cluster.start(0);
    cluster.ready(3).await;
    let replica = &cluster.replicas[0];
    replica
        .has_said("what this replica saw of its cluster before cannot be read")
        .await;
    replica.has_said("its checksum does not fit").await;
    let said = replica.picture().await.unwrap_err();
    assert!(said.contains("has not seen its cluster"), "{said}");

    cluster.etcd.restart().unwrap();
    let replica = &cluster.replicas[0];
    replica.shows("the three", |seen| nodes(seen) == 3).await;
    keeps(&cluster, 0, "shards/0/nodes").await;
    etcd_is_away(&mut cluster);
    cluster.start(0);
    let replica = &cluster.replicas[0];
    replica.shows("the three", |seen| nodes(seen) == 3).await;
}
