//! Writes find the leader, wait for one, and are done once however often they are tried.

use std::sync::Arc;
use std::time::Duration;

use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::v1::{SetSchemaRequest, WriteMatchingRequest, WriteRequest};
use quoit_proto::{ErrorKind, ShardClient};
use tokio::time::Instant;

use crate::fake::{Group, Mood, WINDOW, put, write};

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

#[tokio::test(start_paused = true)]
async fn who_was_said_to_lead_is_asked_first() {
    let (group, set) = Group::of_three();
    group.elect(3);
    for id in 0..20 {
        assert!(is_done(&put(&set, 0, id).await.unwrap()));
    }
    assert_eq!(group.asked(3, "write"), 20);
    assert!(
        group.asked_all("write") <= 21,
        "one at most was asked in vain"
    );
    assert_eq!(group.done(0), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_for_an_election_to_end() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    group.elect(None);
    group.mood(1, Mood::Fails(ErrorKind::Unavailable));
    let election = async {
        tokio::time::sleep(Duration::from_millis(1800)).await;
        group.elect(2);
    };
    let begun = Instant::now();
    let (done, ()) = tokio::join!(put(&set, 0, 2), election);
    assert!(is_done(&done.unwrap()));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(2700), "{took:?}");
    assert_eq!(group.done(0), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_a_write_says_that_nothing_was_done_and_of_each_replica_why() {
    let (group, set) = Group::of_three();
    group.elect(None);
    let begun = Instant::now();
    let error = put(&set, 0, 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
    assert!(
        error.message.contains("nothing was done"),
        "{}",
        error.message
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
async fn what_a_leader_refuses_no_other_is_asked_for() {
    for kind in [ErrorKind::Invalid, ErrorKind::Busy, ErrorKind::DiskFull] {
        let (group, set) = Group::of_three();
        put(&set, 0, 1).await.unwrap();
        let before = group.asked_all("write");
        group.mood(1, Mood::Fails(kind));
        let error = put(&set, 0, 2).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (kind, "as the test says")
        );
        assert_eq!(group.asked_all("write"), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_tried_again_and_done_once() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    group.mood(1, Mood::Deaf);
    let mend = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        group.mood(1, Mood::Well);
    };
    let (done, ()) = tokio::join!(put(&set, 0, 2), mend);
    let Outcome::Done(done) = done.unwrap() else {
        panic!("it was done");
    };
    assert_eq!((done.seq, done.w), (2, 2), "as it was when it was done");
    assert_eq!(group.done(0), [1, 2]);
    assert!(group.asked(1, "write") > 2, "it was tried again");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stays_unknown_is_said_to_be() {
    let (group, set) = Group::of_three();
    group.mood(1, Mood::Deaf);
    let error = put(&set, 0, 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    assert!(
        error.message.contains("outcome of the write is unknown"),
        "{}",
        error.message
    );
    // A refusal after that says nothing of the first try.
    group.mood(1, Mood::Deaf);
    let refuse = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        group.mood(1, Mood::Fails(ErrorKind::Busy));
    };
    let (error, ()) = tokio::join!(put(&set, 0, 2), refuse);
    assert_eq!(error.unwrap_err().kind, ErrorKind::Unknown);
    assert_eq!(group.done(0), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_the_shard_has_forgotten_is_not_done_again_and_said_to_be_unknown() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    group.mood(1, Mood::Deaf);
    let others = async {
        while group.done(0).len() < 2 {
            tokio::task::yield_now().await;
        }
        group.others_write(0, WINDOW + 1);
        group.mood(1, Mood::Well);
    };
    let (done, ()) = tokio::join!(put(&set, 0, 2), others);
    assert!(matches!(done.unwrap(), Outcome::Forgotten(_)));
    let done = group.done(0);
    assert_eq!(done.iter().filter(|id| **id == 2).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_writes_of_others_do_not_keep_a_first_try_from_being_done() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    group.others_write(0, 1000);
    assert!(is_done(&put(&set, 0, 2).await.unwrap()));
    let done = group.done(0);
    assert_eq!(done.iter().filter(|id| **id == 2).count(), 1);
    assert_eq!(done.last(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn of_several_vnodes_each_has_its_own_outcome() {
    let (group, set) = Group::of_three();
    for vnode in 0..4 {
        put(&set, vnode, 1).await.unwrap();
    }
    group.others_write(1, 1000);
    group.others_write(3, 1000);
    let writes = (0..4).map(|vnode| write(vnode, 2)).collect();
    let answer = set.write(WriteRequest { writes }).await.unwrap();
    let vnodes: Vec<u32> = answer.outcomes.iter().map(|o| o.vnode).collect();
    assert_eq!(vnodes, [0, 1, 2, 3]);
    for outcome in answer.outcomes {
        assert!(is_done(&outcome.kind.unwrap()));
        let done = group.done(outcome.vnode);
        assert_eq!(done.iter().filter(|id| **id == 2).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_try_that_comes_in_late_is_not_done_a_second_time() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    // What is sent to the leader is long on its way; another one is elected, and does it.
    group.mood(1, Mood::Late(Duration::from_secs(20)));
    let election = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        group.elect(2);
    };
    let begun = Instant::now();
    let (done, ()) = tokio::join!(put(&set, 0, 2), election);
    assert!(is_done(&done.unwrap()));
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "a silent leader is not waited for: {took:?}"
    );
    // Many writes later the first one leads again, and the first try comes in.
    group.others_write(0, 3 * WINDOW);
    put(&set, 0, 3).await.unwrap();
    group.elect(1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let done = group.done(0);
    assert_eq!(done.iter().filter(|id| **id == 2).count(), 1);
    assert_eq!(done.last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_still_on_its_way_may_have_been_done() {
    // Done at once, and its answer is long on its way; then nobody leads.
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    let long = Duration::from_secs(40);
    group.mood(1, Mood::SlowToAnswer(long));
    let election = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        group.elect(None);
    };
    let (error, ()) = tokio::join!(put(&set, 0, 2), election);
    assert_eq!(error.unwrap_err().kind, ErrorKind::Unknown);
    // The same; another one leads, and others write so much that it is forgotten there.
    group.mood(1, Mood::Well);
    group.elect(1);
    put(&set, 0, 3).await.unwrap();
    group.mood(1, Mood::SlowToAnswer(long));
    let election = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        group.elect(2);
        group.others_write(0, WINDOW + 1);
    };
    let (done, ()) = tokio::join!(put(&set, 0, 4), election);
    assert!(matches!(done.unwrap(), Outcome::Forgotten(_)));
    for id in [2, 4] {
        let done = group.done(0);
        assert_eq!(done.iter().filter(|done| **done == id).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_silent_is_not_asked_whether_it_leads() {
    let (group, set) = Group::of_three();
    group.elect(3);
    group.mood(1, Mood::Silent);
    let begun = Instant::now();
    for id in 0..20 {
        put(&set, 0, id).await.unwrap();
        // The set learns that nobody leads, and forgets who did.
        group.mood(3, Mood::Fails(ErrorKind::Unavailable));
        let mend = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            group.mood(3, Mood::Well);
        };
        let (done, ()) = tokio::join!(put(&set, 0, 100 + id), mend);
        done.unwrap();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_takes_its_time_is_waited_for_and_gets_the_write_once() {
    let (group, set) = Group::of_three();
    put(&set, 0, 1).await.unwrap();
    let before = group.asked(1, "write");
    group.mood(1, Mood::Late(Duration::from_secs(25)));
    assert!(is_done(&put(&set, 0, 2).await.unwrap()));
    assert_eq!(group.asked(1, "write"), before + 1);
    assert_eq!(group.done(0), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn where_operations_are_not_counted_a_write_of_unknown_outcome_is_not_tried_again() {
    let (group, set) = Group::of_three();
    group.counts_nothing();
    assert!(is_done(&put(&set, 0, 1).await.unwrap()));
    let (group, set) = Group::of_three();
    group.counts_nothing();
    group.mood(1, Mood::Deaf);
    let error = put(&set, 0, 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown);
    assert_eq!(group.asked(1, "write"), 1);
    assert_eq!(group.done(0), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_change_by_filter_follows_the_leader_and_is_not_tried_again_once_it_is_unknown() {
    let (group, set) = Group::of_three();
    group.elect(3);
    let matching = || set.write_matching(WriteMatchingRequest::default());
    matching().await.unwrap();
    assert_eq!(group.matching(), 1);
    group.mood(3, Mood::Deaf);
    let error = matching().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown);
    assert_eq!(group.matching(), 2, "once each");
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_set_until_it_is_known_to_be() {
    let (group, set) = Group::of_three();
    let set = Arc::new(set);
    group.mood(1, Mood::Deaf);
    let mend = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        group.mood(1, Mood::Well);
    };
    let (done, ()) = tokio::join!(set.set_schema(SetSchemaRequest::default()), mend);
    done.unwrap();
    assert!(group.schemas() > 1);
}
