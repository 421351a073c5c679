//! Replicas that come and go while calls are on their way, and what is asked of all.

use std::sync::Arc;
use std::time::Duration;

use quoit_proto::v1::DigestsRequest;
use quoit_proto::{ErrorKind, ShardClient};
use quoit_router::{ReplicaOptions, ReplicaSet};
use tokio::sync::watch;

use crate::fake::{Group, Mood, put, reader};

#[tokio::test(start_paused = true)]
async fn calls_go_on_while_replicas_are_replaced_and_new_ones_are_asked() {
    let group = Group::default();
    group.elect(1);
    let (tell, told) = watch::channel(vec![group.replica(1, "")]);
    let set = Arc::new(ReplicaSet::new(told, ReplicaOptions::default()));
    group.mood(1, Mood::Late(Duration::from_millis(50)));
    let on_its_way = tokio::spawn({
        let set = Arc::clone(&set);
        async move { reader(&set).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    tell.send(vec![group.replica(2, ""), group.replica(3, "")])
        .unwrap();
    assert_eq!(on_its_way.await.unwrap().unwrap(), 1);
    for _ in 0..10 {
        assert_ne!(reader(&set).await.unwrap(), 1);
    }
    // A write finds out who leads now.
    group.elect(3);
    put(&set, 0, 7).await.unwrap();
    assert_eq!(group.done(0), [7]);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_take_turns_too() {
    let group = Group::default();
    let (_, told) = watch::channel(vec![group.replica(1, ""), group.replica(2, "")]);
    let set = ReplicaSet::new(told, ReplicaOptions::default());
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(reader(&set).await.unwrap());
    }
    readers.sort_unstable();
    assert_eq!(readers, [1, 1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_set_without_replicas_waits_for_one() {
    let group = Group::default();
    group.elect(1);
    let (tell, told) = watch::channel(Vec::new());
    let set = ReplicaSet::new(told, ReplicaOptions::default());
    let error = reader(&set).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let error = put(&set, 0, 7).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error.message.contains("nothing was done"),
        "{}",
        error.message
    );
    let comes = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        tell.send(vec![group.replica(1, "")]).unwrap();
    };
    let (done, ()) = tokio::join!(put(&set, 0, 7), comes);
    done.unwrap();
}

#[tokio::test(start_paused = true)]
async fn digests_are_those_of_all_and_one_that_gives_none_is_named() {
    let (group, set) = Group::of_three();
    let answer = set.digests(DigestsRequest {}).await.unwrap();
    let mut nodes: Vec<u64> = answer.replicas.iter().map(|r| r.node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [1, 2, 3]);
    group.mood(2, Mood::Fails(ErrorKind::Unknown));
    let error = set.digests(DigestsRequest {}).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error.message.contains("replica 1 (node 2)"),
        "{}",
        error.message
    );
}

#[tokio::test(start_paused = true)]
async fn the_status_is_that_of_the_leader_if_it_can_be_had() {
    let (group, set) = Group::of_three();
    group.elect(2);
    put(&set, 0, 1).await.unwrap();
    for _ in 0..6 {
        assert_eq!(set.status().await.unwrap().applied_index, 2);
    }
    group.mood(2, Mood::Fails(ErrorKind::Unavailable));
    assert_ne!(set.status().await.unwrap().applied_index, 2);
    for node in [1, 3] {
        group.mood(node, Mood::Fails(ErrorKind::Unavailable));
    }
    // Who looks at a shard does not wait for it.
    let begun = tokio::time::Instant::now();
    set.status().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1));
}
