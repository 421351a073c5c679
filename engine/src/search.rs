//! The nearest points to a query, over one view.
//!
//! ```text
//! graph ──candidates──▶ mask by the view ──▶ exact distance ──┐
//! tail (not in the graph yet) ────────────▶ exact distance ──┴▶ best k
//! ```
//!
//! The graph proposes at low precision; whether a slot is visible, and in which
//! order the results come, is decided here on the view and on full precision.
//!
//! With a filter, either all points that may meet it are compared, or the graph
//! is asked for so many more candidates as the filter leaves fewer of them, or its
//! edges are walked from one that meets it to the next.

mod by_examples;
mod walk;
mod way;

use crate::VectorParams;
use crate::error::{Error, Result};
use crate::explain::{Explanation, Filtered, Trace, Why};
use crate::index::Precision;
use crate::names::Name;
use crate::objective::Objective;
use crate::plan::Plan;
use crate::selection::Selection;
use crate::slots::Slot;
use crate::space::SpaceView;
use crate::vectors::Owner;
use crate::view::{Answer, Record, View, Want};
use quoit_filter::Filter;
use quoit_ring::VnodeSet;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

/// Reading and checking a payload takes about as long as so many comparisons.
const PAYLOAD_CHECK: u64 = 30;

/// So many vectors that are not in the graph are compared in a few milliseconds.
const SHORT_TAIL: u64 = 10_000;

/// One query.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which of the points' vectors it is compared with. Points that lack it
    /// are not found.
    pub using: Name,
    /// The vector that is sought, of the dimension of that name; empty with an
    /// objective.
    pub vector: Vec<f32>,
    /// What points are scored by instead of by nearness to the vector.
    pub objective: Option<Objective>,
    /// At most so many hits.
    pub limit: usize,
    /// The candidate list's size; the index's own if `None`.
    pub ef: Option<usize>,
    /// Compare with every point instead of searching the graph.
    pub exact: bool,
    /// Leave out what the graph does not have yet, unless that is little.
    pub indexed_only: bool,
    /// Say how the search went.
    pub explain: bool,
    /// The way it is to go; the cheaper one by estimate if `None`.
    pub plan: Option<Plan>,
    /// The least near score that counts; of an objective the least.
    pub threshold: Option<f32>,
    /// Only points that meet it.
    pub filter: Filter,
    /// What is wanted of each hit.
    pub want: Want,
}

/// A point that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The point.
    pub record: Record,
    /// As clients see it: `Metric::score`, or that of the objective.
    pub score: f32,
}

/// What a query found, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The points, nearest first.
    pub hits: Vec<Hit>,
    /// How the search went, if that was asked for.
    pub explanation: Option<Explanation>,
}

/// A slot at its exact distance; ordered so that the farthest is the greatest,
/// and, at the same distance, the one with the greater id.
#[derive(Clone, Copy, PartialEq)]
struct Near {
    distance: f32,
    owner: Owner,
    slot: Slot,
}

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then(self.owner.id.cmp(&other.owner.id))
            .then(self.owner.vnode.cmp(&other.owner.vnode))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The vectors of one name in one view.
#[derive(Clone, Copy)]
struct Within<'a> {
    view: &'a View,
    space: &'a SpaceView,
    params: &'a VectorParams,
    name: Name,
}

impl<'a> Within<'a> {
    fn check(self, vector: &[f32]) -> Result<()> {
        let dimension = self.params.dimension;
        if vector.len() != dimension {
            return Err(Error::BadQuery(format!(
                "the query vector has {} dimensions, the collection {dimension}",
                vector.len(),
            )));
        }
        if vector.iter().any(|x| !x.is_finite()) {
            let what = "the query vector has a number that is not finite";
            return Err(Error::BadQuery(what.into()));
        }
        Ok(())
    }

    fn vector(self, slot: Slot) -> Result<&'a [f32]> {
        self.view.segments.vector(slot, self.name)
    }
}

/// The `limit` nearest of what it was shown that meet the filter.
struct Best<'a> {
    limit: usize,
    selection: Option<&'a Selection<'a>>,
    heap: BinaryHeap<Near>,
    trace: Trace,
}

impl Best<'_> {
    /// Begins anew, for a reason.
    fn clear(&mut self, why: Why) {
        self.heap.clear();
        self.trace.why = Some(why);
    }

    fn offer(
        &mut self,
        within: Within<'_>,
        distance: &impl Fn(&[f32]) -> f32,
        slot: Slot,
    ) -> Result<()> {
        let distance = distance(within.vector(slot)?);
        self.trace.compared += 1;
        let worst = self.heap.peek().map(|n| n.distance);
        if self.heap.len() >= self.limit && worst.is_some_and(|w| distance > w) {
            return Ok(());
        }
        let owner = within.view.segments.owner(slot)?;
        // Last, since it costs more than a distance: of points that are too
        // far no payload is read.
        if let Some(selection) = self.selection
            && !selection.contains(owner, slot)?
        {
            return Ok(());
        }
        self.heap.push(Near {
            distance,
            owner,
            slot,
        });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        Ok(())
    }
}

/// Which of the view's slots a search may find.
#[derive(Clone, Copy)]
struct Allowed<'a> {
    within: Within<'a>,
    /// `None`: the search asks for every vnode that the view answers for.
    vnodes: Option<&'a VnodeSet>,
    /// `None`: the search has no filter.
    selection: Option<&'a Selection<'a>>,
    /// How many visible points there are to find; about, with a filter.
    points: u64,
    /// What the graph does not have yet is not looked at.
    is_indexed_only: bool,
}

impl Allowed<'_> {
    fn scan_all(&self, distance: &impl Fn(&[f32]) -> f32, best: &mut Best<'_>) -> Result<Plan> {
        if best.limit > 0 {
            match self.selection {
                None => self.scan(self.within.space.has.iter(), distance, best)?,
                Some(selection) => self.scan(selection.slots(), distance, best)?,
            }
        }
        Ok(Plan::Scan)
    }

    fn scan(
        &self,
        slots: impl Iterator<Item = Slot>,
        distance: &impl Fn(&[f32]) -> f32,
        best: &mut Best<'_>,
    ) -> Result<()> {
        for slot in slots {
            if self.is_everything() || self.contains(slot)? {
                best.offer(self.within, distance, slot)?;
            }
        }
        Ok(())
    }

    fn is_everything(&self) -> bool {
        self.vnodes.is_none() && self.selection.is_none() && !self.is_indexed_only
    }

    fn contains(&self, slot: Slot) -> Result<bool> {
        let is_selected = self.selection.is_none_or(|s| s.may_contain(slot));
        let space = self.within.space;
        if !is_selected || !space.has.contains(slot) {
            return Ok(false);
        }
        if self.is_indexed_only && space.tail.contains(slot) {
            return Ok(false);
        }
        match self.vnodes {
            None => Ok(true),
            Some(vnodes) => Ok(vnodes.contains(self.within.view.segments.owner(slot)?.vnode)),
        }
    }
}

impl View {
    /// The nearest points to each query among those of some vnodes, nearest first.
    ///
    /// # Errors
    /// A query is not of the collection's dimension, or stored data is damaged.
    pub fn search(&self, vnodes: &VnodeSet, queries: &[Query]) -> Result<Answer<Vec<Found>>> {
        let whole = self.readable().is_subset(vnodes);
        let elsewhere = (!whole).then_some(vnodes);
        let points = if whole {
            self.points()
        } else {
            self.count(vnodes).found
        };
        let found: Result<Vec<_>> = queries
            .iter()
            .map(|query| {
                let within = self.within(query.using)?;
                let Within { space, params, .. } = within;
                let tail = space.tail.len();
                let is_indexed_only =
                    query.indexed_only && params.index.is_some() && tail > SHORT_TAIL;
                let left_out = if is_indexed_only { tail } else { 0 };
                let allowed = Allowed {
                    within,
                    vnodes: elsewhere,
                    selection: None,
                    points: points.min(space.has.len() - left_out),
                    is_indexed_only,
                };
                self.search_one(&allowed, query)
            })
            .collect();
        Ok(self.answer(vnodes, found?))
    }

    fn within(&self, name: Name) -> Result<Within<'_>> {
        let place = name.index();
        match (self.spaces.get(place), self.params.vectors.get(place)) {
            (Some(space), Some(params)) => Ok(Within {
                view: self,
                space,
                params,
                name,
            }),
            _ => Err(Error::BadQuery(format!(
                "the collection has no vector of the place {place}"
            ))),
        }
    }

    /// About how many vectors a query would be compared with, for one who
    /// decides where to run it.
    #[must_use]
    pub fn comparisons(&self, query: &Query) -> u64 {
        let Ok(Within { space, params, .. }) = self.within(query.using) else {
            return 0;
        };
        // Any objective may come to compare all points with all its vectors.
        let vectors = query.objective.as_ref().map(|o| o.len() as u64);
        let times = vectors.unwrap_or(1).max(1);
        match (&space.graph, params.index) {
            (Some(_), Some(params))
                if !query.exact && query.filter.is_always_met() && vectors.is_none() =>
            {
                // A graph search looks at some neighbours of each candidate.
                let ef = query.ef.unwrap_or(params.ef_search).max(query.limit) as u64;
                (ef * params.m as u64).min(space.has.len()) + space.tail.len()
            }
            _ => self
                .comparisons_to_filter(&query.filter)
                .max(self.columns.estimate(&query.filter, self.points()).max * times),
        }
    }

    /// About how many comparisons take as long as checking a filter on every
    /// point: none for one that every point meets.
    #[must_use]
    pub fn comparisons_to_filter(&self, filter: &Filter) -> u64 {
        if filter.is_always_met() {
            0
        } else {
            self.columns.estimate(filter, self.points()).max * PAYLOAD_CHECK
        }
    }

    fn search_one(&self, allowed: &Allowed<'_>, query: &Query) -> Result<Found> {
        let within = allowed.within;
        let metric = within.params.metric;
        let objective = query.objective.as_ref().map(|o| within.prepared(o));
        let objective = objective.transpose()?;
        let mut vector = query.vector.clone();
        if objective.is_none() {
            within.check(&vector)?;
            metric.prepare(&mut vector);
        }
        let selection = (!query.filter.is_always_met()).then(|| self.select(&query.filter));
        let allowed = Allowed {
            selection: selection.as_ref(),
            points: match &selection {
                None => allowed.points,
                Some(selection) => selection.estimate()?.min(allowed.points),
            },
            ..*allowed
        };
        let mut best = Best {
            limit: query.limit,
            selection: selection.as_ref(),
            heap: BinaryHeap::with_capacity(query.limit.min(1024) + 1),
            trace: Trace::default(),
        };
        let plan = match &objective {
            None => self.find(&allowed, query, &vector, &mut best)?,
            Some(objective) => allowed.find_by(query, objective, &mut best)?,
        };
        let trace = std::mem::take(&mut best.trace);
        let explanation = query
            .explain
            .then(|| self.explained(&allowed, query, plan, trace));
        let near = best.heap.into_sorted_vec().into_iter();
        let near = near.map(|n| match objective {
            None => (n, metric.score(n.distance)),
            Some(_) => (n, -n.distance + 0.0),
        });
        let passes = |score: f32, least: f32| match objective {
            None => metric.passes(score, least),
            Some(_) => score >= least,
        };
        let near = near.filter(|(_, s)| query.threshold.is_none_or(|t| passes(*s, t)));
        let hits = near.map(|(near, score)| {
            Ok(Hit {
                record: self.shown(near.owner, near.slot, query.want)?,
                score,
            })
        });
        Ok(Found {
            hits: hits.collect::<Result<_>>()?,
            explanation,
        })
    }

    fn explained(
        &self,
        allowed: &Allowed<'_>,
        query: &Query,
        plan: Plan,
        trace: Trace,
    ) -> Explanation {
        let space = allowed.within.space;
        let filter = allowed.selection.map(|selection| Filtered {
            sure: selection.possible() - selection.unsure(),
            unsure: selection.unsure(),
            estimate: allowed.points,
            unindexed: self.columns.unindexed(&query.filter),
        });
        Explanation {
            plan,
            why: trace.why.unwrap_or(Why::Cheaper),
            vectors: space.has.len(),
            tail: space.tail.len(),
            filter,
            cost: trace.cost,
            lists: trace.lists,
            compared: trace.compared,
            payloads: allowed.selection.map_or(0, Selection::looked_at),
        }
    }

    fn find(
        &self,
        allowed: &Allowed<'_>,
        query: &Query,
        vector: &[f32],
        best: &mut Best<'_>,
    ) -> Result<Plan> {
        let Within { space, params, .. } = allowed.within;
        let distance = |v: &[f32]| params.metric.distance(vector, v);
        let Some(mut way) = allowed.way(query, &mut best.trace) else {
            return allowed.scan_all(&distance, best);
        };
        let candidates = way.candidates(allowed, vector, &distance, &mut best.trace)?;
        let Some(candidates) = candidates else {
            best.clear(Why::ListsTooShort);
            return allowed.scan_all(&distance, best);
        };
        let mut left = rerank_depth(way.precision, query.limit);
        let mut offered = HashSet::new();
        for slot in candidates {
            if left == 0 {
                break;
            }
            if let Some(selection) = allowed.selection
                && !selection.contains(self.segments.owner(slot)?, slot)?
            {
                continue;
            }
            left -= 1;
            // One of the tail may have come into the graph since the view was
            // made; it must not be found twice.
            if space.tail.contains(slot) {
                offered.insert(slot);
            }
            best.offer(allowed.within, &distance, slot)?;
        }
        let is_short = best.heap.len() < query.limit;
        if is_short && allowed.selection.is_some_and(|s| s.unsure() > 0) {
            // Fewer met the filter than the estimate made of it.
            best.clear(Why::TooFewLeft);
            return allowed.scan_all(&distance, best);
        }
        let tail = space.tail.iter().filter(|s| !offered.contains(s));
        allowed.scan(tail, &distance, best)?;
        Ok(way.plan())
    }
}

/// How many candidates are compared on full precision: the fewer bits the graph
/// keeps, the farther a true neighbour may have slipped.
fn rerank_depth(precision: Precision, limit: usize) -> usize {
    match precision {
        Precision::F32 => limit,
        Precision::Bf16 => limit + limit / 8 + 4,
        Precision::I8 => 4 * limit + 16,
    }
}
