//! The way through the graph: whether it is gone, and what candidates it brings.

use super::walk::NEAR;
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
    /// By lists of candidates, or on foot.
    plan: Plan,
    pub(super) task: Task,
    pub(super) precision: Precision,
    /// It is to be gone, whatever it costs.
    is_asked_for: bool,
    /// The graph's nearest to the query, whether they may be found or not, as far as
    /// they are known.
    near: Vec<Slot>,
}

impl<'a> Allowed<'a> {
    /// How many that may be found the graph does not have.
    fn in_tail(&self) -> Result<u64> {
        let tail = &self.within.space.tail;
        let mut in_tail = tail.len();
        if !self.is_everything() {
            for slot in tail.iter() {
                in_tail -= u64::from(!self.contains(slot)?);
            }
        }
        Ok(in_tail)
    }

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
            can_walk: selection.is_some_and(|s| s.unsure() == 0),
            limit: query.limit,
            ef: query.ef.unwrap_or(index.ef_search).max(query.limit),
            m: index.m,
            dimension: params.dimension,
        };
        let choice = task.choose();
        let (plan, why) = match query.plan {
            Some(Plan::Walk) if !task.can_walk => (Plan::Graph, Why::Asked),
            Some(plan) => (plan, Why::Asked),
            None => (choice.plan, choice.why),
        };
        trace.why = Some(why);
        trace.cost = Some(choice.cost);
        (plan != Plan::Scan && query.limit > 0).then_some(Way {
            graph,
            plan,
            task,
            precision: index.precision,
            is_asked_for: query.plan.is_some(),
            near: Vec::new(),
        })
    }
}

impl Way<'_> {
    /// How the candidates come.
    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// Allowed slots, nearest first; `None` where a scan costs less, or the walk
    /// ended too soon.
    pub(super) fn candidates(
        &mut self,
        allowed: &Allowed<'_>,
        vector: &[f32],
        distance: &impl Fn(&[f32]) -> f32,
        trace: &mut Trace,
    ) -> Result<Option<Vec<Slot>>> {
        if self.plan == Plan::Graph {
            let listed = self.listed(allowed, vector, trace)?;
            if listed.is_some() || self.is_asked_for || !self.task.walks_next() {
                return Ok(listed);
            }
            trace.why = Some(Why::ListsTooShort);
            self.plan = Plan::Walk;
        }
        if self.near.is_empty() {
            self.near = self.graph.candidates(vector, NEAR)?;
        }
        let Some(selection) = allowed.selection else {
            return Ok(None);
        };
        let (graph, near) = (self.graph, &self.near);
        let Some(found) = allowed.walk(graph, selection, near, distance, &self.task, trace)? else {
            // Vectors are being added. There are lists all the same, if none was
            // asked for yet.
            self.plan = Plan::Graph;
            return match trace.lists.as_slice() {
                [] => self.listed(allowed, vector, trace),
                _ => Ok(None),
            };
        };
        let in_graph = allowed.points.saturating_sub(allowed.in_tail()?);
        let enough = in_graph.min(self.task.limit as u64);
        Ok((found.len() as u64 >= enough).then_some(found))
    }

    /// Allowed slots from the graph, nearest first by its precision; `None`
    /// where a scan costs less.
    pub(super) fn listed(
        &mut self,
        allowed: &Allowed<'_>,
        vector: &[f32],
        trace: &mut Trace,
    ) -> Result<Option<Vec<Slot>>> {
        let space = allowed.within.space;
        let in_graph = self.graph.len();
        let findable = allowed.points.saturating_sub(allowed.in_tail()?);
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
            if self.task.can_walk {
                self.near = slots.iter().take(NEAR).copied().collect();
            }
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
