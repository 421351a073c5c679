//! The command line of `quoit-shard`.

use clap::Parser;
use quoit_process::flags::ClusterArgs;
use quoit_proto::reach::is_host_port;
use quoit_shard::log::LogOptions;
use quoit_shard::{UpkeepOptions, Watermark};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One replica of a shard of a Quoit cluster: a member of the shard's Raft group, with its data.
///
/// It waits until the collection is in etcd, gets a number of its own at its first start, and
/// joins the shard's group. An empty data directory is always a new replica.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(
    name = "quoit-shard",
    version,
    after_help = "Example:\n  quoit-shard --etcd http://127.0.0.1:2379 --collection 6f1c2a9e-0000-4000-8000-000000000001 \\\n      --shard 0 --ordinal 0 --data-dir ./data-0-0 --listen 127.0.0.1:7000 --http 127.0.0.1:7080"
)]
pub struct Args {
    /// The shard.
    #[arg(long, value_name = "N", env = "QUOIT_SHARD")]
    pub shard: u32,
    /// The place among the shard's replicas: 0, 1, 2 ... A replica that comes back empty at a
    /// place replaces the one before it.
    #[arg(long, value_name = "K", env = "QUOIT_ORDINAL")]
    pub ordinal: u32,
    /// Where the data is; made where it is new. One process at a time can use it.
    #[arg(long, value_name = "DIR", env = "QUOIT_DATA_DIR")]
    pub data_dir: PathBuf,
    /// The address for routers and the shard's other replicas (gRPC).
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "0.0.0.0:7000",
        env = "QUOIT_LISTEN"
    )]
    pub listen: SocketAddr,
    /// Where others find it, if that is not the address that it listens on.
    #[arg(long, value_name = "HOST:PORT", env = "QUOIT_ADVERTISE")]
    pub advertise: Option<String>,
    /// The address for probes and figures: /livez, /readyz, /metrics.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "0.0.0.0:7080",
        env = "QUOIT_HTTP"
    )]
    pub http: SocketAddr,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// A checkpoint is made after so many bytes of log: fewer make a restart after a crash
    /// quicker, more make writes cheaper.
    #[arg(long, value_name = "BYTES", default_value_t = UpkeepOptions::default().checkpoint_bytes, env = "QUOIT_CHECKPOINT_BYTES", help_heading = "Advanced")]
    pub checkpoint_bytes: u64,
    /// ... or, if there were any writes, after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = UpkeepOptions::default().checkpoint_after.as_secs(), env = "QUOIT_CHECKPOINT_SECONDS", help_heading = "Advanced")]
    pub checkpoint_seconds: u64,
    /// Bytes of log that are kept behind a checkpoint for replicas that are a little behind; one
    /// that is further behind is given a copy of the data.
    #[arg(long, value_name = "BYTES", default_value_t = UpkeepOptions::default().kept_log_bytes, env = "QUOIT_KEPT_LOG_BYTES", help_heading = "Advanced")]
    pub kept_log_bytes: u64,
    /// Bytes in a second of such a copy, at the most: more bring the replica back sooner, fewer
    /// leave more of disks and network to those who search.
    #[arg(long, value_name = "BYTES", default_value_t = UpkeepOptions::default().copy_bytes_per_second, value_parser = clap::value_parser!(u64).range(1..), env = "QUOIT_COPY_BYTES_PER_SECOND", help_heading = "Advanced")]
    pub copy_bytes_per_second: u64,
    /// The size of one file of the log.
    #[arg(long, value_name = "BYTES", default_value_t = LogOptions::new(0, 0).segment_bytes, env = "QUOIT_LOG_SEGMENT_BYTES", help_heading = "Advanced")]
    pub log_segment_bytes: u64,
    /// Writes are refused while less than this is free on the disk, and taken again when there is
    /// a quarter more.
    #[arg(long, value_name = "BYTES", default_value_t = Watermark::default().stop_below, env = "QUOIT_DISK_RESERVE", help_heading = "Advanced")]
    pub disk_reserve: u64,
    /// The memory that payload indexes may take.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 1 << 30,
        env = "QUOIT_PAYLOAD_INDEX_BYTES",
        help_heading = "Advanced"
    )]
    pub payload_index_bytes: u64,
}

/// Where others would look for the replica is no place.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// It listens on all addresses of the machine, or on any port.
    #[error(
        "--listen {0} tells others no address where they find this replica: give one by --advertise HOST:PORT"
    )]
    Unspecified(SocketAddr),
    /// What is advertised is none.
    #[error(
        "--advertise {0:?} is no HOST:PORT: give a name or an address by which others reach this replica, and its port"
    )]
    Advertised(String),
}

impl Args {
    /// Where others find it.
    ///
    /// # Errors
    /// They would not.
    pub fn address(&self) -> Result<String, BadAddress> {
        let Some(advertised) = &self.advertise else {
            let listen = self.listen;
            return if listen.ip().is_unspecified() || listen.port() == 0 {
                Err(BadAddress::Unspecified(listen))
            } else {
                Ok(listen.to_string())
            };
        };
        if is_host_port(advertised) {
            Ok(advertised.clone())
        } else {
            Err(BadAddress::Advertised(advertised.clone()))
        }
    }

    /// When upkeep does what.
    pub fn upkeep(&self) -> UpkeepOptions {
        UpkeepOptions {
            checkpoint_bytes: self.checkpoint_bytes,
            checkpoint_after: Duration::from_secs(self.checkpoint_seconds),
            kept_log_bytes: self.kept_log_bytes,
            copy_bytes_per_second: self.copy_bytes_per_second,
            watermark: Watermark::above(self.disk_reserve),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    fn address(listen: &str, advertise: &[&str]) -> Result<String, String> {
        let uid = "6f1c2a9e-0000-4000-8000-000000000001";
        let flags = ["quoit-shard", "--etcd", "http://a:1", "--collection", uid];
        let place = ["--shard", "0", "--ordinal", "0", "--data-dir", "/x"];
        let flags = flags.into_iter().chain(place);
        let flags = flags
            .chain(["--listen", listen])
            .chain(advertise.iter().copied());
        let args = Args::try_parse_from(flags).unwrap();
        args.address().map_err(|error| error.to_string())
    }

    #[test]
    fn others_are_told_an_address_that_is_one() {
        assert_eq!(address("10.0.0.1:7000", &[]).unwrap(), "10.0.0.1:7000");
        for listen in ["0.0.0.0:7000", "[::]:7000", "10.0.0.1:0"] {
            let error = address(listen, &[]).unwrap_err();
            assert!(error.contains("--advertise HOST:PORT"), "{error}");
        }
        for good in ["docs-0-1.docs:7000", "10.0.0.1:7000", "[::1]:7000"] {
            let told = address("0.0.0.0:7000", &["--advertise", good]);
            assert_eq!(told.unwrap(), good);
        }
        for bad in [
            "",
            "docs",
            "docs:",
            ":7000",
            "docs:0",
            "docs:70000",
            "http://a:1",
            "a b:1",
            "u@a:1",
        ] {
            let error = address("10.0.0.1:7000", &["--advertise", bad]).unwrap_err();
            assert!(error.contains("is no HOST:PORT"), "{bad}: {error}");
        }
    }
}
