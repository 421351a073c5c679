//! What a log entry asks of the engine, and what came of it.

use crate::names::{Name, Names, Vector};
use quoit_columns::Schema;
use quoit_filter::{Edit, Filter};
use quoit_ring::{PointId, Vnode, VnodeSet};

/// One entry of the shard's log, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Nothing: an index that only the log itself needed.
    Blank,
    /// The shard's birth: it takes these vnodes.
    Found(VnodeSet),
    /// The payload indexes are to be these, unless a schema of a higher number
    /// came before.
    SetSchema(Schema),
    /// Changes of points, by vnode.
    Write(Vec<VnodeWrite>),
}

/// Operations on one vnode, in order; applied all or none.
#[derive(Clone, Debug, PartialEq)]
pub struct VnodeWrite {
    /// The vnode.
    pub vnode: Vnode,
    /// What to do there.
    pub operations: Vec<Operation>,
    /// Which write it is, if it may be tried again.
    pub attempt: Option<Attempt>,
}

/// What a write is known by, whenever it is tried: chosen at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub [u8; 16]);

/// A write that may be tried more than once, tried once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which write it is.
    pub op_id: OpId,
    /// It may have been done already. Before it was first tried the vnode's `w`
    /// was this, or more.
    pub tried_since: Option<u64>,
}

impl VnodeWrite {
    /// Operations that are never tried again.
    #[must_use]
    pub fn once(vnode: Vnode, operations: Vec<Operation>) -> Self {
        Self {
            vnode,
            operations,
            attempt: None,
        }
    }
}

/// A change of one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The point.
    pub id: PointId,
    /// When it is to be changed.
    pub only_if: Condition,
    /// How.
    pub change: Change,
}

/// When a point is changed; decided where the change is applied, on what the
/// point is then.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Condition {
    /// In any case.
    #[default]
    Always,
    /// If its last change is this one: nothing came between.
    Unchanged {
        /// Its version as it was seen.
        seq: u64,
    },
    /// If it meets this, or is not there.
    MeetsOrMissing(Filter),
    /// If it is there and meets this.
    Meets(Filter),
    /// If it is not there.
    Missing,
}

/// What a point is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// This, whatever it was.
    Upsert {
        /// Finite numbers, each of the dimension of its name, and no name twice;
        /// the point lacks the others.
        vectors: Vec<Vector>,
        /// A JSON object as text; empty for none.
        payload: Vec<u8>,
    },
    /// Of these vectors, with the payload and the other vectors it has. Without
    /// effect on a point that is not there.
    SetVectors(Vec<Vector>),
    /// Without these vectors, with all else that it has. Without effect on a
    /// point that is not there.
    RemoveVectors(Names),
    /// Of another payload, with the vectors it has. Without effect on a point
    /// that is not there.
    EditPayload(Edit),
    /// Not there.
    Delete,
}

impl Operation {
    /// A point is to be this, whatever it was: of the first vector alone.
    #[must_use]
    pub fn upsert(id: PointId, values: Vec<f32>, payload: Vec<u8>) -> Self {
        let name = Name::default();
        let vectors = vec![Vector { name, values }];
        Self::always(id, Change::Upsert { vectors, payload })
    }

    /// A point is not to be.
    #[must_use]
    pub fn delete(id: PointId) -> Self {
        Self::always(id, Change::Delete)
    }

    /// A change that is made in any case.
    #[must_use]
    pub fn always(id: PointId, change: Change) -> Self {
        Self {
            id,
            only_if: Condition::Always,
            change,
        }
    }
}

/// What came of the operations on one vnode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All are done.
    Done {
        /// The vnode's seq after them.
        seq: u64,
        /// Which operations, by their place, left their point as it is: what they
        /// need was not there, or their condition was not met.
        left: Vec<u32>,
        /// The vnode's `w` after them.
        w: u64,
    },
    /// The vnode is not held here: none is done, and none ever will be.
    NotHere,
    /// They may have been done when they were tried before, and that is not known
    /// any more: none is done now.
    Forgotten,
}
