//! The way through the graph: whether it is gone, and what candidates it brings.

use super::{Allowed, Query};
use crate::error::Result;
use crate::explain::{List, Trace, Why};
use crate::index::{Graph, Precision};
use crate::plan::{PROBE, Plan, Task};
use crate::selection::Selection;
use crate::slots::Slot;

/// The way through the graph.
pub(super) struct Way<'a> {
    graph: &'a Graph,
    pub(super) task: Task,
    pub(super) precision: Precision,
    /// It is to be gone, whatever it costs.
    is_asked_for: bool,
}

impl<'a> Allowed<'a> {
    /// The graph, unless a scan is the cheaper way or asked for.
    pub(super) fn way(&self, query: &Query, trace: &mut Trace) -> Option<Way<'a>> {
        let space = self.within.space;
        let params = self.within.params;
        if query.exact {
            trace.why = Some(Why::Asked);
            return None;
        }
        let (Some(graph), Some(index)) = (&space.graph, params.index) else {
            trace.why = Some(Why::NoGraph);
            return None;
        };
        let selection = self.selection;
        let task = Task {
            all: selection.map_or(self.points, |_| space.has.len()),
            possible: selection.map_or(self.points, Selection::possible),
            findable: self.points,
            is_unsure: selection.is_some_and(|s| s.unsure() > 0),
            limit: query.limit,
            ef: query.ef.unwrap_or(index.ef_search).max(query.limit),
            m: index.m,
            dimension: params.dimension,
        };
        let choice = task.choose();
        let (plan, why) = match query.plan {
            Some(plan) => (plan, Why::Asked),
            None => (choice.plan, choice.why),
        };
        trace.why = Some(why);
        trace.cost = Some(choice.cost);
        (plan == Plan::Graph && query.limit > 0).then_some(Way {
            graph,
            task,
            precision: index.precision,
            is_asked_for: query.plan.is_some(),
        })
    }
}

impl Way<'_> {
    /// Allowed slots from the graph, nearest first by its precision; `None`
    /// where a scan costs less.
    pub(super) fn candidates(
        &self,
        allowed: &Allowed<'_>,
        vector: &[f32],
        trace: &mut Trace,
    ) -> Result<Option<Vec<Slot>>> {
        let space = allowed.within.space;
        let in_graph = self.graph.len();
        let mut in_tail = space.tail.len();
        if !allowed.is_everything() {
            for slot in space.tail.iter() {
                in_tail -= u64::from(!allowed.contains(slot)?);
            }
        }
        let findable = allowed.points.saturating_sub(in_tail);
        if findable == 0 {
            return Ok(Some(Vec::new()));
        }
        // What is dead or elsewhere takes places in the list.
        let is_mixed = !allowed.is_everything() || space.dead_in_graph > 0;
        let task = Task {
            all: if is_mixed { in_graph as u64 } else { findable },
            findable,
            ..self.task
        };
        let is_probed = !self.is_asked_for && self.task.is_uncertain() && task.limit < PROBE;
        let mut want = if is_probed { PROBE } else { task.list() };
        let mut spent = 0.0;
        loop {
            let mut slots = self.graph.candidates(vector, want)?;
            let got = slots.len();
            if is_mixed {
                let mut kept = Vec::with_capacity(slots.len());
                for slot in slots {
                    if allowed.contains(slot)? {
                        kept.push(slot);
                    }
                }
                slots = kept;
            } else {
                // The graph may have grown since the view was made.
                slots.retain(|s| space.has.contains(*s));
            }
            trace.lists.push(List {
                asked: want as u64,
                passed: slots.len() as u64,
            });
            let limit = task.limit as u64;
            let is_probe = is_probed && want == PROBE;
            if (slots.len() as u64 >= limit && !is_probe) || got < want {
                return Ok((slots.len() as u64 >= findable.min(limit)).then_some(slots));
            }
            // What is not allowed lies just here. A longer list finds what is
            // behind it, if that is not the longer way.
            want = match task.longer_list(want, slots.len(), &mut spent) {
                Some(longer) => longer,
                None if self.is_asked_for => 4 * want,
                None => return Ok(None),
            };
        }
    }
}
