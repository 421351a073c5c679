//! Brings vectors into the graphs, behind the writes, a step at a time, and
//! builds a graph anew when too much of it is dead. A driver calls the steps;
//! searches go on meanwhile, over the tail what the graph does not have yet.

use crate::VectorParams;
use crate::engine::{Engine, Indexing};
use crate::error::Result;
use crate::index::Graph;
use crate::names::Name;
use crate::slots::{Slot, SlotSet};
use crate::vectors::Segments;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexStep {
    /// There was nothing to do.
    Idle,
    /// So many vectors came into a graph; there may be more.
    Added(usize),
    /// A graph built anew took the place of the old one.
    Swapped,
}

/// A graph that is being built to take the place of the present one. What is
/// indexed meanwhile comes into both: else it would have to catch up with the
/// writes, and under a steady load it never would.
pub struct Rebuild {
    graph: Arc<Graph>,
    has: SlotSet,
    todo: Vec<Slot>,
}

impl Rebuild {
    /// How many slots of a segment the new graph has. Of those it is to have
    /// the dead ones are left out when their turn comes.
    pub(crate) fn len_of_segment(&self, number: u32) -> u32 {
        self.has.len_of_segment(number)
    }
}

/// How many vectors a quantizer learns its range from.
const SAMPLE: usize = 1000;

/// Smaller graphs are not worth building anew for the dead in them.
const REBUILD_ABOVE: usize = 1000;

impl Engine {
    /// Adds the next vectors to the graphs, or goes on building one anew. To be
    /// called again until it is idle; at most one call runs at a time.
    ///
    /// # Errors
    /// The graph library failed, or stored data is damaged.
    pub fn index_step(&self) -> Result<IndexStep> {
        let mut indexing = self.indexing.lock();
        let mut done = IndexStep::Idle;
        // Each name has its turn: under a steady load the first alone would
        // always have something to do.
        for (name, params) in self.params.named() {
            if params.index.is_none() {
                continue;
            }
            let source = Source { name, params };
            done = match (done, self.index_one(&mut indexing, source)?) {
                (IndexStep::Added(one), IndexStep::Added(other)) => IndexStep::Added(one + other),
                (IndexStep::Swapped, _) | (_, IndexStep::Swapped) => IndexStep::Swapped,
                // None was added of a batch that died: there may be more.
                (IndexStep::Added(n), _) | (_, IndexStep::Added(n)) => IndexStep::Added(n),
                (IndexStep::Idle, IndexStep::Idle) => IndexStep::Idle,
            };
        }
        Ok(done)
    }

    fn index_one(&self, indexing: &mut Indexing, source: Source<'_>) -> Result<IndexStep> {
        let name = source.name;
        let mut rebuild = indexing.rebuilds.remove(&name);
        let added = self.index_tail(source, rebuild.as_mut());
        let begun = match rebuild {
            Some(rebuild) => Ok(Some(rebuild)),
            None if added.is_ok() => self.begin_rebuild(source, indexing),
            None => Ok(None),
        };
        let Some(mut rebuild) = begun? else {
            return Ok(match added? {
                0 => IndexStep::Idle,
                added => IndexStep::Added(added),
            });
        };
        let extended = added.and_then(|n| Ok(n + self.extend_rebuild(source, &mut rebuild)?));
        if extended.is_ok() && rebuild.todo.is_empty() {
            self.swap(name, rebuild);
            return Ok(IndexStep::Swapped);
        }
        indexing.rebuilds.insert(name, rebuild);
        extended.map(IndexStep::Added)
    }

    fn index_tail(&self, source: Source<'_>, rebuild: Option<&mut Rebuild>) -> Result<usize> {
        let place = source.name.index();
        let (batch, segments, graph) = {
            let writer = self.writer.lock();
            let space = &writer.spaces[place];
            let batch: Vec<Slot> = space.tail.iter().take(self.tuning.index_batch).collect();
            (
                batch,
                writer.vectors.segments().clone(),
                space.graph.clone(),
            )
        };
        if batch.is_empty() {
            return Ok(0);
        }
        let graph = match graph {
            Some(graph) => graph,
            None => Arc::new(source.begin(&segments, &batch)?),
        };
        let threads = self.tuning.index_threads;
        source.add_all(&graph, &segments, &batch, threads)?;
        if let Some(rebuild) = rebuild {
            source.add_all(&rebuild.graph, &segments, &batch, threads)?;
            rebuild.has.extend(&batch);
        }
        let mut writer = self.writer.lock();
        let space = &mut writer.spaces[place];
        for slot in &batch {
            space.in_graph.insert(*slot);
            // One that was deleted or replaced meanwhile is dead in the graph.
            if !space.tail.remove(*slot) {
                space.dead_in_graph += 1;
            }
        }
        space.graph = Some(graph);
        self.publish(&writer);
        Ok(batch.len())
    }

    fn begin_rebuild(&self, source: Source<'_>, indexing: &Indexing) -> Result<Option<Rebuild>> {
        let writer = self.writer.lock();
        let space = &writer.spaces[source.name.index()];
        let in_graph = space.graph.as_ref().map_or(0, |g| g.len());
        let dead = usize::try_from(space.dead_in_graph).unwrap_or(usize::MAX);
        // A few dead ones in each segment would keep the files of all.
        let waiting = indexing.waiting_for(&space.in_graph).count() as u64;
        let dying = in_graph >= REBUILD_ABOVE && dead > in_graph / 4;
        if !dying && waiting <= writer.vectors.segments().count() / 4 {
            return Ok(None);
        }
        let all: Vec<Slot> = space.has.iter().collect();
        // The tail comes into both graphs.
        let todo = space.has.difference(&space.tail).iter().collect();
        let segments = writer.vectors.segments().clone();
        drop(writer);
        tracing::info!(
            vector = source.params.name,
            in_graph,
            dead,
            waiting,
            "a quarter of the graph is dead, or of the segments wait for it: building it anew"
        );
        let graph = Arc::new(source.begin(&segments, &all)?);
        Ok(Some(Rebuild {
            graph,
            has: SlotSet::default(),
            todo,
        }))
    }

    fn extend_rebuild(&self, source: Source<'_>, rebuild: &mut Rebuild) -> Result<usize> {
        let at = rebuild.todo.len().saturating_sub(self.tuning.index_batch);
        let mut batch = rebuild.todo.split_off(at);
        let segments = {
            let writer = self.writer.lock();
            let space = &writer.spaces[source.name.index()];
            batch.retain(|s| space.has.contains(*s));
            writer.vectors.segments().clone()
        };
        source.add_all(&rebuild.graph, &segments, &batch, self.tuning.index_threads)?;
        rebuild.has.extend(&batch);
        Ok(batch.len())
    }

    /// Puts the new graph in place. It lacks what the old one lacks: the tail.
    fn swap(&self, name: Name, rebuild: Rebuild) {
        let mut writer = self.writer.lock();
        let space = &mut writer.spaces[name.index()];
        space.dead_in_graph = rebuild.has.difference(&space.has).len();
        space.tail = space.has.difference(&rebuild.has);
        space.in_graph = rebuild.has;
        space.graph = Some(rebuild.graph);
        self.publish(&writer);
    }
}

/// Which of the vectors in a slot a graph is made of.
#[derive(Clone, Copy)]
struct Source<'a> {
    name: Name,
    params: &'a VectorParams,
}

impl Source<'_> {
    fn begin(self, segments: &Segments, slots: &[Slot]) -> Result<Graph> {
        let VectorParams {
            metric,
            dimension,
            index,
            ..
        } = *self.params;
        let sample: Result<Vec<&[f32]>> = slots
            .iter()
            .step_by(slots.len().div_ceil(SAMPLE).max(1))
            .map(|s| segments.vector(*s, self.name))
            .collect();
        let hnsw = index.unwrap_or_default();
        Graph::new(metric, dimension, hnsw, sample?.into_iter())
    }

    fn add_all(
        self,
        graph: &Graph,
        segments: &Segments,
        slots: &[Slot],
        threads: usize,
    ) -> Result<()> {
        let vector = |slot| segments.vector(slot, self.name);
        graph.reserve(slots.len())?;
        {
            let adding = graph.adding();
            in_parallel(slots, threads, |slot| {
                graph.add(&adding, slot, vector(slot)?)
            })?;
        }
        if threads == 1 {
            return Ok(());
        }
        let lost = Mutex::new(Vec::new());
        in_parallel(slots, threads, |slot| {
            if !graph.finds(slot, vector(slot)?)? {
                lost.lock().push(slot);
            }
            Ok(())
        })?;
        let lost = lost.into_inner();
        graph.reserve(lost.len())?;
        let adding = graph.adding();
        for slot in lost {
            graph.add_again(&adding, slot, vector(slot)?)?;
        }
        Ok(())
    }
}

/// Does something for each slot, with some threads; the first failure is the answer.
fn in_parallel(
    slots: &[Slot],
    threads: usize,
    each: impl Fn(Slot) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(*slot)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = threads.clamp(1, slots.len().max(1));
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for other in others {
            // A panic in the library's binding is a failure like any other.
            let joined = other.join().unwrap_or_else(|_| {
                Err(crate::Error::Graph {
                    action: "add vectors",
                    message: "a worker panicked".into(),
                })
            });
            result = result.and(joined);
        }
        result
    })
}
