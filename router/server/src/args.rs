//! The command line of `quoit-router`.

use clap::Parser;
use quoit_process::flags::ClusterArgs;
use serde::Serialize;
use std::net::SocketAddr;

/// A router of a Quoit cluster: takes requests of clients over REST and gRPC, asks the shards of
/// one collection, and merges what they answer. It keeps nothing: run as many as you like.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(
    name = "quoit-router",
    version,
    after_help = "Example:\n  quoit-router --etcd http://127.0.0.1:2379 --collection 6f1c2a9e-0000-4000-8000-000000000001\n\nThen, for example:\n  curl localhost:6333/collections"
)]
pub struct Args {
    /// The address for REST clients, probes and figures (/livez, /readyz, /metrics).
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "0.0.0.0:6333",
        env = "QUOIT_LISTEN"
    )]
    pub listen: SocketAddr,
    /// The address for gRPC clients, with health and reflection.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "0.0.0.0:6334",
        env = "QUOIT_GRPC"
    )]
    pub grpc: SocketAddr,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
