//! The handoff explored within bounds: as it is, in which no order of its steps and of
//! what goes wrong breaks a promise, and broken on purpose, which must be found.
//!
//! `make model` explores the larger bounds, and prints how many states there were.

#![allow(
    clippy::unwrap_used,
    reason = "what a test cannot go on without fails it"
)]

use quoit_ring::balance::Goal;
use quoit_ring::{ShardId, Vnode, VnodeCount};
use quoit_sim::model::{Broken, Explored, Fault, Write};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// All vnodes are wished to be on one of so many shards.
fn on(generation: u64, shard: u32, of: u32) -> Goal {
    let weight = |id| (ShardId(id), u32::from(id == shard));
    Goal {
        generation,
        shards: of,
        weights: (0..of).map(weight).collect(),
        is_paused: false,
    }
}

fn shards(generation: u64, shards: u32) -> Goal {
    Goal {
        generation,
        shards,
        weights: BTreeMap::new(),
        is_paused: false,
    }
}

fn put(number: u8, point: u8) -> Write {
    Write {
        number,
        vnode: Vnode(0),
        point,
        is_put: true,
    }
}

fn delete(number: u8, point: u8) -> Write {
    Write {
        is_put: false,
        ..put(number, point)
    }
}

/// One vnode goes to another shard and is wished back meanwhile.
fn there_and_back() -> Explored {
    Explored {
        vnodes: VnodeCount::new(1).unwrap(),
        goals: vec![on(1, 1, 2), on(2, 0, 2)],
        writes: vec![put(1, 0), delete(2, 0)],
        faults: BTreeSet::new(),
        looks_for_rest: true,
        handoffs: 2,
        broken: Broken::Nothing,
    }
}

fn explore(explored: Explored) {
    let begun = Instant::now();
    let checker = explored.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{states} states, {depth} steps deep, {:?}", begun.elapsed());
    checker.assert_properties();
}

#[test]
fn no_order_of_two_handoffs_and_two_writes_breaks_a_promise() {
    explore(there_and_back());
}

#[test]
fn nor_does_an_old_answer_of_a_shard() {
    explore(Explored {
        faults: [Fault::OldAnswers].into(),
        looks_for_rest: false,
        writes: vec![put(1, 0)],
        ..there_and_back()
    });
}

#[test]
fn nor_a_copy_that_is_begun_anew() {
    explore(Explored {
        faults: [Fault::Reset].into(),
        ..there_and_back()
    });
}

#[test]
fn nor_a_handoff_of_two_vnodes() {
    let other = Write {
        vnode: Vnode(1),
        ..put(2, 0)
    };
    explore(Explored {
        vnodes: VnodeCount::new(2).unwrap(),
        goals: vec![on(1, 1, 2)],
        writes: vec![put(1, 0), other],
        handoffs: 1,
        ..there_and_back()
    });
}

#[test]
fn nor_a_shard_that_is_retired_and_wished_for_again() {
    explore(Explored {
        goals: vec![on(1, 1, 2), shards(2, 1), shards(3, 2)],
        writes: vec![put(1, 0)],
        ..there_and_back()
    });
}

#[test]
fn nor_a_ring_that_is_set_back() {
    explore(Explored {
        faults: [Fault::SetBack].into(),
        goals: vec![on(1, 1, 2)],
        writes: vec![put(1, 0)],
        ..there_and_back()
    });
}

#[test]
#[ignore = "takes minutes: make model"]
fn three_handoffs_and_three_writes() {
    explore(Explored {
        writes: vec![put(1, 0), delete(2, 0), put(3, 1)],
        handoffs: 3,
        ..there_and_back()
    });
}

#[test]
#[ignore = "takes minutes: make model"]
fn three_shards() {
    explore(Explored {
        goals: vec![on(1, 1, 3), on(2, 2, 3), on(3, 0, 3)],
        handoffs: 3,
        ..there_and_back()
    });
}

#[test]
#[ignore = "takes minutes: make model"]
fn a_ring_that_is_set_back_while_the_wish_goes_back() {
    explore(Explored {
        faults: [Fault::SetBack].into(),
        writes: vec![put(1, 0)],
        ..there_and_back()
    });
}

/// A promise that is seen to be broken, and after how many steps.
fn found(explored: Explored) -> Option<(&'static str, usize)> {
    let checker = explored.checker().threads(2);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let properties = checker.model().properties();
    let is_promise = |name: &str| {
        let property = properties.iter().find(|it| it.name == name);
        property.is_some_and(|it| matches!(it.expectation, Expectation::Always))
    };
    let discoveries = checker.discoveries().into_iter();
    let mut broken = discoveries.filter(|(name, _)| is_promise(name));
    let (name, path) = broken.next()?;
    Some((name, path.into_actions().len()))
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    for broken in [
        Broken::UnsealedWithoutWord,
        Broken::FedBeforeOpen,
        Broken::EarlyActivate,
        Broken::CheckedAtPropose,
        Broken::EarlyRelease,
        Broken::ResurrectedDelete,
        Broken::FrozenAnswersStrong,
        Broken::NoFence,
    ] {
        let found = found(Explored {
            broken,
            looks_for_rest: false,
            writes: vec![put(1, 0), delete(2, 0), put(3, 1)],
            ..there_and_back()
        });
        println!("{broken:?}: {found:?}");
        assert!(found.is_some(), "{broken:?}");
    }
}
