//! Placement of vnodes on shards: pure decisions, without a clock, a disk, a
//! network or a runtime.

mod key;
mod vnodes;

pub use key::{BadVnodeCount, IdKey, NotAPointId, PointId, ShardId, Vnode, VnodeCount};
pub use vnodes::VnodeSet;
