//! The shard's port: what routers ask of a replica, and what its group's other
//! members do, over gRPC.

mod peers;
mod picture;
mod serve;

pub use peers::GrpcPeers;
pub use picture::Picture;
pub use serve::{ServeError, serve};
