//! One shard: its log, its commands and how they are applied.
//!
//! ```text
//! ShardClient ─▶ keeper ─▶ shard ─▶ replication (the seam) ─▶ log ─▶ engine ─▶ view ─▶ reads
//!                                          upkeep: index, checkpoint, cut the log, reclaim
//! ```

mod background;
mod convert;
mod freshness;
pub mod grpc;
mod health;
mod keeper;
pub mod log;
mod matching;
mod members;
mod open;
mod raft;
mod replication;
mod shard;
mod stamp;
mod upkeep;

pub use health::Watermark;
pub use keeper::Keeper;
pub use members::Wished;
pub use open::{Membership, OpenError, ShardOptions};
pub use raft::{Alone, Member, Peer, PeerError, Peers, Timing};
pub use shard::Shard;
pub use stamp::{MemberId, Stamp, StampError};
pub use upkeep::UpkeepOptions;
