//! Replication with one member: an entry is committed when it is durable in
//! this shard's own log.
//!
//! ```text
//! propose ─▶ queue ─▶ log thread: all that waits, one fdatasync ─▶ apply thread ─▶ reply
//! ```
//!
//! Two threads, so that the next group is synced while the last one is applied.
//! An entry is applied only after it is durable: the rows are never ahead of
//! the log, whatever the power does.

use crate::health::Health;
use crate::log::{Entry as LogEntry, LogError, LogWriter};
use crate::replication::{Proposal, ProposeError, Replication};
use bytes::Bytes;
use quoit_engine::{Engine, Entry, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

type Reply = oneshot::Sender<Result<Vec<Outcome>, ProposeError>>;

/// Proposals that may wait for the log; more are refused, not queued.
const QUEUE: usize = 4096;

/// Bytes and proposals of one group at most, so that the first of it does not
/// wait for an endless last.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_PROPOSALS: usize = 1024;

/// The log is at rest when no write has come for so long.
const REST: Duration = Duration::from_secs(5);

/// The pause before a committed entry that found the disk full is tried again.
const RETRY: Duration = Duration::from_millis(200);

enum ToLog {
    Propose(Proposal, Reply),
    /// Entries before this index are in a checkpoint.
    Purge(u64),
    Stop,
}

struct Committed {
    index: u64,
    bytes: Bytes,
    entry: Entry,
    reply: Reply,
}

/// One member's replication.
pub struct Solo {
    queue: SyncSender<ToLog>,
    engine: Arc<Engine>,
    health: Arc<Health>,
    logged: Arc<AtomicU64>,
}

/// Decodes an entry again, for another try.
pub type Decode = Box<dyn Fn(Bytes) -> Result<Entry, String> + Send>;

/// The threads of a [`Solo`], to be joined.
pub struct SoloThreads {
    queue: SyncSender<ToLog>,
    threads: Vec<JoinHandle<()>>,
}

impl SoloThreads {
    /// Takes no further proposals, finishes those that wait, and comes to rest.
    pub fn stop(self) {
        // A log thread that is gone has stopped already.
        drop(self.queue.send(ToLog::Stop));
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the shard panicked while it stopped");
            }
        }
    }
}

impl Solo {
    /// Starts the threads. The engine must have applied all of the log.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        log: LogWriter,
        engine: Arc<Engine>,
        health: Arc<Health>,
        decode: Decode,
    ) -> std::io::Result<(Self, SoloThreads)> {
        let (queue, proposals) = sync_channel(QUEUE);
        // Two groups: one is applied while the other is synced.
        let (committed, to_apply) = sync_channel::<Vec<Committed>>(2);
        let applier = Applier {
            engine: engine.clone(),
            health: health.clone(),
            decode,
        };
        let apply = std::thread::Builder::new()
            .name("apply".into())
            .spawn(move || applier.run(&to_apply))?;
        let logged = Arc::new(AtomicU64::new(0));
        let writer = Logger {
            log,
            next: engine.applied() + 1,
            health: health.clone(),
            committed,
            logged: logged.clone(),
        };
        let log = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run(&proposals))?;
        let solo = Self {
            queue: queue.clone(),
            engine,
            health,
            logged,
        };
        Ok((
            solo,
            SoloThreads {
                queue,
                threads: vec![log, apply],
            },
        ))
    }

    /// Bytes logged since the start.
    pub fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Relaxed)
    }

    /// Lets the log drop entries that a checkpoint has made needless.
    pub fn purge_before(&self, index: u64) {
        // A full queue will be purged after the next checkpoint.
        drop(self.queue.try_send(ToLog::Purge(index)));
    }
}

#[async_trait::async_trait]
impl Replication for Solo {
    async fn propose(&self, proposal: Proposal) -> Result<Vec<Outcome>, ProposeError> {
        self.health.may_write()?;
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(ToLog::Propose(proposal, reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(ProposeError::Busy("its queue of writes is full"));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(ProposeError::Stopped("it is shutting down".into()));
            }
        }
        let lost = || ProposeError::Unknown("the shard stopped before it answered".into());
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn read_index(&self) -> Result<u64, ProposeError> {
        // One member: what it has acknowledged it has applied.
        Ok(self.engine.view().applied())
    }
}

struct Logger {
    log: LogWriter,
    next: u64,
    health: Arc<Health>,
    committed: SyncSender<Vec<Committed>>,
    logged: Arc<AtomicU64>,
}

impl Logger {
    fn run(mut self, queue: &Receiver<ToLog>) {
        let _watched = self.health.watch("log");
        let mut stopping = false;
        while !stopping {
            let Some(first) = self.next(queue) else {
                break;
            };
            let mut group = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    ToLog::Propose(proposal, reply) => {
                        bytes += proposal.bytes.len();
                        group.push((proposal, reply));
                    }
                    ToLog::Purge(index) => self.purge(index),
                    ToLog::Stop => {
                        stopping = true;
                        break;
                    }
                }
                if bytes < GROUP_BYTES && group.len() < GROUP_PROPOSALS {
                    next = queue.try_recv().ok();
                }
            }
            if !group.is_empty() && !self.commit(group) {
                break;
            }
        }
        self.note_rest();
    }

    /// The next message; `None` when no more can come.
    fn next(&mut self, queue: &Receiver<ToLog>) -> Option<ToLog> {
        match queue.recv_timeout(REST) {
            Err(RecvTimeoutError::Timeout) => {
                self.note_rest();
                queue.recv().ok()
            }
            message => message.ok(),
        }
    }

    /// At rest the log says that all of it is durable, so that damage to its
    /// last group cannot pass for a torn tail.
    fn note_rest(&mut self) {
        if let Err(error) = self.log.mark_synced() {
            tracing::warn!(%error, "the log could not note that it is at rest");
        }
    }

    /// Logs a group and passes it on; `false` if nothing can be logged any more.
    fn commit(&mut self, group: Vec<(Proposal, Reply)>) -> bool {
        let entries: Vec<LogEntry> = (self.next..)
            .zip(&group)
            .map(|(index, (proposal, _))| LogEntry {
                index,
                term: 1,
                payload: proposal.bytes.clone(),
            })
            .collect();
        metrics::histogram!("quoit_log_group_entries")
            .record(f64::from(u32::try_from(entries.len()).unwrap_or(u32::MAX)));
        if let Err(error) = self.log.append_group(&entries) {
            return self.refuse(group, &error);
        }
        let bytes: usize = entries.iter().map(|e| e.payload.len()).sum();
        self.logged.fetch_add(bytes as u64, Ordering::Relaxed);
        let committed = group
            .into_iter()
            .zip(entries)
            .map(|((proposal, reply), logged)| Committed {
                index: logged.index,
                bytes: logged.payload,
                entry: proposal.entry,
                reply,
            });
        let committed: Vec<Committed> = committed.collect();
        self.next += committed.len() as u64;
        self.committed.send(committed).is_ok()
    }

    fn refuse(&self, group: Vec<(Proposal, Reply)>, error: &LogError) -> bool {
        let answer = if matches!(error, LogError::Full { .. }) {
            self.health.note_disk_full();
            ProposeError::DiskFull(error.to_string())
        } else if matches!(error, LogError::Descriptors { .. }) {
            tracing::warn!(error = chain(error), "a write was refused");
            ProposeError::Busy("too many files are open on its machine")
        } else {
            let why = chain(error);
            tracing::error!(
                error = why,
                "the log failed: this shard takes no more writes until it is restarted"
            );
            if is_read_only(error) {
                self.health.note_read_only();
            } else {
                self.health.stop_writes(format!(
                    "its log failed ({why}); restart it when the cause is mended"
                ));
            }
            match self.health.may_write() {
                Err(refused) if error.had_no_effect() => refused,
                _ => ProposeError::Unknown(why),
            }
        };
        for (_, reply) in group {
            // One who no longer waits does not need the answer.
            drop(reply.send(Err(answer.clone())));
        }
        matches!(error, LogError::Full { .. } | LogError::Descriptors { .. })
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

struct Applier {
    engine: Arc<Engine>,
    health: Arc<Health>,
    decode: Decode,
}

impl Applier {
    fn run(self, groups: &Receiver<Vec<Committed>>) {
        let _watched = self.health.watch("apply");
        while let Ok(group) = groups.recv() {
            let mut retry = Vec::with_capacity(group.len());
            let mut entries = Vec::with_capacity(group.len());
            let mut replies = Vec::with_capacity(group.len());
            for Committed {
                index,
                bytes,
                entry,
                reply,
            } in group
            {
                retry.push((index, bytes));
                entries.push((index, entry));
                replies.push(reply);
            }
            match self.apply(entries, &retry) {
                Ok(outcomes) => {
                    for (reply, outcomes) in replies.into_iter().zip(outcomes) {
                        // One who no longer waits does not need the answer.
                        drop(reply.send(Ok(outcomes)));
                    }
                }
                Err(why) => {
                    let unknown = ProposeError::Unknown(why);
                    for reply in replies {
                        drop(reply.send(Err(unknown.clone())));
                    }
                    // What comes after it in the log must not be applied.
                    return;
                }
            }
        }
    }

    /// Applies committed entries. These can no longer be refused: a full disk
    /// is waited out, and anything else stops the shard.
    fn apply(
        &self,
        mut entries: Vec<(u64, Entry)>,
        retry: &[(u64, Bytes)],
    ) -> Result<Vec<Vec<Outcome>>, String> {
        loop {
            match self.engine.apply(entries) {
                Ok(outcomes) => return Ok(outcomes),
                Err(error) => {
                    let what = "an entry could not be applied";
                    let again = self.health.note_failure(what, &error);
                    if !again || self.health.is_stopping() {
                        return Err(chain(&error));
                    }
                    std::thread::sleep(RETRY);
                    let again = retry
                        .iter()
                        .map(|(index, bytes)| Ok((*index, (self.decode)(bytes.clone())?)));
                    entries = again.collect::<Result<_, String>>()?;
                }
            }
        }
    }
}

fn is_read_only(error: &LogError) -> bool {
    let io = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
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
