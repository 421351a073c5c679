//! Brings vectors into the graph, behind the writes, a step at a time, and
//! builds the graph anew when too much of it is dead. A driver calls the steps;
//! searches go on meanwhile, over the tail what the graph does not have yet.

use crate::Params;
use crate::engine::{Engine, Indexing};
use crate::error::Result;
use crate::index::Graph;
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
    /// Adds the next vectors to the graph, or goes on building it anew. To be
    /// called again until it is idle; at most one call runs at a time.
    ///
    /// # Errors
    /// The graph library failed, or stored data is damaged.
    pub fn index_step(&self) -> Result<IndexStep> {
        if self.params.index.is_none() {
            return Ok(IndexStep::Idle);
        }
        let mut indexing = self.indexing.lock();
        let added = self.index_tail(indexing.rebuild.as_mut())?;
        if indexing.rebuild.is_none() {
            indexing.rebuild = self.begin_rebuild(&indexing)?;
        }
        let Some(rebuild) = &mut indexing.rebuild else {
            return Ok(if added == 0 {
                IndexStep::Idle
            } else {
                IndexStep::Added(added)
            });
        };
        let extended = self.extend_rebuild(rebuild)?;
        if rebuild.todo.is_empty() {
            self.swap(rebuild);
            indexing.rebuild = None;
            return Ok(IndexStep::Swapped);
        }
        Ok(IndexStep::Added(added + extended))
    }

    fn index_tail(&self, rebuild: Option<&mut Rebuild>) -> Result<usize> {
        let (batch, segments, graph) = {
            let writer = self.writer.lock();
            let batch: Vec<Slot> = writer.tail.iter().take(self.tuning.index_batch).collect();
            (
                batch,
                writer.vectors.segments().clone(),
                writer.graph.clone(),
            )
        };
        if batch.is_empty() {
            return Ok(0);
        }
        let graph = match graph {
            Some(graph) => graph,
            None => Arc::new(begin(&self.params, &segments, &batch)?),
        };
        add_all(&graph, &segments, &batch, self.tuning.index_threads)?;
        if let Some(rebuild) = rebuild {
            add_all(&rebuild.graph, &segments, &batch, self.tuning.index_threads)?;
            rebuild.has.extend(&batch);
        }
        let mut writer = self.writer.lock();
        for slot in &batch {
            writer.in_graph.insert(*slot);
            // One that was deleted or replaced meanwhile is dead in the graph.
            if !writer.tail.remove(*slot) {
                writer.dead_in_graph += 1;
            }
        }
        writer.graph = Some(graph);
        self.publish(&writer);
        Ok(batch.len())
    }

    fn begin_rebuild(&self, indexing: &Indexing) -> Result<Option<Rebuild>> {
        let writer = self.writer.lock();
        let in_graph = writer.graph.as_ref().map_or(0, |g| g.len());
        let dead = usize::try_from(writer.dead_in_graph).unwrap_or(usize::MAX);
        // A few dead ones in each segment would keep the files of all.
        let waiting = indexing.waiting_for(&writer.in_graph).count() as u64;
        let dying = in_graph >= REBUILD_ABOVE && dead > in_graph / 4;
        if !dying && waiting <= writer.vectors.segments().count() / 4 {
            return Ok(None);
        }
        let visible: Vec<Slot> = writer.visible.iter().collect();
        // The tail comes into both graphs.
        let todo = writer.visible.difference(&writer.tail).iter().collect();
        let segments = writer.vectors.segments().clone();
        drop(writer);
        tracing::info!(
            in_graph,
            dead,
            waiting,
            "a quarter of the graph is dead, or of the segments wait for it: building it anew"
        );
        let graph = Arc::new(begin(&self.params, &segments, &visible)?);
        Ok(Some(Rebuild {
            graph,
            has: SlotSet::default(),
            todo,
        }))
    }

    fn extend_rebuild(&self, rebuild: &mut Rebuild) -> Result<usize> {
        let at = rebuild.todo.len().saturating_sub(self.tuning.index_batch);
        let mut batch = rebuild.todo.split_off(at);
        let segments = {
            let writer = self.writer.lock();
            batch.retain(|s| writer.visible.contains(*s));
            writer.vectors.segments().clone()
        };
        add_all(&rebuild.graph, &segments, &batch, self.tuning.index_threads)?;
        rebuild.has.extend(&batch);
        Ok(batch.len())
    }

    /// Puts the new graph in place. It lacks what the old one lacks: the tail.
    fn swap(&self, rebuild: &mut Rebuild) {
        let mut writer = self.writer.lock();
        let missing = writer.visible.difference(&rebuild.has);
        writer.dead_in_graph = rebuild.has.difference(&writer.visible).len();
        writer.tail = missing;
        writer.in_graph = std::mem::take(&mut rebuild.has);
        writer.graph = Some(rebuild.graph.clone());
        self.publish(&writer);
    }
}

fn begin(params: &Params, segments: &Segments, slots: &[Slot]) -> Result<Graph> {
    let hnsw = params.index.unwrap_or_default();
    let sample: Result<Vec<&[f32]>> = slots
        .iter()
        .step_by(slots.len().div_ceil(SAMPLE).max(1))
        .map(|s| segments.vector(*s))
        .collect();
    Graph::new(params.metric, params.dimension, hnsw, sample?.into_iter())
}

fn add_all(graph: &Graph, segments: &Segments, slots: &[Slot], threads: usize) -> Result<()> {
    graph.reserve(slots.len())?;
    in_parallel(slots, threads, |slot| {
        graph.add(slot, segments.vector(slot)?)
    })?;
    if threads == 1 {
        return Ok(());
    }
    let lost = Mutex::new(Vec::new());
    in_parallel(slots, threads, |slot| {
        if !graph.finds(slot, segments.vector(slot)?)? {
            lost.lock().push(slot);
        }
        Ok(())
    })?;
    let lost = lost.into_inner();
    graph.reserve(lost.len())?;
    for slot in lost {
        graph.add_again(slot, segments.vector(slot)?)?;
    }
    Ok(())
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
