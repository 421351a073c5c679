//! What three replicas keep, whatever happens to one of them.

use crate::support::{Cluster, count, put, until};
use quoit_ring::{ShardId, ValueName, Values};
use std::fs;

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
