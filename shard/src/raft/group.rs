//! One member of a group, running: who leads, what is proposed, how far a view
//! must be. The only place that drives openraft.

use super::age::Age;
use super::giving_way::{self, GivingWay};
use super::handing::Exports;
use super::leading::{Leadership, as_follower, confirmed, ended, fresh_index, leadership};
use super::log_thread::{self, LogQueue, chain};
use super::machine::{self, Decode};
use super::network::Network;
use super::peer::{Peers, Ways};
use super::proposer::{self, Reply};
use super::removed::Removed;
use super::storage::Storage;
use super::taking::{Taking, TakingOptions};
use super::timing::Timing;
use super::vote::{VoteError, VoteFile};
use super::{Member, Note, Types, read_rounds};
use crate::health::Health;
use crate::log::Opened;
use crate::replication::{Proposal, ProposeError, Replication};
use crate::stamp::MemberId;
use openraft::error::{InitializeError, RaftError};
use openraft::{Raft, ServerState};
use parking_lot::Mutex;
use quoit_engine::{Engine, Outcome};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// How long what is on its way may take when the member stops.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the last entries that are kept in memory: what is applied next, and what
/// other members need next, if there are any.
const RECENT: usize = 32 << 20;
const RECENT_ALONE: usize = 4 << 20;

/// What a member is started with.
pub struct GroupOptions {
    /// Who it is.
    pub me: MemberId,
    /// Its place among the replicas.
    pub ordinal: u32,
    /// How the others are reached.
    pub peers: Arc<dyn Peers>,
    /// How it keeps time.
    pub timing: Timing,
    /// Whether there will never be another member.
    pub is_alone: bool,
    /// Where copies of a leader's data are taken in.
    pub taking: TakingOptions,
    /// Bytes in a second at which this member gives a copy of its data.
    pub copy_rate: u64,
}

/// Why a member could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread could be had.
    #[error("a thread of the shard could not be started")]
    Thread(#[from] std::io::Error),
    /// Its vote is not known.
    #[error("the shard's vote cannot be read")]
    Vote(#[from] VoteError),
    /// What it had applied is not known.
    #[error("the shard's state cannot be read")]
    Machine(#[from] machine::StartError),
    /// openraft does not start.
    #[error("the shard's Raft group could not be started: {0}")]
    Raft(String),
}

/// A running member.
pub struct Group {
    pub(super) me: MemberId,
    is_alone: bool,
    pub(super) taking: Taking,
    exports: Arc<Exports>,
    pub(super) raft: Raft<Types>,
    /// Whether it is one no more, as it was told.
    pub(super) removed: Removed,
    /// Whose message was refused last, and why.
    pub(super) misdirected: Mutex<String>,
    pub(super) health: Arc<Health>,
    log: LogQueue,
    reader: crate::log::LogReader,
    queue: Mutex<Option<mpsc::Sender<(Proposal, Reply)>>>,
    giving_way: Arc<GivingWay>,
    /// Whether it takes no proposals any more, since it is about to stop.
    is_leaving: AtomicBool,
    readers: mpsc::UnboundedSender<read_rounds::Asker>,
    age: Arc<Mutex<Age>>,
    /// When a leader was last heard of.
    pub(super) heard: Mutex<Instant>,
    /// How long after that no other is voted for.
    pub(super) lease: Duration,
    /// Between two tries to be elected.
    pub(super) pause: Duration,
    pub(super) note: watch::Receiver<Note>,
    running: Mutex<Option<Running>>,
}

/// What ends with the member.
struct Running {
    runtime: Background,
    proposer: tokio::task::JoinHandle<()>,
    threads: [JoinHandle<()>; 2],
}

/// A runtime that ends in the background: a start that fails or is given up drops it
/// where tasks run, and there nothing may block.
struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    fn start() -> std::io::Result<Self> {
        // A thread of its own: that a leader is alive must be told in time, however
        // many searches there are.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("raft")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Group {
    /// Starts a member on its log and its engine.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        options: GroupOptions,
        opened: Opened,
        vote: VoteFile,
        engine: Arc<Engine>,
        health: Arc<Health>,
        decode: Decode,
    ) -> Result<Self, StartError> {
        let GroupOptions {
            me,
            ordinal,
            peers,
            timing,
            is_alone,
            taking,
            copy_rate,
        } = options;
        let kept_vote = vote.read()?;
        let kept_vote = kept_vote.map(|kept| {
            if is_alone {
                kept
            } else {
                as_follower(kept, me.node)
            }
        });
        vote.keep_room();
        let Opened { writer, reader, .. } = opened;
        let (log, log_thread) = log_thread::start(writer, vote, health.clone())?;
        let exports = Arc::new(Exports::new(copy_rate));
        let (machine, note, apply_thread) = machine::start(
            engine.clone(),
            health.clone(),
            decode,
            taking.spare,
            exports.clone(),
        )?;
        let runtime = Background::start()?;
        let spawner = runtime.handle.clone();
        let recent = if is_alone { RECENT_ALONE } else { RECENT };
        let storage = Storage::new(log.clone(), reader.clone(), kept_vote, recent);
        let config = Arc::new(timing.config(ordinal));
        let ways = Arc::new(Ways::new(peers));
        let giving_way = Arc::<GivingWay>::default();
        let removed = Removed::default();
        let network = Network::new(
            me,
            ways.clone(),
            exports.clone(),
            giving_way.clone(),
            removed.clone(),
        );
        let starting = Raft::new(me.node, config, network, storage, machine);
        let started = spawner.spawn(starting).await;
        let raft = started.map_err(|e| StartError::Raft(e.to_string()))?;
        let raft = raft.map_err(|e| StartError::Raft(chain(&e)))?;
        let (quieted, mut told) = (raft.clone(), removed.watch());
        spawner.spawn(async move {
            while told.changed().await.is_ok() {
                quieted.runtime_config().elect(!*told.borrow_and_update());
            }
        });
        let (queue, waiting) = mpsc::channel(proposer::QUEUE);
        let proposer = spawner.spawn(proposer::run(raft.clone(), log.clone(), waiting));
        spawner.spawn(giving_way::run(
            raft.clone(),
            health.clone(),
            giving_way.clone(),
        ));
        let (readers, asked) = mpsc::unbounded_channel();
        let reading = raft.clone();
        let round = move || {
            let (raft, ways) = (reading.clone(), ways.clone());
            async move { fresh_index(&raft, me, &ways).await }
        };
        let age = Arc::<Mutex<Age>>::default();
        let told = age.clone();
        let answered = move |begun, index| told.lock().answered(begun, index);
        spawner.spawn(read_rounds::run(asked, round, answered));
        Ok(Self {
            me,
            is_alone,
            taking: Taking::new(taking, engine),
            exports,
            raft,
            removed,
            misdirected: Mutex::default(),
            health,
            log,
            reader,
            queue: Mutex::new(Some(queue)),
            giving_way,
            is_leaving: AtomicBool::new(false),
            readers,
            age,
            heard: Mutex::new(Instant::now()),
            lease: timing.election_window(ordinal).1,
            pause: timing.heartbeat,
            note,
            running: Mutex::new(Some(Running {
                runtime,
                proposer,
                threads: [log_thread, apply_thread],
            })),
        })
    }

    /// Makes the group, of all its members at once. Only the first start of a group
    /// may do so; nothing, if this member knows of a group already.
    ///
    /// # Errors
    /// The member has stopped.
    pub async fn initialize(&self, members: BTreeMap<u64, Member>) -> Result<(), ProposeError> {
        if self.is_initialized().await? {
            return Ok(());
        }
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// Whether this member knows of a group.
    ///
    /// # Errors
    /// The member has stopped.
    pub async fn is_initialized(&self) -> Result<bool, ProposeError> {
        let is_initialized = self.raft.is_initialized().await;
        is_initialized.map_err(|e| ProposeError::Stopped(e.to_string()))
    }

    /// Asks for votes now, and not when no leader was heard of for a while.
    ///
    /// # Errors
    /// The member has stopped.
    pub async fn elect(&self) -> Result<(), ProposeError> {
        let asked = self.raft.trigger().elect().await;
        asked.map_err(|e| ProposeError::Stopped(e.to_string()))
    }

    /// Waits until this member leads and has applied all that was committed before.
    ///
    /// # Errors
    /// It did not come to lead in this time, or has stopped.
    pub async fn lead(&self, patience: Duration) -> Result<(), ProposeError> {
        let raft = self.raft.clone();
        let leads = async move {
            let leads = raft.wait(Some(patience));
            let leads = leads.state(ServerState::Leader, "to lead").await;
            leads.map_err(|e| ProposeError::Stopped(e.to_string()))?;
            confirmed(&raft).await
        };
        // By the group's own clock: a test may have stopped its own.
        let leads = self
            .running
            .lock()
            .as_ref()
            .map(|r| r.runtime.handle.spawn(leads));
        let index = match leads {
            Some(leads) => leads.await.map_err(|_| stopped())??,
            None => return Err(stopped()),
        };
        self.applied(index).await
    }

    /// Waits until this member has applied an entry.
    ///
    /// # Errors
    /// The member has stopped.
    pub async fn applied(&self, index: u64) -> Result<(), ProposeError> {
        let mut note = self.note.clone();
        let reached = note.wait_for(|note| note.applied.is_some_and(|id| id.index >= index));
        reached.await.map(drop).map_err(|_| stopped())
    }

    /// How old what this member has applied can be: it has every write that was
    /// acknowledged so long ago or longer. `None` if it does not know.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        if self.is_alone {
            return Some(Duration::ZERO);
        }
        let applied = self.note.borrow().applied.map(|id| id.index);
        self.age.lock().of(applied, Instant::now())
    }

    /// Whether a write may be proposed here. Where another leads or may come to lead, that
    /// comes first: it may well have the room that this one lacks.
    ///
    /// # Errors
    /// Why not; the write has no effect.
    pub fn may_write(&self) -> Result<(), ProposeError> {
        let Leadership { leader, is_me } = self.leadership();
        let leader = leader.map(|(node, _)| node);
        let not_leader = ProposeError::NotLeader { leader };
        if !is_me && ended(&self.raft).is_none() {
            return Err(not_leader);
        }
        self.health.may_write()?;
        if is_me { Ok(()) } else { Err(not_leader) }
    }

    /// Which member it is.
    #[must_use]
    pub fn node(&self) -> u64 {
        self.me.node
    }

    /// Who leads.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        leadership(&self.raft)
    }

    /// Notified when a copy of a leader's data is there.
    #[must_use]
    pub fn copied(&self) -> Arc<Notify> {
        self.taking.whole.clone()
    }

    /// Why the last one that a leader had was not taken in.
    #[must_use]
    pub fn copy_refused(&self) -> Option<String> {
        self.taking.refused()
    }

    /// Whether there is one, which the shard is to be opened anew on.
    #[must_use]
    pub fn has_copy(&self) -> bool {
        self.taking.is_whole()
    }

    /// Bytes logged since the start.
    #[must_use]
    pub fn logged_bytes(&self) -> u64 {
        self.log.logged_bytes()
    }

    /// A checkpoint has all up to an index: the log may be cut before it, but for
    /// so many bytes that members need that are a little behind.
    pub fn cut_log(&self, applied: u64, kept: u64) {
        let kept = if self.is_alone { 0 } else { kept };
        let last = super::codec::stored_index(applied);
        let first_kept = super::codec::index(self.reader.first_of_last(last, kept));
        // A member that is given a copy needs what comes after it.
        let first_kept = match self.exports.oldest() {
            Some(copied) => first_kept.min(copied + 1),
            None => first_kept,
        };
        let raft = self.raft.clone();
        let cut = async move {
            raft.trigger().snapshot().await?;
            let mut metrics = raft.data_metrics();
            let has_snapshot = metrics
                .wait_for(|m| m.snapshot.is_some_and(|id| id.index >= applied))
                .await
                .is_ok();
            match first_kept.checked_sub(1) {
                Some(upto) if has_snapshot => raft.trigger().purge_log(upto).await,
                _ => Ok(()),
            }
        };
        self.spawn(async move {
            if let Err(error) = cut.await {
                tracing::debug!(%error, "the log is not cut: the shard stops");
            }
        });
    }

    /// Runs something as long as the group does, by its own clock.
    pub(super) fn spawn(&self, what: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = &*self.running.lock() {
            running.runtime.handle.spawn(what);
        }
    }

    /// Lets another member lead, if this one does and another can: before an orderly stop,
    /// so that nobody waits until the others miss it. From here on it takes no proposals.
    pub async fn give_way(&self, patience: Duration) {
        self.is_leaving.store(true, Ordering::Release);
        // Elected once more it would lead and take nothing.
        self.raft.runtime_config().elect(false);
        let (raft, giving_way) = (self.raft.clone(), self.giving_way.clone());
        let leave = async move { giving_way::leave(&raft, &giving_way, patience).await };
        // By the group's own clock.
        let leaving = self
            .running
            .lock()
            .as_ref()
            .map(|r| r.runtime.handle.spawn(leave));
        if let Some(leaving) = leaving
            && leaving.await.is_err()
        {
            tracing::error!("a task of the shard panicked while it let another lead");
        }
    }

    /// Whether it is about to stop.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Takes no further proposals, finishes those that wait, and ends.
    pub fn stop(&self) {
        drop(self.queue.lock().take());
        let Some(running) = self.running.lock().take() else {
            return;
        };
        let Running {
            runtime,
            proposer,
            threads,
        } = running;
        let raft = self.raft.clone();
        let end = async move {
            if tokio::time::timeout(STOP_PATIENCE, proposer).await.is_err() {
                tracing::warn!(
                    "writes were on their way when the shard stopped: their outcome is unknown"
                );
            }
            if let Err(error) = raft.shutdown().await {
                tracing::error!(%error, "the Raft group ended badly");
            }
        };
        wait_for(&runtime.handle, end);
        self.log.stop();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the shard panicked while it stopped");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for what runs on another thread, also on one that runs tasks.
fn wait_for(runtime: &Handle, what: impl Future<Output = ()> + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel::<()>();
    runtime.spawn(async move {
        what.await;
        drop(done);
    });
    // Nothing is ever sent: it ends when the other side is dropped.
    let _: Result<(), _> = ended.recv();
}

fn stopped() -> ProposeError {
    ProposeError::Stopped("it is shutting down".into())
}

#[async_trait::async_trait]
impl Replication for Group {
    async fn propose(&self, proposal: Proposal) -> Result<Vec<Outcome>, ProposeError> {
        self.may_write()?;
        if self.is_leaving() {
            return Err(ProposeError::NotLeader { leader: None });
        }
        let queue = self.queue.lock().clone().ok_or_else(stopped)?;
        let (reply, answer) = oneshot::channel();
        match queue.try_send((proposal, reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(ProposeError::Busy("its queue of writes is full"));
            }
            Err(TrySendError::Closed(_)) => return Err(stopped()),
        }
        drop(queue);
        let lost = || ProposeError::Unknown("the shard stopped before it answered".into());
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn read_index(&self) -> Result<u64, ProposeError> {
        if self.is_alone {
            // What it has acknowledged it has applied, and nobody else can have
            // acknowledged more. So reads go on when its log has failed.
            return Ok(self.note.borrow().applied.map_or(0, |id| id.index));
        }
        let (asker, answer) = oneshot::channel();
        self.readers.send(asker).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}
