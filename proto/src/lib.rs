//! The messages between routers and shards and those of clients, what is generated from the
//! `.proto` files, and the [`ShardClient`] trait through which routers,
//! balancer and other shards reach a shard.

mod client;
mod codec;
mod convert;
mod edit;
mod filter;
pub mod reach;
pub mod remote;
mod schema;
pub mod weight;

pub use client::{ErrorKind, ShardClient, ShardError};
pub use codec::{BoundedCodec, BoundedDecoder};
pub use filter::BadFilter;
pub use remote::RemoteShard;
pub use schema::BadSchema;

/// The services for clients as descriptors, for reflection.
pub const CLIENT_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clients.bin"));

/// The services of shards as descriptors, for reflection.
pub const SHARD_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shards.bin"));

/// Package `quoit.v1`, generated.
#[allow(missing_docs, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("quoit.v1");
}
