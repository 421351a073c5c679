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
    let mut story = Story {
        shown: until(ops, *end),
        weakened: Vec::new(),
        end: *end,
    };
    story.reduce(What::is_seen);
    story.reduce(|_| true);
    story.shown.sort_by_key(|op| op.start);
    story.shown
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

fn contradicts(ops: &[Op]) -> bool {
    check(ops) == Verdict::Contradicted
}

struct Story {
    shown: Vec<Op>,
    /// Changes that are not shown, with unknown outcomes: they could explain
    /// what is shown, if anything could.
    weakened: Vec<Op>,
    /// What ends then stays.
    end: u64,
}

impl Story {
    /// Drops all of some kind that can be, larger parts first.
    fn reduce(&mut self, droppable: fn(What) -> bool) {
        let mut chunk = self.shown.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < self.shown.len() {
                let part = at..(at + chunk).min(self.shown.len());
                let dropped = self.drop_from(&part, droppable);
                // What has to stay of the part is passed over.
                at = part.end - dropped;
            }
            if chunk == 1 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// Drops what can be left out of a part, all or nothing; says how many.
    fn drop_from(&mut self, part: &Range<usize>, droppable: fn(What) -> bool) -> usize {
        let shown = &self.shown;
        let is_in = |index: usize| {
            let op = &shown[index];
            part.contains(&index) && op.end != Some(self.end) && droppable(op.what)
        };
        let stays = |index: &usize| !(is_in(*index) && shown[*index].what.is_seen());
        let stay = (0..shown.len()).filter(stays);
        let referred: HashSet<Stamp> = stay.flat_map(|i| refers(shown[i].what)).collect();
        let may_go = |index: usize| {
            let what = shown[index].what;
            let is_referred = what.stamp().is_some_and(|s| referred.contains(&s));
            is_in(index) && (what.is_seen() || !is_referred)
        };
        let (gone, left): (Vec<usize>, Vec<usize>) = (0..shown.len()).partition(|i| may_go(*i));
        let ops = |indexes: &[usize]| -> Vec<Op> { indexes.iter().map(|i| shown[*i]).collect() };
        let changes = ops(&gone).into_iter().filter(|op| !op.what.is_seen());
        let mut weakened = self.weakened.clone();
        weakened.extend(changes.map(|op| Op { end: None, ..op }));
        let left = ops(&left);
        let all: Vec<Op> = left.iter().chain(&weakened).copied().collect();
        if gone.is_empty() || !contradicts(&all) {
            return 0;
        }
        self.shown = left;
        self.weakened = weakened;
        gone.len()
    }
}

/// The changes that an operation saw or needs.
fn refers(what: What) -> Vec<Stamp> {
    match what {
        What::Saw { put, change } => vec![put, change],
        What::Other(expected) | What::PutIf { expected, .. } => vec![expected],
        _ => Vec::new(),
    }
}
