//! Disks that fail or are full, of one replica or of all.

use crate::cluster::{Cluster, count, is_not_leader, number_of, put, until};
use crate::disk::Call;
use quoit_proto::{ErrorKind, ShardClient};
use std::io;
use std::time::{Duration, Instant};

/// A part of the path of each file of vectors of a replica.
fn vectors_of(node: u64) -> &'static str {
    ["/1/data/vectors/", "/2/data/vectors/", "/3/data/vectors/"][usize::try_from(node).unwrap() - 1]
}

#[tokio::test]
async fn a_leader_whose_disk_fails_leads_no_more_and_says_so_at_once() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let old = cluster.leader().await;
    cluster.shard(old).become_ready().await.unwrap();
    assert!(cluster.shard(old).is_ready());
    cluster
        .disk
        .fail(Call::Write, vectors_of(old), io::ErrorKind::Other);
    let error = put(&*cluster.replica(old), 2, 2).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    // The others have it, and go on.
    cluster.put_by_others(old, 3, 3).await;
    until("it to know that it does not lead", async || {
        (!cluster.shard(old).leads()).then_some(())
    })
    .await;
    assert_eq!(cluster.leader_of(old), None);
    assert!(!cluster.shard(old).is_ready());
    let begun = Instant::now();
    let error = count(&*cluster.replica(old)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
    // Nobody who is waited for could change it.
    assert!(begun.elapsed() < Duration::from_secs(1));
    let new = cluster.leader().await;
    assert_eq!(
        number_of(&*cluster.replica(new), 2).await.unwrap(),
        Some(2.0)
    );
}

/// A part of the path of the folder that a replica measures the room of.
fn data_of(node: u64) -> &'static str {
    ["/1/data", "/2/data", "/3/data"][usize::try_from(node).unwrap() - 1]
}

#[tokio::test]
async fn a_leader_without_room_lets_one_lead_that_has_some() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    for _ in 0..2 {
        let full = cluster.leader().await;
        cluster
            .disk
            .fail(Call::FreeSpace, data_of(full), io::ErrorKind::StorageFull);
        cluster.put_by_others(full, 2, 2).await;
        assert!(!cluster.shard(full).leads());
        let error = put(&*cluster.replica(full), 3, 3).await.unwrap_err();
        assert!(
            is_not_leader(&error),
            "who has room may be asked: {error:?}"
        );
        // Reads of it go on, and what the others write it has.
        assert_eq!(count(&*cluster.replica(full)).await.unwrap(), 2);
    }
    cluster.disk.mend();
    cluster.settled().await;
}

#[tokio::test]
async fn while_nobody_has_room_writes_are_refused_and_who_leads_goes_on_leading() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    cluster
        .disk
        .fail(Call::FreeSpace, "/data", io::ErrorKind::StorageFull);
    for node in cluster.nodes() {
        until("its full disk to be noticed", async || {
            let status = cluster.replica(node).status().await.unwrap();
            status.writes_stopped.contains("disk is full").then_some(())
        })
        .await;
    }
    let leader = cluster.leader().await;
    // Longer than it looks for another, several times.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(count(&*cluster.replica(leader)).await.unwrap(), 1);
        assert_eq!(cluster.leader_of(leader), Some(leader));
        let error = put(&*cluster.replica(leader), 2, 2).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DiskFull, "{}", error.message);
    }
    cluster.disk.mend();
    cluster.put(2, 2).await;
    cluster.settled().await;
}
