//! Leaders that are lost, and come back.

use crate::cluster::{Cluster, count, is_not_leader, number_of, put, until};
use quoit_proto::{ErrorKind, ShardClient};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_any_member_is_lost() {
    for lost in 1..=3 {
        let mut cluster = Cluster::start(3).await;
        for id in 0..20 {
            cluster.put(id, 7).await;
        }
        cluster.kill(lost);
        for id in 20..40 {
            cluster.put(id, 8).await;
        }
        for node in cluster.nodes() {
            assert_eq!(count(&*cluster.replica(node)).await.unwrap(), 40);
        }
        cluster.restart(lost).await;
        cluster.put(40, 9).await;
        let back = cluster.replica(lost);
        assert_eq!(count(&*back).await.unwrap(), 41, "it was brought up");
        cluster.settled().await;
    }
}

#[tokio::test]
async fn all_are_killed_at_once_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(3).await;
    for id in 0..50 {
        cluster.put(id, 7).await;
    }
    for node in 1..=3 {
        cluster.kill(node);
    }
    for node in 1..=3 {
        cluster.restart(node).await;
    }
    let leader = cluster.leader().await;
    assert_eq!(count(&*cluster.replica(leader)).await.unwrap(), 50);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_acknowledges_nothing_and_takes_back_what_it_logged() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let old = cluster.leader().await;
    cluster.wires.isolate(old);
    let cut_off = cluster.replica(old);
    let alone = tokio::spawn(async move { put(&*cut_off, 2, 2).await });
    // The others elect another, and go on.
    let new = until("another leader", async || {
        let mut others = cluster.nodes().into_iter().filter(|node| *node != old);
        others.find(|node| cluster.leader_of(*node) == Some(*node))
    })
    .await;
    until("a write", async || {
        put(&*cluster.replica(new), 3, 3).await.ok()
    })
    .await;
    assert!(!alone.is_finished(), "no majority has it");
    cluster.wires.heal();
    let error = alone.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    cluster.settled().await;
    for node in cluster.nodes() {
        let replica = cluster.replica(node);
        assert_eq!(number_of(&*replica, 1).await.unwrap(), Some(1.0));
        assert_eq!(number_of(&*replica, 2).await.unwrap(), None);
        assert_eq!(number_of(&*replica, 3).await.unwrap(), Some(3.0));
    }
}

#[tokio::test]
async fn who_does_not_lead_says_who_does_and_does_nothing() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    for node in cluster.nodes().into_iter().filter(|node| *node != leader) {
        let replica = cluster.replica(node);
        until("it to know the leader", async || {
            (cluster.leader_of(node) == Some(leader)).then_some(())
        })
        .await;
        let error = put(&*replica, 1, 1).await.unwrap_err();
        assert!(is_not_leader(&error), "{error:?}");
        let leader = Some(leader);
        assert_eq!(error.kind, ErrorKind::NotLeader { leader });
    }
    assert_eq!(count(&*cluster.replica(leader)).await.unwrap(), 0);
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_strong_reads_say_why() {
    let mut cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let leader = cluster.leader().await;
    let others = cluster.nodes().into_iter().filter(|node| *node != leader);
    for node in others.collect::<Vec<_>>() {
        cluster.kill(node);
    }
    let alone = cluster.replica(leader);
    let error = count(&*alone).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Behind);
    let why = "too few members of the shard can be reached";
    assert!(error.message.contains(why), "{}", error.message);
    assert_eq!(alone.status().await.unwrap().points, 1);
}

#[tokio::test]
async fn one_that_lacks_entries_and_asks_for_votes_sooner_keeps_nobody_from_leading() {
    let mut cluster = Cluster::start(3).await;
    // The first, which waits the shortest time, leads no longer.
    cluster.kill(1);
    cluster.put(1, 1).await;
    let leader = cluster.leader().await;
    cluster.restart(1).await;
    cluster.settled().await;
    cluster.wires.isolate(1);
    for id in 2..20 {
        cluster.put(id, 1).await;
    }
    cluster.kill(leader);
    cluster.wires.heal();
    let other = cluster.nodes().into_iter().find(|node| *node != 1);
    assert_eq!(Some(cluster.leader().await), other);
    assert_eq!(count(&*cluster.replica(1)).await.unwrap(), 19);
}

#[tokio::test]
async fn a_leader_that_is_about_to_stop_lets_another_lead_and_takes_no_writes() {
    let mut cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    for round in 2..5 {
        let old = cluster.leader().await;
        let writes = (0..8).map(|id| {
            let replica = cluster.replica(old);
            tokio::spawn(
                async move { (id, put(&*replica, 10 * u64::from(round) + id, round).await) },
            )
        });
        let writes: Vec<_> = writes.collect();
        cluster.shard(old).give_way(Duration::from_secs(10)).await;
        assert!(!cluster.shard(old).leads());
        let refused = put(&*cluster.replica(old), 1, round).await.unwrap_err();
        assert!(is_not_leader(&refused), "{}", refused.message);
        // It follows who leads now, and has lost none of what it had acknowledged.
        cluster
            .put_by_others(old, 100 + u64::from(round), round)
            .await;
        for write in writes {
            let (id, done) = write.await.unwrap();
            match done {
                Ok(()) => {
                    let replica = cluster.replica(old);
                    let there = number_of(&*replica, 10 * u64::from(round) + id);
                    assert_eq!(there.await.unwrap(), Some(f32::from(round)));
                }
                Err(error) => assert!(is_not_leader(&error), "{}", error.message),
            }
        }
        cluster.settled().await;
        // The one that stopped comes back, or nobody would be left at the end.
        cluster.kill(old);
        cluster.restart(old).await;
    }
}

#[tokio::test]
async fn a_leader_that_stops_is_gone_after_another_leads_and_writes_go_on() {
    for replicas in [3, 5] {
        let mut cluster = Cluster::start(replicas).await;
        cluster.put(1, 1).await;
        for number in 2..5 {
            let old = cluster.leader().await;
            cluster.settled().await;
            cluster.shard(old).give_way(Duration::from_mins(1)).await;
            let new = cluster.leader_of(old);
            assert!(new.is_some_and(|new| new != old), "{replicas}: {new:?}");
            cluster.kill(old);
            cluster.put_by_others(old, 1, number).await;
            cluster.restart(old).await;
        }
    }
}

#[tokio::test]
async fn one_that_has_no_others_waits_for_none_when_it_stops() {
    let cluster = Cluster::start(1).await;
    cluster.put(1, 1).await;
    let alone = cluster.shard(1);
    let gives_way = alone.give_way(Duration::from_hours(1));
    let waited = tokio::time::timeout(Duration::from_mins(1), gives_way).await;
    assert!(waited.is_ok());
}

#[tokio::test]
async fn a_leader_that_is_back_before_it_is_missed_shows_all_that_it_acknowledged() {
    let mut cluster = Cluster::start(3).await;
    for id in 0..10 {
        cluster.put(id, 1).await;
    }
    let kept = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(done.unwrap().success());
    };
    cluster.settled().await;
    for node in 1..=3 {
        cluster.kill(node);
        copy(
            &cluster.dir_of(node).join("data"),
            &kept.path().join(node.to_string()),
        );
        cluster.restart(node).await;
    }
    for id in 10..20 {
        cluster.put(id, 2).await;
    }
    let old = cluster.leader().await;
    cluster.kill(old);
    // As after a power cut: the log has what was acknowledged, and it is not applied.
    let data = cluster.dir_of(old).join("data");
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept.path().join(old.to_string()), &data);
    // Nor can it learn at once that the others have it.
    cluster.wires.mute(Some(old));
    cluster.restart(old).await;
    if let Ok(count) = count(&*cluster.replica(old)).await {
        assert_eq!(count, 20);
    }
    cluster.wires.mute(None);
    cluster.settled().await;
    assert_eq!(count(&*cluster.replica(old)).await.unwrap(), 20);
}
