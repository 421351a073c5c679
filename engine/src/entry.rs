//! What a log entry asks of the engine, and what came of it.

use quoit_ring::{PointId, Vnode, VnodeSet};

/// One entry of the shard's log, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Nothing: an index that only the log itself needed.
    Blank,
    /// The shard's birth: it takes these vnodes.
    Found(VnodeSet),
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
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// The point is to be this, whatever it was.
    Upsert {
        /// Its id.
        id: PointId,
        /// Finite numbers, of the collection's dimension.
        vector: Vec<f32>,
        /// A JSON object as text; empty for none.
        payload: Vec<u8>,
    },
    /// The point is not to be.
    Delete {
        /// Its id.
        id: PointId,
    },
}

/// What came of the operations on one vnode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All are done.
    Done {
        /// The vnode's seq after them.
        seq: u64,
    },
    /// The vnode is not held here: none is done, and none ever will be.
    NotHere,
}
