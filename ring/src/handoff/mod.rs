//! A handoff: some vnodes of one shard, the source, that go to another, the target.
//! What each of its commands does to a shard is decided here, from what the shard's
//! own log has applied so far and from the command alone, so that all replicas
//! decide the same.
//!
//! ```text
//! source   Owned ──open──▶ Leaving ──seal──▶ Sealed ──release──▶ None
//!            ▲ ◀────abort──── │                │
//!            └───────abort, only where the target has declined
//! target   None ──prepare──▶ Arriving ──activate──▶ Owned
//!            ▲ ◀────decline──── │
//! ```
//!
//! The owner is whoever's log says so. After the seal nobody takes writes, until the
//! target's log has taken `activate` or `decline`, whichever is applied first; what
//! it has taken never changes, so anybody may carry word of it to the source, late
//! or twice.
//!
//! A command that was applied before is answered as before and changes nothing: it
//! may come twice, and after a change of leader nobody knows. One of another handoff
//! meets the fence: the highest number of a handoff that a vnode has seen.

mod source;
mod target;

pub use source::{abort, open, release, seal};
pub use target::{activate, decline, forget, ingest, prepare, reset};

use crate::custody::{Custody, Holding};
use crate::key::{ShardId, Vnode};
use std::collections::BTreeMap;
use std::fmt;

/// The name of a handoff: a number from the ring's counter, which orders them, and
/// one drawn at random. After the ring was set back to a backup a number may be given
/// a second time, and the two must not be taken for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandoffId {
    /// From the ring's counter, at least 1.
    pub number: u64,
    /// Drawn at random.
    pub nonce: u64,
}

impl fmt::Display for HandoffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.number, self.nonce)
    }
}

/// A handoff as the ring planned it. Two of them are the same only if all is equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handoff {
    /// Its name.
    pub id: HandoffId,
    /// Who has the vnodes.
    pub from: ShardId,
    /// Who gets them.
    pub to: ShardId,
    /// The vnodes, each with its custody number at the source.
    pub vnodes: BTreeMap<Vnode, u64>,
}

/// What the target's log has taken, once and for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The target owns the vnodes.
    Activated,
    /// The target has none of them and never will by this handoff.
    Declined,
}

/// A handoff that a shard has not done with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// The handoff.
    pub handoff: Handoff,
    /// What came of it, at its target.
    pub outcome: Option<Outcome>,
}

/// What a vnode has, in numbers that are kept up to date with each change: two
/// shards hold the same if they are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Contents {
    /// Changes of points so far.
    pub seq: u64,
    /// Live points.
    pub count: u64,
    /// The sum of the live points' hashes.
    pub digest: u128,
    /// Writes accepted so far.
    pub w: u64,
    /// A hash of the last writes' op ids and results.
    pub ops: u128,
}

/// What a sealed source had: word of it is true for as long as the handoff is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Certificate {
    /// Each vnode's contents.
    pub vnodes: BTreeMap<Vnode, Contents>,
    /// The schema that the source has applied.
    pub schema: u64,
}

/// What a shard's log has applied so far, as far as handoffs go.
pub trait Ledger {
    /// Which shard it is.
    fn shard(&self) -> ShardId;
    /// Whether it is retired: it never owns anything again.
    fn is_retired(&self) -> bool;
    /// The schema that it has.
    fn schema(&self) -> u64;
    /// What it is to a vnode.
    fn holding(&self, vnode: Vnode) -> Holding;
    /// What it has of a vnode.
    fn contents(&self, vnode: Vnode) -> Contents;
    /// A handoff that it has not done with.
    fn kept(&self, id: HandoffId) -> Option<&Kept>;
}

/// What a command changes; all of it at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// Vnodes with what the shard is to them now.
    pub holdings: BTreeMap<Vnode, Holding>,
    /// Vnodes whose points, rows and operations are dropped, to begin anew at nothing.
    pub dropped: Vec<Vnode>,
    /// A handoff that is kept from now on, or `None` for one that is done with.
    pub kept: Option<(HandoffId, Option<Kept>)>,
}

/// Why a command changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not this shard's part.
    #[error("shard {shard} has no such part in handoff {id}")]
    NotMine {
        /// The handoff.
        id: HandoffId,
        /// The shard.
        shard: ShardId,
    },
    /// Another handoff has the same name.
    #[error("handoff {0} is another one here")]
    Another(HandoffId),
    /// A later handoff, or this one's end, has been here.
    #[error("vnode {vnode} has seen handoff {fence}, and takes only later ones")]
    Fenced {
        /// The vnode.
        vnode: u16,
        /// The highest number that it has seen.
        fence: u64,
    },
    /// A vnode is not as the command needs it.
    #[error("vnode {vnode} is {custody:?} with custody number {c}")]
    Custody {
        /// The vnode.
        vnode: u16,
        /// What the shard is to it.
        custody: Custody,
        /// Its custody number.
        c: u64,
    },
    /// The target has not said so.
    #[error("handoff {0} is sealed, and only its target's word ends it")]
    NoWord(HandoffId),
    /// The target has taken something else before.
    #[error("handoff {id} is {outcome:?}")]
    Decided {
        /// The handoff.
        id: HandoffId,
        /// What came of it.
        outcome: Outcome,
    },
    /// The shard is retired.
    #[error("shard {0} is retired")]
    Retired(ShardId),
    /// A page that does not follow the last one.
    #[error("the copy of vnode {vnode} goes on at {cursor}")]
    Cursor {
        /// The vnode.
        vnode: u16,
        /// Where it goes on.
        cursor: u64,
    },
    /// What has arrived is not what was sealed.
    #[error("vnode {vnode} is not as it was sealed: {found:?} for {sealed:?}")]
    Unequal {
        /// The vnode.
        vnode: u16,
        /// What is here.
        found: Box<Contents>,
        /// What was sealed; `None` where the certificate does not name the vnode.
        sealed: Option<Box<Contents>>,
    },
    /// The source has a later schema.
    #[error("the source has schema {sealed}, and this shard {found}")]
    Schema {
        /// That of this shard.
        found: u64,
        /// That of the source.
        sealed: u64,
    },
}

fn custody_of(vnode: Vnode, holding: Holding) -> Refused {
    Refused::Custody {
        vnode: vnode.0,
        custody: holding.custody,
        c: holding.c,
    }
}

/// The handoff as the shard keeps it, if it is in progress here and the same.
fn kept_same<'a>(ledger: &'a impl Ledger, handoff: &Handoff) -> Result<Option<&'a Kept>, Refused> {
    match ledger.kept(handoff.id) {
        Some(kept) if kept.handoff != *handoff => Err(Refused::Another(handoff.id)),
        kept => Ok(kept),
    }
}

/// Whether all vnodes of a handoff are as `is` says.
fn all(ledger: &impl Ledger, handoff: &Handoff, is: impl Fn(Vnode, Custody) -> bool) -> bool {
    let mut vnodes = handoff.vnodes.keys();
    vnodes.all(|v| is(*v, ledger.holding(*v).custody))
}

/// Raises the fences of all vnodes to a handoff's number, on top of what `changed` does.
fn fenced(
    ledger: &impl Ledger,
    handoff: &Handoff,
    changed: impl Fn(Vnode, Holding) -> Holding,
) -> BTreeMap<Vnode, Holding> {
    let raised = handoff.vnodes.keys().filter_map(|vnode| {
        let before = ledger.holding(*vnode);
        let mut after = changed(*vnode, before);
        after.fence = after.fence.max(handoff.id.number);
        (after != before).then_some((*vnode, after))
    });
    raised.collect()
}
