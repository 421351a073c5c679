//! The thread that writes: the log and the vote, one thing after another, each
//! durable before it is answered. A full disk is waited out, since openraft
//! takes no other failure than the last: meanwhile this member is silent, and
//! the others go on without it.

use super::Vote;
use super::vote::VoteFile;
use crate::health::Health;
use crate::log::{Entry as Stored, LogError, LogWriter, Position};
use crate::replication::ProposeError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The log is at rest when nothing has come for so long.
const REST: Duration = Duration::from_secs(5);

/// The pause before something that found the disk full is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What may wait for the thread. openraft has at most one thing under way.
const QUEUE: usize = 64;

/// Why something was not written, with its causes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NotWritten(String);

type Done = oneshot::Sender<Result<(), NotWritten>>;

/// What the thread is asked to do.
pub enum ToLog {
    /// Append entries as one group.
    Append(Vec<Stored>, Done),
    /// Drop the entries after an index.
    TruncateAfter(u64, Done),
    /// Drop all entries; the next follows this position.
    RestartAfter(Position, Done),
    /// Delete what is before an index, where that can be done by the file.
    PurgeBefore(u64),
    /// Make sure that so many entries of so many bytes together will find room.
    MakeRoom {
        /// How many entries.
        entries: u64,
        /// How many bytes they have.
        bytes: u64,
        /// Who is told.
        done: oneshot::Sender<Result<(), ProposeError>>,
    },
    /// Keep a vote.
    Vote(Vote, Done),
    /// End.
    Stop,
}

/// The way to the thread.
#[derive(Clone)]
pub struct LogQueue {
    queue: SyncSender<ToLog>,
    logged: Arc<AtomicU64>,
}

impl LogQueue {
    /// Has something done, and waits until it is durable.
    ///
    /// # Errors
    /// It is not, or the thread is gone.
    pub async fn ask(&self, what: impl FnOnce(Done) -> ToLog) -> Result<(), NotWritten> {
        let gone = || NotWritten("the log's thread has ended".to_owned());
        let (done, answer) = oneshot::channel();
        self.queue.try_send(what(done)).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Makes sure that so many entries of so many bytes together will find room.
    ///
    /// # Errors
    /// They will not: whatever they are, they are not to be proposed.
    pub async fn make_room(&self, entries: u64, bytes: u64) -> Result<(), ProposeError> {
        let gone = || ProposeError::Stopped("the log's thread has ended".to_owned());
        let (done, answer) = oneshot::channel();
        let what = ToLog::MakeRoom {
            entries,
            bytes,
            done,
        };
        self.queue.try_send(what).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Ends the thread, after all that it was asked for. Blocks while its queue is full.
    pub fn stop(&self) {
        // One that is gone has ended.
        drop(self.queue.send(ToLog::Stop));
    }

    /// Has something done that nobody waits for.
    pub fn tell(&self, what: ToLog) {
        // A thread that is gone, or full of work, is told again at the next time.
        drop(self.queue.try_send(what));
    }

    /// Bytes logged since the start.
    pub fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Relaxed)
    }
}

/// Starts the thread.
///
/// # Errors
/// The operating system gives none.
pub fn start(
    log: LogWriter,
    vote: VoteFile,
    health: Arc<Health>,
) -> io::Result<(LogQueue, JoinHandle<()>)> {
    let (queue, asked) = sync_channel(QUEUE);
    let logged = Arc::new(AtomicU64::new(0));
    let thread = LogThread {
        log,
        vote,
        health,
        logged: logged.clone(),
    };
    let join = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || thread.run(&asked))?;
    Ok((LogQueue { queue, logged }, join))
}

struct LogThread {
    log: LogWriter,
    vote: VoteFile,
    health: Arc<Health>,
    logged: Arc<AtomicU64>,
}

impl LogThread {
    fn run(mut self, asked: &Receiver<ToLog>) {
        let _watched = self.health.clone().watch("log");
        while let Some(next) = self.next(asked) {
            let (result, done) = match next {
                ToLog::Append(entries, done) => (self.append(&entries), done),
                ToLog::TruncateAfter(index, done) => {
                    (self.patiently(|log| log.truncate_after(index)), done)
                }
                ToLog::RestartAfter(position, done) => {
                    (self.patiently(|log| log.restart_after(position)), done)
                }
                ToLog::Vote(vote, done) => (self.keep_vote(&vote), done),
                ToLog::MakeRoom {
                    entries,
                    bytes,
                    done,
                } => {
                    // One who no longer waits does not need the answer.
                    drop(done.send(self.make_room(entries, bytes)));
                    continue;
                }
                ToLog::PurgeBefore(index) => {
                    self.purge(index);
                    continue;
                }
                ToLog::Stop => break,
            };
            // One who no longer waits does not need the answer.
            drop(done.send(result));
        }
        self.note_rest();
    }

    /// What comes next; `None` when nothing more can come.
    fn next(&mut self, asked: &Receiver<ToLog>) -> Option<ToLog> {
        match asked.recv_timeout(REST) {
            Err(RecvTimeoutError::Timeout) => {
                self.note_rest();
                asked.recv().ok()
            }
            asked => asked.ok(),
        }
    }

    /// At rest the log says that all of it is durable, so that damage to its
    /// last group cannot pass for a torn tail.
    fn note_rest(&mut self) {
        if let Err(error) = self.log.mark_synced() {
            tracing::warn!(
                error = chain(&error),
                "the log could not note that it is at rest"
            );
        }
    }

    /// Before a write is proposed it can still be refused; when it is appended
    /// it cannot.
    fn make_room(&mut self, entries: u64, bytes: u64) -> Result<(), ProposeError> {
        let Err(error) = self.log.make_room(entries, bytes) else {
            return Ok(());
        };
        match error {
            LogError::Full { .. } => {
                self.health.note_disk_full();
                Err(ProposeError::DiskFull(error.to_string()))
            }
            LogError::Descriptors { .. } => {
                tracing::warn!(error = chain(&error), "a write was refused");
                Err(ProposeError::Busy("too many files are open on its machine"))
            }
            error => {
                let NotWritten(why) = self.failed("log", &error, is_read_only(&error));
                Err(match self.health.may_write() {
                    Err(refused) => refused,
                    Ok(()) => ProposeError::Stopped(why),
                })
            }
        }
    }

    fn append(&mut self, entries: &[Stored]) -> Result<(), NotWritten> {
        self.patiently(|log| log.append_group(entries))?;
        let bytes: usize = entries.iter().map(|e| e.payload.len()).sum();
        self.logged.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Does something to the log, and waits while the disk is full.
    fn patiently(
        &mut self,
        mut what: impl FnMut(&mut LogWriter) -> Result<(), LogError>,
    ) -> Result<(), NotWritten> {
        loop {
            let Err(error) = what(&mut self.log) else {
                return Ok(());
            };
            match error {
                LogError::Full { .. } => self.health.note_disk_full(),
                LogError::Descriptors { .. } => {
                    let error = chain(&error);
                    tracing::warn!(error, "the log could not grow; it is tried again");
                }
                failed => return Err(self.failed("log", &failed, is_read_only(&failed))),
            }
            if self.health.is_stopping() {
                return Err(NotWritten("the disk is full, and the shard stops".into()));
            }
            std::thread::sleep(RETRY);
        }
    }

    fn keep_vote(&self, vote: &Vote) -> Result<(), NotWritten> {
        loop {
            let Err(error) = self.vote.write(vote) else {
                return Ok(());
            };
            let disk = error.of_the_disk().map(io::Error::kind);
            if disk != Some(io::ErrorKind::StorageFull) {
                let read_only = disk == Some(io::ErrorKind::ReadOnlyFilesystem);
                return Err(self.failed("vote", &error, read_only));
            }
            self.health.note_disk_full();
            if self.health.is_stopping() {
                return Err(NotWritten("the disk is full, and the shard stops".into()));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Nothing can be logged any more.
    fn failed(
        &self,
        what: &str,
        error: &(dyn std::error::Error + 'static),
        read_only: bool,
    ) -> NotWritten {
        let why = chain(error);
        tracing::error!(
            error = why,
            "the {what} failed: this shard takes no more writes until it is restarted"
        );
        if read_only {
            self.health.note_read_only();
        } else {
            self.health.stop_writes(format!(
                "its {what} failed ({why}); restart it when the cause is mended"
            ));
        }
        NotWritten(why)
    }

    fn purge(&mut self, index: u64) {
        if let Err(error) = self.log.purge_before(index) {
            tracing::warn!(
                error = chain(&error),
                "old segments of the log could not be removed; tried again after the next checkpoint"
            );
        }
    }
}

fn is_read_only(error: &LogError) -> bool {
    let io = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

/// An error with its causes, for a log line or an answer.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
