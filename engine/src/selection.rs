//! Which of a view's points a filter selects, as far as that is known without a
//! look at payloads: from the payload indexes and from ids.

use crate::error::Result;
use crate::slots::Slot;
use crate::vectors::Owner;
use crate::view::View;
use quoit_columns::Matches;
use quoit_filter::Filter;
use quoit_ring::PointId;
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;

/// Payloads that are looked at for an estimate.
const SAMPLE: u64 = 64;

/// To put a part of this of all points in order is quicker than to go through
/// all that are in order already.
const SORT_BELOW: u64 = 8;

/// Slots that meet a filter, and slots that may.
pub struct Selection<'a> {
    view: &'a View,
    filter: Cow<'a, Filter>,
    matches: Matches,
    /// Payloads that were looked at.
    looked_at: Cell<u64>,
}

impl View {
    /// What is known of a filter.
    pub(crate) fn select<'a>(&'a self, filter: &'a Filter) -> Selection<'a> {
        // Rows that cannot be read leave every point to be looked at: the error
        // comes then, from the one that needs them.
        let ids = |ids: &BTreeSet<PointId>| self.slots_of(ids).ok();
        let vectors = |name: &str| Some(self.slots_with(name));
        let filter = self.columns.analyzed(filter);
        let matches = self
            .columns
            .resolve(&filter, self.universe(), &ids, &vectors);
        Selection {
            view: self,
            filter,
            matches,
            looked_at: Cell::new(0),
        }
    }

    fn universe(&self) -> &RoaringBitmap {
        self.universe.get_or_init(|| self.visible.to_bitmap())
    }

    /// The slots that have a vector; none for a name that the collection lacks.
    fn slots_with(&self, name: &str) -> RoaringBitmap {
        let space = self
            .params
            .name(name)
            .and_then(|n| self.spaces.get(n.index()));
        space.map(|space| space.has.to_bitmap()).unwrap_or_default()
    }

    fn slots_of(&self, ids: &BTreeSet<PointId>) -> Result<RoaringBitmap> {
        let mut slots = RoaringBitmap::new();
        for id in ids {
            for row in self.rows.ids_from(Some(*id)) {
                let (other, _, row) = row?;
                if other != *id {
                    break;
                }
                slots.insert(row.slot.0);
            }
        }
        Ok(slots)
    }
}

/// A number without any pattern in common with others: of points that were
/// written in turns, every 312th might be of one kind. It is the same each time,
/// so that a search goes the same way. (The finalizer of `SplitMix64`, Steele et
/// al. 2014.)
fn scattered(n: u64) -> u64 {
    let mut x = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Selection<'_> {
    /// How many points meet the filter or may.
    pub fn possible(&self) -> u64 {
        self.matches.sure.len() + self.matches.maybe.len()
    }

    /// How many of them only may: their payloads are looked at.
    pub fn unsure(&self) -> u64 {
        self.matches.maybe.len()
    }

    /// About how many points meet the filter, by a look at some of those of which
    /// it is not known.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn estimate(&self) -> Result<u64> {
        let (sure, maybe) = (self.matches.sure.len(), &self.matches.maybe);
        let step = maybe.len() / SAMPLE;
        // Of a few nothing is gained by an estimate: they are compared anyway.
        if step < 8 {
            return Ok(sure + maybe.len());
        }
        let (mut seen, mut met) = (0, 0);
        for place in (0..SAMPLE).map(|n| n * step + scattered(n) % step) {
            let Some(slot) = u32::try_from(place).ok().and_then(|n| maybe.select(n)) else {
                break;
            };
            let owner = self.view.segments.owner(Slot(slot))?;
            seen += 1;
            met += u64::from(self.contains(owner, Slot(slot))?);
        }
        Ok(sure + maybe.len() * met / seen.max(1))
    }

    /// How many payloads were looked at so far.
    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    /// Whether a slot's point may meet the filter.
    pub fn may_contain(&self, slot: Slot) -> bool {
        self.matches.sure.contains(slot.0) || self.matches.maybe.contains(slot.0)
    }

    /// The slots of all points that meet the filter or may.
    pub fn slots(&self) -> Box<dyn Iterator<Item = Slot> + '_> {
        let both = self.matches.sure.iter().chain(&self.matches.maybe);
        Box::new(both.map(Slot))
    }

    /// One more than the last slot.
    pub fn end(&self) -> u32 {
        let Matches { sure, maybe } = &self.matches;
        sure.max()
            .max(maybe.max())
            .map_or(0, |last| last.saturating_add(1))
    }

    /// Some of the points that meet the filter for sure, from all parts of them.
    pub fn spread(&self, count: u64) -> impl Iterator<Item = Slot> {
        let sure = &self.matches.sure;
        let step = (sure.len() / count).max(1);
        let places = (0..count).map(move |n| n * step + scattered(n) % step);
        let places = places.take_while(|place| *place < sure.len());
        let slots = places.filter_map(|place| sure.select(u32::try_from(place).ok()?));
        slots.map(Slot)
    }

    /// The slots of those that only may.
    pub fn unsure_slots(&self) -> Box<dyn Iterator<Item = Slot> + '_> {
        Box::new(self.matches.maybe.iter().map(Slot))
    }

    /// The points that meet the filter or may, in the order of their ids from an
    /// id on.
    pub fn in_order(
        &self,
        from: Option<PointId>,
    ) -> Box<dyn Iterator<Item = Result<(Owner, Slot)>> + '_> {
        if self.possible() > self.view.points() / SORT_BELOW {
            let rows = self.view.rows.ids_from(from).map(|row| {
                let (id, vnode, row) = row?;
                Ok((Owner { id, vnode }, row.slot))
            });
            return Box::new(rows.filter(|row| match row {
                Ok((_, slot)) => self.may_contain(*slot),
                Err(_) => true,
            }));
        }
        let points = self.slots().map(|slot| {
            let owner = self.view.segments.owner(slot)?;
            Ok((owner, slot))
        });
        let points = points.filter(|point| match (point, from) {
            (Ok((owner, _)), Some(from)) => owner.id >= from,
            _ => true,
        });
        match points.collect::<Result<Vec<_>>>() {
            Ok(mut points) => {
                points.sort_unstable_by_key(|(owner, _)| (owner.id, owner.vnode));
                Box::new(points.into_iter().map(Ok))
            }
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    /// Whether the point of a visible slot meets the filter.
    ///
    /// # Errors
    /// Stored data is damaged or cannot be read.
    pub fn contains(&self, owner: Owner, slot: Slot) -> Result<bool> {
        if self.matches.sure.contains(slot.0) {
            return Ok(true);
        }
        if !self.matches.maybe.contains(slot.0) {
            return Ok(false);
        }
        self.looked_at.set(self.looked_at.get() + 1);
        let seq = self.view.seq_of(owner, slot)?;
        self.view.meets(&self.filter, owner, slot, seq)
    }
}
