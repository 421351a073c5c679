//! One immutable picture of a replica's visible points, pinned by each query:
//! what it shows, it shows whole, and nothing that comes later changes it.
//!
//! A read names the vnodes it wants. The view answers exactly for those that it
//! holds and lists the others, so that the sets answered by all shards are
//! disjoint and add up.

use crate::Params;
use crate::error::Result;
use crate::names::{Name, Names, Vector};
use crate::rows::{RowsView, VnodeState, id_key};
use crate::slots::{Slot, SlotSet};
use crate::space::SpaceView;
use crate::vectors::{Owner, Segments};
use crate::vnodes::VnodeTable;
use quoit_columns::{Columns, Kind};
use quoit_filter::{Filter, Path, Who};
use quoit_ring::{PointId, Vnode, VnodeSet};
use roaring::RoaringBitmap;
use std::sync::{Arc, OnceLock};

/// An immutable picture of a replica.
pub struct View {
    pub(crate) params: Arc<Params>,
    pub(crate) applied: u64,
    pub(crate) rows: RowsView,
    pub(crate) segments: Segments,
    pub(crate) visible: SlotSet,
    /// Visible slots beside whose vectors the seq is not the point's: that is in
    /// its row.
    pub(crate) edited: SlotSet,
    pub(crate) columns: Columns,
    /// The number of the schema of the columns.
    pub(crate) schema: u64,
    /// The visible slots once more, made when a filter first asks for them.
    pub(crate) universe: OnceLock<RoaringBitmap>,
    /// One for each of the collection's vectors, in their order.
    pub(crate) spaces: Vec<SpaceView>,
    pub(crate) vnodes: VnodeTable,
}

/// A payload index, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadIndex {
    /// The field.
    pub path: Path,
    /// What it makes of values.
    pub kind: Kind,
    /// How many points it has.
    pub points: u64,
    /// Whether it has all, and is used.
    pub is_complete: bool,
    /// It was given up, since all together would take too much memory.
    pub is_given_up: bool,
}

/// An answer for the vnodes that the replica holds, and those it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The answer, exactly for the vnodes asked for less `not_here`.
    pub found: T,
    /// Asked for and not held.
    pub not_here: Vec<Vnode>,
}

/// What a reader wants of each point besides its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The payload.
    pub payload: bool,
    /// The vectors, as they are stored (normalised for `Cosine`).
    pub vectors: Names,
}

/// A point as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: PointId,
    /// The vnode's seq at its last change.
    pub version: u64,
    /// A JSON object as text; empty unless asked for, or if there is none.
    pub payload: Vec<u8>,
    /// Those asked for that it has, in the order of their names.
    pub vectors: Vec<Vector>,
}

impl View {
    /// The log index up to which all entries show in this view.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Visible points, in all vnodes.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.visible.len()
    }

    /// Visible vectors, of all names.
    #[must_use]
    pub fn vectors(&self) -> u64 {
        self.spaces.iter().map(|space| space.has.len()).sum()
    }

    /// Visible vectors that are not in their graph yet.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.spaces.iter().map(|space| space.tail.len()).sum()
    }

    /// Files of vectors.
    #[must_use]
    pub fn segment_count(&self) -> u64 {
        self.segments.count()
    }

    /// The vnodes for which this view answers.
    #[must_use]
    pub fn readable(&self) -> &VnodeSet {
        self.vnodes.readable()
    }

    /// Whether the shard had been given vnodes by then, if none at all.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.vnodes.is_founded()
    }

    /// What it has of each vnode that it holds, in order.
    pub fn held(&self) -> impl Iterator<Item = (Vnode, VnodeState)> {
        self.vnodes.held()
    }

    /// The number of the schema that the payload indexes are of.
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.schema
    }

    /// The payload indexes, in the order of their paths.
    #[must_use]
    pub fn payload_indexes(&self) -> Vec<PayloadIndex> {
        let index = |column: &quoit_columns::Column| PayloadIndex {
            path: column.path().clone(),
            kind: column.kind(),
            points: column.slots(),
            is_complete: column.is_complete(),
            is_given_up: column.is_closed(),
        };
        self.columns.iter().map(index).collect()
    }

    /// How many points of some vnodes meet a filter.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn count_matching(&self, vnodes: &VnodeSet, filter: &Filter) -> Result<Answer<u64>> {
        if filter.is_always_met() {
            return Ok(self.count(vnodes));
        }
        let selection = self.select(filter);
        let is_whole = self.readable().is_subset(vnodes);
        let mut found = 0;
        let unchecked = if is_whole {
            selection.unsure_slots()
        } else {
            selection.slots()
        };
        if is_whole {
            found += selection.possible() - selection.unsure();
        }
        for slot in unchecked {
            let owner = self.segments.owner(slot)?;
            if vnodes.contains(owner.vnode) && self.readable().contains(owner.vnode) {
                found += u64::from(selection.contains(owner, slot)?);
            }
        }
        Ok(self.answer(vnodes, found))
    }

    /// How many points some vnodes have.
    #[must_use]
    pub fn count(&self, vnodes: &VnodeSet) -> Answer<u64> {
        let here = vnodes.iter().filter(|v| self.readable().contains(*v));
        let found = here.map(|v| self.vnodes.get(v).count).sum();
        self.answer(vnodes, found)
    }

    /// Points by id; those that are not there are left out.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn retrieve(&self, ids: &[(PointId, Vnode)], want: Want) -> Result<Answer<Vec<Record>>> {
        let mut found = Vec::with_capacity(ids.len());
        for (id, vnode) in ids {
            if !self.readable().contains(*vnode) {
                continue;
            }
            if let Some(row) = self.rows.id_row(&id_key(*id, *vnode))? {
                found.push(self.record(*id, *vnode, row.slot, row.seq, want)?);
            }
        }
        let wanted = ids.iter().map(|(_, v)| *v).collect();
        Ok(self.answer(&wanted, found))
    }

    /// Points of some vnodes that meet a filter, with the seq of their last
    /// change, in the order of their ids after one of them. A page is longer than
    /// `limit` only to not end between equal ids; after a shorter one there is none.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn matching(
        &self,
        vnodes: &VnodeSet,
        filter: &Filter,
        after: Option<PointId>,
        limit: usize,
    ) -> Result<Answer<Vec<(PointId, Vnode, u64)>>> {
        let selection = self.select(filter);
        let mut page: Vec<(PointId, Vnode, u64)> = Vec::new();
        for point in selection.in_order(after) {
            let (owner, slot) = point?;
            if page.len() >= limit && page.last().is_none_or(|last| last.0 != owner.id) {
                break;
            }
            if after != Some(owner.id)
                && vnodes.contains(owner.vnode)
                && self.readable().contains(owner.vnode)
                && selection.contains(owner, slot)?
            {
                page.push((owner.id, owner.vnode, self.seq_of(owner, slot)?));
            }
        }
        Ok(self.answer(vnodes, page))
    }

    /// Points that meet a filter, in the order of their ids, from an id on. A
    /// page is longer than `limit` only to not end between equal ids.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn scroll(
        &self,
        vnodes: &VnodeSet,
        filter: &Filter,
        from: Option<PointId>,
        limit: usize,
        want: Want,
    ) -> Result<Answer<Vec<Record>>> {
        let selection = self.select(filter);
        let mut page: Vec<Record> = Vec::new();
        for point in selection.in_order(from) {
            let (owner, slot) = point?;
            if page.len() >= limit && page.last().is_none_or(|last| last.id != owner.id) {
                break;
            }
            if vnodes.contains(owner.vnode)
                && self.readable().contains(owner.vnode)
                && selection.contains(owner, slot)?
            {
                page.push(self.shown(owner, slot, want)?);
            }
        }
        Ok(self.answer(vnodes, page))
    }

    /// A point that the view is known to show.
    pub(crate) fn shown(&self, owner: Owner, slot: Slot, want: Want) -> Result<Record> {
        let seq = self.seq_of(owner, slot)?;
        self.record(owner.id, owner.vnode, slot, seq, want)
    }

    /// The seq of the last change of a point that the view shows.
    pub(crate) fn seq_of(&self, owner: Owner, slot: Slot) -> Result<u64> {
        if !self.edited.contains(slot) {
            return self.segments.seq(slot);
        }
        let row = self.rows.id_row(&id_key(owner.id, owner.vnode))?;
        row.map(|row| row.seq).ok_or_else(|| {
            let what = format!("slot {} is visible and no row names it", slot.0);
            self.rows.damaged(what)
        })
    }

    fn record(
        &self,
        id: PointId,
        vnode: Vnode,
        slot: Slot,
        seq: u64,
        want: Want,
    ) -> Result<Record> {
        let payload = if want.payload {
            self.rows.feed_row(vnode, seq)?.payload
        } else {
            Vec::new()
        };
        let names = want.vectors.iter();
        let there = names.filter(|name| self.has(slot, *name));
        let vectors = there.map(|name| {
            let values = self.segments.vector(slot, name)?.to_vec();
            Ok(Vector { name, values })
        });
        Ok(Record {
            id,
            version: seq,
            payload,
            vectors: vectors.collect::<Result<_>>()?,
        })
    }

    /// Whether a point that the view shows has a vector.
    pub(crate) fn has(&self, slot: Slot, name: Name) -> bool {
        let space = self.spaces.get(name.index());
        space.is_some_and(|space| space.has.contains(slot))
    }

    /// Whether a point that the view shows meets a filter.
    pub(crate) fn meets(
        &self,
        filter: &Filter,
        owner: Owner,
        slot: Slot,
        seq: u64,
    ) -> Result<bool> {
        if filter.is_always_met() {
            return Ok(true);
        }
        let payload = self.rows.feed_row(owner.vnode, seq)?.payload;
        let payload = self.rows.object(owner.id, &payload)?;
        let who = Who {
            id: owner.id,
            has_vector: &|name| self.params.name(name).is_some_and(|n| self.has(slot, n)),
        };
        Ok(filter.is_met(who, &payload))
    }

    pub(crate) fn answer<T>(&self, wanted: &VnodeSet, found: T) -> Answer<T> {
        let not_here = wanted.difference(self.readable()).iter().collect();
        Answer { found, not_here }
    }
}
