//! Several replicas of one shard in one process: what was acknowledged stays,
//! whichever of them is lost, cut off or late.

mod cluster;
mod elections;
mod reads;
mod snapshots;
