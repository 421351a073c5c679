//! `quoit-router` as its user runs it: processes with a real etcd, that are started
//! wrongly, or without it, and whose etcd shows them what they cannot serve by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod asks;
mod rings;
mod starts;
mod support;
