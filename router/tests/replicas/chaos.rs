//! Whatever leaders, answers and messages do, a write that is acknowledged is done once,
//! one that is refused never, and one of unknown outcome not twice.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quoit_proto::ErrorKind;
use quoit_proto::v1::vnode_outcome::Kind as Outcome;

use quoit_router::ReplicaOptions;

use crate::fake::{Group, Mood, put};

/// What happens to the shard.
#[derive(Clone, Copy, Debug)]
enum Event {
    Elect(Option<u64>),
    Mood(u64, Mood),
    OthersWrite(u32, u64),
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Well),
        2 => Just(Mood::Deaf),
        1 => Just(Mood::Silent),
        1 => (1_u64..9000).prop_map(|ms| Mood::Late(Duration::from_millis(ms))),
        1 => (1_u64..9000).prop_map(|ms| Mood::SlowToAnswer(Duration::from_millis(ms))),
        1 => Just(Mood::Fails(ErrorKind::Unknown)),
        1 => Just(Mood::Fails(ErrorKind::Unavailable)),
        1 => Just(Mood::Fails(ErrorKind::Busy)),
    ]
}

fn event() -> impl Strategy<Value = (Duration, Event)> {
    let event = prop_oneof![
        2 => prop::option::weighted(0.7, 1_u64..4).prop_map(Event::Elect),
        3 => (1_u64..4, mood()).prop_map(|(node, mood)| Event::Mood(node, mood)),
        1 => (0_u32..2, 200_u64..400).prop_map(|(v, times)| Event::OthersWrite(v, times)),
    ];
    (0_u64..6000, event).prop_map(|(ms, event)| (Duration::from_millis(ms), event))
}

async fn run(events: Vec<(Duration, Event)>) {
    let options = ReplicaOptions {
        // Short, so that more is left unknown.
        patience: Duration::from_secs(3),
        ..ReplicaOptions::default()
    };
    let (group, set) = Group::in_zones(["", "", ""], options);
    let set = Arc::new(set);
    let writers = (0..4_u64).map(|writer| {
        let set = Arc::clone(&set);
        tokio::spawn(async move {
            let mut told = Vec::new();
            for n in 0..30 {
                let (vnode, id) = (u32::try_from(writer % 2).unwrap(), writer * 100 + n);
                let done = tokio::time::timeout(Duration::from_secs(30), put(&set, vnode, id));
                told.push((vnode, id, done.await));
                tokio::time::sleep(Duration::from_millis(writer * 200)).await;
            }
            told
        })
    });
    let writers: Vec<_> = writers.collect();
    for (pause, event) in events {
        tokio::time::sleep(pause).await;
        match event {
            Event::Elect(leader) => group.elect(leader),
            Event::Mood(node, mood) => group.mood(node, mood),
            Event::OthersWrite(vnode, times) => group.others_write(vnode, times),
        }
    }
    // All is well again: what is on its way comes in.
    for node in 1..=3 {
        group.mood(node, Mood::Well);
    }
    group.elect(1);
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    for (vnode, id, outcome) in told {
        let done = group.done(vnode);
        let times = done.iter().filter(|done| **done == id).count();
        match outcome {
            Ok(Ok(Outcome::Done(_))) => assert_eq!(times, 1, "{id} was acknowledged"),
            Ok(Ok(Outcome::Forgotten(_))) | Err(_) => assert!(times <= 1, "{id} was done twice"),
            Ok(Ok(Outcome::NotHere(_))) => panic!("there is nowhere else"),
            Ok(Err(error)) if error.kind == ErrorKind::Unknown => {
                assert!(times <= 1, "{id} was done twice");
            }
            Ok(Err(error)) => assert_eq!(times, 0, "{id} was refused: {error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_write_is_done_once_or_said_not_to_be(events in prop::collection::vec(event(), 0..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(run(events));
    }
}
