//! The last entries of the log, kept in memory: those that are to be applied or
//! sent to other members next, so that they need not be read from disk.

use super::GroupEntry;
use super::codec;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;

/// The last entries, without a gap, up to the last of the log.
pub struct Recent {
    entries: Mutex<Entries>,
    most_bytes: usize,
}

#[derive(Default)]
struct Entries {
    entries: VecDeque<(GroupEntry, usize)>,
    bytes: usize,
}

impl Recent {
    /// Keeps so many bytes, and the last entry however large it is.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            entries: Mutex::default(),
            most_bytes,
        }
    }

    /// Keeps what was appended.
    pub fn append(&self, entries: impl IntoIterator<Item = GroupEntry>) {
        let mut kept = self.entries.lock();
        for entry in entries {
            let size = codec::encode_payload(&entry.payload).len();
            kept.bytes += size;
            kept.entries.push_back((entry, size));
        }
        while kept.bytes > self.most_bytes && kept.entries.len() > 1 {
            let dropped = kept.entries.pop_front();
            kept.bytes -= dropped.map_or(0, |(_, size)| size);
        }
    }

    /// Forgets the entries from an index on.
    pub fn truncate(&self, from: u64) {
        let mut kept = self.entries.lock();
        while let Some((_, size)) = kept.entries.pop_back_if(|(e, _)| e.log_id.index >= from) {
            kept.bytes -= size;
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        *self.entries.lock() = Entries::default();
    }

    /// What is here of a range, and from where on that is: its end, or all.
    pub fn part_of(&self, range: &Range<u64>) -> (u64, Vec<GroupEntry>) {
        let kept = self.entries.lock();
        let index = |kept: Option<&(GroupEntry, usize)>| kept.map(|(e, _)| e.log_id.index);
        // What was appended a moment ago may be in the log and not yet here.
        let first = match (index(kept.entries.front()), index(kept.entries.back())) {
            (Some(first), Some(last)) if last + 1 >= range.end => first,
            _ => return (range.end, Vec::new()),
        };
        let from = range.start.max(first).min(range.end);
        let place = |index: u64| usize::try_from(index - first).unwrap_or(usize::MAX);
        let entries = kept.entries.iter();
        let wanted = entries.skip(place(from.max(first)));
        let count = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        (from, wanted.take(count).map(|(e, _)| e.clone()).collect())
    }
}
