//! What a shard does besides answering: brings vectors into the graph and points
//! into new payload indexes, makes checkpoints, cuts the log behind them, reclaims room, and watches the disk.
//! One thread, so that none of these meets another.

use crate::background;
use crate::health::{Health, Watermark};
use crate::raft::Group;
use parking_lot::{Condvar, Mutex};
use quoit_engine::{Engine, FillStep, IndexStep, ReclaimStep, SaveGraph};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// When upkeep does what.
#[derive(Clone, Copy, Debug)]
pub struct UpkeepOptions {
    /// A checkpoint is made after so many bytes of log …
    pub checkpoint_bytes: u64,
    /// … or, if there were any, after so long.
    pub checkpoint_after: Duration,
    /// What is kept free on the disk.
    pub watermark: Watermark,
    /// Bytes of the log that are kept behind a checkpoint for other members that are
    /// a little behind: they are brought up by entries, which is less than a copy.
    pub kept_log_bytes: u64,
    /// Bytes in a second of a copy that is given to a member further behind, at the most.
    pub copy_bytes_per_second: u64,
}

impl Default for UpkeepOptions {
    fn default() -> Self {
        Self {
            checkpoint_bytes: 128 << 20,
            checkpoint_after: Duration::from_mins(1),
            watermark: Watermark::default(),
            kept_log_bytes: 64 << 20,
            copy_bytes_per_second: 40 << 20,
        }
    }
}

/// The pause when there is nothing to do; a write ends it.
const REST: Duration = Duration::from_millis(500);

/// Tells upkeep that there is work, and writers that the tail got shorter.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    /// Notified after each step of indexing.
    pub indexed: Notify,
}

impl Bell {
    /// There is work.
    pub fn ring(&self) {
        *self.rung.lock() = true;
        self.heard.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.heard.wait_for(&mut rung, REST);
        }
        *rung = false;
    }
}

/// The thread's work.
pub struct Upkeep {
    /// The shard's data.
    pub engine: Arc<Engine>,
    /// The group, whose log is cut.
    pub group: Arc<Group>,
    /// What the thread reports to.
    pub health: Arc<Health>,
    /// What wakes it.
    pub bell: Arc<Bell>,
    /// When it does what.
    pub options: UpkeepOptions,
    /// Writes wait behind a longer tail than this.
    pub max_tail: u64,
}

impl Upkeep {
    /// Works until the shard stops or fails.
    pub fn run(self) {
        let _watched = self.health.watch("upkeep");
        let mut last = Checkpointed {
            when: Instant::now(),
            applied: self.engine.applied(),
            bytes: 0,
        };
        let tail = self.engine.view().tail();
        // What a restart or a copy lacks in the graphs may be much, and nobody waits for it
        // but writers behind a tail that is too long.
        if tail <= self.max_tail && !self.catch_up(&mut last, tail) {
            return;
        }
        while !self.health.is_stopping() && self.health.reads_stopped().is_none() {
            if !self.try_round(&mut last, u64::MAX) {
                return;
            }
            self.bell.wait();
        }
    }

    /// Indexes so much on a thread that gives way; whether it can go on afterwards.
    fn catch_up(&self, last: &mut Checkpointed, tail: u64) -> bool {
        let catching_up = || {
            background::give_way();
            self.try_round(last, tail)
        };
        let caught_up = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("catch-up".into());
            thread
                .spawn_scoped(scope, catching_up)
                .map(ScopedJoinHandle::join)
        });
        match caught_up {
            Ok(Ok(goes_on)) => goes_on,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Without a thread of its own it is caught up as all that comes later.
            Err(_) => true,
        }
    }

    /// Whether it can go on afterwards.
    fn try_round(&self, last: &mut Checkpointed, most: u64) -> bool {
        match self.round(last, most) {
            Ok(()) => true,
            Err(error) => self.health.note_failure("its upkeep failed", &error),
        }
    }

    /// Does what there is to do, or until so many vectors were indexed.
    fn round(&self, last: &mut Checkpointed, most: u64) -> quoit_engine::Result<()> {
        self.note_free_space()?;
        let mut indexed = 0;
        loop {
            let filled = self.engine.fill_step()?;
            let step = self.engine.index_step()?;
            if let IndexStep::Added(vectors) = step {
                indexed += vectors as u64;
                metrics::counter!("quoit_indexed_vectors_total").increment(vectors as u64);
            }
            // Under a load there is always more to index, and the rest must
            // have its turn all the same.
            self.note_free_space()?;
            self.engine.reclaim_step()?;
            self.bell.indexed.notify_waiters();
            let is_idle = step == IndexStep::Idle && filled == FillStep::Idle;
            if is_idle || indexed >= most || self.health.is_stopping() {
                break;
            }
            self.checkpoint_if_due(last)?;
        }
        self.checkpoint_if_due(last)?;
        while self.engine.reclaim_step()? != ReclaimStep::Idle {
            if self.health.is_stopping() {
                break;
            }
        }
        Ok(())
    }

    fn note_free_space(&self) -> quoit_engine::Result<()> {
        let (free, watermark) = (self.engine.free_space()?, self.options.watermark);
        if self.health.has_room_again(free, watermark) {
            // The row store writes in the background, too. If that failed, it
            // is to be known before a write is taken that could not be applied.
            self.engine.check_rows()?;
        }
        self.health.note_free_space(free, watermark);
        Ok(())
    }

    fn checkpoint_if_due(&self, last: &mut Checkpointed) -> quoit_engine::Result<()> {
        let bytes = self.group.logged_bytes();
        let due = bytes - last.bytes >= self.options.checkpoint_bytes
            || (self.engine.applied() > last.applied
                && last.when.elapsed() >= self.options.checkpoint_after);
        if due {
            let applied = self.engine.checkpoint(SaveGraph::IfMuchIsNew)?;
            *last = Checkpointed {
                when: Instant::now(),
                applied,
                bytes,
            };
            self.group.cut_log(applied, self.options.kept_log_bytes);
        }
        Ok(())
    }
}

/// Where the last checkpoint was made.
struct Checkpointed {
    when: Instant,
    applied: u64,
    bytes: u64,
}
