//! The approximate index: a graph (HNSW, by usearch) over the vectors at lower
//! precision, which proposes candidates. It knows slots and nothing of points,
//! deletion or visibility: what is dead or hidden is the view's to say, and the
//! order of the candidates is set right on full precision by the search.
//!
//! Vectors added side by side can be left where no search comes: with four
//! threads up to one in a hundred. So who adds in parallel looks for each one
//! afterwards ([`Graph::finds`]) and adds those that are not found a second
//! time, one after the other ([`Graph::add_again`]).
//!
//! Never removes: concurrent removal leaves live vectors unreachable in this
//! library. A graph with too many dead slots is built anew instead.

mod edges;
mod manhattan;
mod quantizer;

use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::slots::Slot;
pub use edges::{Adding, Edges, Node};
use parking_lot::{Condvar, Mutex, RwLock};
pub use quantizer::Quantizer;
use std::num::NonZero;
use std::path::Path;
use usearch::{IndexOptions, MetricKind, ScalarKind};

/// How exactly a graph stores its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Precision {
    /// 16 bits a dimension.
    Bf16,
    /// 8 bits a dimension, by our own quantizer.
    I8,
    /// 32 bits a dimension.
    F32,
}

/// A graph's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswParams {
    /// Links a node and layer (the lowest has twice as many).
    pub m: usize,
    /// The candidate list's size while building.
    pub ef_construction: usize,
    /// The candidate list's size while searching, unless the query says.
    pub ef_search: usize,
    /// How exactly the graph stores its vectors.
    pub precision: Precision,
}

/// How many threads may be inside one graph at once, for each processor. The
/// library gives each its own scratch space and answers wrongly when it runs
/// out, so entry is counted. It hands the spaces out in turn: were there many
/// more than processors, each search would get one that is in no cache.
const THREADS_PER_PROCESSOR: usize = 2;

/// Room for so many vectors at first; doubled when it is used up, so that the
/// pause that growing costs comes seldom.
const FIRST_CAPACITY: usize = 8192;

/// The library's own mark for "no key"; under churn some answers carry it.
const NO_KEY: u64 = u64::MAX;

/// Marks the key of a vector that was added a second time.
const AGAIN: u64 = 1 << 32;

/// A vector that is not among so many nearest to itself counts as lost.
const FINDS_WITHIN: usize = 128;

/// A graph over slots.
pub struct Graph {
    /// Written to grow or load, which must not run beside anything else (the
    /// library would free memory twice); read for all else.
    index: RwLock<usearch::Index>,
    /// Written to by who adds, read by who follows edges.
    still: RwLock<()>,
    quantizer: Option<Quantizer>,
    threads: usize,
    permits: Permits,
}

impl Graph {
    /// An empty graph. `sample` is what a quantizer learns its range from.
    ///
    /// # Errors
    /// The library refuses the parameters.
    pub fn new<'a>(
        metric: Metric,
        dimension: usize,
        params: HnswParams,
        sample: impl Iterator<Item = &'a [f32]>,
    ) -> Result<Self> {
        let quantizer =
            (params.precision == Precision::I8).then(|| Quantizer::learn(metric, sample));
        Self::with(metric, dimension, params, quantizer, None)
    }

    /// A graph from its file.
    ///
    /// # Errors
    /// The file is not a graph of this shape.
    pub fn load(
        path: &Path,
        metric: Metric,
        dimension: usize,
        params: HnswParams,
        quantizer: Option<Quantizer>,
    ) -> Result<Self> {
        Self::with(metric, dimension, params, quantizer, Some(path))
    }

    fn with(
        metric: Metric,
        dimension: usize,
        params: HnswParams,
        quantizer: Option<Quantizer>,
        file: Option<&Path>,
    ) -> Result<Self> {
        let options = IndexOptions {
            dimensions: dimension,
            metric: match metric {
                // Cosine vectors are normalised before they come here.
                Metric::Cosine | Metric::Dot => MetricKind::IP,
                Metric::Euclid | Metric::Manhattan => MetricKind::L2sq,
            },
            quantization: match params.precision {
                Precision::Bf16 => ScalarKind::BF16,
                Precision::I8 => ScalarKind::I8,
                Precision::F32 => ScalarKind::F32,
            },
            connectivity: params.m,
            expansion_add: params.ef_construction,
            // The library searches with the larger of this and the number of
            // results asked for: so the latter can be chosen query by query.
            expansion_search: 1,
            multi: false,
        };
        let mut index = usearch::Index::new(&options).map_err(Error::graph("create"))?;
        let mut capacity = FIRST_CAPACITY;
        if let Some(path) = file {
            let name = path
                .to_str()
                .ok_or_else(|| Error::damaged(path, "a path that is not text"))?;
            index.load(name).map_err(Error::graph("load"))?;
            index.change_expansion_add(params.ef_construction);
            index.change_expansion_search(1);
            if index.dimensions() != dimension || index.scalar_kind() != options.quantization {
                return Err(Error::damaged(path, "a graph of another shape"));
            }
            capacity = capacity.max(index.size().next_power_of_two());
        }
        if metric == Metric::Manhattan {
            manhattan::install(&mut index, params.precision, dimension);
        }
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = THREADS_PER_PROCESSOR * processors;
        index
            .reserve_capacity_and_threads(capacity, threads)
            .map_err(Error::graph("reserve"))?;
        Ok(Self {
            index: RwLock::new(index),
            still: RwLock::new(()),
            quantizer,
            threads,
            permits: Permits::new(threads),
        })
    }

    /// The quantizer that the graph was begun with, to be kept beside its file.
    pub fn quantizer(&self) -> Option<Quantizer> {
        self.quantizer
    }

    /// Vectors in the graph: dead ones too, and those added again twice.
    pub fn len(&self) -> usize {
        self.index.read().size()
    }

    /// Makes room for more vectors, if there is none: for a moment nothing else
    /// can use the graph.
    ///
    /// # Errors
    /// There is no memory.
    pub fn reserve(&self, more: usize) -> Result<()> {
        let needed = {
            let index = self.index.read();
            let needed = index.size() + more;
            if needed <= index.capacity() {
                return Ok(());
            }
            needed
        };
        self.index
            .write()
            .reserve_capacity_and_threads(needed.next_power_of_two(), self.threads)
            .map_err(Error::graph("grow"))
    }

    /// Adds a vector. Room must have been reserved.
    ///
    /// # Errors
    /// The library could not.
    pub fn add(&self, _: &Adding<'_>, slot: Slot, vector: &[f32]) -> Result<()> {
        self.add_key(u64::from(slot.0), vector)
    }

    /// Adds a vector a second time. Nothing may be added meanwhile, and room
    /// must have been reserved.
    ///
    /// # Errors
    /// The library could not.
    pub fn add_again(&self, _: &Adding<'_>, slot: Slot, vector: &[f32]) -> Result<()> {
        self.add_key(u64::from(slot.0) | AGAIN, vector)
    }

    /// Whether a search for a vector comes to its slot.
    ///
    /// # Errors
    /// The library could not.
    pub fn finds(&self, slot: Slot, vector: &[f32]) -> Result<bool> {
        // Most are their own nearest: a longer list is for those that are not.
        for want in [4, 32, FINDS_WITHIN] {
            let found = self.matches(vector, want)?;
            if found.keys.iter().any(|k| slot_of(*k) == Some(slot)) {
                return Ok(true);
            }
            // Equal vectors hide each other, and adding them again hides more.
            let bits = |d: Option<&f32>| d.map(|d| d.to_bits());
            let distances = &found.distances;
            let equal = bits(distances.first()) == bits(distances.last());
            if equal && distances.len() == FINDS_WITHIN {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add_key(&self, key: u64, vector: &[f32]) -> Result<()> {
        let _permit = self.permits.take();
        let index = self.index.read();
        match self.quantizer {
            Some(q) => index.add(key, &q.quantize(vector)),
            None => index.add(key, vector),
        }
        .map_err(Error::graph("add a vector"))
    }

    /// The nearest `want` slots or so, nearest first, by the graph's precision.
    ///
    /// # Errors
    /// The library could not.
    pub fn candidates(&self, query: &[f32], want: usize) -> Result<Vec<Slot>> {
        if self.len() == 0 {
            return Ok(Vec::new());
        }
        let keys = self.matches(query, want)?.keys;
        let twice = |k: u64| k & AGAIN != 0 && keys.contains(&(k ^ AGAIN));
        let once = keys.iter().filter(|k| !twice(**k));
        Ok(once.filter_map(|k| slot_of(*k)).collect())
    }

    fn matches(&self, query: &[f32], want: usize) -> Result<usearch::ffi::Matches> {
        let _permit = self.permits.take();
        let index = self.index.read();
        match self.quantizer {
            Some(q) => index.search(&q.quantize(query), want),
            None => index.search(query, want),
        }
        .map_err(Error::graph("search"))
    }

    /// How many bytes its file will have.
    pub fn saved_bytes(&self) -> u64 {
        self.index.read().serialized_length() as u64
    }

    /// Writes the graph to a file. The caller sees to it that nothing is added meanwhile.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let name = path
            .to_str()
            .ok_or_else(|| Error::damaged(path, "a path that is not text"))?;
        self.index.read().save(name).map_err(Error::graph("save"))
    }
}

fn slot_of(key: u64) -> Option<Slot> {
    if key == NO_KEY {
        return None;
    }
    u32::try_from(key & !AGAIN).ok().map(Slot)
}

/// A counted entry.
struct Permits {
    free: Mutex<usize>,
    returned: Condvar,
}

struct Permit<'a>(&'a Permits);

impl Permits {
    fn new(free: usize) -> Self {
        Self {
            free: Mutex::new(free),
            returned: Condvar::new(),
        }
    }

    fn take(&self) -> Permit<'_> {
        let mut free = self.free.lock();
        while *free == 0 {
            self.returned.wait(&mut free);
        }
        *free -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.returned.notify_one();
    }
}
