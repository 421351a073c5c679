//! Whether a shard may write and read, and if not, why: decided in one place,
//! from what its threads report and from the room on its disk.

use crate::raft::chain;
use crate::replication::ProposeError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Room that is kept free for what must go on when writes do not: the row
/// store's files, a checkpoint, the log's next segment.
#[derive(Clone, Copy, Debug)]
pub struct Watermark {
    /// Writes stop when less than this is free, in bytes.
    pub stop_below: u64,
    /// Writes start again when more than this is free, in bytes: higher, so
    /// that they do not stop and start with each small file.
    pub start_above: u64,
}

impl Watermark {
    /// Keeps so many bytes free.
    #[must_use]
    pub fn above(stop_below: u64) -> Self {
        Self {
            stop_below,
            start_above: stop_below.saturating_add(stop_below / 4),
        }
    }
}

impl Default for Watermark {
    fn default() -> Self {
        Self::above(256 << 20)
    }
}

/// A thread at work.
pub struct Watched {
    health: Arc<Health>,
    thread: &'static str,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = self.thread;
            self.health.stop_all(format!(
                "its {thread} thread panicked: this is a bug, and its log says more; restart it"
            ));
        }
    }
}

/// A shard's health.
#[derive(Default)]
pub struct Health {
    state: Mutex<State>,
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    disk_full: Option<String>,
    /// It was full at some time.
    was_full: bool,
    read_only: bool,
    writes_stopped: Option<String>,
    all_stopped: Option<String>,
}

impl Health {
    /// Whether a write may be proposed.
    ///
    /// # Errors
    /// Why not; the write has no effect.
    pub fn may_write(&self) -> Result<(), ProposeError> {
        if self.is_stopping() {
            return Err(ProposeError::Stopped("it is shutting down".into()));
        }
        let state = self.state.lock();
        if let Some(why) = state.all_stopped.as_ref().or(state.writes_stopped.as_ref()) {
            return Err(ProposeError::Stopped(why.clone()));
        }
        if state.read_only {
            return Err(ProposeError::ReadOnly);
        }
        match &state.disk_full {
            Some(why) => Err(ProposeError::DiskFull(why.clone())),
            None => Ok(()),
        }
    }

    /// Why reads are not served, if they are not.
    pub fn reads_stopped(&self) -> Option<String> {
        self.state.lock().all_stopped.clone()
    }

    /// Why writes are not taken, if they are not.
    pub fn writes_stopped(&self) -> Option<String> {
        self.may_write().err().map(|e| e.to_string())
    }

    /// Whether writes will not come back by themselves, and the disk was full
    /// before that: what was written then is what failed.
    pub fn was_stopped_by_a_full_disk(&self) -> bool {
        let state = self.state.lock();
        state.was_full && state.writes_stopped.is_some() && state.all_stopped.is_none()
    }

    /// What the engine could not do. Damage ends all; of a disk that fails
    /// reads are still right, since a view shows only what was applied. Says
    /// whether another try may succeed.
    pub fn note_failure(&self, what: &str, error: &quoit_engine::Error) -> bool {
        if error.is_disk_full() {
            self.note_disk_full();
            return true;
        }
        let why = chain(error);
        if error.is_out_of_descriptors() {
            tracing::warn!(error = why, "{what}; it is tried again");
            return true;
        }
        tracing::error!(error = why, "{what}");
        let why = format!("{what} ({why}); restart it when the cause is mended");
        if error.is_read_only() {
            self.note_read_only();
        } else if error.is_of_the_disk() {
            self.stop_writes(why);
        } else {
            self.stop_all(why);
        }
        false
    }

    /// A write found the disk full.
    pub fn note_disk_full(&self) {
        let mut state = self.state.lock();
        state.was_full = true;
        state
            .disk_full
            .get_or_insert_with(|| "a file could not grow".into());
    }

    /// A write found the disk read-only. The log is closed to writes then, so
    /// only a restart brings them back.
    pub fn note_read_only(&self) {
        self.state.lock().read_only = true;
    }

    /// Whether this much is enough, and was not when it was measured before.
    pub fn has_room_again(&self, free: u64, watermark: Watermark) -> bool {
        self.state.lock().disk_full.is_some() && free > watermark.start_above
    }

    /// So much of the disk is free.
    pub fn note_free_space(&self, free: u64, watermark: Watermark) {
        let mut state = self.state.lock();
        let is_full = state.disk_full.is_some();
        if free < watermark.stop_below || (is_full && free <= watermark.start_above) {
            let (free, needed) = (free >> 20, watermark.start_above >> 20);
            if !is_full {
                tracing::warn!(
                    free_mib = free,
                    needed_mib = needed,
                    "the disk is nearly full: writes are refused until there is room"
                );
            }
            state.was_full = true;
            state.disk_full = Some(format!("{free} MiB are free, writes need {needed} MiB"));
        } else if is_full {
            state.disk_full = None;
            tracing::info!("the disk has room again: writes go on");
        }
    }

    /// No write is taken until the shard is restarted; reads go on.
    pub fn stop_writes(&self, why: String) {
        self.state.lock().writes_stopped.get_or_insert(why);
    }

    /// Nothing is served until the shard is restarted.
    pub fn stop_all(&self, why: String) {
        self.state.lock().all_stopped.get_or_insert(why);
    }

    /// Held by a thread of the shard while it works: if the thread panics, the
    /// shard must not go on as if it were still there.
    pub fn watch(self: &Arc<Self>, thread: &'static str) -> Watched {
        let health = Arc::clone(self);
        Watched { health, thread }
    }

    /// The shard is being shut down.
    pub fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the shard is being shut down.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_ends_the_service_and_one_that_ends_does_not() {
        let health = Arc::new(Health::default());
        let watched = health.watch("upkeep");
        std::thread::spawn(move || drop(watched)).join().unwrap();
        assert_eq!(health.reads_stopped(), None);
        let watched = health.watch("upkeep");
        let panicked = std::thread::spawn(move || {
            let _watched = watched;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        let why = health.reads_stopped().unwrap();
        assert!(why.contains("upkeep thread panicked"), "{why}");
        assert!(health.may_write().is_err());
    }
}
