//! Which process leads, where only one should act at a time. It decides the
//! contract: a leader is known by a [`Leader`], which a store compares in the
//! same step in which it changes a value. So a process that was deposed without
//! knowing it, because it stood still or was cut off, changes nothing; that does
//! not rest on any clock.

use crate::store::{Revision, StoreError};

/// One time of leading. Another for each, also of the same process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// What the candidate called itself.
    pub who: String,
    /// The session that holds the leadership and ends with it.
    pub session: i64,
    /// The store's revision at which it began.
    pub since: Revision,
}

/// Where candidates of one kind are elected.
#[async_trait::async_trait]
pub trait Election: Send + Sync + 'static {
    /// Waits until this candidate leads, as long as another one does. `who` is
    /// for people.
    ///
    /// # Errors
    /// The store failed; the candidate does not lead.
    async fn campaign(&self, who: &str) -> Result<Box<dyn Leadership>, StoreError>;

    /// What the leader calls itself; `None` while there is none.
    ///
    /// # Errors
    /// The store cannot say.
    async fn leader(&self) -> Result<Option<String>, StoreError>;
}

/// The leadership of this process. Dropped, it is no longer renewed, and ends
/// when its time is over.
#[async_trait::async_trait]
pub trait Leadership: Send + Sync {
    /// What to write with: see [`crate::RingStore::swap_as`].
    fn leader(&self) -> &Leader;

    /// Returns when this process no longer leads, or can no longer know that it
    /// does. To stop then is polite; what protects is the comparison.
    async fn lost(&self);

    /// Gives the leadership up, so that another need not wait.
    ///
    /// # Errors
    /// The store failed; the leadership ends when its time is over.
    async fn resign(self: Box<Self>) -> Result<(), StoreError>;
}
