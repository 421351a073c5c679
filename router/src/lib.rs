//! The stateless front end: REST and gRPC in, fan-out to shards, merge.
//!
//! ```text
//! HTTP ─→ request (id, span, log, counts)
//!      ─→ rest::call (admission, deadline, envelope)
//!      ─→ rest::{collections, upsert, points, query, …} (decode strictly, validate)
//!      (rest::table says which route goes where, and rest::openapi describes it for `/openapi.json`)
//!      ─→ rest::plan, rest::run (the steps of a search; narrow, fuse, mean, spread, sample, groups: pure)
//!      ─→ fanout::{write, search, read} (which shard, is the answer whole; reading: how fresh)
//!      ─→ ShardClient, one a shard; replicas (which replica of it)
//! ```
//!
//! gRPC comes in by a door of its own ([`grpc_routes`]) and uses the same `check`,
//! `update` and `fanout`. The dialect is that of Qdrant's clients. What a collection is and where its
//! vnodes are comes from a [`Catalog`]; the router keeps nothing of its own
//! between two requests.

mod aliases;
mod catalog;
mod check;
mod condition;
mod connections;
mod error;
mod fanout;
mod fuse;
mod groups;
mod grpc;
mod json;
mod limits;
mod mean;
mod merge;
mod metrics;
mod narrow;
mod payload;
mod ports;
mod reading;
mod replicas;
mod request;
mod rest;
mod sample;
mod select;
mod server;
mod spread;
mod update;

pub use aliases::{AliasAction, Aliases, BadAliases, changed as changed_aliases};
pub use catalog::{
    BadPlacement, Catalog, CatalogError, Collection, CollectionLimits, CollectionParams,
    CreateCollection, CreateVector, Hnsw, Metric, NoCollection, VectorParams,
};
pub use connections::serve;
pub use grpc::{ServeGrpc, routes as grpc_routes, serve as serve_grpc};
pub use limits::ServerLimits;
pub use metrics::prometheus;
pub use ports::{Ports, ServePorts, serve as serve_ports};
pub use replicas::{Replica, ReplicaOptions, ReplicaSet};
pub use rest::filter_from_json;
pub use rest::openapi::openapi;
pub use server::{App, DIALECT_VERSION, router};
