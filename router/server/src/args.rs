//! The command line of `quoit-router`.

use clap::Parser;
use quoit_process::flags::ClusterArgs;
use quoit_proto::reach::is_host_port;
use serde::Serialize;
use std::net::SocketAddr;

/// A router of a Quoit cluster: takes requests of clients over REST and gRPC, asks the shards of
/// one collection, and merges what they answer. It keeps nothing: run as many as you like.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(
    name = "quoit-router",
    version,
    after_help = "Example:\n  quoit-router --etcd http://127.0.0.1:2379 --collection 6f1c2a9e-0000-4000-8000-000000000001 \\\n      --shards docs-0:7000,docs-1:7000\n\nThen, for example:\n  curl localhost:6333/collections"
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
    /// Addresses of shards, separated by commas, for a start while etcd is away: then they are
    /// asked what they saw last of the cluster, and the newest of it is served by until etcd
    /// answers. One replica that answers is enough; a name may stand for several, as that of a
    /// headless service does. Without this, a router that starts while etcd is away waits for it.
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        value_parser = address,
        env = "QUOIT_SHARDS"
    )]
    pub shards: Vec<String>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

fn address(text: &str) -> Result<String, &'static str> {
    let good = is_host_port(text).then(|| text.to_owned());
    good.ok_or("it is no HOST:PORT: give a name or an address at which a shard's replica listens, and its port (7000 unless set otherwise)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn shards_that_nobody_can_be_at_are_refused_by_their_address() {
        let uid = "6f1c2a9e-0000-4000-8000-000000000001";
        let parse = |shards: &str| {
            let flags = ["quoit-router", "--etcd", "http://a:1", "--collection", uid];
            let parsed = Args::try_parse_from(flags.into_iter().chain(["--shards", shards]));
            parsed.map(|args| args.shards).map_err(|e| e.to_string())
        };
        let two = ["docs-0:7000", "10.0.0.1:7001"];
        assert_eq!(parse(&two.join(",")).unwrap(), two);
        for bad in ["docs-1", "http://docs-1:7000", "docs-1:0", ":7000"] {
            let error = parse(&format!("docs-0:7000,{bad}")).unwrap_err();
            let says = format!("'{bad}' for '--shards");
            assert!(error.contains(&says) && error.contains("7000"), "{error}");
        }
    }
}
