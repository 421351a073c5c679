//! Reads at any replica, as fresh as they are asked to be.

use crate::cluster::{Cluster, bounded, count_as, eventual, number_as, number_of, put, strong};
use crate::disk::Call;
use quoit_proto::ErrorKind;
use std::time::{Duration, Instant};

/// A time within which all of this is done.
const AGES: Duration = Duration::from_hours(1);

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

/// A cluster, and of its members the leader and one that is cut off from the others.
async fn with_one_cut_off() -> (Cluster, u64, u64) {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let late = cluster.nodes().into_iter().find(|node| *node != leader);
    let late = late.unwrap();
    put(&*cluster.replica(leader), 5, 1).await.unwrap();
    // It has been as far as the leader once.
    assert_eq!(
        number_of(&*cluster.replica(late), 5).await.unwrap(),
        Some(1.0)
    );
    cluster.wires.isolate(late);
    (cluster, leader, late)
}

#[tokio::test]
async fn a_member_that_is_cut_off_answers_what_may_be_old_and_nothing_that_may_not() {
    let (cluster, leader, late) = with_one_cut_off().await;
    put(&*cluster.replica(leader), 5, 2).await.unwrap();
    let replica = cluster.replica(late);
    for freshness in [eventual(), bounded(AGES)] {
        let seen = number_as(&*replica, 5, freshness).await.unwrap();
        assert_eq!(seen, Some(1.0));
    }
    for freshness in [strong(), bounded(Duration::from_millis(1))] {
        let error = number_as(&*replica, 5, freshness).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Behind, "{}", error.message);
    }
    // It can be fresh again, and is so by itself.
    cluster.wires.heal();
    let at_once = bounded(Duration::from_millis(1));
    let seen = crate::cluster::until("it to catch up", async || {
        number_as(&*replica, 5, at_once).await.ok()
    })
    .await;
    assert_eq!(seen, Some(2.0));
}

#[tokio::test]
async fn a_bounded_read_shows_what_was_acknowledged_before_its_bound() {
    let (cluster, leader, late) = with_one_cut_off().await;
    let most = Duration::from_millis(700);
    put(&*cluster.replica(leader), 5, 2).await.unwrap();
    let acknowledged = Instant::now();
    let replica = cluster.replica(late);
    let mut answers = 0;
    // The old answer is served for as long as it may be, and then none.
    loop {
        let begun = Instant::now();
        match number_as(&*replica, 5, bounded(most)).await {
            Ok(seen) => {
                assert_eq!(seen, Some(1.0));
                let late_by = begun.duration_since(acknowledged);
                assert!(late_by <= most, "what is {late_by:?} old is missing");
                answers += 1;
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Behind, "{}", error.message);
                break;
            }
        }
    }
    assert!(answers > 0);
    assert_eq!(
        number_as(&*replica, 5, eventual()).await.unwrap(),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_leader_that_is_cut_off_does_not_take_itself_for_fresh() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    put(&*cluster.replica(old), 5, 1).await.unwrap();
    cluster.wires.isolate(old);
    cluster.put_by_others(old, 5, 2).await;
    let replica = cluster.replica(old);
    for freshness in [strong(), bounded(Duration::from_millis(1))] {
        let error = number_as(&*replica, 5, freshness).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Behind, "{}", error.message);
    }
}

#[tokio::test]
async fn a_member_that_is_told_how_far_it_must_be_and_does_not_get_there_says_so() {
    let cluster = Cluster::start(3).await;
    cluster.put(5, 1).await;
    let leader = cluster.leader().await;
    let late = cluster.nodes().into_iter().find(|node| *node != leader);
    let late = late.unwrap();
    let data = ["/1/data/", "/2/data/", "/3/data/"][usize::try_from(late).unwrap() - 1];
    let replica = cluster.replica(late);
    let seen = number_of(&*replica, 5).await.unwrap();
    assert_eq!(seen, Some(1.0));
    // It takes what the leader sends, and cannot apply it.
    cluster.disk.hold(Call::Write, data);
    put(&*cluster.replica(leader), 5, 2).await.unwrap();
    for freshness in [bounded(Duration::from_millis(1)), strong()] {
        let error = number_as(&*replica, 5, freshness).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Behind, "{}", error.message);
        assert!(
            error.message.contains("did not catch up"),
            "{}",
            error.message
        );
    }
    // What it was told meanwhile does not make its view any younger.
    let error = number_as(&*replica, 5, bounded(Duration::from_secs(1))).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Behind);
    cluster.disk.release();
    let seen = number_of(&*replica, 5).await.unwrap();
    assert_eq!(seen, Some(2.0));
}

#[tokio::test]
async fn reads_that_may_be_a_little_old_ask_the_leader_now_and_then_alone() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    put(&*cluster.replica(leader), 5, 1).await.unwrap();
    let reader = cluster.nodes().into_iter().find(|node| *node != leader);
    let replica = cluster.replica(reader.unwrap());
    // The first one has to ask, whoever does not know how old it is.
    let seen = number_as(&*replica, 5, bounded(AGES)).await.unwrap();
    assert_eq!(seen, Some(1.0));
    let before = cluster.wires.read_indexes();
    for _ in 0..200 {
        number_as(&*replica, 5, bounded(AGES)).await.unwrap();
        number_as(&*replica, 5, eventual()).await.unwrap();
    }
    assert_eq!(cluster.wires.read_indexes(), before);
    number_of(&*replica, 5).await.unwrap();
    assert_eq!(cluster.wires.read_indexes(), before + 1);
}

#[tokio::test]
async fn a_replica_that_has_nothing_yet_does_not_answer_that_there_is_nothing() {
    let mut cluster = Cluster::start(3).await;
    cluster.put(5, 1).await;
    cluster.start_newcomer(4).await;
    for freshness in [eventual(), bounded(AGES), strong()] {
        let error = count_as(&*cluster.replica(4), freshness).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Behind, "{}", error.message);
    }
}
