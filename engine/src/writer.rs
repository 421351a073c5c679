//! Applies log entries, in order. Every check of ownership is made here, on
//! replicated held, so that all replicas come to the same answer.
//!
//! ```text
//! entries ─▶ check custody ─▶ vectors into their slots ─▶ one batch of rows ─▶ sets of slots ─▶ view
//! ```
//!
//! A vector is in its slot before a row names it, and a row is there before a
//! view shows it. Dying between two of these leaves a slot that nothing names;
//! a power cut may leave rows whose vectors are gone, hence [`Writer::redo`].

use crate::Params;
use crate::entry::{Entry, Operation, Outcome, VnodeWrite};
use crate::error::{Error, Result};
use crate::index::Graph;
use crate::rows::{
    FeedRow, IdRow, ReplicaRow, Rows, RowsBatch, VnodeState, content_hash, id_key, point_hash,
};
use crate::slots::{Slot, SlotSet};
use crate::vectors::{Owner, Vectors};
use crate::view::View;
use crate::vnodes::VnodeTable;
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What only the one who applies may change.
pub struct Writer {
    pub(crate) params: Params,
    pub(crate) rows: Rows,
    pub(crate) applied: u64,
    pub(crate) vectors: Vectors,
    pub(crate) vnodes: VnodeTable,
    pub(crate) visible: SlotSet,
    pub(crate) tail: SlotSet,
    pub(crate) graph: Option<Arc<Graph>>,
    pub(crate) in_graph: SlotSet,
    pub(crate) dead_in_graph: u64,
}

/// A point's row as it is after the operations staged so far.
#[derive(Clone, Copy)]
struct Staged {
    row: IdRow,
    content: u128,
}

/// Changes gathered from some entries, not yet made.
struct Stage<'a> {
    batch: RowsBatch<'a>,
    points: BTreeMap<Vec<u8>, Option<Staged>>,
    vnodes: BTreeMap<Vnode, VnodeState>,
    shown: Vec<Slot>,
    hidden: Vec<Slot>,
}

impl Writer {
    /// Applies entries as one batch. On an error nothing has changed, and the
    /// same entries may be tried again.
    ///
    /// # Errors
    /// The disk failed or is full, stored data is damaged, or an entry does not
    /// fit the collection.
    pub fn apply(&mut self, entries: Vec<(u64, Entry)>) -> Result<Vec<Vec<Outcome>>> {
        let next_slot = self.vectors.next();
        let rows = self.rows.clone();
        let mut stage = Stage {
            batch: rows.batch(),
            points: BTreeMap::new(),
            vnodes: BTreeMap::new(),
            shown: Vec::new(),
            hidden: Vec::new(),
        };
        let mut applied = self.applied;
        let mut outcomes = Vec::with_capacity(entries.len());
        let stage_all = || {
            for (index, entry) in entries {
                if index != applied + 1 {
                    let what = format!("it comes after entry {applied}");
                    return Err(Error::MisfitEntry { index, what });
                }
                outcomes.push(self.stage(&mut stage, index, entry)?);
                applied = index;
            }
            Ok(())
        };
        let staged = stage_all();
        let committed = staged.and_then(|()| self.commit(stage, applied));
        if let Err(error) = committed {
            // The slots that were filled are named by nothing: use them again.
            self.vectors.rewind(next_slot);
            return Err(error);
        }
        Ok(outcomes)
    }

    fn stage(&mut self, stage: &mut Stage<'_>, index: u64, entry: Entry) -> Result<Vec<Outcome>> {
        match entry {
            Entry::Blank => Ok(Vec::new()),
            Entry::Found(vnodes) => self.stage_found(stage, index, &vnodes),
            Entry::Write(writes) => writes
                .into_iter()
                .map(|write| self.stage_write(stage, index, write))
                .collect(),
        }
    }

    fn stage_found(
        &self,
        stage: &mut Stage<'_>,
        index: u64,
        vnodes: &VnodeSet,
    ) -> Result<Vec<Outcome>> {
        // Entries that leave the state alone may come before: those of the log's
        // own, and writes, all refused.
        let history = u64::from(self.vnodes.is_founded() || !stage.vnodes.is_empty());
        let holdings = quoit_ring::found(history, self.params.vnodes, vnodes).map_err(|e| {
            Error::MisfitEntry {
                index,
                what: e.to_string(),
            }
        })?;
        for (vnode, holding) in self.params.vnodes.iter().zip(holdings) {
            stage.vnodes.insert(
                vnode,
                VnodeState {
                    holding,
                    ..VnodeState::default()
                },
            );
        }
        Ok(Vec::new())
    }

    fn stage_write(
        &mut self,
        stage: &mut Stage<'_>,
        index: u64,
        write: VnodeWrite,
    ) -> Result<Outcome> {
        let VnodeWrite { vnode, operations } = write;
        let known = stage.vnodes.get(&vnode).cloned();
        let mut held = known.unwrap_or_else(|| self.vnodes.get(vnode));
        if !held.holding.custody.accepts_writes() {
            return Ok(Outcome::NotHere);
        }
        for operation in operations {
            match operation {
                Operation::Upsert {
                    id,
                    vector,
                    payload,
                } => {
                    self.check_vector(index, id, &vector)?;
                    self.stage_upsert(
                        stage,
                        &mut held,
                        index,
                        Owner { id, vnode },
                        vector,
                        payload,
                    )?;
                }
                Operation::Delete { id } => {
                    self.stage_delete(stage, &mut held, Owner { id, vnode })?;
                }
            }
        }
        let seq = held.seq;
        stage.vnodes.insert(vnode, held);
        Ok(Outcome::Done { seq })
    }

    /// The last line of defence: an infinite number would come out of every
    /// distance as the nearest or as none, and the graph library takes it.
    fn check_vector(&self, index: u64, id: PointId, vector: &[f32]) -> Result<()> {
        let what = if vector.len() != self.params.dimension {
            format!("the vector of point {id} has {} dimensions", vector.len())
        } else if vector.iter().any(|x| !x.is_finite()) {
            format!("the vector of point {id} has a number that is not finite")
        } else {
            return Ok(());
        };
        Err(Error::MisfitEntry { index, what })
    }

    fn stage_upsert(
        &mut self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        index: u64,
        owner: Owner,
        mut vector: Vec<f32>,
        payload: Vec<u8>,
    ) -> Result<()> {
        self.params.metric.prepare(&mut vector);
        let key = id_key(owner.id, owner.vnode);
        self.stage_removal(stage, held, &key, owner)?;
        held.seq += 1;
        let slot = self.vectors.push(&vector, owner, held.seq)?;
        let content = content_hash(&vector, &payload);
        held.count += 1;
        held.digest = held
            .digest
            .wrapping_add(point_hash(owner.id, held.seq, content));
        let row = IdRow {
            slot,
            seq: held.seq,
            vector_index: index,
        };
        stage.batch.set_id(&key, row);
        stage.batch.set_feed(
            owner.vnode,
            held.seq,
            &FeedRow {
                slot,
                id: owner.id,
                content,
                payload,
            },
        );
        stage.points.insert(key, Some(Staged { row, content }));
        stage.shown.push(slot);
        Ok(())
    }

    fn stage_delete(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        owner: Owner,
    ) -> Result<()> {
        let key = id_key(owner.id, owner.vnode);
        if self.stage_removal(stage, held, &key, owner)? {
            held.seq += 1;
            stage.batch.remove_id(&key);
            stage.points.insert(key, None);
        }
        Ok(())
    }

    /// Takes a point's present version out of everything but its row in `ids`;
    /// says whether there was one.
    fn stage_removal(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        key: &[u8],
        owner: Owner,
    ) -> Result<bool> {
        let old = match stage.points.get(key) {
            Some(staged) => *staged,
            None => match self.rows.id_row(key)? {
                Some(row) => Some(Staged {
                    row,
                    content: self.rows.content(owner.vnode, row.seq)?,
                }),
                None => None,
            },
        };
        let Some(Staged { row, content }) = old else {
            return Ok(false);
        };
        stage.batch.remove_feed(owner.vnode, row.seq);
        held.count -= 1;
        held.digest = held
            .digest
            .wrapping_sub(point_hash(owner.id, row.seq, content));
        stage.hidden.push(row.slot);
        Ok(true)
    }

    fn commit(&mut self, stage: Stage<'_>, applied: u64) -> Result<()> {
        let Stage {
            mut batch,
            points: _,
            vnodes,
            shown,
            hidden,
        } = stage;
        for (vnode, held) in &vnodes {
            batch.set_vnode(*vnode, held);
        }
        batch.commit(ReplicaRow {
            applied,
            next_slot: self.vectors.next().0,
        })?;
        self.applied = applied;
        for (vnode, held) in vnodes {
            self.vnodes.set(vnode, held);
        }
        // Shown first: a slot of this batch may be hidden by this batch.
        for slot in shown {
            self.show(slot);
        }
        for slot in hidden {
            self.hide(slot);
        }
        Ok(())
    }

    pub(crate) fn show(&mut self, slot: Slot) {
        self.visible.insert(slot);
        if !self.in_graph.contains(slot) {
            self.tail.insert(slot);
        }
    }

    pub(crate) fn hide(&mut self, slot: Slot) {
        self.visible.remove(slot);
        if !self.tail.remove(slot) && self.in_graph.contains(slot) {
            self.dead_in_graph += 1;
        }
    }

    /// Replays an entry whose rows are there already: only its vectors may have
    /// been lost. A point that changed since needs none of it.
    ///
    /// # Errors
    /// The disk failed, or stored data is damaged.
    pub fn redo(&mut self, index: u64, entry: Entry) -> Result<()> {
        let Entry::Write(writes) = entry else {
            return Ok(());
        };
        for VnodeWrite { vnode, operations } in writes {
            for operation in operations {
                let Operation::Upsert { id, mut vector, .. } = operation else {
                    continue;
                };
                let row = self.rows.id_row(&id_key(id, vnode))?;
                // Of two upserts of one id in this entry the later one comes
                // last here too, into the same slot.
                if let Some(row) = row.filter(|r| r.vector_index == index) {
                    self.params.metric.prepare(&mut vector);
                    let owner = Owner { id, vnode };
                    self.vectors.put(row.slot, &vector, owner, row.seq)?;
                }
            }
        }
        Ok(())
    }

    /// A picture of what is applied.
    pub fn picture(&self) -> View {
        View {
            params: self.params.clone(),
            applied: self.applied,
            rows: self.rows.view(),
            segments: self.vectors.segments().clone(),
            visible: self.visible.clone(),
            tail: if self.params.index.is_some() {
                self.tail.clone()
            } else {
                SlotSet::default()
            },
            vnodes: self.vnodes.clone(),
            graph: self.graph.clone(),
            dead_in_graph: self.dead_in_graph,
        }
    }

    /// The point that a slot's vector belongs to, if the slot is its present one.
    pub(crate) fn row_of(&self, slot: Slot) -> Result<Option<(PointId, Vnode, IdRow)>> {
        let owner = self.vectors.segments().owner(slot)?;
        let row = self.rows.id_row(&id_key(owner.id, owner.vnode))?;
        Ok(row
            .filter(|r| r.slot == slot)
            .map(|r| (owner.id, owner.vnode, r)))
    }
}
