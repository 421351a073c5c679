//! Which way a search goes: through the graph by lists of candidates, along its
//! edges, or by comparing every point that may be found. What each would take is
//! estimated in nanoseconds; the numbers below were fitted to measurements (the
//! benchmark of searches with filters shows the crossing), and only their ratios
//! count.

use crate::explain::{Cost, Why};

/// How the nearest points are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Every point that may be found is compared.
    Scan,
    /// The graph proposes candidates, the more the fewer meet the filter.
    Graph,
    /// The graph's edges are followed from one point that meets the filter to the
    /// next, over those that do not.
    Walk,
}

/// Below so many points every one is compared: as quick, and exact.
const SCAN_BELOW: u64 = 1000;

/// One comparison of a scan: what it takes, and for each dimension. Most of it is
/// the wait for memory.
const COMPARISON: (f64, f64) = (130.0, 0.47);

/// The way to the neighbourhood of the query, before there is any list.
const DESCENT: f64 = 300_000.0;

/// One place in the graph's list of candidates, with `m` of 16: the neighbours
/// of a candidate are compared at random places of memory.
const CANDIDATE: (f64, f64) = (800.0, 2.4);

/// The list is so much longer than what must pass: the points that do are not
/// spread evenly over it.
const SPARE: f64 = 2.0;

/// Before a walk there is a short list to begin from.
const BEGIN: f64 = 150_000.0;

/// To be told a node's edges on a walk, and a look at one of them.
const NODE: f64 = 200.0;
const LOOK: f64 = 6.0;

/// At each step of a walk so many nodes are stepped over that may not be found:
/// more where few may, times those that may not over those that may; and times
/// those that may not. Of the others so many are compared for the first time: at
/// least, and times those that may be found.
const STEPPED_OVER: (f64, f64) = (0.7, 3.0);
const WALKED_TO: (f64, f64) = (6.0, 4.0);

/// One comparison on a walk: at a random place of memory.
const FAR_COMPARISON: (f64, f64) = (600.0, 1.8);

/// To mark a point that meets the filter, and to have room for the marks, a point.
const MARK: f64 = 3.0;
const CLEAR: f64 = 0.02;

/// A scan is preferred up to so many times the cost of another way: it is exact,
/// and takes no longer where the points lie elsewhere.
const SURE: f64 = 1.2;

/// How many of the nearest are looked at first where it matters whether the
/// points that meet a filter are near the query or elsewhere.
pub const PROBE: usize = 16;

/// It matters unless a scan costs so much more.
const CERTAIN: f64 = 3.0;

/// All lists together may take so much of what a scan takes.
const PATIENCE: f64 = 0.75;

/// What is chosen before a search begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub plan: Plan,
    pub why: Why,
    pub cost: Cost,
}

/// What a search is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// All points that have the vector.
    pub all: u64,
    /// Points that a scan would compare.
    pub possible: u64,
    /// Points that can be found, by estimate.
    pub findable: u64,
    /// Payloads decide of some of them.
    pub is_unsure: bool,
    /// It is known which points meet the filter, and so a walk can step over the
    /// others.
    pub can_walk: bool,
    /// How many are wanted.
    pub limit: usize,
    /// The size of the candidate list, at least.
    pub ef: usize,
    /// Edges of a node of the graph.
    pub m: usize,
    /// Components of a vector.
    pub dimension: usize,
}

impl Task {
    /// The cheaper way, and why it is.
    pub fn choose(&self) -> Choice {
        let cost = Cost {
            scan: self.scan_cost(),
            graph: self.graph_cost(self.list()),
            walk: self.can_walk.then(|| self.walk_cost()),
        };
        let walk = cost.walk.unwrap_or(f64::INFINITY);
        let (plan, why) = if self.possible <= SCAN_BELOW {
            (Plan::Scan, Why::Few)
        } else if cost.scan <= SURE * cost.graph.min(walk) {
            (Plan::Scan, Why::Cheaper)
        } else if cost.graph <= walk {
            (Plan::Graph, Why::Cheaper)
        } else {
            (Plan::Walk, Why::Cheaper)
        };
        Choice { plan, why, cost }
    }

    /// How many candidates are asked for: so many that enough of them can be
    /// expected to be among those that can be found.
    pub fn list(&self) -> usize {
        let share = float(self.findable.max(1)) / float(self.all.max(1));
        // That payloads left too few is seen when the list is used up, and then
        // every payload is read: a list that is too long costs less.
        let wanted = if self.is_unsure {
            float(self.limit.max(self.ef) as u64)
        } else {
            SPARE * float(self.limit as u64)
        };
        whole(wanted / share.min(1.0)).max(self.ef)
    }

    /// How many to ask for after a list of `asked` of which too few passed;
    /// `None` where it is not worth it, with what was `spent` on lists before
    /// this one: what passes lies elsewhere.
    pub fn longer_list(&self, asked: usize, passed: usize, spent: &mut f64) -> Option<usize> {
        // Of none that passed it is not known how rare they are: a part of one did.
        let share = (float(passed as u64) + 0.25) / float(asked as u64);
        let needed = SPARE * float(self.limit as u64) / share;
        let next = whole(needed).max(2 * asked).max(self.ef);
        *spent += self.graph_cost(asked);
        (*spent + self.graph_cost(next) < PATIENCE * self.next_cost()).then_some(next)
    }

    /// Whether a look at the nearest few is worth its cost: if nothing that
    /// passes is among them, a scan is the shorter way. Where a walk comes after a
    /// list that is too short, it goes on from there.
    pub fn is_uncertain(&self) -> bool {
        let is_lost =
            !self.walks_next() && self.scan_cost() < CERTAIN * self.graph_cost(self.list());
        self.possible < self.all && is_lost
    }

    fn scan_cost(&self) -> f64 {
        float(self.possible) * per(COMPARISON, self.dimension)
    }

    /// The size of a walk's list of candidates: twice as long, since what meets a
    /// filter may lie in several places, with few ways from one to the next.
    pub fn walked(&self) -> usize {
        2 * self.ef
    }

    /// Whether a walk comes next where the lists were too short, and not a scan.
    pub fn walks_next(&self) -> bool {
        self.can_walk && self.walk_cost() < self.scan_cost()
    }

    /// What the next way takes where the lists are too short.
    fn next_cost(&self) -> f64 {
        if self.walks_next() {
            self.walk_cost()
        } else {
            self.scan_cost()
        }
    }

    fn walk_cost(&self) -> f64 {
        let share = (float(self.possible.max(1)) / float(self.all.max(1))).min(1.0);
        let others = 1.0 - share;
        let edges = 2.0 * float(self.m as u64);
        let (rare, any) = STEPPED_OVER;
        let nodes = 1.0 + rare * others / share + any * others;
        let (least, more) = WALKED_TO;
        let compared = (least + more * share) * edges / 32.0;
        let step = nodes * (NODE + edges * LOOK) + compared * per(FAR_COMPARISON, self.dimension);
        let marks = float(self.possible) * MARK + float(self.all) * CLEAR;
        BEGIN + marks + float(self.walked() as u64) * step
    }

    fn graph_cost(&self, list: usize) -> f64 {
        let edges = float(self.m as u64) / 16.0;
        DESCENT + float(list as u64) * edges * per(CANDIDATE, self.dimension)
    }
}

fn per((once, for_each): (f64, f64), dimension: usize) -> f64 {
    once + for_each * float(dimension as u64)
}

// No count here comes near 2^53.
#[allow(clippy::cast_precision_loss)]
fn float(n: u64) -> f64 {
    n as f64
}

// Positive, and far below what a list may ever hold.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(x: f64) -> usize {
    x.ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(all: u64, findable: u64) -> Task {
        Task {
            all,
            possible: findable,
            findable,
            is_unsure: false,
            can_walk: false,
            limit: 10,
            ef: 64,
            m: 16,
            dimension: 384,
        }
    }

    #[test]
    fn few_points_are_scanned_and_many_are_not() {
        for (all, findable, plan) in [
            (900, 900, Plan::Scan),
            (20_000, 20_000, Plan::Graph),
            (20_000, 200, Plan::Scan),
            (20_000, 18_000, Plan::Graph),
            (1_000_000, 100_000, Plan::Graph),
            (1_000_000, 1_000, Plan::Scan),
            (20_000, 2_000, Plan::Scan),
            (20_000, 4_000, Plan::Graph),
        ] {
            assert_eq!(
                task(all, findable).choose().plan,
                plan,
                "{findable} of {all}"
            );
        }
    }

    #[test]
    fn a_list_is_longer_where_payloads_decide_what_is_left_of_it() {
        let known = task(1_000_000, 100_000);
        let unsure = Task {
            is_unsure: true,
            ..known
        };
        assert_eq!(known.list(), 200);
        assert_eq!(unsure.list(), 640);
    }

    #[test]
    fn a_list_of_which_nothing_passed_is_given_up_for_a_scan_that_costs_less() {
        let fifth = task(20_000, 4_000);
        assert_eq!(fifth.choose().plan, Plan::Graph);
        assert!(fifth.is_uncertain());
        assert_eq!(fifth.longer_list(64, 0, &mut 0.0), None);
        let half = task(1_000_000, 500_000);
        let longer = half.longer_list(64, 8, &mut 0.0);
        assert!(longer.is_some_and(|next| next < 300));
        let spent = &mut half.scan_cost();
        assert_eq!(
            half.longer_list(64, 8, spent),
            None,
            "there is no more to spend"
        );
        assert!(!task(1_000_000, 500_000).is_uncertain());
    }
}
