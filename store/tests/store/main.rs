//! The stores from outside: what all forms promise, and what a real etcd does to
//! the form that is kept in it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod contract;
mod election;
mod foreign;
mod limits;
mod outages;
mod support;
mod tls;
mod values;
mod watches;
