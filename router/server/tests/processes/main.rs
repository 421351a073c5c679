//! `quoit-router` as its user runs it: processes with a real etcd, that are started
//! wrongly, and whose etcd shows them what they cannot serve by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod rings;
mod starts;
mod support;
