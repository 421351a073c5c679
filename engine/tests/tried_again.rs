//! A write that is tried again is done once, or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_engine::{
    Change, Condition, Entry, Metric, OpId, Operation, Outcome, SaveGraph, VnodeWrite,
};
use quoit_filter::Edit;
use quoit_ring::{PointId, Vnode};
use support::sender::{NOBODY, attempted};
use support::{Rig, params, random, vnodes};

const V: Vnode = Vnode(0);

fn rig() -> Rig {
    Rig::new(params(Metric::Dot, 2), &vnodes([0, 1]))
}

fn upsert(n: u64, x: f32) -> Operation {
    Operation::upsert(PointId::Num(n), vec![x, 1.0], Vec::new())
}

/// An operation that finds no point.
fn in_vain() -> Operation {
    let edit = Edit::Replace("{}".into());
    Operation::always(NOBODY, Change::EditPayload(edit))
}

fn write(op_id: u8, tried_since: Option<u64>, operations: Vec<Operation>) -> VnodeWrite {
    let write = VnodeWrite::once(V, operations);
    attempted(write, OpId([op_id; 16]), tried_since)
}

fn apply(rig: &mut Rig, write: VnodeWrite) -> Outcome {
    rig.apply(Entry::Write(vec![write])).remove(0)
}

/// So many writes that are never tried again.
fn others(rig: &mut Rig, count: u64) {
    let other = |_| VnodeWrite::once(V, vec![Operation::delete(NOBODY)]);
    rig.apply(Entry::Write((0..count).map(other).collect()));
}

#[test]
fn a_write_that_was_done_is_not_done_again_and_answered_as_it_was() {
    let mut rig = rig();
    rig.apply(random::upserts(V, 0, &[vec![0.0; 2]]));
    let operations = vec![upsert(1, 1.0), in_vain(), upsert(2, 2.0), in_vain()];
    let first = apply(&mut rig, write(7, None, operations.clone()));
    let done = Outcome::Done {
        seq: 3,
        left: vec![1, 3],
        w: 2,
    };
    assert_eq!(first, done);
    // Another has changed the point since: its change must not be undone.
    rig.apply(random::upserts(V, 1, &[vec![9.0; 2]]));
    for since in [1, 0] {
        let again = write(7, Some(since), operations.clone());
        assert_eq!(apply(&mut rig, again), done);
        rig.check();
    }
    rig.reopen();
    let again = write(7, Some(1), operations);
    assert_eq!(apply(&mut rig, again), done);
    rig.check();
    assert_eq!(rig.engine().vnode_state(V).w, 3);
}

#[test]
fn a_write_that_never_came_is_done_when_it_is_tried_again_and_then_no_more() {
    let mut rig = rig();
    others(&mut rig, 10);
    let once = Outcome::Done {
        seq: 1,
        left: vec![],
        w: 11,
    };
    for _ in 0..3 {
        let again = write(7, Some(4), vec![upsert(1, 1.0)]);
        assert_eq!(apply(&mut rig, again), once);
    }
    rig.check();
}

#[test]
fn a_write_and_its_further_tries_in_one_batch_are_done_once() {
    let mut rig = rig();
    let first = write(7, None, vec![upsert(1, 1.0), in_vain()]);
    let again = write(7, Some(0), vec![upsert(1, 1.0), in_vain()]);
    let entry = Entry::Write(vec![first, again.clone()]);
    let outcomes = rig.apply_all(vec![entry, Entry::Write(vec![again])]);
    let done = Outcome::Done {
        seq: 1,
        left: vec![1],
        w: 1,
    };
    assert_eq!(outcomes.concat(), vec![done; 3]);
    rig.check();
}

#[test]
fn a_write_is_known_while_there_are_255_after_it_and_given_up_with_the_next() {
    // After a restart its row is read, in a batch it is only to be written.
    for in_one_batch in [false, true] {
        let mut rig = rig();
        let mut entries = vec![write(7, None, vec![upsert(1, 1.0)])];
        entries.extend((0..255).map(|_| VnodeWrite::once(V, vec![in_vain()])));
        // 256 are known, and it is the first of them.
        entries.push(write(7, Some(0), vec![upsert(1, 1.0)]));
        // As the writes that may have come since then are all known, this is new.
        entries.push(write(8, Some(0), vec![upsert(2, 1.0)]));
        // With it there are 257: the first may have been any.
        entries.push(write(7, Some(0), vec![upsert(1, 1.0)]));
        entries.push(write(9, Some(0), vec![upsert(3, 1.0)]));
        entries.push(write(9, Some(1), vec![upsert(3, 1.0)]));
        let outcomes = if in_one_batch {
            rig.apply(Entry::Write(entries))
        } else {
            let mut outcomes = Vec::new();
            for entry in entries {
                outcomes.push(apply(&mut rig, entry));
                if outcomes.len() >= 256 {
                    rig.reopen();
                }
            }
            outcomes
        };
        let done = |seq, w| Outcome::Done {
            seq,
            left: vec![],
            w,
        };
        let last = [
            done(1, 1),
            done(2, 257),
            Outcome::Forgotten,
            Outcome::Forgotten,
            done(3, 258),
        ];
        assert_eq!(outcomes[256..], last);
        rig.check();
    }
}

#[test]
fn what_a_vnode_forgot_it_does_not_take_for_a_later_write() {
    let mut rig = rig();
    let first = write(7, None, vec![upsert(1, 1.0)]);
    apply(&mut rig, first.clone());
    // The last of them takes the place of the first, and is never tried again.
    others(&mut rig, 256);
    let again = write(7, Some(0), first.operations);
    assert_eq!(apply(&mut rig, again), Outcome::Forgotten);
    rig.check();
}

#[test]
fn a_write_that_is_forgotten_does_nothing() {
    let mut rig = rig();
    others(&mut rig, 257);
    rig.reopen();
    let state = rig.engine().vnode_state(V);
    let lost = write(7, Some(0), vec![upsert(1, 1.0)]);
    assert_eq!(apply(&mut rig, lost), Outcome::Forgotten);
    assert_eq!(rig.engine().vnode_state(V), state);
    rig.check();
}

#[test]
fn every_write_that_is_accepted_counts_whatever_it_does_and_no_other() {
    let mut rig = rig();
    let only_if = Condition::Missing;
    let conditional = Operation {
        only_if,
        ..upsert(1, 1.0)
    };
    let accepted = [
        vec![upsert(1, 1.0), upsert(2, 2.0)],
        vec![in_vain(), in_vain()],
        vec![conditional],
        vec![],
    ];
    for (w, operations) in (1..).zip(accepted) {
        apply(&mut rig, VnodeWrite::once(V, operations));
        assert_eq!(rig.engine().vnode_state(V).w, w);
    }
    let elsewhere = VnodeWrite::once(Vnode(5), vec![upsert(1, 1.0)]);
    let elsewhere = attempted(elsewhere, OpId([7; 16]), Some(0));
    assert_eq!(apply(&mut rig, elsewhere), Outcome::NotHere);
    let view = rig.view();
    let counts = view.held().map(|(vnode, state)| (vnode, state.w));
    assert!(counts.eq([(V, 4), (Vnode(1), 0)]));
}

#[test]
fn the_same_write_is_another_one_in_another_vnode() {
    let mut rig = rig();
    apply(&mut rig, write(7, None, vec![upsert(1, 1.0)]));
    let mut there = write(7, Some(0), vec![upsert(1, 1.0)]);
    there.vnode = Vnode(1);
    let done = Outcome::Done {
        seq: 1,
        left: vec![],
        w: 1,
    };
    assert_eq!(apply(&mut rig, there), done);
    assert_eq!(rig.view().points(), 2);
}

#[test]
fn a_restart_from_any_moment_counts_no_write_twice_and_forgets_none() {
    let mut rig = rig();
    for op_id in 0..40 {
        let point = u64::from(op_id) % 5;
        apply(&mut rig, write(op_id, None, vec![upsert(point, 1.0)]));
        match op_id % 4 {
            0 => drop(rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap()),
            1 => rig.engine().check_rows().unwrap(),
            2 => rig.reopen(),
            _ => {}
        }
    }
    rig.reopen();
    assert_eq!(rig.engine().vnode_state(V).w, 40);
    rig.check_ops();
    assert_eq!(rig.model.again.known, 40);
}
