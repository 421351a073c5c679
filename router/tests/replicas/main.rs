//! Several replicas of a shard behind one client: whom it asks, what it does when they
//! fail or are slow, and that a write is done once however often it is tried.

// Clippy excuses functions that are tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod chaos;
mod fake;
mod members;
mod reads;
