//! What three replicas keep, whatever happens to one of them.

use crate::support::{Cluster, PATIENCE, Replica, count, put, spec, until};
use quoit_crds::VectorCollectionSpec;
use quoit_ring::{ShardId, ValueName, Values};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_was_acknowledged_outlives_its_leader_and_a_disk() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    let first = cluster.leader(0).await;
    for id in 1..20 {
        put(&cluster.replicas[first].client(), id).await.unwrap();
    }

    cluster.replicas[first].kill();
    let second = cluster.leader(20).await;
    assert_ne!(first, second);
    assert_eq!(count(&cluster.replicas[second].client()).await.unwrap(), 21);

    // Its disk is lost: what comes back is another replica, at the same place.
    let nodes = cluster.nodes();
    fs::remove_dir_all(&cluster.replicas[first].data).unwrap();
    cluster.start(first);
    cluster.ready(3).await;
    cluster.same(3, 21).await;
    let before = nodes[&first];
    assert!(cluster.nodes()[&first] > *nodes.values().max().unwrap());
    until(
        "the lost replica's registration to be removed",
        async || {
            let registered = cluster.registered().await;
            let is_gone = registered
                .keys()
                .filter_map(ValueName::as_node)
                .all(|(_, n)| n != before);
            is_gone.then_some(())
        },
    )
    .await;

    // It votes: with one of the others it is a majority.
    cluster.replicas[second].kill();
    let third = cluster.leader(21).await;
    assert_eq!(count(&cluster.replicas[third].client()).await.unwrap(), 22);
    cluster.start(second);
    cluster.ready(3).await;
    cluster.same(3, 22).await;
}

#[tokio::test]
async fn data_is_served_and_restarts_while_etcd_is_away() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(0).await;
    // etcd forgets that the group has begun, as a backup of before would.
    let (store, begun) = (cluster.store(), ValueName::bootstrapped(ShardId(0)));
    let kept = store.get(&begun).await.unwrap().unwrap();
    store.remove(&begun, kept.revision).await.unwrap();
    cluster.etcd.kill().unwrap();

    for place in 0..3 {
        cluster.replicas[place].kill();
    }
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(1).await;
    cluster.same(3, 2).await;

    // With it back, what changes the cluster works again: a new disk.
    cluster.etcd.restart().unwrap();
    until("the group's beginning to be known again", async || {
        let kept = store.get(&begun).await.ok()??;
        let text = String::from_utf8(kept.value).unwrap();
        (text.matches("address").count() == 3).then_some(())
    })
    .await;
    cluster.replicas[0].kill();
    fs::remove_dir_all(&cluster.replicas[0].data).unwrap();
    cluster.start(0);
    cluster.ready(3).await;
    cluster.same(3, 2).await;
}

#[tokio::test]
async fn one_that_is_told_to_stop_leaves_nothing_to_replay_and_comes_back_as_it_was() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    let leader = cluster.leader(0).await;
    let nodes = cluster.nodes();
    let status = cluster.replicas[leader].terminate();
    assert!(status.success(), "{}", cluster.replicas[leader].said());
    assert!(cluster.replicas[leader].said().contains("stopped"));
    cluster.leader(1).await;
    cluster.start(leader);
    cluster.ready(3).await;
    cluster.same(3, 2).await;
    assert_eq!(cluster.nodes(), nodes);
}

#[tokio::test]
async fn replicas_that_come_before_their_collection_wait_for_it_and_say_so() {
    let mut cluster = Cluster::without_collection(3);
    cluster.start_all();
    until("one to say that it waits", async || {
        let said = cluster.replicas[0].said();
        said.contains("waits for its collection").then_some(())
    })
    .await;
    assert_eq!(cluster.replicas[0].probe("/livez").await, Some(true));
    assert_eq!(cluster.replicas[0].probe("/readyz").await, Some(false));
    cluster.declare(&crate::support::spec()).await;
    cluster.ready(3).await;
    cluster.leader(0).await;
}

/// Has points written one behind the other, each until it is acknowledged, until told
/// to stop; then says how many there are.
fn write_on(cluster: &Cluster, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<u64> {
    let clients: Vec<_> = cluster.replicas.iter().map(Replica::client).collect();
    tokio::spawn(async move {
        let mut id = 0;
        let mut asked = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            for client in &clients {
                if put(client, id).await.is_ok() {
                    (id, asked) = (id + 1, Instant::now());
                }
            }
            assert!(asked.elapsed() < PATIENCE, "nothing can be written");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        id
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_come_and_go_with_the_wish_under_writes_and_who_was_removed_says_so() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    let five = VectorCollectionSpec {
        replicas: 5,
        ..spec()
    };
    let places = [3, 4].map(|ordinal| cluster.add(0, ordinal));
    let stop = Arc::<AtomicBool>::default();
    let writing = write_on(&cluster, stop.clone());

    cluster.declare(&five).await;
    for place in places {
        cluster.start(place);
    }
    cluster.ready(5).await;
    // All five vote: any two can be missed.
    let nodes = cluster.nodes();
    for place in [0, 1] {
        cluster.replicas[place].kill();
    }
    cluster.leader(1_000_000).await;
    for place in [0, 1] {
        cluster.start(place);
    }
    cluster.ready(5).await;

    cluster.declare(&spec()).await;
    for place in places {
        let replica = &cluster.replicas[place];
        replica
            .is_unready("it is no member of its shard's group any more")
            .await;
        replica
            .has_said("wish for as many replicas again, and it is taken in again")
            .await;
        assert_eq!(replica.probe("/livez").await, Some(true));
        // What it has is old: nobody is given it for new, and it takes nothing.
        assert!(put(&replica.client(), 1).await.is_err());
        assert!(count(&replica.client()).await.is_err());
    }
    cluster.ready(3).await;
    until("only three to be registered", async || {
        let registered = cluster.registered().await;
        let left: BTreeSet<u64> = registered
            .keys()
            .filter_map(ValueName::as_node)
            .map(|(_, n)| n)
            .collect();
        (left == (0..3).map(|place| nodes[&place]).collect()).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let points = writing.await.unwrap() + 1;
    for place in places {
        cluster.replicas[place].terminate();
    }
    cluster.same(3, points).await;

    // Those that are gone do not count: of three, one can be missed, and no two.
    for place in places {
        cluster.start(place);
    }
    cluster.replicas[0].kill();
    cluster.leader(1_000_001).await;
    cluster.replicas[1].kill();
    for place in places {
        cluster.replicas[place]
            .is_unready("it is no member of its shard's group any more")
            .await;
    }
    let vote = |place: usize| fs::read(cluster.replicas[place].data.join("shard/vote")).unwrap();
    let votes = places.map(vote);
    let alone = cluster.replicas[2].client();
    let write = tokio::time::timeout(Duration::from_secs(10), put(&alone, 1_000_002));
    assert!(!matches!(write.await, Ok(Ok(()))), "it has no majority");
    assert_eq!(
        places.map(vote),
        votes,
        "who is told stands for no election"
    );
    for place in [0, 1] {
        cluster.start(place);
    }
    cluster.ready(3).await;
    let registered = cluster.registered().await;
    let left = registered.keys().filter_map(ValueName::as_node).count();
    assert_eq!(left, 3, "who is no member does not register again");

    // Wished for again they come back as they are, and have all.
    cluster.declare(&five).await;
    cluster.ready(5).await;
    assert_eq!(cluster.nodes(), nodes);
    let has = count(&cluster.replicas[2].client()).await.unwrap();
    assert!(has == points + 1 || has == points + 2, "{has} of {points}");
    cluster.same(5, has).await;
}
