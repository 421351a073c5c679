//! Gives the room of replaced and deleted vectors back, a step at a time.
//!
//! A segment that is more than half dead is emptied: its live vectors move to
//! new slots. An empty one is removed once nothing can mean a vector in it any
//! more: no graph, no saved graph or payload index, and no power cut that takes the
//! rows back to a time when it was in use.

use crate::engine::{Engine, Indexing};
use crate::error::{Error, Result};
use crate::payload_indexes::PayloadChange;
use crate::rows::{IdRow, ReplicaRow, id_key};
use crate::slots::{SLOTS_PER_SEGMENT, Slot};
use crate::vectors::Owner;
use crate::writer::Writer;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimStep {
    /// There was nothing to do.
    Idle,
    /// So many live vectors moved out of a mostly dead segment.
    Moved(usize),
    /// So many empty segments were removed.
    Removed(usize),
}

/// Vectors moved a step: writes wait for no longer than these take.
const MOVES_A_STEP: usize = 256;

impl Engine {
    /// Moves some live vectors or removes empty segments. To be called again
    /// until it is idle.
    ///
    /// # Errors
    /// The disk failed, or stored data is damaged.
    pub fn reclaim_step(&self) -> Result<ReclaimStep> {
        let mut indexing = self.indexing.lock();
        indexing.check_syncs(&self.dir)?;
        let mut writer = self.writer.lock();
        let mut removed = 0;
        for number in writer.vectors.full_segments() {
            let live = writer.visible.len_of_segment(number);
            if live == 0 {
                let made = indexing.saved.made;
                let noted = *indexing.emptied.entry(number).or_insert(made);
                let of_rebuilds = indexing.rebuilds.values();
                let in_graphs = writer.in_graphs(number)
                    + indexing.saved.len_of_segment(number)
                    + of_rebuilds.map(|r| r.len_of_segment(number)).sum::<u32>();
                // A checkpoint since then: the rows that emptied it are durable.
                if made > noted && in_graphs == 0 {
                    writer.vectors.drop_segment(number)?;
                    indexing.emptied.remove(&number);
                    removed += 1;
                }
            } else if live < SLOTS_PER_SEGMENT / 2 {
                let next = writer.vectors.next();
                let moved = writer.empty_segment(number, &mut indexing);
                if moved.is_err() {
                    writer.vectors.rewind(next);
                }
                let moved = moved?;
                self.publish(&writer);
                return Ok(ReclaimStep::Moved(moved));
            }
        }
        if removed > 0 {
            self.publish(&writer);
            return Ok(ReclaimStep::Removed(removed));
        }
        Ok(ReclaimStep::Idle)
    }
}

impl Writer {
    /// How many slots of a segment the graphs have.
    fn in_graphs(&self, number: u32) -> u32 {
        let graphs = self.spaces.iter();
        graphs.map(|s| s.in_graph.len_of_segment(number)).sum()
    }

    fn empty_segment(&mut self, number: u32, indexing: &mut Indexing) -> Result<usize> {
        let start = number * SLOTS_PER_SEGMENT;
        let live = (start..start + SLOTS_PER_SEGMENT).map(Slot);
        let live: Vec<Slot> = live
            .filter(|s| self.visible.contains(*s))
            .take(MOVES_A_STEP)
            .collect();
        let rows = self.rows.clone();
        let view = rows.view();
        let mut batch = rows.batch();
        let mut moved = Vec::with_capacity(live.len());
        let mut payloads = Vec::new();
        for from in live {
            let (id, vnode, row) = self.row_of(from)?.ok_or_else(|| {
                Error::damaged(
                    "the rows",
                    format!("slot {} is visible and no row names it", from.0),
                )
            })?;
            let numbers = self.vectors.segments().numbers(from)?.to_vec();
            let to = self.vectors.push(&numbers, Owner { id, vnode }, row.seq)?;
            // Beside the vector is the row's seq now.
            let moved_row = IdRow {
                slot: to,
                is_edited: false,
                ..row
            };
            batch.set_id(&id_key(id, vnode), moved_row);
            let mut feed = view.feed_row(vnode, row.seq)?;
            feed.slot = to;
            if self.payload_indexes.indexes_any() {
                let payload = rows.object(id, &feed.payload)?;
                payloads.push(PayloadChange::Remove(from, payload.clone()));
                payloads.push(PayloadChange::Insert(to, payload));
            }
            batch.set_feed(vnode, row.seq, &feed);
            moved.push((from, to, row.names));
        }
        // The log has no entry for this: a power cut must find the vectors
        // wherever it finds the rows.
        indexing.sync_all(&self.vectors.take_dirty())?;
        batch.commit(ReplicaRow {
            applied: self.applied,
            next_slot: self.vectors.next().0,
        })?;
        for (from, to, names) in &moved {
            self.show(*to, *names);
            self.hide(*from);
        }
        self.payload_indexes.change(payloads);
        Ok(moved.len())
    }
}
