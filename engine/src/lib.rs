//! One replica's data: points, their vectors and payloads, the vector index,
//! views and checkpoints. It knows no network and no log: it applies the
//! entries that it is handed and says up to which it has.
//!
//! ```text
//! entries ─▶ writer ─▶ rows + vectors ─▶ view ─▶ search, retrieve, scroll, count
//!                          │               ▲
//!        driver: index_step ─▶ graph ──────┘      checkpoint, reclaim_step
//! ```

mod attempts;
mod checkpoint;
mod engine;
mod entry;
mod error;
mod explain;
mod facet;
mod index;
mod indexing;
mod metric;
mod names;
mod objective;
mod ordered;
mod payload_indexes;
mod plan;
mod reclaim;
mod rows;
mod saved_columns;
mod search;
mod selection;
mod slots;
mod snapshot;
mod space;
mod vectors;
mod view;
mod vnodes;
mod writer;

pub use checkpoint::SaveGraph;
pub use engine::{Engine, remove_unfinished};
pub use entry::{Attempt, Change, Condition, Entry, OpId, Operation, Outcome, VnodeWrite};
pub use error::{Error, Result};
pub use explain::{Cost, Explanation, Filtered, List, Why};
pub use facet::{Facet, FacetValue};
pub use index::{HnswParams, Precision};
pub use indexing::IndexStep;
pub use metric::Metric;
pub use names::{MAX_VECTORS, Name, Names, Vector};
pub use objective::{Examples, Objective, Pair};
pub use ordered::{OrderBy, OrderValue, StartFrom};
pub use payload_indexes::FillStep;
pub use plan::Plan;
pub use reclaim::ReclaimStep;
pub use rows::VnodeState;
pub use search::{Found, Hit, Query};
pub use snapshot::{Chunk, Export, Install, Place, SnapshotError, adopt, has_arrived, incoming};
pub use view::{Answer, PayloadIndex, Record, View, Want};

pub use quoit_columns::Direction;

use quoit_ring::VnodeCount;

/// What is fixed for a collection, or changes only with its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// The vectors that a point can have, one to [`MAX_VECTORS`]. Their order is
    /// that of their places in stored data and never changes.
    pub vectors: Vec<VectorParams>,
    /// The ring's number of vnodes.
    pub vnodes: VnodeCount,
}

/// What is fixed for the vectors of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorParams {
    /// The name; empty where a collection has but one and does not name it.
    pub name: String,
    /// The number of components of every vector.
    pub dimension: usize,
    /// How distance is measured.
    pub metric: Metric,
    /// The graph; `None` for a flat index, where every search is a scan.
    pub index: Option<HnswParams>,
}

impl Params {
    /// A collection with one vector a point, without a name.
    #[must_use]
    pub fn unnamed(
        dimension: usize,
        metric: Metric,
        index: Option<HnswParams>,
        vnodes: VnodeCount,
    ) -> Self {
        let name = String::new();
        let vector = VectorParams {
            name,
            dimension,
            metric,
            index,
        };
        Self {
            vectors: vec![vector],
            vnodes,
        }
    }

    /// The place of a name.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<Name> {
        let place = self.vectors.iter().position(|v| v.name == name)?;
        u8::try_from(place).ok().map(Name)
    }

    /// The vectors with their places.
    pub fn named(&self) -> impl Iterator<Item = (Name, &VectorParams)> {
        (0..).map(Name).zip(&self.vectors)
    }

    /// All places.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::first(self.vectors.len())
    }
}

impl Default for HnswParams {
    fn default() -> Self {
        Self {
            m: 16,
            ef_construction: 128,
            ef_search: 64,
            precision: Precision::Bf16,
        }
    }
}

/// Which replica's data it is, as a random number or the hash of a name. Two
/// replicas that could come to have each other's files differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub u64);

/// What may differ between replicas: sizes and threads.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Vectors brought into the graph a step.
    pub index_batch: usize,
    /// Threads that bring them in.
    pub index_threads: usize,
    /// Bytes of cached rows.
    pub cache_bytes: u64,
    /// Bytes that the payload indexes may take. The largest are given up where
    /// all together would take more: filters on their fields read payloads.
    pub payload_index_bytes: u64,
    /// Bytes of rows that wait in memory for their file, in each of five keyspaces.
    pub memtable_bytes: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            index_batch: 1024,
            index_threads: std::thread::available_parallelism().map_or(1, usize::from),
            cache_bytes: 8 << 20,
            memtable_bytes: 8 << 20,
            payload_index_bytes: 1 << 30,
        }
    }
}
