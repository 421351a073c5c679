//! The whole system as separate processes on loopback, with faults on demand:
//! what failover is tried on without a cluster.
//!
//! ```text
//! quoit playground kill …           the playground's process
//!        │ socket in its folder       ┌────────────────────────────────────────┐
//!        └──────────────────────────▶ │ stage ──▶ supervisor ──▶ the processes │
//!                                     │   │                         ▲ │        │
//!                                     │   └──▶ faults ◀── proxies ──┘ │        │
//!                                     │                     ▲─────────┘        │
//!                                     └────────────────────────────────────────┘
//! ```
//!
//! What runs is a [`plan`], made of few numbers. The [`supervisor`] keeps its
//! processes running and kills, pauses and wipes them on command. What they send
//! to each other goes through [`proxy`]s, which a table of [`faults`] makes lose,
//! reset or delay it.

pub mod child;
pub mod control;
pub mod endpoint;
pub mod faults;
pub mod folder;
pub mod launch;
pub mod listing;
pub mod plan;
pub mod ports;
pub mod programs;
pub mod proxy;
mod ready;
pub mod restarts;
mod run;
mod stage;
pub mod supervisor;

pub use control::{Answer, Links, Request, ask};
pub use endpoint::Endpoint;
pub use launch::exec;
pub use listing::Listing;
pub use plan::{Etcd, MAX_ENDPOINTS};
pub use programs::Programs;
pub use run::{Error, run};

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a playground is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder.
    pub dir: PathBuf,
    /// Shards of the collection.
    pub shards: u32,
    /// Replicas of each shard.
    pub replicas: u32,
    /// Where the router serves REST; port 0 means any free one.
    pub listen: SocketAddr,
    /// Where the router serves gRPC; port 0 means any free one.
    pub grpc: SocketAddr,
    /// Which etcd.
    pub etcd: Etcd,
    /// What it runs.
    pub programs: Programs,
    /// The command that calls [`exec`] with what follows: the playground's process
    /// id, a program and its arguments. Empty: processes are started as they are,
    /// and outlive a playground that is killed.
    pub launcher: Vec<OsString>,
    /// What shards and routers are to log.
    pub log: Option<String>,
}
