//! Placement of vnodes on shards: pure decisions, without a clock, a disk, a
//! network or a runtime.
//!
//! ```text
//! key ──hash──▶ vnode ──Table──▶ shard        Ring = Table + custody numbers
//!                                                    + shards + epoch
//! Table + members ──claim──▶ the next Table   RingStore keeps one Ring
//! ```
//!
//! The ring plans and records. Who may answer for a vnode is [`Custody`], which
//! each shard keeps in its own log.

mod claim;
mod classic;
mod custody;
mod key;
mod packed;
mod ring;
pub mod simulate;
mod store;
mod table;
mod vnodes;

pub use claim::{ClaimError, Member, claim, first_table, least_moves};
pub use classic::ClassicRing;
pub use custody::{Custody, FIRST_CUSTODY_NUMBER, FoundError, Holding, HoldingError, found};
pub use key::{BadVnodeCount, IdKey, NotAPointId, PointId, ShardId, Vnode, VnodeCount};
pub use packed::UnpackError;
pub use ring::{Ring, RingError, RingParts, ShardState};
pub use store::{Cause, Revision, RingStore, StoreError, SwapError, Versioned};
pub use table::{Reassigned, Table};
pub use vnodes::VnodeSet;
