//! Keeps the processes as they were ordered to be: a task for each starts it,
//! starts it again when it has died, and does what it is told in between. What
//! it is now, everybody can see ([`Status`]).
//!
//! ```text
//!            ┌── died, or killed ──▶ Restarting ── after a moment ──┐
//! Starting ──┴▶ Running ⇄ Paused                                    ├──▶ Starting
//!            └── killed, to stay down ──▶ Down ──── start ──────────┘
//! ```

use crate::child::Child;
use crate::launch;
use crate::plan::{Process, Role};
use crate::ready::ready;
use crate::restarts::{PAUSE, Restarts};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a process may take to stop before it is killed. Longer than a router
/// waits for its requests in flight, or a shard for its checkpoint.
const PATIENCE: Duration = Duration::from_secs(40);

/// How much of the end of a log is shown.
const LAST_BYTES: u64 = 4096;
const LAST_LINES: usize = 15;

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Runs, and has not been ready yet.
    Starting,
    /// Runs, and has been ready.
    Running,
    /// Stands still: its connections stay open, and nothing answers.
    Paused,
    /// Has ended, and is started again in a moment.
    Restarting,
    /// Has ended, and stays so until it is started.
    Down,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Down => "down",
        })
    }
}

/// What is known of a process.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Its process id, while it has one.
    pub pid: Option<u32>,
    /// How often it was started.
    pub starts: u64,
    /// How often it died by itself since it was last ready.
    pub deaths: u32,
    /// How it last ended by itself, with the end of its log.
    pub last_words: String,
}

/// What a process can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To run, if it does not.
    Start,
    /// To end at once, as `kill -9` does.
    Kill {
        /// It is not started again.
        stay_down: bool,
    },
    /// To stand still.
    Pause,
    /// To go on.
    Resume,
    /// To lose its data, and start anew.
    Wipe,
    /// To stop well, and stay down.
    Stop,
}

/// Why an order is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has ended.
    #[error("{name} is not running; `quoit playground start {name}` starts it")]
    NotRunning {
        /// Its name.
        name: String,
    },
    /// It is no shard.
    #[error(
        "{name} is no shard: only a shard's data can be wiped, which its other replicas have too"
    )]
    NoShard {
        /// Its name.
        name: String,
    },
    /// Its data cannot be removed. It stays down.
    #[error("the data of {name} cannot be wiped; it stays down")]
    Wipe {
        /// Its name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be signalled.
    #[error("{name} cannot be signalled")]
    Signal {
        /// Its name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The playground is ending.
    #[error("the playground is stopping")]
    Stopping,
}

type Said = Result<String, Error>;
type Asked = (Order, oneshot::Sender<Said>);
type Reply = (oneshot::Sender<Said>, Said);

/// The way to a process, and its picture.
#[derive(Clone, Debug)]
pub struct Handle {
    /// What was planned.
    pub process: Arc<Process>,
    orders: mpsc::Sender<Asked>,
    status: watch::Receiver<Status>,
}

impl Handle {
    /// Tells it to do something and waits until it is done. What was done is
    /// said for people.
    ///
    /// # Errors
    /// It cannot be done.
    pub async fn order(&self, order: Order) -> Result<String, Error> {
        let (answer, answered) = oneshot::channel();
        let sent = self.orders.send((order, answer)).await;
        sent.map_err(|_| Error::Stopping)?;
        answered.await.unwrap_or(Err(Error::Stopping))
    }

    /// What it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// To see what it becomes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

/// All processes. They are killed when it is dropped.
#[derive(Debug)]
pub struct Supervisor {
    launcher: Vec<OsString>,
    handles: Vec<Handle>,
    tasks: JoinSet<()>,
}

impl Supervisor {
    /// One that starts processes by this launcher ([`launch`]).
    #[must_use]
    pub fn new(launcher: Vec<OsString>) -> Self {
        Self {
            launcher,
            handles: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts a process, and keeps it running from now on.
    pub fn add(&mut self, process: &Process, arguments: Vec<String>) -> Handle {
        let process = Arc::new(process.clone());
        let (orders, asked) = mpsc::channel(8);
        let (status, seen) = watch::channel(Status {
            state: State::Starting,
            pid: None,
            starts: 0,
            deaths: 0,
            last_words: String::new(),
        });
        let keeper = Keeper {
            process: Arc::clone(&process),
            arguments,
            launcher: self.launcher.clone(),
            asked,
            status,
            restarts: Restarts::default(),
        };
        self.tasks.spawn(keeper.keep());
        let handle = Handle {
            process,
            orders,
            status: seen,
        };
        self.handles.push(handle.clone());
        handle
    }

    /// Stops all in the order in which they do without each other: who asks
    /// first, who is asked last.
    pub async fn stop(&self) {
        for role in [Role::Router, Role::Shard, Role::Etcd] {
            let mut stopping = JoinSet::new();
            for handle in &self.handles {
                if handle.process.role == role {
                    let handle = handle.clone();
                    stopping.spawn(async move { handle.order(Order::Stop).await });
                }
            }
            while let Some(stopped) = stopping.join_next().await {
                if let Ok(Err(error)) = stopped {
                    tracing::error!("a process is not stopped: {error}");
                }
            }
        }
    }
}

/// What the task of a process has.
struct Keeper {
    process: Arc<Process>,
    arguments: Vec<String>,
    launcher: Vec<OsString>,
    asked: mpsc::Receiver<Asked>,
    status: watch::Sender<Status>,
    restarts: Restarts,
}

/// What the task is at.
enum Phase {
    Down,
    Due(Instant),
    Alive(Child, Instant),
}

/// What comes next, and what is said of it to who ordered it.
struct Next {
    phase: Phase,
    reply: Option<Reply>,
}

impl From<Phase> for Next {
    fn from(phase: Phase) -> Self {
        Self { phase, reply: None }
    }
}

impl Keeper {
    async fn keep(mut self) {
        let mut next = Next::from(Phase::Due(Instant::now()));
        loop {
            let Next { phase, reply } = next;
            // Before the reply: who asked sees it as they were told.
            self.show(&phase);
            if let Some((answer, said)) = reply {
                // They may have given up waiting.
                drop(answer.send(said));
            }
            let came = match phase {
                Phase::Down => match self.asked.recv().await {
                    Some(asked) => Some(self.without(asked, Phase::Down).await),
                    None => None,
                },
                Phase::Due(at) => tokio::select! {
                    asked = self.asked.recv() => match asked {
                        Some(asked) => Some(self.without(asked, Phase::Due(at)).await),
                        None => None,
                    },
                    () = tokio::time::sleep_until(at) => Some(self.start().await.into()),
                },
                Phase::Alive(child, since) => self.alive(child, since).await,
            };
            match came {
                Some(came) => next = came,
                // Nobody is left to give orders.
                None => return,
            }
        }
    }

    fn name(&self) -> String {
        self.process.name.clone()
    }

    fn show(&self, phase: &Phase) {
        self.status.send_modify(|status| {
            (status.state, status.pid) = match phase {
                Phase::Down => (State::Down, None),
                // Before its first start it restarts nothing.
                Phase::Due(_) if status.starts == 0 => (State::Starting, None),
                Phase::Due(_) => (State::Restarting, None),
                Phase::Alive(child, _) => (State::Starting, Some(child.id())),
            };
        });
    }

    async fn start(&mut self) -> Phase {
        self.status.send_modify(|status| status.starts += 1);
        let started = match self.command() {
            Ok(command) => Child::start(command, &self.process.name).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(child) => Phase::Alive(child, Instant::now()),
            Err(error) => self.died(&format!("cannot be started: {error}"), Duration::ZERO),
        }
    }

    fn command(&self) -> io::Result<Command> {
        fs::create_dir_all(&self.process.dir)?;
        let log = self.process.log();
        let log = File::options().create(true).append(true).open(log)?;
        let program = self.process.program.as_os_str();
        let mut command = launch::command(&self.launcher, program, &self.arguments);
        command
            // Ctrl-C in a terminal is for the playground alone, which stops the
            // processes in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn died(&mut self, how: &str, lived: Duration) -> Phase {
        let pause = self.restarts.died(lived);
        let log = end_of(&self.process.log());
        let (name, pause_s) = (&self.process.name, pause.as_secs());
        let words = format!("{name} {how}; the end of its log:\n{log}");
        tracing::warn!("{name} {how} and starts again in {pause_s} s; the end of its log:\n{log}");
        self.status.send_modify(|status| {
            status.deaths += 1;
            status.last_words = words;
        });
        Phase::Due(Instant::now() + pause)
    }

    /// What an order does to a process that does not run.
    async fn without(&mut self, (order, answer): Asked, phase: Phase) -> Next {
        let name = self.name();
        let (said, phase) = match order {
            Order::Start => (Ok(format!("{name} starts")), Phase::Due(Instant::now())),
            Order::Kill { stay_down: false } => (Ok(format!("{name} was not running")), phase),
            Order::Kill { stay_down: true } | Order::Stop => (
                Ok(format!("{name} was not running, and stays down")),
                Phase::Down,
            ),
            Order::Pause | Order::Resume => (Err(Error::NotRunning { name }), phase),
            Order::Wipe => match self.wipe().await {
                Ok(said) => (Ok(said), Phase::Due(Instant::now())),
                Err(error @ Error::NoShard { .. }) => (Err(error), phase),
                Err(error) => (Err(error), Phase::Down),
            },
        };
        let reply = Some((answer, said));
        Next { phase, reply }
    }

    /// While it runs. Returns nothing when nobody is left to give orders.
    async fn alive(&mut self, mut child: Child, since: Instant) -> Option<Next> {
        let process = Arc::clone(&self.process);
        let (mut is_ready, mut is_paused) = (false, false);
        let mut becomes_ready = pin!(ready(process.http, process.ready));
        loop {
            let (order, answer) = tokio::select! {
                ended = child.ended() => {
                    let how = match ended {
                        Ok(status) => format!("ended by itself ({status})"),
                        Err(error) => format!("ended: {error}"),
                    };
                    return Some(self.died(&how, since.elapsed()).into());
                }
                () = &mut becomes_ready, if !is_ready => {
                    is_ready = true;
                    tracing::info!("{} is ready", process.name);
                    self.status.send_modify(|status| status.deaths = 0);
                    self.lives(is_ready, is_paused);
                    continue;
                }
                asked = self.asked.recv() => asked?,
            };
            let name = self.name();
            let ended = match order {
                Order::Start => {
                    drop(answer.send(Ok(format!("{name} was running"))));
                    continue;
                }
                Order::Pause | Order::Resume => {
                    let pause = order == Order::Pause;
                    let said = self.pause(&child, pause);
                    if said.is_ok() {
                        is_paused = pause;
                    }
                    self.lives(is_ready, is_paused);
                    drop(answer.send(said));
                    continue;
                }
                Order::Wipe if process.role != Role::Shard => {
                    drop(answer.send(Err(Error::NoShard { name })));
                    continue;
                }
                Order::Kill { .. } | Order::Wipe => self.kill(&mut child).await,
                Order::Stop => self.stop(&mut child).await,
            };
            if let Err(source) = ended {
                drop(answer.send(Err(Error::Signal { name, source })));
                continue;
            }
            let pid = child.id();
            let (said, phase) = match order {
                Order::Kill { stay_down: true } => (
                    Ok(format!("killed {name} (process {pid}); it stays down")),
                    Phase::Down,
                ),
                Order::Kill { .. } => {
                    let pause = self.restarts.killed();
                    let said =
                        format!("killed {name} (process {pid}); it starts again in a moment");
                    (Ok(said), Phase::Due(Instant::now() + pause))
                }
                Order::Wipe => match self.wipe().await {
                    Ok(said) => (Ok(said), Phase::Due(Instant::now() + PAUSE)),
                    Err(error) => (Err(error), Phase::Down),
                },
                _ => (Ok(format!("stopped {name}")), Phase::Down),
            };
            let reply = Some((answer, said));
            return Some(Next { phase, reply });
        }
    }

    /// Shows what a process is that runs.
    fn lives(&self, is_ready: bool, is_paused: bool) {
        self.status.send_modify(|status| {
            status.state = match (is_paused, is_ready) {
                (true, _) => State::Paused,
                (false, true) => State::Running,
                (false, false) => State::Starting,
            };
        });
    }

    fn pause(&self, child: &Child, pause: bool) -> Result<String, Error> {
        let name = self.name();
        let (signal, said) = if pause {
            (Signal::STOP, format!("paused {name}"))
        } else {
            (Signal::CONT, format!("{name} goes on"))
        };
        match child.signal(signal) {
            Err(source) => Err(Error::Signal { name, source }),
            Ok(()) => Ok(said),
        }
    }

    async fn kill(&self, child: &mut Child) -> io::Result<()> {
        child.signal(Signal::KILL)?;
        // Gone in any case; an error says only that nobody knows how.
        drop(child.ended().await);
        Ok(())
    }

    async fn stop(&self, child: &mut Child) -> io::Result<()> {
        child.signal(Signal::TERM)?;
        // One that stands still would not hear of it.
        child.signal(Signal::CONT)?;
        let name = &self.process.name;
        let Ok(ended) = tokio::time::timeout(PATIENCE, child.ended()).await else {
            tracing::warn!("{name} did not stop within {PATIENCE:?}: it is killed");
            return self.kill(child).await;
        };
        let Ok(status) = ended else { return Ok(()) };
        // etcd goes well by the very signal.
        let by_signal = status.signal() == Some(Signal::TERM.as_raw());
        let is_well = status.success() || (by_signal && self.process.role == Role::Etcd);
        if !is_well {
            tracing::warn!("{name} did not stop well: {status}");
        }
        Ok(())
    }

    /// Removes the data of a shard that does not run.
    async fn wipe(&self) -> Result<String, Error> {
        let name = self.name();
        if self.process.role != Role::Shard {
            return Err(Error::NoShard { name });
        }
        match tokio::fs::remove_dir_all(self.process.data()).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Wipe { name, source })
            }
            _ => Ok(format!("wiped {name}; it starts without data in a moment")),
        }
    }
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LAST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // Without it the death is told all the same.
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests;
