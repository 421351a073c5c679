//! Applies log entries, in order. Every check of ownership is made here, on
//! replicated held, so that all replicas come to the same answer.
//!
//! ```text
//! entries ─▶ check custody ─▶ vectors into their slots ─▶ one batch of rows ─▶ sets of slots, columns ─▶ view
//! ```
//!
//! A vector is in its slot before a row names it, and a row is there before a
//! view shows it. Dying between two of these leaves a slot that nothing names;
//! a power cut may leave rows whose vectors are gone, hence [`Writer::redo`].

use crate::Params;
use crate::attempts::{self, Search};
use crate::entry::{Attempt, Change, Condition, Entry, OpId, Operation, Outcome, VnodeWrite};
use crate::error::{Error, Result};
use crate::names::{Names, Vector};
use crate::payload_indexes::{PayloadChange, PayloadIndexes};
use crate::rows::{
    FeedRow, IdRow, OpRow, ReplicaRow, Rows, RowsBatch, VnodeState, content_hash, id_key, op_key,
    point_hash,
};
use crate::slots::{Slot, SlotSet};
use crate::space::Space;
use crate::vectors::{Owner, Vectors};
use crate::view::View;
use crate::vnodes::VnodeTable;
use quoit_columns::Schema;
use quoit_filter::{Edit, Filter, Who};
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What only the one who applies may change.
pub struct Writer {
    pub(crate) params: Arc<Params>,
    pub(crate) rows: Rows,
    pub(crate) applied: u64,
    pub(crate) vectors: Vectors,
    pub(crate) vnodes: VnodeTable,
    pub(crate) visible: SlotSet,
    /// Visible slots beside whose vectors the seq is not the point's.
    pub(crate) edited: SlotSet,
    pub(crate) payload_indexes: PayloadIndexes,
    /// One for each of the collection's vectors, in their order.
    pub(crate) spaces: Vec<Space>,
}

/// A point as it is after the operations staged so far.
struct Present {
    row: IdRow,
    content: u128,
    payload: Vec<u8>,
}

/// Changes gathered from some entries, not yet made.
struct Stage<'a> {
    batch: RowsBatch<'a>,
    points: BTreeMap<Vec<u8>, Option<Present>>,
    vnodes: BTreeMap<Vnode, VnodeState>,
    /// Rows of `ops`, by their keys; nothing for a write without an op id.
    ops: BTreeMap<[u8; 3], Option<OpRow>>,
    /// What becomes of slots, in order.
    slots: Vec<SlotChange>,
    /// What becomes of payloads, in order; nothing where none is indexed.
    payloads: Vec<PayloadChange>,
    schema: Option<Schema>,
    /// Some vectors were copied from a slot that dies: their entry alone could
    /// not bring them back after a power cut.
    has_copies: bool,
}

enum SlotChange {
    Show(Slot, Names),
    Edit(Slot),
    Lack(Slot, Names),
    Hide(Slot),
}

/// What a new slot is filled with.
struct Filling {
    numbers: Vec<f32>,
    names: Names,
    payload: Vec<u8>,
}

impl Writer {
    /// Applies entries as one batch, with the keeper's note if there is one. On
    /// an error nothing has changed, and the same entries may be tried again.
    ///
    /// # Errors
    /// The disk failed or is full, stored data is damaged, or an entry does not
    /// fit the collection.
    pub fn apply(
        &mut self,
        entries: Vec<(u64, Entry)>,
        note: Option<&[u8]>,
    ) -> Result<Vec<Vec<Outcome>>> {
        let next_slot = self.vectors.next();
        let rows = self.rows.clone();
        let mut stage = Stage {
            batch: rows.batch(),
            points: BTreeMap::new(),
            vnodes: BTreeMap::new(),
            ops: BTreeMap::new(),
            slots: Vec::new(),
            payloads: Vec::new(),
            schema: None,
            has_copies: false,
        };
        if let Some(note) = note {
            stage.batch.set_note(note);
        }
        let before = self.applied;
        let mut applied = before;
        let mut outcomes = Vec::with_capacity(entries.len());
        let stage_all = || {
            for (index, entry) in entries {
                let is_same = index == applied && applied > before;
                if index != applied + 1 && !is_same {
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
            Entry::SetSchema(schema) => {
                let before = stage.schema.as_ref();
                let before = before.unwrap_or(self.payload_indexes.schema()).number;
                if schema.number > before {
                    stage.batch.set_schema(&schema);
                    stage.schema = Some(schema);
                }
                Ok(Vec::new())
            }
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
        let VnodeWrite {
            vnode,
            operations,
            attempt,
        } = write;
        let known = stage.vnodes.get(&vnode).cloned();
        let mut held = known.unwrap_or_else(|| self.vnodes.get(vnode));
        if !held.holding.custody.accepts_writes() {
            return Ok(Outcome::NotHere);
        }
        if let Some(Attempt {
            op_id,
            tried_since: Some(since),
        }) = attempt
            && let Some(answer) = self.tried_before(stage, vnode, held.w, op_id, since)?
        {
            return Ok(answer);
        }
        let mut left = Vec::new();
        for (place, operation) in (0..).zip(operations) {
            if !self.stage_operation(stage, &mut held, index, vnode, operation)? {
                left.push(place);
            }
        }
        held.w += 1;
        let (seq, w) = (held.seq, held.w);
        let row = attempt.map(|Attempt { op_id, .. }| OpRow {
            op_id,
            seq,
            left: left.clone(),
        });
        stage.ops.insert(op_key(vnode, w), row);
        stage.vnodes.insert(vnode, held);
        Ok(Outcome::Done { seq, left, w })
    }

    /// The answer to a write that was tried before; none if it is to be done now.
    fn tried_before(
        &self,
        stage: &Stage<'_>,
        vnode: Vnode,
        w: u64,
        op_id: OpId,
        since: u64,
    ) -> Result<Option<Outcome>> {
        let Search { numbers, is_whole } = attempts::search(w, since);
        for number in numbers {
            let key = op_key(vnode, number);
            let row = match stage.ops.get(&key) {
                Some(staged) => staged.clone(),
                None => self.rows.op(key)?,
            };
            if let Some(OpRow { seq, left, .. }) = row.filter(|row| row.op_id == op_id) {
                let w = number;
                return Ok(Some(Outcome::Done { seq, left, w }));
            }
        }
        Ok((!is_whole).then_some(Outcome::Forgotten))
    }

    /// Says whether the operation had what it needs.
    fn stage_operation(
        &mut self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        index: u64,
        vnode: Vnode,
        operation: Operation,
    ) -> Result<bool> {
        let Operation {
            id,
            only_if,
            change,
        } = operation;
        let owner = Owner { id, vnode };
        let key = id_key(id, vnode);
        let present = match stage.points.remove(&key) {
            Some(staged) => staged,
            None => self.present(&key, owner)?,
        };
        let is_met = match &only_if {
            Condition::Always => true,
            Condition::Unchanged { seq } => present.as_ref().is_some_and(|p| p.row.seq == *seq),
            Condition::MeetsOrMissing(filter) => match &present {
                None => true,
                Some(p) => self.meets(filter, id, p)?,
            },
            Condition::Meets(filter) => match &present {
                None => false,
                Some(p) => self.meets(filter, id, p)?,
            },
            Condition::Missing => present.is_none(),
        };
        let (done, point) = match (change, present) {
            (_, present) if !is_met => (false, present),
            (Change::Upsert { vectors, payload }, old) => {
                self.check_vectors(index, id, &vectors)?;
                let (numbers, names) = self.composed(vectors);
                let filling = Filling {
                    numbers,
                    names,
                    payload,
                };
                let point = self.stage_slot(stage, held, index, owner, old.as_ref(), filling)?;
                (true, Some(point))
            }
            (Change::SetVectors(vectors), Some(old)) => {
                self.check_vectors(index, id, &vectors)?;
                let filling = self.stage_merge(stage, &old, vectors)?;
                let point = self.stage_slot(stage, held, index, owner, Some(&old), filling)?;
                (true, Some(point))
            }
            (Change::RemoveVectors(names), Some(present)) => {
                let point = self.stage_lack(stage, held, owner, present, names)?;
                (true, Some(point))
            }
            (Change::EditPayload(edit), Some(present)) => {
                let point = self.stage_edit(stage, held, owner, &present, &edit)?;
                (true, Some(point))
            }
            (Change::Delete, Some(present)) => {
                self.stage_removal(stage, held, owner, &present)?;
                held.seq += 1;
                stage.batch.remove_id(&key);
                stage.slots.push(SlotChange::Hide(present.row.slot));
                (true, None)
            }
            (Change::Delete, None) => (true, None),
            (Change::SetVectors(_) | Change::RemoveVectors(_) | Change::EditPayload(_), None) => {
                (false, None)
            }
        };
        stage.points.insert(key, point);
        Ok(done)
    }

    fn meets(&self, filter: &Filter, id: PointId, present: &Present) -> Result<bool> {
        let names = present.row.names;
        let has_vector = |name: &str| self.params.name(name).is_some_and(|n| names.contains(n));
        let who = Who {
            id,
            has_vector: &has_vector,
        };
        let filter = self.payload_indexes.columns().analyzed(filter);
        Ok(filter.is_met(who, &self.rows.object(id, &present.payload)?))
    }

    fn present(&self, key: &[u8], owner: Owner) -> Result<Option<Present>> {
        let Some(row) = self.rows.id_row(key)? else {
            return Ok(None);
        };
        let FeedRow {
            content, payload, ..
        } = self.rows.feed_row(owner.vnode, row.seq)?;
        Ok(Some(Present {
            row,
            content,
            payload,
        }))
    }

    /// The last line of defence: an infinite number would come out of every
    /// distance as the nearest or as none, and the graph library takes it.
    fn check_vectors(&self, index: u64, id: PointId, vectors: &[Vector]) -> Result<()> {
        let misfit = |what| Err(Error::MisfitEntry { index, what });
        for Vector { name, values } in vectors {
            let Some(params) = self.params.vectors.get(name.index()) else {
                let place = name.0;
                return misfit(format!(
                    "point {id} has a vector of an unknown name, {place}"
                ));
            };
            if values.len() != params.dimension {
                let dimensions = values.len();
                return misfit(format!(
                    "the vector of point {id} has {dimensions} dimensions"
                ));
            }
            if values.iter().any(|x| !x.is_finite()) {
                return misfit(format!(
                    "the vector of point {id} has a number that is not finite"
                ));
            }
        }
        Ok(())
    }

    /// Vectors as a slot holds them, and which they are.
    fn composed(&self, mut vectors: Vec<Vector>) -> (Vec<f32>, Names) {
        let layout = self.vectors.segments().layout();
        for Vector { name, values } in &mut vectors {
            if let Some(params) = self.params.vectors.get(name.index()) {
                params.metric.prepare(values);
            }
        }
        let names = vectors.iter().map(|v| v.name).collect();
        let numbers = match vectors.as_mut_slice() {
            // The only one that there is: as it came.
            [one] if one.values.len() == layout.len() => std::mem::take(&mut one.values),
            vectors => {
                let mut numbers = vec![0.0; layout.len()];
                for Vector { name, values } in vectors {
                    numbers[layout.place(*name)].copy_from_slice(values);
                }
                numbers
            }
        };
        (numbers, names)
    }

    fn content(&self, names: Names, numbers: &[f32], payload: &[u8]) -> u128 {
        let layout = self.vectors.segments().layout();
        content_hash(names, layout.parts(numbers, names), payload)
    }

    /// A point's present vectors with others in the place of some.
    fn stage_merge(
        &self,
        stage: &mut Stage<'_>,
        old: &Present,
        vectors: Vec<Vector>,
    ) -> Result<Filling> {
        let (mut numbers, changed) = self.composed(vectors);
        let kept = old.row.names.without(changed);
        if !kept.is_empty() {
            let segments = self.vectors.segments();
            let present = segments.numbers(old.row.slot)?;
            for place in kept.iter().map(|name| segments.layout().place(name)) {
                numbers[place.clone()].copy_from_slice(&present[place]);
            }
            stage.has_copies = true;
        }
        Ok(Filling {
            numbers,
            names: changed.and(kept),
            payload: old.payload.clone(),
        })
    }

    /// New vectors, in a slot of their own.
    fn stage_slot(
        &mut self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        index: u64,
        owner: Owner,
        old: Option<&Present>,
        filling: Filling,
    ) -> Result<Present> {
        let Filling {
            numbers,
            names,
            payload,
        } = filling;
        let slot = self.vectors.push(&numbers, owner, held.seq + 1)?;
        if let Some(old) = old {
            self.stage_removal(stage, held, owner, old)?;
            stage.slots.push(SlotChange::Hide(old.row.slot));
        }
        stage.slots.push(SlotChange::Show(slot, names));
        held.seq += 1;
        let row = IdRow {
            slot,
            seq: held.seq,
            vector_index: index,
            is_edited: false,
            names,
        };
        let content = self.content(names, &numbers, &payload);
        self.stage_point(stage, held, owner, row, content, payload)
    }

    /// Some vectors fewer; the others stay where they are.
    fn stage_lack(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        owner: Owner,
        old: Present,
        names: Names,
    ) -> Result<Present> {
        let left = old.row.names.without(names);
        if left == old.row.names {
            return Ok(old);
        }
        let slot = old.row.slot;
        let numbers = self.vectors.segments().numbers(slot)?;
        let content = self.content(left, numbers, &old.payload);
        self.stage_removal(stage, held, owner, &old)?;
        stage.slots.push(SlotChange::Lack(slot, names));
        held.seq += 1;
        let row = IdRow {
            seq: held.seq,
            is_edited: true,
            names: left,
            ..old.row
        };
        self.stage_point(stage, held, owner, row, content, old.payload)
    }

    /// Another payload; the vectors stay where they are.
    fn stage_edit(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        owner: Owner,
        old: &Present,
        edit: &Edit,
    ) -> Result<Present> {
        let edited = edit.apply(&old.payload);
        let payload = edited.map_err(|e| self.rows.bad_payload(owner.id, &e))?;
        let slot = old.row.slot;
        let numbers = self.vectors.segments().numbers(slot)?;
        let content = self.content(old.row.names, numbers, &payload);
        self.stage_removal(stage, held, owner, old)?;
        stage.slots.push(SlotChange::Edit(slot));
        held.seq += 1;
        let row = IdRow {
            seq: held.seq,
            is_edited: true,
            ..old.row
        };
        self.stage_point(stage, held, owner, row, content, payload)
    }

    /// A point as it is from now on.
    fn stage_point(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        owner: Owner,
        row: IdRow,
        content: u128,
        payload: Vec<u8>,
    ) -> Result<Present> {
        if self.payload_indexes.indexes_any() {
            let object = self.rows.object(owner.id, &payload)?;
            stage.payloads.push(PayloadChange::Insert(row.slot, object));
        }
        held.count += 1;
        let hash = point_hash(owner.id, row.seq, content);
        held.digest = held.digest.wrapping_add(hash);
        stage.batch.set_id(&id_key(owner.id, owner.vnode), row);
        let feed = FeedRow {
            slot: row.slot,
            id: owner.id,
            content,
            payload,
        };
        stage.batch.set_feed(owner.vnode, row.seq, &feed);
        Ok(Present {
            row,
            content,
            payload: feed.payload,
        })
    }

    /// Takes a point's present version out of everything but its row in `ids`
    /// and the sets of slots.
    fn stage_removal(
        &self,
        stage: &mut Stage<'_>,
        held: &mut VnodeState,
        owner: Owner,
        old: &Present,
    ) -> Result<()> {
        if self.payload_indexes.indexes_any() {
            let object = self.rows.object(owner.id, &old.payload)?;
            let change = PayloadChange::Remove(old.row.slot, object);
            stage.payloads.push(change);
        }
        stage.batch.remove_feed(owner.vnode, old.row.seq);
        held.count -= 1;
        let hash = point_hash(owner.id, old.row.seq, old.content);
        held.digest = held.digest.wrapping_sub(hash);
        Ok(())
    }

    fn commit(&mut self, stage: Stage<'_>, applied: u64) -> Result<()> {
        let Stage {
            mut batch,
            points: _,
            vnodes,
            ops,
            slots,
            payloads,
            schema,
            has_copies,
        } = stage;
        if has_copies {
            self.vectors.sync_now()?;
        }
        for (vnode, held) in &vnodes {
            batch.set_vnode(*vnode, held);
        }
        for (key, row) in &ops {
            batch.set_op(*key, row.as_ref());
        }
        batch.commit(ReplicaRow {
            applied,
            next_slot: self.vectors.next().0,
        })?;
        self.applied = applied;
        for (vnode, held) in vnodes {
            self.vnodes.set(vnode, held);
        }
        for change in slots {
            match change {
                SlotChange::Show(slot, names) => self.show(slot, names),
                SlotChange::Edit(slot) => {
                    self.edited.insert(slot);
                }
                SlotChange::Lack(slot, names) => {
                    self.edited.insert(slot);
                    for space in self.spaces.iter_mut().filter(|s| names.contains(s.name)) {
                        space.hide(slot);
                    }
                }
                SlotChange::Hide(slot) => self.hide(slot),
            }
        }
        self.payload_indexes.change(payloads);
        if let Some(schema) = schema {
            self.payload_indexes.adopt(schema);
        }
        Ok(())
    }

    pub(crate) fn show(&mut self, slot: Slot, names: Names) {
        self.visible.insert(slot);
        for space in self.spaces.iter_mut().filter(|s| names.contains(s.name)) {
            space.show(slot);
        }
    }

    pub(crate) fn hide(&mut self, slot: Slot) {
        self.visible.remove(slot);
        self.edited.remove(slot);
        for space in &mut self.spaces {
            space.hide(slot);
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
        for VnodeWrite {
            vnode, operations, ..
        } in writes
        {
            for Operation { id, change, .. } in operations {
                let (Change::Upsert { vectors, .. } | Change::SetVectors(vectors)) = change else {
                    continue;
                };
                let row = self.rows.id_row(&id_key(id, vnode))?;
                let Some(row) = row.filter(|r| r.vector_index == index) else {
                    continue;
                };
                let (numbers, _) = self.composed(vectors);
                // Of several changes of one point in this entry only one came to
                // be the point's, and not the last if its condition failed; and
                // what was merged with former vectors was synced before its row.
                let feed = self.rows.feed_row(vnode, row.seq)?;
                if self.content(row.names, &numbers, &feed.payload) == feed.content {
                    let owner = Owner { id, vnode };
                    let seq = self.seq_beside(row, owner);
                    self.vectors.put(row.slot, &numbers, owner, seq)?;
                }
            }
        }
        Ok(())
    }

    /// The seq that is written beside vectors once more. Their slot may be read at
    /// this moment, by an export of the engine that was open before: what it holds
    /// must stay what it is, also if the point was edited since.
    fn seq_beside(&self, row: IdRow, owner: Owner) -> u64 {
        let segments = self.vectors.segments();
        match (segments.owner(row.slot), segments.seq(row.slot)) {
            (Ok(there), Ok(seq)) if row.is_edited && there == owner => seq,
            _ => row.seq,
        }
    }

    /// A picture of what is applied.
    pub fn picture(&self) -> View {
        View {
            params: self.params.clone(),
            applied: self.applied,
            rows: self.rows.view(),
            segments: self.vectors.segments().clone(),
            visible: self.visible.clone(),
            edited: self.edited.clone(),
            columns: self.payload_indexes.columns().clone(),
            schema: self.payload_indexes.schema().number,
            universe: OnceLock::new(),
            spaces: self.spaces.iter().map(Space::picture).collect(),
            vnodes: self.vnodes.clone(),
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
