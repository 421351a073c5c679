//! A search that walks the graph's edges over the points that may be found, and
//! steps over those between them: from a point to its neighbours that may be
//! found, and, past those that may not, to their neighbours. So it finds what
//! meets a filter also where nothing does near the query, and looks at no more
//! vectors than a search without a filter. (The two-hop expansion of ACORN, Patel
//! et al. 2024, on a graph that was built without it.)

use super::{Allowed, Within};
use crate::error::Result;
use crate::explain::{List, Trace};
use crate::index::{Edges, Graph, Node};
use crate::plan::Task;
use crate::selection::Selection;
use crate::slots::Slot;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Points of which the nearest is where the walk begins, beside those near the query
/// that the graph shows: where these are far from all that may be found, one of
/// a few anywhere is nearer.
const ANYWHERE: u64 = 64;

/// Candidates near the query to begin with.
pub(super) const NEAR: usize = 16;

/// A step has seen enough when it has found so many times the graph's `m` points:
/// as many edges as a node of the graph itself has.
const ENOUGH: usize = 2;

/// A node at its exact distance.
#[derive(Clone, Copy, PartialEq)]
struct Reached {
    distance: f32,
    node: Node,
}

impl Eq for Reached {}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Slots as bits: a look takes a nanosecond, and there are thousands.
struct Bits(Vec<u64>);

impl Bits {
    fn new(slots: u32) -> Self {
        Self(vec![0; slots as usize / 64 + 1])
    }

    /// Says whether it is new.
    fn insert(&mut self, slot: Slot) -> bool {
        let (word, bit) = (slot.0 as usize / 64, 1 << (slot.0 % 64));
        let Some(word) = self.0.get_mut(word) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, slot: Slot) -> bool {
        let word = self.0.get(slot.0 as usize / 64);
        word.is_some_and(|word| word & (1 << (slot.0 % 64)) != 0)
    }
}

/// A walk on its way.
struct Walk<'a, D> {
    within: Within<'a>,
    allowed: &'a Allowed<'a>,
    distance: &'a D,
    edges: Edges<'a>,
    /// What meets the filter, visible or not.
    selected: Bits,
    /// Slots that were compared, or stepped over.
    seen: Bits,
    /// The nearest are to be gone on from.
    open: BinaryHeap<Reverse<Reached>>,
    /// The nearest so far, the farthest of them first.
    found: BinaryHeap<Reached>,
    ef: usize,
    compared: u64,
}

impl Allowed<'_> {
    /// The nearest slots of a selection, nearest first, from some on that are near
    /// the query; `None` while the graph's edges cannot be had.
    pub(super) fn walk<D: Fn(&[f32]) -> f32>(
        &self,
        graph: &Graph,
        selection: &Selection<'_>,
        near: &[Slot],
        distance: &D,
        task: &Task,
        trace: &mut Trace,
    ) -> Result<Option<Vec<Slot>>> {
        let Some(edges) = graph.edges() else {
            return Ok(None);
        };
        let slots = selection.end();
        let mut walk = Walk {
            within: self.within,
            allowed: self,
            distance,
            edges,
            selected: Bits::new(slots),
            seen: Bits::new(slots),
            open: BinaryHeap::new(),
            found: BinaryHeap::new(),
            ef: task.walked(),
            compared: 0,
        };
        for slot in selection.slots() {
            walk.selected.insert(slot);
        }
        for slot in near.iter().copied().chain(selection.spread(ANYWHERE)) {
            walk.reach(slot.into())?;
        }
        for slot in near {
            walk.step_over((*slot).into(), &mut Vec::new())?;
        }
        walk.go(ENOUGH * task.m)?;
        trace.compared += walk.compared;
        trace.lists.push(List {
            asked: task.walked() as u64,
            passed: walk.found.len() as u64,
        });
        let found = walk.found.into_sorted_vec().into_iter();
        Ok(Some(found.filter_map(|r| r.node.slot()).collect()))
    }
}

impl<D: Fn(&[f32]) -> f32> Walk<'_, D> {
    /// Compares a node's vector, if it may be found and was not compared before;
    /// says whether it was.
    fn reach(&mut self, node: Node) -> Result<bool> {
        let Some(slot) = node.slot() else {
            return Ok(false);
        };
        if !self.selected.contains(slot) || !self.seen.insert(slot) {
            return Ok(false);
        }
        if !self.allowed.contains(slot)? {
            return Ok(false);
        }
        let distance = (self.distance)(self.within.vector(slot)?);
        self.compared += 1;
        let reached = Reached { distance, node };
        if self.found.len() < self.ef || self.found.peek().is_some_and(|far| reached < *far) {
            self.open.push(Reverse(reached));
            self.found.push(reached);
            if self.found.len() > self.ef {
                self.found.pop();
            }
        }
        Ok(true)
    }

    fn go(&mut self, enough: usize) -> Result<()> {
        let (mut near, mut beyond) = (Vec::new(), Vec::new());
        while let Some(Reverse(from)) = self.open.pop() {
            let is_full = self.found.len() >= self.ef;
            if is_full && self.found.peek().is_some_and(|far| from > *far) {
                break;
            }
            near.clear();
            near.extend(self.edges.of(from.node));
            let mut count = 0;
            for node in &near {
                let Some(slot) = node.slot() else {
                    continue;
                };
                if self.selected.contains(slot) {
                    count += 1;
                    self.reach(*node)?;
                }
            }
            for node in &near {
                if count >= enough {
                    break;
                }
                let Some(slot) = node.slot() else {
                    continue;
                };
                if !self.selected.contains(slot) {
                    count += self.step_over(*node, &mut beyond)?;
                }
            }
        }
        Ok(())
    }

    /// Compares what lies behind a node that may not be found; says how many may.
    /// What was stepped over once need not be again: all behind it was reached.
    fn step_over(&mut self, node: Node, beyond: &mut Vec<Node>) -> Result<usize> {
        let Some(slot) = node.slot() else {
            return Ok(0);
        };
        if self.selected.contains(slot) || !self.seen.insert(slot) {
            return Ok(0);
        }
        beyond.clear();
        beyond.extend(self.edges.of(node));
        let mut count = 0;
        for node in beyond {
            if node.slot().is_some_and(|slot| self.selected.contains(slot)) {
                count += 1;
                self.reach(*node)?;
            }
        }
        Ok(count)
    }
}
