//! Values in memory, for tests and simulations: it decides nothing that the
//! contract leaves open, and can be made to fail where a network can.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quoit_ring::{
    Cause, Change, Election, Leadership, Named, Revision, StoreError, SwapError, ValueName, Values,
    Versioned, Watch,
};

use crate::local::{Bell, LocalElection};

/// What goes wrong with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive.
    Refused,
    /// It is carried out, and its answer is lost.
    AnswerLost,
}

/// Values in memory. A clone is the same store.
#[derive(Clone)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    bell: Arc<Bell>,
    election: LocalElection,
}

#[derive(Default)]
struct Kept {
    revision: u64,
    values: Named,
    failing_read: bool,
    failing_write: Option<Fault>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            bell: Arc::new(Bell::new()),
            election: LocalElection::default(),
        }
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next value that is read or listed cannot be.
    pub fn fail_read(&self) {
        self.lock().failing_read = true;
    }

    /// The next change fails like this.
    pub fn fail_write(&self, fault: Fault) {
        self.lock().failing_write = Some(fault);
    }

    /// Its election, to depose the leader.
    #[must_use]
    pub fn election(&self) -> &LocalElection {
        &self.election
    }

    fn read<T>(
        &self,
        action: impl FnOnce() -> String,
        read: impl FnOnce(&Named) -> T,
    ) -> Result<T, StoreError> {
        let mut kept = self.lock();
        if mem::take(&mut kept.failing_read) {
            return Err(unavailable(action(), Fault::Refused));
        }
        Ok(read(&kept.values))
    }
}

fn unavailable(action: String, fault: Fault) -> StoreError {
    StoreError::Unavailable {
        action,
        source: Cause::from(match fault {
            Fault::Refused => "the test refused it",
            Fault::AnswerLost => "the test lost the answer",
        }),
    }
}

fn under(values: &Named, name: &ValueName) -> Named {
    let covered = values.iter().filter(|(other, _)| name.covers(other));
    covered
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl Kept {
    fn change(&mut self, change: Change<'_>) -> Result<Revision, SwapError> {
        let present = self.values.get(change.name).map(|value| value.revision);
        if present != change.expected {
            return Err(SwapError::Conflict { present });
        }
        self.revision += 1;
        let revision = Revision(self.revision);
        let name = change.name.clone();
        match change.next {
            Some(next) => {
                let value = next.to_vec();
                self.values.insert(name, Versioned { revision, value });
            }
            None => {
                self.values.remove(&name);
            }
        }
        Ok(revision)
    }
}

#[async_trait::async_trait]
impl Values for MemoryStore {
    async fn get(&self, name: &ValueName) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        self.read(
            || format!("read {}", self.place(name)),
            |values| values.get(name).cloned(),
        )
    }

    async fn list(&self, under_name: &ValueName) -> Result<Named, StoreError> {
        self.read(
            || format!("list {}", self.place(under_name)),
            |values| under(values, under_name),
        )
    }

    async fn change(&self, change: Change<'_>) -> Result<Revision, SwapError> {
        let fault = self.lock().failing_write.take();
        let failed = |fault| unavailable(format!("write {}", self.place(change.name)), fault);
        if let Some(fault @ Fault::Refused) = fault {
            return Err(SwapError::Failed(failed(fault)));
        }
        let change_it = || self.lock().change(change);
        let made = match change.leader {
            None => change_it(),
            Some(leader) => self
                .election
                .while_leading(leader, change_it)
                .unwrap_or_else(|| {
                    Err(SwapError::NotLeader {
                        who: leader.who.clone(),
                    })
                }),
        };
        self.bell.ring();
        match fault {
            Some(fault) => Err(SwapError::Unknown(failed(fault))),
            None => made,
        }
    }

    fn watch(&self, under_name: &ValueName) -> Watch<Named> {
        let (store, name) = (self.clone(), under_name.clone());
        self.bell
            .watch(move || Ok(under(&store.lock().values, &name)), |_, _| false)
    }

    fn place(&self, name: &ValueName) -> String {
        format!("{name} in memory")
    }
}

#[async_trait::async_trait]
impl Election for MemoryStore {
    async fn campaign(&self, who: &str) -> Result<Box<dyn Leadership>, StoreError> {
        self.election.campaign(who).await
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        self.election.leader().await
    }
}
