//! Reading while others write: what the writer has published, from any thread,
//! without waiting for an fdatasync that is under way. Each record is checked
//! against its checksum as it is read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use super::codec::{self, Flaw, Record};
use super::index::{Index, Place};
use super::segment::Segment;
use super::{Entry, LogError, Position};

/// What the writer publishes: only what is durable.
pub(super) struct Published {
    pub index: Index,
    pub segments: BTreeMap<u32, Arc<Segment>>,
}

/// A reader of the log. Cheap to clone; as good as the writer for what is
/// durable, also when that one is poisoned or gone.
#[derive(Clone)]
pub struct LogReader(Arc<RwLock<Published>>);

/// Records that lie together are read at once, up to this.
const READ_AT_ONCE: u64 = 1 << 20;

impl LogReader {
    pub(super) fn new(published: Arc<RwLock<Published>>) -> Self {
        Self(published)
    }

    /// The last entry that is no longer there, hence a snapshot's to tell; 0, 0
    /// if the log has all from the begin.
    #[must_use]
    pub fn base(&self) -> Position {
        self.0.read().index.base()
    }

    /// The index of the first entry that is there, or would be.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.0.read().index.first()
    }

    /// The index that the next entry will have.
    #[must_use]
    pub fn next_index(&self) -> u64 {
        self.0.read().index.next()
    }

    /// The last entry's position; the base's if there is none.
    #[must_use]
    pub fn last(&self) -> Position {
        self.0.read().index.last()
    }

    /// The term of an entry or of the base; `None`: neither.
    #[must_use]
    pub fn term(&self, index: u64) -> Option<u64> {
        self.0.read().index.term(index)
    }

    /// The index from which on the entries up to `last` have at most so many
    /// bytes; the one behind `last`, if itself has more.
    #[must_use]
    pub fn first_of_last(&self, last: u64, max_bytes: u64) -> u64 {
        let published = self.0.read();
        let mut bytes = 0;
        let mut first = last.saturating_add(1);
        while first > published.index.first() {
            let place = published.index.place(first - 1);
            bytes += place.map_or(0, |place| u64::from(place.len));
            if bytes > max_bytes {
                break;
            }
            first -= 1;
        }
        first
    }

    /// The entries of a range, all of them.
    ///
    /// # Errors
    /// [`LogError::Purged`] and [`LogError::BeyondEnd`] where the range leaves
    /// the log; [`LogError::Damaged`] and [`LogError::Read`].
    pub fn read(&self, range: Range<u64>) -> Result<Vec<Entry>, LogError> {
        self.read_up_to(range, u64::MAX)
    }

    /// The first entries of a range, until their payloads pass `max_bytes`; at
    /// least one, if the range is not empty.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_up_to(&self, range: Range<u64>, max_bytes: u64) -> Result<Vec<Entry>, LogError> {
        let runs = self.plan(range, max_bytes)?;
        let mut entries = Vec::with_capacity(runs.iter().map(|run| run.places.len()).sum());
        for run in &runs {
            run.read(&mut entries)?;
        }
        Ok(entries)
    }

    /// What to read, decided under the lock; what is read without it stays
    /// where it is, since segments are only appended to, and an open file
    /// outlives its name.
    fn plan(&self, range: Range<u64>, max_bytes: u64) -> Result<Vec<Run>, LogError> {
        let published = self.0.read();
        let Published { index, segments } = &*published;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (first, next) = (index.first(), index.next());
        if range.start < first {
            return Err(LogError::Purged {
                index: range.start,
                first,
            });
        }
        if range.end > next {
            return Err(LogError::BeyondEnd {
                index: range.end - 1,
                next,
            });
        }
        let mut runs: Vec<Run> = Vec::new();
        let mut bytes = 0;
        for number in range {
            let missing = LogError::BeyondEnd {
                index: number,
                next,
            };
            let Some(place) = index.place(number) else {
                return Err(missing);
            };
            bytes += u64::from(place.len);
            if bytes > max_bytes && !runs.is_empty() {
                break;
            }
            match runs.last_mut() {
                Some(run) if run.takes(&place) => run.places.push(place),
                _ => {
                    let Some(segment) = segments.get(&place.segment) else {
                        return Err(missing);
                    };
                    let segment = Arc::clone(segment);
                    runs.push(Run {
                        segment,
                        first: number,
                        places: vec![place],
                    });
                }
            }
        }
        Ok(runs)
    }
}

/// Entries one after another that are read at once.
struct Run {
    segment: Arc<Segment>,
    first: u64,
    places: Vec<Place>,
}

fn end_of(place: &Place) -> u64 {
    u64::from(place.offset) + codec::record_size(place.len as usize) as u64
}

impl Run {
    fn start(&self) -> u64 {
        self.places
            .first()
            .map_or(0, |place| u64::from(place.offset))
    }

    fn takes(&self, place: &Place) -> bool {
        // In one segment later entries are at higher offsets.
        place.segment == self.segment.seq && end_of(place) - self.start() <= READ_AT_ONCE
    }

    fn read(&self, entries: &mut Vec<Entry>) -> Result<(), LogError> {
        let Segment {
            path, file, salt, ..
        } = &*self.segment;
        let start = self.start();
        let first_offset = self.places.first().map_or(0, |place| place.offset as usize);
        let end = self.places.last().map_or(start, end_of);
        let too_large = |_| LogError::TooLarge {
            bytes: end - start,
            limit: usize::MAX as u64,
        };
        let mut buffer = vec![0; usize::try_from(end - start).map_err(too_large)?];
        file.read_at(&mut buffer, start)
            .map_err(LogError::read(path))?;
        let buffer = Bytes::from(buffer);
        for (index, place) in (self.first..).zip(&self.places) {
            let at = place.offset as usize - first_offset;
            let damaged = |what| LogError::Damaged {
                path: path.clone(),
                offset: u64::from(place.offset),
                what,
            };
            let Record { position, len, .. } = match codec::decode_record(&buffer[at..], *salt) {
                Ok(record) => record,
                Err(Flaw::Bad(what)) => return Err(damaged(what)),
                Err(Flaw::Newer) => return Err(damaged("a record changed while the log was open")),
            };
            if (position, len)
                != (
                    Position {
                        index,
                        term: place.term,
                    },
                    place.len,
                )
            {
                return Err(damaged("a record is in another's place"));
            }
            let payload = at + codec::RECORD_HEADER..at + codec::RECORD_HEADER + len as usize;
            entries.push(Entry {
                index,
                term: place.term,
                payload: buffer.slice(payload),
            });
        }
        Ok(())
    }
}
