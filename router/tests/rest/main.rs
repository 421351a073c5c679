//! The REST API over shards in memory: what it answers, what it refuses, and
//! what it does when shards fail.

// Clippy excuses functions that are tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod aliases;
mod answers;
mod bad_input;
mod bodies;
mod bounds;
mod clients;
mod edits;
mod explain;
mod failures;
mod fuzz;
mod groups;
mod indexes;
mod likeness;
mod matrix;
mod mmr;
mod named;
mod openapi;
mod order;
mod prefetch;
mod reading;
mod recommend;
mod sample;
mod schema;
