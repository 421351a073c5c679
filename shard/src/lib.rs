//! One shard: its log, its commands and how they are applied.
//!
//! ```text
//! ShardClient ─▶ keeper ─▶ shard ─▶ replication (the seam) ─▶ log ─▶ engine ─▶ view ─▶ reads
//!                                          upkeep: index, checkpoint, cut the log, reclaim
//! ```

mod convert;
mod health;
mod keeper;
pub mod log;
mod matching;
mod replication;
mod shard;
mod solo;
mod stamp;
mod upkeep;

pub use health::Watermark;
pub use keeper::Keeper;
pub use shard::{OpenError, Shard, ShardOptions};
pub use stamp::{Stamp, StampError};
pub use upkeep::UpkeepOptions;
