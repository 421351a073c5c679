//! How a search went, for people who ask why: which way it took, what was known
//! when it was chosen, and what was looked at on it.

use crate::plan::Plan;

/// How one search went in one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The way it went in the end.
    pub plan: Plan,
    /// Why that one.
    pub why: Why,
    /// Visible vectors of the name.
    pub vectors: u64,
    /// Those of them that the graph does not have yet: they are compared one by one.
    pub tail: u64,
    /// What was known of the filter; `None` without one.
    pub filter: Option<Filtered>,
    /// What each way was expected to take; `None` where there was no choice.
    pub cost: Option<Cost>,
    /// The lists of candidates that the graph was asked for, in their order.
    pub lists: Vec<List>,
    /// Vectors compared on full precision.
    pub compared: u64,
    /// Payloads looked at, also for the estimate.
    pub payloads: u64,
}

/// Why a search went the way it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An exact answer was asked for, or the way itself.
    Asked,
    /// There is no graph: the index is flat, or not built yet.
    NoGraph,
    /// So few points may be found that to compare them all is as quick, and exact.
    Few,
    /// By estimate the other way takes longer.
    Cheaper,
    /// The graph's lists had too few points that meet the filter, and one that
    /// would do takes longer than another way.
    ListsTooShort,
    /// Payloads left fewer of a list than the estimate said.
    TooFewLeft,
    /// Nothing in the graph bounds what points beyond a list score by examples.
    NotBounded,
}

/// What is known of a filter without a look at all payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Points of which indexes say that they meet it.
    pub sure: u64,
    /// Points of which only their payloads tell.
    pub unsure: u64,
    /// About so many meet it.
    pub estimate: u64,
    /// The fields with conditions that no index answers.
    pub unindexed: Vec<String>,
}

/// What each way is expected to take, in nanoseconds. Their ratio counts: the
/// numbers are of the machine that they were fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// To compare all points that may be found.
    pub scan: f64,
    /// To ask the graph for a list.
    pub graph: f64,
    /// To walk along its edges; `None` where payloads decide what may be found.
    pub walk: Option<f64>,
}

/// A list of the graph's candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// Its length.
    pub asked: u64,
    /// So many of it are visible, of the vnodes asked for, and may meet the filter.
    pub passed: u64,
}

/// What a search notes on its way.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub cost: Option<Cost>,
    pub why: Option<Why>,
    pub lists: Vec<List>,
    pub compared: u64,
}
