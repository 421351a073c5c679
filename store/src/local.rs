//! What a store within one process needs to be watched and led: it decides how
//! those who wait learn of a change, and who leads. Nothing of it survives the
//! process, since nobody outside could know of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{StreamExt, unfold};
use quoit_ring::{Election, Leader, Leadership, Revision, Shown, StoreError, Watch};
use tokio::sync::watch;

/// How long a watch waits before it reads again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Tells those who watch that something changed.
pub(crate) struct Bell(watch::Sender<()>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Shows what `read` gives, now and after each ring of the bell where it
    /// differs. `reset` says whether something does not follow from what was
    /// shown before it.
    pub(crate) fn watch<T, R>(&self, read: R, reset: fn(before: &T, now: &T) -> bool) -> Watch<T>
    where
        T: Clone + PartialEq + Send + 'static,
        R: Fn() -> Result<T, StoreError> + Send + 'static,
    {
        let mut changes = self.0.subscribe();
        changes.mark_changed();
        let begin = Watched {
            changes,
            read,
            reset,
            shown: None,
            failed: false,
        };
        unfold(begin, |mut watched| async {
            let item = watched.next().await?;
            Some((item, watched))
        })
        .boxed()
    }
}

struct Watched<T, R> {
    changes: watch::Receiver<()>,
    read: R,
    reset: fn(&T, &T) -> bool,
    shown: Option<T>,
    failed: bool,
}

impl<T, R> Watched<T, R>
where
    T: Clone + PartialEq,
    R: Fn() -> Result<T, StoreError>,
{
    /// `None` when the store is gone, and nobody can change anything.
    async fn next(&mut self) -> Option<Result<Shown<T>, StoreError>> {
        loop {
            if self.failed {
                // What failed may heal by itself; damage does when it is replaced.
                let _ = tokio::time::timeout(READ_AGAIN, self.changes.changed()).await;
            } else if self.changes.changed().await.is_err() {
                return None;
            }
            let failed = self.failed;
            match (self.read)() {
                Ok(now) if failed || self.shown.as_ref() != Some(&now) => {
                    self.failed = false;
                    let before = self.shown.replace(now.clone());
                    let reset = before.is_some_and(|before| (self.reset)(&before, &now));
                    return Some(Ok(Shown { now, reset }));
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    if !failed {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

/// An election among the tasks of one process.
#[derive(Clone)]
pub struct LocalElection {
    seats: Arc<Mutex<Seats>>,
    bell: Arc<Bell>,
}

struct Seats {
    begun: u64,
    leader: Option<Leader>,
}

impl Default for LocalElection {
    fn default() -> Self {
        Self {
            seats: Arc::new(Mutex::new(Seats {
                begun: 0,
                leader: None,
            })),
            bell: Arc::new(Bell::new()),
        }
    }
}

impl LocalElection {
    /// Nobody takes over while this is held.
    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs this while it is sure that the leader leads; `None` when it does not.
    pub(crate) fn while_leading<T>(&self, leader: &Leader, run: impl FnOnce() -> T) -> Option<T> {
        let seats = self.lock();
        (seats.leader.as_ref() == Some(leader)).then(run)
    }

    /// Ends whatever leadership there is, as a lost lease would.
    pub fn depose(&self) {
        self.lock().leader = None;
        self.bell.ring();
    }

    fn try_lead(&self, who: &str) -> Option<Leader> {
        let mut seats = self.lock();
        if seats.leader.is_some() {
            return None;
        }
        seats.begun += 1;
        let leader = Leader {
            who: who.to_owned(),
            session: 0,
            since: Revision(seats.begun),
        };
        seats.leader = Some(leader.clone());
        Some(leader)
    }

    fn end(&self, leader: &Leader) {
        let mut seats = self.lock();
        if seats.leader.as_ref() == Some(leader) {
            seats.leader = None;
            self.bell.ring();
        }
    }
}

#[async_trait::async_trait]
impl Election for LocalElection {
    async fn campaign(&self, who: &str) -> Result<Box<dyn Leadership>, StoreError> {
        // Before the first look: what changes after it is not missed.
        let mut changes = self.bell.0.subscribe();
        loop {
            if let Some(leader) = self.try_lead(who) {
                return Ok(Box::new(LocalLeadership {
                    leader,
                    election: self.clone(),
                }));
            }
            // The election holds the other end, so this does not fail.
            let _ = changes.changed().await;
        }
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        let seats = self.lock();
        Ok(seats.leader.as_ref().map(|leader| leader.who.clone()))
    }
}

struct LocalLeadership {
    leader: Leader,
    election: LocalElection,
}

#[async_trait::async_trait]
impl Leadership for LocalLeadership {
    fn leader(&self) -> &Leader {
        &self.leader
    }

    async fn lost(&self) {
        let mut changes = self.election.bell.0.subscribe();
        while self.election.while_leading(&self.leader, || ()).is_some() {
            let _ = changes.changed().await;
        }
    }

    async fn resign(self: Box<Self>) -> Result<(), StoreError> {
        // As if dropped, which ends it.
        Ok(())
    }
}

impl Drop for LocalLeadership {
    fn drop(&mut self) {
        self.election.end(&self.leader);
    }
}
