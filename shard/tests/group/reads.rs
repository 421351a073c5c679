//! Strong reads at any replica.

use crate::cluster::{Cluster, number_of, put};

#[tokio::test]
async fn a_strong_read_at_any_replica_shows_what_was_acknowledged_before_it() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.replica(cluster.leader().await);
    for number in 1..=100 {
        put(&*leader, 5, number).await.unwrap();
        for node in cluster.nodes() {
            let seen = number_of(&*cluster.replica(node), 5).await.unwrap();
            assert_eq!(seen, Some(f32::from(number)), "at {node}");
        }
    }
}

#[tokio::test]
async fn a_member_that_is_late_shows_nothing_old_to_a_strong_read() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let late = cluster.nodes().into_iter().find(|node| *node != leader);
    let late = late.unwrap();
    put(&*cluster.replica(leader), 5, 1).await.unwrap();
    // It can ask the leader, and gets nothing from it.
    cluster.wires.cut(leader, late);
    put(&*cluster.replica(leader), 5, 2).await.unwrap();
    let reader = cluster.replica(late);
    let read = tokio::spawn(async move { number_of(&*reader, 5).await });
    put(&*cluster.replica(leader), 5, 3).await.unwrap();
    cluster.wires.heal();
    let seen = read.await.unwrap().unwrap().unwrap();
    assert!(seen >= 2.0, "{seen}");
}
