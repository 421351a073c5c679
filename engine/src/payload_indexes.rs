//! The payload indexes as the writer keeps them: which there are to be, what is
//! in them, and how far those that are new have come.
//!
//! A new index is built behind the writes, a step at a time, in the order of
//! ids. A change made meanwhile goes to all indexes at once, so that the pass
//! may meet a point before or after it. After a restart they have what the last
//! checkpoint had and still holds, and the pass brings the rest.

use crate::engine::Engine;
use crate::error::Result;
use crate::slots::Slot;
use crate::writer::Writer;
use quoit_columns::{Column, Columns, Schema};
use quoit_ring::{PointId, Vnode};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};

/// Points that a step gives to new indexes, and bytes of their payloads, about
/// at most: writes wait for no longer.
const STEP: usize = 256;
/// Points that a step may pass over because the indexes have them.
const STEP_OVER: usize = 16 * STEP;
const STEP_BYTES: usize = 1 << 20;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillStep {
    /// There was nothing to do.
    Idle,
    /// New indexes got some points; there may be more.
    Filled,
}

/// A payload that comes or goes, with the slot of its point's vector.
pub enum PayloadChange {
    /// It comes.
    Insert(Slot, Map<String, Value>),
    /// It goes.
    Remove(Slot, Map<String, Value>),
}

/// The payload indexes of a replica.
pub struct PayloadIndexes {
    schema: Schema,
    columns: Columns,
    /// The last point that the columns which are not complete were given.
    filled_to: Option<(PointId, Vnode)>,
    /// Changes since they were saved, about.
    unsaved: u64,
    /// So many bytes they may take.
    room: usize,
}

impl PayloadIndexes {
    /// Those of a schema, with what a checkpoint has of slots whose payloads are
    /// `unchanged` since, of so many that are visible.
    pub fn restored(
        schema: Schema,
        saved: Vec<Column>,
        unchanged: &RoaringBitmap,
        visible: u64,
        room: u64,
    ) -> Self {
        let mut indexes = Self {
            columns: Columns::restored(&schema, saved, unchanged, visible),
            schema,
            filled_to: None,
            unsaved: 0,
            room: usize::try_from(room).unwrap_or(usize::MAX),
        };
        indexes.keep_within_room();
        indexes
    }

    /// Gives up the largest where all together take too much: without them filters
    /// are slower, and without memory there is nothing.
    fn keep_within_room(&mut self) {
        for path in self.columns.close_beyond(self.room) {
            tracing::warn!(
                field = %path,
                room = self.room,
                "the payload indexes would take more memory than they may: this one is given up, filters on the field read payloads"
            );
        }
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Whether changes of payloads must be told.
    pub fn indexes_any(&self) -> bool {
        !self.schema.fields.is_empty()
    }

    /// How many changes came since they were saved.
    pub fn unsaved(&self) -> u64 {
        self.unsaved
    }

    /// So many changes are saved now.
    pub fn note_saved(&mut self, changes: u64) {
        self.unsaved = self.unsaved.saturating_sub(changes);
    }

    /// Takes changes that were made, in their order.
    pub fn change(&mut self, changes: Vec<PayloadChange>) {
        if self.indexes_any() {
            self.unsaved += changes.len() as u64;
        }
        for change in changes {
            match change {
                PayloadChange::Insert(slot, payload) => self.columns.insert(slot.0, &payload),
                PayloadChange::Remove(slot, payload) => self.columns.remove(slot.0, &payload),
            }
        }
        self.keep_within_room();
    }

    /// Takes a schema in the place of the present one.
    pub fn adopt(&mut self, schema: Schema) {
        self.columns.adopt(&schema);
        // Where one was dropped there may be room for another.
        self.columns.reopen();
        self.schema = schema;
        self.unsaved += 1;
        // The pass was on its way without the columns that are new.
        self.filled_to = None;
    }

    fn is_complete(&self) -> bool {
        !self.columns.iter().any(Column::is_to_be_filled)
    }
}

impl Engine {
    /// Gives the next points to the payload indexes that are new. To be called
    /// again until it is idle.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn fill_step(&self) -> Result<FillStep> {
        // Also where nothing is written any more.
        self.free_views();
        let mut writer = self.writer.lock();
        if writer.payload_indexes.is_complete() {
            return Ok(FillStep::Idle);
        }
        writer.fill()?;
        self.publish(&writer);
        Ok(FillStep::Filled)
    }
}

impl Writer {
    /// The rows are read while nothing can change them: what a column is given
    /// is the payload that a later change will take from it.
    fn fill(&mut self) -> Result<()> {
        let indexes = &mut self.payload_indexes;
        let incomplete = indexes.columns.iter().filter(|c| c.is_to_be_filled());
        let paths: Vec<_> = incomplete.map(|c| c.path().clone()).collect();
        let after = indexes.filled_to;
        let rows = self.rows.view();
        let (mut seen, mut over, mut bytes) = (0, 0, 0);
        for row in rows.ids_from(after.map(|(id, _)| id)) {
            let (id, vnode, row) = row?;
            if after.is_some_and(|after| (id, vnode) <= after) {
                continue;
            }
            if seen == STEP || over == STEP_OVER || bytes >= STEP_BYTES {
                return Ok(());
            }
            if indexes.columns.is_filled(row.slot.0) {
                over += 1;
                indexes.filled_to = Some((id, vnode));
                continue;
            }
            let payload = rows.feed_row(vnode, row.seq)?.payload;
            seen += 1;
            indexes.unsaved += 1;
            bytes += payload.len();
            let payload = rows.object(id, &payload)?;
            for path in &paths {
                indexes.columns.fill(path, row.slot.0, &payload);
            }
            indexes.keep_within_room();
            indexes.filled_to = Some((id, vnode));
        }
        for path in &paths {
            indexes.columns.complete(path);
        }
        indexes.filled_to = None;
        Ok(())
    }
}
