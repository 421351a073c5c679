//! `quoit serve`: opens the data directory, binds the ports, serves until it is
//! told to stop, and stops in an order that loses nothing: no new connections,
//! requests in flight to their end, then a checkpoint of each shard.

use crate::node::{self, Node, NodeOptions};
use metrics_exporter_prometheus::PrometheusHandle;
use quoit_crds::VectorCollection;
use quoit_process::{chain, descriptors, signals};
use quoit_router::{App, Catalog, Ports, ServePorts, ServerLimits};
use quoit_shard::{UpkeepOptions, Watermark};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `quoit serve` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// A file with one or more VectorCollections to serve; may be given again. Collections are
    /// made where they are new, and clients may make more.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the data is; made where it is new. One process at a time can use it.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./data",
        env = "QUOIT_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// The address for REST clients.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6333",
        env = "QUOIT_LISTEN"
    )]
    pub listen: SocketAddr,
    /// The address for gRPC clients, with health and reflection.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6334",
        env = "QUOIT_GRPC"
    )]
    pub grpc: SocketAddr,
    /// A shard makes a checkpoint after so many bytes of log: fewer make a restart after a crash
    /// quicker, more make writes cheaper.
    #[arg(long, value_name = "BYTES", default_value_t = NodeOptions::default().upkeep.checkpoint_bytes, help_heading = "Advanced")]
    pub checkpoint_bytes: u64,
    /// ... or, if there were any writes, after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = NodeOptions::default().upkeep.checkpoint_after.as_secs(), help_heading = "Advanced")]
    pub checkpoint_seconds: u64,
    /// The size of one file of a shard's log: the log is cut behind a checkpoint by whole files.
    #[arg(long, value_name = "BYTES", default_value_t = NodeOptions::default().log_segment_bytes, help_heading = "Advanced")]
    pub log_segment_bytes: u64,
    /// Writes are refused while less than this is free on the disk, and taken again when there is
    /// a quarter more: what is written besides, such as checkpoints, needs room too.
    #[arg(long, value_name = "BYTES", default_value_t = Watermark::default().stop_below, help_heading = "Advanced")]
    pub disk_reserve: u64,
    /// The memory that the payload indexes of a collection may take, spread over its shards. The
    /// largest are given up where all together would take more: filters on their fields read payloads.
    #[arg(long, value_name = "BYTES", default_value_t = NodeOptions::default().payload_index_bytes, help_heading = "Advanced")]
    pub payload_index_bytes: u64,
}

impl ServeArgs {
    fn node_options(&self) -> NodeOptions {
        let upkeep = UpkeepOptions {
            checkpoint_bytes: self.checkpoint_bytes,
            checkpoint_after: Duration::from_secs(self.checkpoint_seconds),
            watermark: Watermark::above(self.disk_reserve),
            ..UpkeepOptions::default()
        };
        NodeOptions {
            upkeep,
            log_segment_bytes: self.log_segment_bytes,
            payload_index_bytes: self.payload_index_bytes,
        }
    }
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("-f {}: cannot be read", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{0}")]
    File(String),
    /// A port cannot be bound.
    #[error(
        "{flag} {address}: cannot listen there; is another server running? Give another address"
    )]
    Bind {
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A server failed.
    #[error(transparent)]
    Serve(#[from] ServePorts),
    /// Signals cannot be had.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The metrics recorder.
    #[error("cannot record metrics: {0}")]
    Metrics(String),
}

/// A server that listens.
pub struct Server {
    node: Arc<Node>,
    address: SocketAddr,
    grpc_address: SocketAddr,
    ports: Ports,
    recorder: PrometheusHandle,
}

impl Server {
    /// Reads the files, binds the ports and opens the data directory, in this
    /// order: what is wrong with the words of the command is said before
    /// anything is touched.
    ///
    /// # Errors
    /// A file is not valid, a port is taken, or the data cannot be opened.
    pub async fn open(args: &ServeArgs) -> Result<Self, Error> {
        let wished = read_files(&args.files)?;
        let http = bind("--listen", args.listen)?;
        let grpc = bind("--grpc", args.grpc)?;
        let address = bound_to("--listen", args.listen, &http)?;
        let grpc_address = bound_to("--grpc", args.grpc, &grpc)?;
        let descriptors = descriptors::raise();
        let recorder = quoit_router::prometheus()
            .install_recorder()
            .map_err(|e| Error::Metrics(e.to_string()))?;
        let node = Arc::new(Node::open(&args.data_dir, args.node_options()).await?);
        node.apply(&wished).await?;
        Ok(Self {
            node,
            address,
            grpc_address,
            ports: Ports {
                http,
                grpc,
                descriptors,
            },
            recorder,
        })
    }

    /// Where REST clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then stops in order.
    ///
    /// # Errors
    /// A server failed. The shards are stopped in order all the same.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Self {
            node,
            address,
            grpc_address,
            ports,
            recorder,
        } = self;
        let app = Arc::new(App::new(
            node.clone() as Arc<dyn Catalog>,
            ServerLimits::default(),
            Some(recorder),
        ));
        tracing::info!(%address, grpc = %grpc_address, "serving");
        let served = quoit_router::serve_ports(ports, app, stop).await;
        tracing::info!("stopping: each shard makes a checkpoint");
        let stopped = tokio::task::spawn_blocking(move || node.stop()).await;
        if stopped.is_err() {
            tracing::error!("a shard panicked while it stopped; the next start replays its log");
        }
        Ok(served?)
    }
}

/// `quoit serve`.
///
/// # Errors
/// It could not start, or a server failed.
pub async fn run(args: &ServeArgs) -> Result<(), Error> {
    // Before all else: a start can take long, and who stops it must not have
    // to kill it.
    let mut stop = Box::pin(signals::stop().map_err(Error::Signals)?);
    let starting = tokio::spawn({
        let args = args.clone();
        async move { Server::open(&args).await }
    });
    let server = tokio::select! {
        opened = starting => match opened {
            Ok(opened) => opened?,
            Err(cut_short) => std::panic::resume_unwind(cut_short.into_panic()),
        },
        () = &mut stop => {
            tracing::info!("stopped while it was starting: the next start does what this one began");
            return Ok(());
        }
    };
    eprintln!(
        "quoit serves REST at http://{} and gRPC at {}; data in {}",
        server.address(),
        server.grpc_address,
        args.data_dir.display()
    );
    server.run(stop).await
}

fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Bind {
        flag,
        address,
        source,
    })
}

fn bound_to(
    flag: &'static str,
    address: SocketAddr,
    listener: &TcpListener,
) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source| Error::Bind {
        flag,
        address,
        source,
    })
}

fn read_files(files: &[PathBuf]) -> Result<Vec<VectorCollection>, Error> {
    let mut all = Vec::new();
    for path in files {
        all.extend(read_file(path)?);
    }
    Ok(all)
}

fn read_file(path: &Path) -> Result<Vec<VectorCollection>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::ReadFile {
        path: path.to_owned(),
        source,
    })?;
    quoit_crds::load(&text, &path.display().to_string()).map_err(|e| Error::File(chain(&e)))
}
