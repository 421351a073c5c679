//! Where a ring is kept, as those see it who read, watch and change it. It
//! decides the contract: one value, read whole and replaced whole, and replaced
//! only by whoever knows what is there. With that, any number of writers can
//! crash, run twice or run at once, and none undoes another's step unseen.

use std::error::Error;

use futures_core::stream::BoxStream;

use crate::election::Leader;
use crate::ring::Ring;

/// A store's name for one content of the ring; another for each write. They
/// are told apart and not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(pub u64);

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A value as a store held it at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The revision.
    pub revision: Revision,
    /// The value.
    pub value: T,
}

/// What a watch shows at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<T> {
    /// What is there.
    pub now: T,
    /// It does not follow from what was shown before, but may be older: the
    /// store was set back or replaced, as when it is restored from a backup.
    pub reset: bool,
}

/// What is there now, then what is there after each change. Changes that follow
/// each other quickly may be shown as one.
///
/// It ends only with a store in this process, and reconnects by itself. An error is shown once for each
/// outage; what comes after it is what is there then, also if nothing changed.
/// Damage is shown as an error too, and what replaces it after that.
pub type Watch<T> = BoxStream<'static, Result<Shown<T>, StoreError>>;

/// A store of one ring.
#[async_trait::async_trait]
pub trait RingStore: Send + Sync + 'static {
    /// The ring and its revision; `None` when none was ever written.
    ///
    /// # Errors
    /// The store cannot say. That is never the same as there being no ring.
    async fn read(&self) -> Result<Option<Versioned<Ring>>, StoreError>;

    /// Replaces the ring, if what is there is still `expected`; `None` expects
    /// that there is none. Once this returns a revision, the ring is durable.
    ///
    /// # Errors
    /// Another ring is there, or the store failed; see [`SwapError`] for what
    /// is there then.
    async fn swap(&self, expected: Option<Revision>, next: &Ring) -> Result<Revision, SwapError>;

    /// As [`Self::swap`], and only if this leader still leads, at the same
    /// moment: a leader that was deposed without knowing it changes nothing.
    ///
    /// # Errors
    /// As [`Self::swap`], or [`SwapError::NotLeader`].
    async fn swap_as(
        &self,
        leader: &Leader,
        expected: Option<Revision>,
        next: &Ring,
    ) -> Result<Revision, SwapError>;

    /// Shows the ring, and `None` while there is none. A ring with a lower epoch
    /// than one shown before is a reset, whoever wrote it.
    fn watch(&self) -> Watch<Option<Versioned<Ring>>>;
}

/// What a store met below itself.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a store cannot say what is there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The world failed: the same call may succeed later.
    #[error("could not {action}; it may be tried again")]
    Unavailable {
        /// What was tried, with its object: `read /data/ring`.
        action: String,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// What is kept is damaged, or of a version that this one does not know.
    /// Trying again does not help: a person has to look. It is never taken for
    /// there being no ring, and never overwritten.
    #[error("what is kept in {place} is not what belongs there")]
    Damaged {
        /// Where it is kept.
        place: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// More than the store takes as one value.
    #[error("what was to be written to {place} has {bytes} bytes, and the most is {limit}")]
    TooLarge {
        /// Where it was to be kept.
        place: String,
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Damaged { .. } | Self::TooLarge { .. } => false,
        }
    }
}

/// Why a value was not replaced, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Somebody else was first: read again and decide again. Nothing changed.
    #[error("what is there is not at the expected revision: {}", revision_text(*.present))]
    Conflict {
        /// The revision that is there; `None` when there is nothing.
        present: Option<Revision>,
    },
    /// Who wanted to write as the leader is not, or not any more. Nothing
    /// changed.
    #[error("{who} does not lead, or not any more: nothing was changed")]
    NotLeader {
        /// What the candidate called itself.
        who: String,
    },
    /// The store failed, and what was there still is.
    #[error("nothing was replaced")]
    Failed(#[source] StoreError),
    /// The store failed, and what is new may be there or not, or come to be there
    /// a little later as long as nothing else is written: read it before the next
    /// step, and swap from what was read.
    #[error("it may or may not have been replaced")]
    Unknown(#[source] StoreError),
}

fn revision_text(revision: Option<Revision>) -> String {
    revision.map_or_else(
        || "there is none".to_owned(),
        |revision| format!("it is at {revision}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_can_be_chosen_at_run_time() {
        fn takes(_: Option<std::sync::Arc<dyn RingStore>>) {}
        takes(None);
    }

    #[test]
    fn a_conflict_says_what_is_there() {
        let text = |present| SwapError::Conflict { present }.to_string();
        assert_eq!(
            text(Some(Revision(7))),
            "what is there is not at the expected revision: it is at 7"
        );
        assert_eq!(
            text(None),
            "what is there is not at the expected revision: there is none"
        );
    }

    #[test]
    fn only_what_the_world_did_is_tried_again() {
        let source = || Cause::from("why");
        let action = "read x".to_owned();
        let place = "x".to_owned();
        assert!(
            StoreError::Unavailable {
                action,
                source: source()
            }
            .may_retry()
        );
        assert!(
            !StoreError::Damaged {
                place,
                source: source()
            }
            .may_retry()
        );
    }
}
