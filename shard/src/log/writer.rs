//! Writing: one group, one write, one fdatasync, then the readers see it. Also
//! what must follow when one of these fails, and the two ways to shorten the
//! log, which are groups as well.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use quoit_disk::Disk;

use super::codec::{
    self, Content, GROUP_HEADER, Place as GroupPlace, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader,
};
use super::error::is_full;
use super::index::Place;
use super::reader::Published;
use super::segment::{self, Segment};
use super::{Entry, LogError, LogOptions, LogReader, Position, TornTail};

/// A group's greatest size.
const GROUP_LIMIT: u64 = 1 << 30;
/// A segment's greatest size but for a single group: offsets are 32 bits.
const SEGMENT_LIMIT: u64 = 1 << 30;

/// The log's one writer. It blocks while it writes and syncs.
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    published: Arc<RwLock<Published>>,
    active: Active,
    poisoned: Option<String>,
    torn_tail: Option<TornTail>,
    /// The group that is being written; kept for its room.
    buffer: Vec<u8>,
}

/// The segment that is appended to.
pub(super) struct Active {
    pub segment: Arc<Segment>,
    /// Where the next group goes.
    pub end: u64,
    /// The checksum that it continues.
    pub chain: u64,
    /// Up to here the segment is durable.
    pub synced: u64,
    /// Up to here no write needs new room.
    pub allocated: u64,
    /// Whether the last group is a mark.
    pub marked: bool,
}

impl Active {
    pub(super) fn new(segment: Arc<Segment>, end: u64, chain: u64) -> Self {
        Self {
            segment,
            end,
            chain,
            synced: end,
            allocated: end,
            marked: false,
        }
    }
}

impl LogWriter {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        options: LogOptions,
        published: Arc<RwLock<Published>>,
        active: Active,
        torn_tail: Option<TornTail>,
    ) -> Self {
        let poisoned = None;
        let buffer = Vec::new();
        Self {
            disk,
            dir,
            options,
            published,
            active,
            poisoned,
            torn_tail,
            buffer,
        }
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.published))
    }

    /// What the opening cut off, to be told to people: a group that was being
    /// written when the power went. Nobody had been promised it.
    #[must_use]
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    /// Appends entries, and makes all of them durable with one fdatasync. When
    /// this returns they survive a power cut; all of them or none are there
    /// after an error, see [`LogError::had_no_effect`].
    ///
    /// # Errors
    /// [`LogError::OutOfOrder`] and [`LogError::TooLarge`] change nothing, nor
    /// does [`LogError::Full`]: try again when there is room. After
    /// [`LogError::Write`] and [`LogError::Sync`] the log is poisoned.
    pub fn append_group(&mut self, entries: &[Entry]) -> Result<(), LogError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut last = self.published.read().index.last();
        for Entry { index, term, .. } in entries {
            let (index, term) = (*index, *term);
            if Some(index) != last.index.checked_add(1) || index == u64::MAX || term < last.term {
                let Position {
                    index: after_index,
                    term: after_term,
                } = last;
                return Err(LogError::OutOfOrder {
                    index,
                    term,
                    after_index,
                    after_term,
                });
            }
            last = Position { index, term };
        }
        let start = self.write(Content::Entries(entries))?;
        let segment = self.active.segment.seq;
        let mut at = start + GROUP_HEADER as u64;
        let mut published = self.published.write();
        for Entry { term, payload, .. } in entries {
            // Both fit: `write` has checked the group against the limit.
            let offset = u32::try_from(at).unwrap_or(u32::MAX);
            let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            published.index.push(Place {
                term: *term,
                segment,
                offset,
                len,
            });
            at += codec::record_size(payload.len()) as u64;
        }
        Ok(())
    }

    /// Makes sure that so many entries, with so many bytes together, find room
    /// when they are appended, however few at a time.
    ///
    /// # Errors
    /// As [`Self::append_group`]; nothing is appended.
    pub fn make_room(&mut self, entries: u64, bytes: u64) -> Result<(), LogError> {
        self.usable()?;
        let around = (GROUP_HEADER + RECORD_HEADER + codec::ALIGN) as u64;
        let bytes = bytes + entries * around;
        if bytes > GROUP_LIMIT {
            let limit = GROUP_LIMIT;
            return Err(LogError::TooLarge { bytes, limit });
        }
        self.roll_if_full(bytes)?;
        self.reserve(self.active.end + bytes)
    }

    /// Drops the entries after an index, durably. Nothing, if there are none.
    ///
    /// # Errors
    /// [`LogError::Purged`] when the index itself is gone; otherwise as
    /// [`Self::append_group`].
    pub fn truncate_after(&mut self, index: u64) -> Result<(), LogError> {
        let after = {
            let known = &self.published.read().index;
            if index >= known.last().index {
                return Ok(());
            }
            let first = known.first();
            let term = known.term(index).ok_or(LogError::Purged { index, first })?;
            Position { index, term }
        };
        self.write(Content::Truncate(after))?;
        self.published.write().index.truncate(after);
        Ok(())
    }

    /// Drops all entries, durably; the next one follows this position. For a
    /// replica that was given a snapshot. The files go at the next
    /// [`Self::purge_before`].
    ///
    /// # Errors
    /// As [`Self::append_group`].
    pub fn restart_after(&mut self, after: Position) -> Result<(), LogError> {
        if after.index == u64::MAX {
            let Position { index, term } = after;
            return Err(LogError::OutOfOrder {
                index,
                term,
                after_index: index,
                after_term: term,
            });
        }
        self.write(Content::Restart(after))?;
        self.published.write().index.restart(after);
        Ok(())
    }

    /// Deletes the segments in which nothing is from this index on; so some
    /// entries before it may stay. The last segment stays always.
    ///
    /// # Errors
    /// [`LogError::BeyondEnd`] for an index behind the next one: what the log
    /// would begin with is not known, see [`Self::restart_after`].
    /// [`LogError::Remove`]: some are deleted, in order; try again.
    pub fn purge_before(&mut self, index: u64) -> Result<(), LogError> {
        self.usable()?;
        let unwanted: Vec<Arc<Segment>> = {
            let published = self.published.read();
            let next = published.index.next();
            if index > next {
                return Err(LogError::BeyondEnd { index, next });
            }
            let oldest = published.index.oldest_segment_from(index);
            let oldest = oldest.unwrap_or(self.active.segment.seq);
            published
                .segments
                .range(..oldest)
                .map(|(_, segment)| Arc::clone(segment))
                .collect()
        };
        for segment in unwanted {
            let path = &segment.path;
            // Oldest first, and each durably before the next: a crash must not
            // leave an older one without a newer one, which is what damage is.
            self.disk.remove(path).map_err(LogError::remove(path))?;
            let mut published = self.published.write();
            published.segments.remove(&segment.seq);
            published.index.drop_segments_before(segment.seq + 1);
            drop(published);
            let synced = self
                .disk
                .sync_dir(&self.dir)
                .map_err(LogError::remove(path));
            self.poison_on(synced)?;
        }
        Ok(())
    }

    /// Notes in the log that all of it is durable, so that damage to the last
    /// group is told from a torn write after a restart. One small write, no
    /// fdatasync, for when the log comes to rest. Nothing, if it is noted
    /// already or there is no room in the segment.
    ///
    /// # Errors
    /// As [`Self::append_group`]; nothing that was appended is in danger.
    pub fn mark_synced(&mut self) -> Result<(), LogError> {
        self.usable()?;
        let end = self.active.end + Content::Mark.size();
        if self.active.marked || end > self.segment_bytes() {
            return Ok(());
        }
        if self.options.preallocate_bytes > 0 {
            self.reserve(end)?;
        }
        self.put(Content::Mark)?;
        self.active.marked = true;
        Ok(())
    }

    fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes.min(SEGMENT_LIMIT)
    }

    fn usable(&self) -> Result<(), LogError> {
        match &self.poisoned {
            Some(cause) => Err(LogError::Poisoned {
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    /// After some failures nobody knows what a restart would find: then the
    /// log takes nothing more.
    fn poison_on<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error) = &result {
            use std::error::Error;
            let cause = error.source().map(|source| format!(": {source}"));
            self.poisoned = Some(format!("{error}{}", cause.unwrap_or_default()));
        }
        result
    }

    /// Writes a group and makes it durable; answers where it begins.
    fn write(&mut self, content: Content<'_>) -> Result<u64, LogError> {
        self.usable()?;
        let bytes = content.size();
        if bytes > GROUP_LIMIT {
            return Err(LogError::TooLarge {
                bytes,
                limit: GROUP_LIMIT,
            });
        }
        self.roll_if_full(bytes)?;
        if self.options.preallocate_bytes > 0 {
            self.reserve(self.active.end + bytes)?;
        }
        let start = self.active.end;
        self.put(content)?;
        let Active { segment, .. } = &self.active;
        let synced = segment
            .file
            .sync_data()
            .map_err(LogError::sync(&segment.path));
        self.poison_on(synced)?;
        self.active.synced = self.active.end;
        Ok(start)
    }

    /// Goes on in a new segment if the active one cannot take so many bytes.
    fn roll_if_full(&mut self, bytes: u64) -> Result<(), LogError> {
        let is_empty = self.active.end == SEGMENT_HEADER as u64;
        if !is_empty && self.active.end + bytes > self.segment_bytes() {
            self.roll(bytes)?;
        }
        Ok(())
    }

    /// Room up to `end` in the active segment, and some more.
    fn reserve(&mut self, end: u64) -> Result<(), LogError> {
        if end <= self.active.allocated {
            return Ok(());
        }
        let Segment { file, path, .. } = &*self.active.segment;
        let room = self.room_for(end).max(end);
        let allocated = match file.allocate(room) {
            // The last of the room goes to what is to be written now.
            Err(error) if is_full(&error) => file.allocate(end).map(|()| end),
            other => other.map(|()| room),
        };
        self.active.allocated = allocated.map_err(LogError::room(path))?;
        Ok(())
    }

    fn room_for(&self, end: u64) -> u64 {
        match self.options.preallocate_bytes {
            0 => 0,
            step => end.saturating_add(step).min(self.segment_bytes()).max(end),
        }
    }

    /// Writes a group at the end of the active segment, not durably.
    fn put(&mut self, content: Content<'_>) -> Result<(), LogError> {
        let Active {
            segment,
            end,
            chain,
            synced,
            ..
        } = &mut self.active;
        self.buffer.clear();
        let place = GroupPlace {
            offset: *end,
            synced_through: *synced,
            chain: *chain,
            salt: segment.salt,
        };
        let sum = codec::encode_group(&mut self.buffer, place, content);
        let written = segment.file.write_at(&self.buffer, *end);
        let bytes = self.buffer.len() as u64;
        // A large group's room is not kept for the small ones after it.
        self.buffer.shrink_to(1 << 20);
        match written {
            Ok(()) => {
                self.active.end += bytes;
                self.active.chain = sum;
                self.active.marked = false;
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.cut_back()?;
                Err(LogError::Full {
                    path: self.active.segment.path.clone(),
                    source: error,
                })
            }
            Err(error) => {
                let failed = Err(LogError::write(&self.active.segment.path)(error));
                self.poison_on(failed)
            }
        }
    }

    /// Removes what a full disk left of a group. Durably: the group was
    /// refused, and must not be there after a power cut because its bytes
    /// were kept and the cut of the length was lost.
    fn cut_back(&mut self) -> Result<(), LogError> {
        let Segment { file, path, .. } = &*self.active.segment;
        let cut = file
            .set_len(self.active.end)
            .and_then(|()| file.sync_data());
        let cut = cut.map_err(LogError::write(path));
        self.poison_on(cut)?;
        self.active.allocated = self.active.end;
        self.active.synced = self.active.end;
        Ok(())
    }

    /// Goes on in a new segment, with room for a group of so many bytes.
    fn roll(&mut self, bytes: u64) -> Result<(), LogError> {
        let old = Arc::clone(&self.active.segment);
        // A later segment says that this one is durable, its last mark too.
        if self.active.synced < self.active.end {
            let synced = old.file.sync_data().map_err(LogError::sync(&old.path));
            self.poison_on(synced)?;
            self.active.synced = self.active.end;
        }
        let Some(seq) = old.seq.checked_add(1) else {
            return Err(LogError::TooLarge {
                bytes: u64::from(old.seq),
                limit: u64::from(u32::MAX),
            });
        };
        let header = SegmentHeader {
            seq,
            salt: self.options.salt,
            base: self.published.read().index.last(),
            chain: self.active.chain,
            prev_end: self.active.end,
        };
        let room = self.room_for(SEGMENT_HEADER as u64 + bytes);
        let created = segment::create(&*self.disk, &self.dir, &header, self.options.identity, room);
        let (segment, chain) = match created {
            Err(LogError::Full { .. } | LogError::Descriptors { .. } | LogError::Grow { .. }) => {
                created?
            }
            other => self.poison_on(other)?,
        };
        // Gives the room behind the last group back. If that fails, it comes
        // back when the segment is purged.
        let _ = old.file.set_len(self.active.end);
        let segment = Arc::new(segment);
        self.published
            .write()
            .segments
            .insert(seq, Arc::clone(&segment));
        self.active = Active::new(segment, SEGMENT_HEADER as u64, chain);
        self.active.allocated = room.max(SEGMENT_HEADER as u64);
        Ok(())
    }
}

/// Entries that a single record's header could not describe are refused by the
/// group's limit, which is checked before anything is encoded.
const _: () = assert!(GROUP_LIMIT + SEGMENT_LIMIT + RECORD_HEADER as u64 <= u32::MAX as u64);
