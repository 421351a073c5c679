//! The shortest part of a point's history that has no explanation. What is left
//! out of it could not have explained the rest: reads are dropped, and a change
//! is dropped only if there is no explanation even when it may take effect at
//! any time from its start on, or never.

use std::collections::HashSet;
use std::ops::Range;

use crate::history::{Op, What};
use crate::linear::{Verdict, check};
use crate::record::Stamp;

/// The part, in the order of starts; its last to end is what nothing explains.
#[must_use]
pub fn shortest(ops: &[Op]) -> Vec<Op> {
    let mut ends: Vec<u64> = ops.iter().filter_map(|op| op.end).collect();
    ends.sort_unstable();
    let explained = |end: &u64| !contradicts(&until(ops, *end));
    let first = ends.partition_point(explained);
    let Some(end) = ends.get(first) else {
        return ops.to_vec();
    };
    // Reads first: a change that contradicts tells more than a read of what it did.
    let mut left = until(ops, *end);
    left = reduced(left, *end, What::is_seen);
    left = reduced(left, *end, |_| true);
    left.sort_by_key(|op| op.start);
    left
}

/// What is left when all of some kind is dropped that can be, larger parts first.
fn reduced(mut left: Vec<Op>, end: u64, droppable: fn(What) -> bool) -> Vec<Op> {
    let mut chunk = left.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < left.len() {
            let part = at..(at + chunk).min(left.len());
            match without(&left, &part, end, droppable) {
                Some(fewer) => {
                    // Of the part, only what has to stay is left.
                    let dropped = left.len() - fewer.len();
                    left = fewer;
                    at += part.len() - dropped;
                }
                None => at = part.end,
            }
        }
        if chunk == 1 {
            return left;
        }
        chunk = chunk.div_ceil(2);
    }
}

fn contradicts(ops: &[Op]) -> bool {
    check(ops) == Verdict::Contradicted
}

/// What was known at some time.
fn until(ops: &[Op], time: u64) -> Vec<Op> {
    let known = |op: &Op| {
        let ended = op.end.is_some_and(|end| end <= time);
        match (op.start <= time, ended, op.what.is_seen()) {
            (false, ..) | (true, false, true) => None,
            (true, true, _) => Some(*op),
            (true, false, false) => Some(Op { end: None, ..*op }),
        }
    };
    ops.iter().filter_map(known).collect()
}

/// The history without what can be left out of a part of it; `None` if that is
/// nothing. What ends at `kept` stays.
fn without(
    ops: &[Op],
    part: &Range<usize>,
    kept: u64,
    droppable: fn(What) -> bool,
) -> Option<Vec<Op>> {
    let is_in = |index: usize| {
        let op = &ops[index];
        part.contains(&index) && op.end != Some(kept) && droppable(op.what)
    };
    let stays = |(index, op): &(usize, &Op)| !(is_in(*index) && op.what.is_seen());
    let referred: HashSet<Stamp> = ops
        .iter()
        .enumerate()
        .filter(stays)
        .flat_map(|(_, op)| refers(op.what))
        .collect();
    let may_go = |index: usize| {
        let what = ops[index].what;
        let is_referred = what.stamp().is_some_and(|s| referred.contains(&s));
        is_in(index) && (what.is_seen() || !is_referred)
    };
    let weaker = ops.iter().enumerate().filter_map(|(index, op)| {
        match (may_go(index), op.what.is_seen()) {
            (false, _) => Some(*op),
            (true, true) => None,
            (true, false) => Some(Op { end: None, ..*op }),
        }
    });
    let weaker: Vec<Op> = weaker.collect();
    let left = (0..ops.len()).filter(|index| !may_go(*index));
    let left: Vec<Op> = left.map(|index| ops[index]).collect();
    (left.len() < ops.len() && contradicts(&weaker)).then_some(left)
}

/// The changes that an operation saw or needs.
fn refers(what: What) -> Vec<Stamp> {
    match what {
        What::Saw { put, change } => vec![put, change],
        What::Other(expected) | What::PutIf { expected, .. } => vec![expected],
        _ => Vec::new(),
    }
}
