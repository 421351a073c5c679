//! A shard as its callers see it, on a disk that tests can watch, slow down
//! and break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod digests;
mod disk;
mod failures;
mod full_disk;
mod matching;
mod rest;
mod retries;
mod schema;
mod support;
mod writing;
