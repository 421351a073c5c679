//! Where each entry is: what the groups say, applied in order. In memory only,
//! 24 bytes an entry; found again at each opening by reading the groups.

use std::collections::VecDeque;

use super::Position;

/// Where an entry's record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub term: u64,
    /// The segment's number.
    pub segment: u32,
    /// Of the record in the segment.
    pub offset: u32,
    /// Of the payload.
    pub len: u32,
}

/// The entries that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// The last entry that is no longer there.
    base: Position,
    places: VecDeque<Place>,
}

impl Index {
    pub(super) fn new(base: Position) -> Self {
        Self {
            base,
            places: VecDeque::new(),
        }
    }

    pub(super) fn base(&self) -> Position {
        self.base
    }

    pub(super) fn first(&self) -> u64 {
        self.base.index + 1
    }

    pub(super) fn next(&self) -> u64 {
        self.first() + self.places.len() as u64
    }

    pub(super) fn last(&self) -> Position {
        match self.places.back() {
            Some(place) => Position {
                index: self.next() - 1,
                term: place.term,
            },
            None => self.base,
        }
    }

    /// Where in `places` an index is; may be behind the end.
    fn at(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first())?).ok()
    }

    pub(super) fn place(&self, index: u64) -> Option<Place> {
        self.places.get(self.at(index)?).copied()
    }

    /// The term of an entry, or of the one before the first.
    pub(super) fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        Some(self.place(index)?.term)
    }

    /// Whether an entry of this position may come next. (The bound keeps
    /// `next` from overflowing, whatever a file says.)
    pub(super) fn is_next(&self, position: Position) -> bool {
        position.index == self.next()
            && position.index < u64::MAX
            && position.term >= self.last().term
    }

    pub(super) fn push(&mut self, place: Place) {
        self.places.push_back(place);
    }

    /// The entries after a position are void. The position may be before the
    /// first entry: that one was purged after a log longer than this one.
    pub(super) fn truncate(&mut self, after: Position) {
        match self.at(after.index + 1) {
            Some(keep) => self.places.truncate(keep),
            None => *self = Self::new(after),
        }
    }

    /// All entries are void; the next follows a position.
    pub(super) fn restart(&mut self, after: Position) {
        *self = Self::new(after);
    }

    /// The oldest segment that holds an entry from this index on.
    pub(super) fn oldest_segment_from(&self, index: u64) -> Option<u32> {
        Some(self.place(index.max(self.first()))?.segment)
    }

    /// The entries of segments before this one are gone.
    pub(super) fn drop_segments_before(&mut self, segment: u32) {
        while let Some(place) = self.places.front().filter(|place| place.segment < segment) {
            self.base = Position {
                index: self.first(),
                term: place.term,
            };
            self.places.pop_front();
        }
    }
}
