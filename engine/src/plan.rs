//! Which way a search goes: through the graph, or by comparing every point that
//! may be found. Both are counted in comparisons with vectors; what one of them
//! costs more than the other's by where the vectors lie was measured.

/// How the nearest points are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Every point that may be found is compared.
    Scan,
    /// The graph proposes candidates, the more the fewer meet the filter.
    Graph,
}

/// Below so many points every one is compared: as quick, and exact.
const SCAN_BELOW: u64 = 1000;

/// What a search is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// All visible points.
    pub all: u64,
    /// Points that a scan would compare.
    pub possible: u64,
    /// Points that can be found, by estimate.
    pub findable: u64,
    /// The size of the candidate list, without a filter.
    pub ef: u64,
    /// Edges of a node of the graph.
    pub m: u64,
}

impl Task {
    /// The cheaper way.
    pub fn plan(self) -> Plan {
        if self.possible == self.all && self.findable == self.all {
            // A list that holds a good part of all points is no shortcut.
            return if self.all > SCAN_BELOW.max(4 * self.ef) {
                Plan::Graph
            } else {
                Plan::Scan
            };
        }
        // The list is longer by what the filter leaves out, and some neighbours
        // of each candidate are looked at.
        let longer = self.all.div_ceil(self.findable.max(1));
        if self.possible > SCAN_BELOW.max(self.ef * longer * self.m) {
            Plan::Graph
        } else {
            Plan::Scan
        }
    }
}
