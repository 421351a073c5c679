//! Whom reads are sent to, and when a second replica is asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quoit_proto::ErrorKind;
use quoit_router::ReplicaOptions;
use tokio::time::Instant;

use crate::fake::{Group, Mood, eventual_reader, reader};

const QUICK: Duration = Duration::from_millis(1);

fn in_zone(zone: &str) -> ReplicaOptions {
    ReplicaOptions {
        zone: zone.to_owned(),
        ..ReplicaOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn idle_replicas_take_turns_and_those_of_another_zone_wait_for_a_failure() {
    let (_, set) = Group::of_three();
    let mut readers = BTreeSet::new();
    for _ in 0..9 {
        readers.insert(reader(&set).await.unwrap());
    }
    assert_eq!(readers, BTreeSet::from([1, 2, 3]));

    let (group, set) = Group::in_zones(["a", "b", "a"], in_zone("b"));
    for _ in 0..20 {
        assert_eq!(reader(&set).await.unwrap(), 2);
    }
    group.mood(2, Mood::Fails(ErrorKind::Unavailable));
    assert!([1, 3].contains(&reader(&set).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn of_several_the_one_with_the_fewest_calls_on_their_way_is_asked() {
    let (group, set) = Group::of_three();
    let set = Arc::new(set);
    group.mood(1, Mood::Late(Duration::from_millis(90)));
    group.mood(2, Mood::Late(Duration::from_millis(90)));
    group.mood(3, Mood::Late(QUICK));
    // One at a time they take turns; of those that come at once each gets a third.
    let reads = (0..30).map(|_| reader(&set));
    futures::future::join_all(reads).await;
    for node in 1..=3 {
        assert_eq!(group.asked(node, "count"), 10);
    }
    // The one that is done sooner is idle, and gets the next.
    let slow = (0..2).map(|_| {
        tokio::spawn({
            let set = Arc::clone(&set);
            async move { reader(&set).await }
        })
    });
    let slow: Vec<_> = slow.collect();
    tokio::time::sleep(QUICK * 5).await;
    for _ in 0..5 {
        assert_eq!(reader(&set).await.unwrap(), 3);
    }
    for read in slow {
        read.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_to_another_replica_whatever_one_fails_with_but_what_is_wrong_in_itself() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Behind,
        ErrorKind::Unknown,
        ErrorKind::Busy,
        ErrorKind::NotLeader { leader: None },
    ] {
        let (group, set) = Group::of_three();
        group.mood(1, Mood::Fails(kind));
        group.mood(2, Mood::Fails(kind));
        for _ in 0..20 {
            assert_eq!(reader(&set).await.unwrap(), 3, "{kind:?}");
        }
    }
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Fails(ErrorKind::Invalid));
    }
    for _ in 0..20 {
        let error = reader(&set).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Invalid, "as the test says")
        );
    }
    assert_eq!(group.asked_all("count"), 20, "each was asked of one");
}

#[tokio::test(start_paused = true)]
async fn while_all_fail_a_read_waits_and_then_says_of_each_why() {
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Fails(ErrorKind::Behind));
    }
    // An election, and it goes on.
    let back = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        group.mood(2, Mood::Well);
    };
    let begun = Instant::now();
    let (read, ()) = tokio::join!(reader(&set), back);
    assert_eq!(read.unwrap(), 2);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );

    group.mood(1, Mood::Fails(ErrorKind::Unknown));
    group.mood(2, Mood::Fails(ErrorKind::Behind));
    let begun = Instant::now();
    let error = reader(&set).await.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Unavailable,
        "of a read nothing is unknown"
    );
    for name in [
        "replica 0 (node 1)",
        "replica 1 (node 2)",
        "replica 2 (node 3)",
    ] {
        assert!(error.message.contains(name), "{}", error.message);
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(9) && took < Duration::from_secs(11),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn when_all_have_too_much_to_do_the_client_is_told_at_once() {
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Fails(ErrorKind::Busy));
    }
    let begun = Instant::now();
    assert_eq!(reader(&set).await.unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(group.asked_all("count"), 3);
    assert!(begun.elapsed() < QUICK);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_takes_long_is_asked_of_another_replica_too() {
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Late(Duration::from_millis(10)));
    }
    for _ in 0..64 {
        reader(&set).await.unwrap();
    }
    group.mood(1, Mood::Silent);
    let begun = Instant::now();
    for _ in 0..12 {
        assert_ne!(reader(&set).await.unwrap(), 1);
    }
    // Hardly any waits for more than what nearly all took, and then for another's answer.
    assert!(
        begun.elapsed() < Duration::from_millis(12 * 35),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn slowness_of_all_is_not_answered_by_more_work_for_all() {
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Late(Duration::from_millis(10)));
    }
    for _ in 0..64 {
        reader(&set).await.unwrap();
    }
    for node in 1..=3 {
        group.mood(node, Mood::Late(Duration::from_millis(1500)));
    }
    let before = group.asked_all("count");
    let reads = (0..1000).map(|_| reader(&set));
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    let hedges = group.asked_all("count") - before - 1000;
    assert!((10..=100).contains(&hedges), "{hedges}");
}

#[tokio::test(start_paused = true)]
async fn reads_of_a_replica_that_fell_silent_are_answered_by_others_however_many_they_are() {
    let (group, set) = Group::of_three();
    group.mood(1, Mood::Silent);
    group.mood(2, Mood::Late(QUICK));
    group.mood(3, Mood::Late(QUICK));
    let begun = Instant::now();
    let reads = (0..300).map(|_| reader(&set));
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    assert_eq!(group.asked(1, "count"), 100);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_again_and_again_is_left_alone_until_it_is_back() {
    let (group, set) = Group::of_three();
    group.mood(1, Mood::Fails(ErrorKind::Unavailable));
    for _ in 0..300 {
        reader(&set).await.unwrap();
    }
    assert!(group.asked(1, "count") <= 5, "{}", group.asked(1, "count"));
    // One call now and then finds out.
    let mut asked = group.asked(1, "count");
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..9 {
            reader(&set).await.unwrap();
        }
    }
    asked = group.asked(1, "count") - asked;
    assert!((3..=15).contains(&asked), "{asked} in a minute");
    group.mood(1, Mood::Well);
    tokio::time::sleep(Duration::from_secs(16)).await;
    let mut readers = BTreeSet::new();
    for _ in 0..9 {
        readers.insert(reader(&set).await.unwrap());
    }
    assert_eq!(readers, BTreeSet::from([1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_silent_replica_is_left_alone_too() {
    let (group, set) = Group::of_three();
    let set = Arc::new(set);
    group.mood(1, Mood::Silent);
    for _ in 0..40 {
        let reads = (0..9).map(|_| reader(&set));
        for read in futures::future::join_all(reads).await {
            read.unwrap();
        }
    }
    let asked = group.asked(1, "count");
    for _ in 0..100 {
        reader(&set).await.unwrap();
    }
    assert_eq!(group.asked(1, "count"), asked);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_from_its_leader_serves_those_who_do_not_mind() {
    let (group, set) = Group::of_three();
    group.mood(1, Mood::CutOff);
    for _ in 0..60 {
        assert_ne!(reader(&set).await.unwrap(), 1);
    }
    let asked = group.asked(1, "count");
    assert!(asked <= 5, "{asked}");
    let mut readers = BTreeSet::new();
    for _ in 0..9 {
        readers.insert(eventual_reader(&set).await.unwrap());
        assert_ne!(reader(&set).await.unwrap(), 1);
    }
    assert_eq!(readers, BTreeSet::from([1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_shard_of_which_all_replicas_failed_is_asked_all_the_same() {
    let (group, set) = Group::of_three();
    for node in 1..=3 {
        group.mood(node, Mood::Fails(ErrorKind::Unavailable));
    }
    reader(&set).await.unwrap_err();
    for node in 1..=3 {
        group.mood(node, Mood::Well);
    }
    let begun = Instant::now();
    reader(&set).await.unwrap();
    assert!(begun.elapsed() < QUICK);
}
