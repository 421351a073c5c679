//! The shard's Raft group: openraft, with the shard's own log and the engine
//! as its storage. Nothing above this module names a type of openraft.
//!
//! ```text
//! propose ─▶ proposer: all that waits, one entry ─▶ openraft ─▶ storage ─▶ log thread ─▶ log, vote
//!                                                      └──────▶ machine ─▶ apply thread ─▶ engine
//! ```
//!
//! openraft counts from 0, where the first membership is, and the log from 1: the
//! storage translates. Everything else uses openraft's numbers.

mod age;
mod asked;
mod codec;
mod giving_way;
mod group;
mod handing;
mod leading;
mod log_thread;
mod machine;
mod members;
mod network;
mod peer;
mod proposer;
mod reached;
mod read_rounds;
mod recent;
mod removed;
mod storage;
mod taking;
mod timing;
mod vote;
mod wire;

#[cfg(test)]
mod tests;

pub use codec::{commands_of, index, stored_index};
pub use group::{Group, GroupOptions, StartError};
pub use log_thread::chain;
pub use members::Standing;
pub use peer::{Alone, Peer, PeerError, Peers};
pub use taking::TakingOptions;
pub use timing::Timing;
pub use vote::{VoteError, VoteFile};

use bytes::Bytes;
use parking_lot::Mutex;
use quoit_engine::{Engine, Entry as Command, Outcome};
use std::fmt;
use std::sync::Arc;

openraft::declare_raft_types!(
    /// What openraft is told of this group's types.
    pub Types:
        D = Batch,
        R = Applied,
        NodeId = u64,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = Handed,
);

use codec::Note;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type GroupEntry = openraft::Entry<Types>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, Member>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type StorageError = openraft::StorageError<u64>;

/// A member of the group, as the membership names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Where its service is, as HOST:PORT.
    pub address: String,
    /// Its place among the shard's replicas: 0, 1, 2 …
    pub ordinal: u32,
    /// Where its machine is; empty where that is not known.
    pub zone: String,
    /// The generation of the wish by which it was last changed. The members keep it
    /// with themselves, so that a group never acts on a wish that is older than one
    /// that it has acted on, whatever the store of wishes is set back to.
    pub wish: u64,
}

/// Commands that are one entry of the log: durable, committed and applied together.
#[derive(Clone)]
pub struct Batch {
    /// As the log keeps it and the network carries it.
    bytes: Bytes,
    /// The same, decoded, where it was proposed; whoever applies it takes it.
    decoded: Arc<Mutex<Option<Vec<Command>>>>,
}

impl Batch {
    /// Of commands, encoded and as they were before.
    fn of(encoded: Vec<Bytes>, decoded: Vec<Command>) -> Self {
        Self {
            bytes: codec::encode_commands(encoded),
            decoded: Arc::new(Mutex::new(Some(decoded))),
        }
    }

    /// As it was read.
    fn read(bytes: Bytes) -> Self {
        Self {
            bytes,
            decoded: Arc::default(),
        }
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} bytes)", self.bytes.len())
    }
}

/// What came of each command of a batch; empty for entries of the group's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied(Vec<Vec<Outcome>>);

/// A snapshot, as openraft passes it on: what a copy is taken of, when it is sent.
#[derive(Clone)]
pub struct Handed {
    engine: Arc<Engine>,
    /// Bytes of the disk that stay free.
    spare: u64,
    /// Up to where it is at least.
    note: Note,
}
