//! The points that an objective scores best.
//!
//! ```text
//! graph ──candidates near each seed──▶ score ──┐
//! tail ──────────────────────────────▶ score ──┴▶ best k ──no worse than the bound?──▶ done
//!                                                            └─────no─────▶ score all
//! ```
//!
//! The score is always that of full precision.

use super::{Allowed, Best, Query, Within};
use crate::error::{Error, Result};
use crate::explain::Why;
use crate::objective::Objective;
use crate::plan::Plan;
use crate::slots::Slot;
use std::collections::HashSet;

impl Within<'_> {
    /// An objective with its vectors as they are compared.
    pub(super) fn prepared(self, objective: &Objective) -> Result<Objective> {
        let mut prepared = objective.clone();
        for vector in prepared.vectors_mut() {
            self.check(vector)?;
            self.params.metric.prepare(vector);
        }
        if prepared.len() == 0 {
            let what = "nothing to score points by: send at least one example";
            return Err(Error::BadQuery(what.into()));
        }
        Ok(prepared)
    }
}

impl Allowed<'_> {
    /// Finds what a prepared objective scores best; as its distance each point has
    /// its negated score.
    pub(super) fn find_by(
        &self,
        query: &Query,
        objective: &Objective,
        best: &mut Best<'_>,
    ) -> Result<Plan> {
        let within = self.within;
        let metric = within.params.metric;
        let distance = |v: &[f32]| -objective.score(|example| -metric.distance(example, v));
        let seeds = objective.seeds(metric);
        let Some(mut way) = self.way(query, &mut best.trace) else {
            return self.scan_all(&distance, best);
        };
        if seeds.is_empty() {
            best.clear(Why::NotBounded);
            return self.scan_all(&distance, best);
        }
        // The last of a list tells how far it reaches: it must be longer than
        // what is asked for, or nothing would ever be beyond doubt.
        way.task.ef = way.task.ef.max(query.limit + query.limit / 2 + 16);
        let mut offered: HashSet<Slot> = HashSet::new();
        let mut reach = Vec::with_capacity(seeds.len());
        for seed in &seeds {
            let Some(candidates) = way.listed(self, seed, &mut best.trace)? else {
                best.clear(Why::ListsTooShort);
                return self.scan_all(&distance, best);
            };
            let mut farthest = f32::INFINITY;
            for slot in candidates {
                farthest = farthest.min(-metric.distance(seed, within.vector(slot)?));
                if offered.insert(slot) {
                    best.offer(within, &distance, slot)?;
                }
            }
            reach.push(farthest);
        }
        let tail = within
            .space
            .tail
            .iter()
            .filter(|slot| !offered.contains(slot));
        self.scan(tail, &distance, best)?;
        let bound = objective.bound(metric, &reach);
        let worst = best.heap.peek().map(|near| -near.distance);
        if best.heap.len() < query.limit || worst.is_none_or(|worst| worst < bound) {
            best.clear(Why::NotBounded);
            return self.scan_all(&distance, best);
        }
        Ok(Plan::Graph)
    }
}
