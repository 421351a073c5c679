//! `quoit-shard` as its user runs it: processes with a real etcd, that are killed,
//! lose their disks, and are started wrongly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod picture;
mod replicas;
mod rings;
mod room;
mod secured;
mod support;
mod wrong;
