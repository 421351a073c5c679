//! Several replicas of one shard in one process: what was acknowledged stays,
//! whichever of them is lost, cut off or late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod cluster;
mod elections;
mod reads;
mod retries;
mod snapshots;
