//! openraft's view of the log and the vote. It decides what openraft may read:
//! never what was purged, though the file of it may still be there.

use super::codec::{self, CodecError};
use super::log_thread::{LogQueue, ToLog};
use super::recent::Recent;
use super::{GroupEntry, LogId, StorageError, Types, Vote};
use crate::log::{Entry as Stored, LogError, LogReader, Position};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, OptionalSend, RaftLogReader, StorageIOError};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

/// Bytes of entries that are read, and sent to another member, at once.
const READ_AT_ONCE: u64 = 4 << 20;

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    #[error("the log cannot be understood")]
    Decode(#[from] CodecError),
    #[error("reading was cut short")]
    Cut(#[from] tokio::task::JoinError),
}

fn unread(error: impl std::error::Error + 'static) -> StorageError {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

fn unwritten(error: impl std::error::Error + 'static) -> StorageError {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

/// The log and the vote of one member.
#[derive(Clone)]
pub struct Storage {
    queue: LogQueue,
    log: LogReader,
    recent: Arc<Recent>,
    vote: Option<Vote>,
    /// Up to here openraft has purged; the files may lag behind.
    purged: Arc<Mutex<Option<LogId>>>,
}

impl Storage {
    /// Of a log that its thread writes, with the vote that was read.
    /// So many bytes of the last entries are kept in memory.
    pub fn new(queue: LogQueue, log: LogReader, vote: Option<Vote>, recent: usize) -> Self {
        let purged = Arc::new(Mutex::new(codec::log_id(log.base())));
        Self {
            queue,
            log,
            recent: Arc::new(Recent::new(recent)),
            vote,
            purged,
        }
    }

    /// The part of a range of openraft's that is there.
    fn present(&self, range: impl RangeBounds<u64>) -> Range<u64> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let first = self.purged.lock().map_or(0, |id| id.index + 1);
        // Index 1 of the log is openraft's 0.
        let next = self.log.next_index() - 1;
        start.max(first)..end.min(next)
    }

    async fn read(&self, range: Range<u64>, max_bytes: u64) -> Result<Vec<GroupEntry>, ReadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (from, recent) = self.recent.part_of(&range);
        let mut entries = Vec::new();
        if range.start < from {
            let stored = codec::stored_index(range.start)..codec::stored_index(from);
            let log = self.log.clone();
            // Of a member that lags behind; the group's thread must not wait for the disk.
            let read = tokio::task::spawn_blocking(move || log.read_up_to(stored, max_bytes));
            for stored in read.await?? {
                entries.push(codec::decode_entry(stored)?);
            }
        }
        let mut bytes = entries.iter().map(size).sum::<u64>();
        if entries.len() as u64 == from - range.start {
            for entry in recent {
                bytes += size(&entry);
                if bytes > max_bytes && !entries.is_empty() {
                    break;
                }
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

fn size(entry: &GroupEntry) -> u64 {
    codec::encode_payload(&entry.payload).len() as u64
}

impl RaftLogReader<Types> for Storage {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<GroupEntry>, StorageError> {
        self.read(self.present(range), u64::MAX)
            .await
            .map_err(unread)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<GroupEntry>, StorageError> {
        self.read(self.present(start..end), READ_AT_ONCE)
            .await
            .map_err(unread)
    }
}

impl RaftLogStorage<Types> for Storage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let last_purged_log_id = *self.purged.lock();
        Ok(LogState {
            last_purged_log_id,
            last_log_id: codec::log_id(self.log.last()).max(last_purged_log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let kept = self.queue.ask(|done| ToLog::Vote(*vote, done)).await;
        kept.map_err(|error| {
            StorageError::from(StorageIOError::write_vote(AnyError::new(&error)))
        })?;
        self.vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.vote)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = GroupEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<GroupEntry> = entries.into_iter().collect();
        let stored = |entry: &GroupEntry| {
            let Position { index, term } = codec::position(Some(entry.log_id));
            Stored {
                index,
                term,
                payload: codec::encode_payload(&entry.payload),
            }
        };
        let stored = entries.iter().map(stored).collect();
        let appended = self.queue.ask(|done| ToLog::Append(stored, done)).await;
        appended.map_err(unwritten)?;
        self.recent.append(entries);
        flushed.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.recent.truncate(from.index);
        // The entry before `from` is the log's number `from`.
        let done = |done| ToLog::TruncateAfter(from.index, done);
        self.queue.ask(done).await.map_err(unwritten)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let position = codec::position(Some(upto));
        if self.log.last().index < position.index {
            // A snapshot took the place of all there was.
            self.recent.clear();
            let done = |done| ToLog::RestartAfter(position, done);
            self.queue.ask(done).await.map_err(unwritten)?;
        }
        self.queue.tell(ToLog::PurgeBefore(position.index + 1));
        *self.purged.lock() = Some(upto);
        Ok(())
    }
}
