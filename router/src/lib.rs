//! The stateless front end: REST in, fan-out to shards, merge.
//!
//! ```text
//! HTTP ─→ request (id, span, log, counts)
//!      ─→ rest::call (admission, deadline, envelope)
//!      ─→ rest::{collections, upsert, points, query, …} (decode, validate)
//!      ─→ rest::plan, rest::run (the steps of a search; narrow, fuse, mean, spread, sample, groups: pure)
//!      ─→ fanout::{write, search, read} (which shard, is the answer whole)
//!      ─→ ShardClient, one a shard
//! ```
//!
//! The dialect is that of Qdrant's clients. What a collection is and where its
//! vnodes are comes from a [`Catalog`]; the router keeps nothing of its own
//! between two requests.

mod catalog;
mod connections;
mod fanout;
mod fuse;
mod groups;
mod limits;
mod mean;
mod merge;
mod metrics;
mod narrow;
mod request;
mod rest;
mod sample;
mod server;
mod spread;

pub use catalog::{
    BadPlacement, Catalog, CatalogError, Collection, CollectionLimits, CollectionParams,
    CreateCollection, CreateVector, Hnsw, Metric, NoCollection, VectorParams,
};
pub use connections::serve;
pub use limits::ServerLimits;
pub use metrics::prometheus;
pub use server::{App, DIALECT_VERSION, router};
