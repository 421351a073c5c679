//! Placement of vnodes on shards: pure decisions, without a clock, a disk, a
//! network or a runtime.
//!
//! ```text
//! key ──hash──▶ vnode ──Table──▶ shard        Ring = Table + custody numbers
//!                                                    + shards + epoch
//! Table + members ──claim──▶ the next Table   RingStore keeps one Ring,
//!                                             Values what is beside it
//! ```
//!
//! The ring plans and records. Who may answer for a vnode is [`Custody`], which
//! each shard keeps in its own log.

pub mod balance;
mod claim;
mod classic;
mod custody;
mod election;
pub mod handoff;
mod key;
mod numbers;
mod packed;
mod registration;
mod ring;
pub mod simulate;
mod store;
mod table;
mod values;
mod vnodes;

pub use claim::{ClaimError, Member, claim, first_table, least_moves};
pub use classic::ClassicRing;
pub use custody::{
    Answers, Custody, FIRST_CUSTODY_NUMBER, FoundError, Hint, Holding, HoldingError, found,
};
pub use election::{Election, Leader, Leadership};
pub use key::{BadVnodeCount, IdKey, NotAPointId, PointId, ShardId, Vnode, VnodeCount};
pub use numbers::{NumberError, next_number};
pub use packed::UnpackError;
pub use registration::{BadRegistration, Registration};
pub use ring::{Move, Ring, RingError, RingParts, ShardState, Stage};
pub use store::{Cause, Revision, RingStore, Shown, StoreError, SwapError, Versioned, Watch};
pub use table::{Reassigned, Table};
pub use values::{BadValueName, Change, Named, ValueName, Values};
pub use vnodes::VnodeSet;
