//! Several replicas of one shard in one process: what was acknowledged stays,
//! whichever of them is lost, cut off or late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod cluster;
#[path = "../shard/disk.rs"]
#[allow(dead_code, reason = "each test program uses a part of this")]
mod disk;
mod elections;
mod full_disk;
mod members;
mod reads;
mod retries;
mod routed;
mod snapshots;

/// What the disk looks for in its test program.
mod support {
    pub use crate::cluster::PATIENCE;
}
