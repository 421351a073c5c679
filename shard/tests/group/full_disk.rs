//! Disks that fail or are full, of one replica or of all.

use crate::cluster::{Cluster, count, number_of, put, until};
use crate::disk::Call;
use quoit_proto::ErrorKind;
use std::io;

/// A part of the path of each file of vectors of a replica.
fn vectors_of(node: u64) -> &'static str {
    ["/1/data/vectors/", "/2/data/vectors/", "/3/data/vectors/"]
        [usize::try_from(node).unwrap() - 1]
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
    let begun = std::time::Instant::now();
    let error = count(&*cluster.replica(old)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
    // Nobody who is waited for could change it.
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    let new = cluster.leader().await;
    assert_eq!(
        number_of(&*cluster.replica(new), 2).await.unwrap(),
        Some(2.0)
    );
}
