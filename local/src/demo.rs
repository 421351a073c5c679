//! `quoit demo`: what Quoit does, told by itself. It starts the server that
//! `quoit serve` starts, and then is a client of it, over REST like any other:
//! it makes a collection, imports real embeddings, searches them, and prints
//! what it saw.
//!
//! Server and client share one process and its cores, so that every figure
//! includes both: the client's writing and reading of JSON is in the times, and
//! its buffers are in the memory.

mod load;
mod measure;
mod screen;
mod show;

use crate::client::{self, Client};
use crate::figures;
use crate::node::NodeOptions;
use crate::serve::{self, ServeArgs, Server};
use load::Target;
use quoit_crds::MAX_SHARDS;
use quoit_dataset::{Dataset, Packages, Queries};
use screen::Screen;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The collection that the demo makes.
const COLLECTION: &str = "packages";

/// How many answers a search asks for, and of how many its recall is.
const TOP: usize = 10;

/// What `quoit demo` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// The folder with the data: packages, queries, and the true answers.
    #[arg(long, value_name = "DIR", default_value = "bench/data/debian-20k")]
    pub dataset: PathBuf,
    /// Keep the data here. Where this is not given, it is in a temporary
    /// directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address for REST clients.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6333")]
    pub listen: SocketAddr,
    /// The address for gRPC clients, with health and reflection.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6334")]
    pub grpc: SocketAddr,
    /// How many shards the collection is split into.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SHARDS)))]
    pub shards: u32,
    /// End when all is shown, and do not stay up to be tried.
    #[arg(long)]
    pub exit: bool,
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data cannot be read.
    #[error(
        "--dataset: the demo's data cannot be read; run it in the root of Quoit's source, or name the folder"
    )]
    Dataset(#[source] quoit_dataset::Error),
    /// There is no place for the data.
    #[error("no temporary directory can be made; name a place with --data-dir")]
    TemporaryDir(#[source] io::Error),
    /// The temporary place cannot be removed.
    #[error("{}: cannot be removed; remove it by hand", path.display())]
    RemoveTemporaryDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server does not start, or fails.
    #[error(transparent)]
    Serve(#[from] serve::Error),
    /// Signals cannot be had.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The server cannot be talked to.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The data does not get in.
    #[error(transparent)]
    Load(#[from] load::Error),
    /// The searches fail.
    #[error(transparent)]
    Measure(#[from] measure::Error),
    /// Nothing can be printed.
    #[error("cannot print")]
    Print(#[from] io::Error),
    /// A task panicked.
    #[error("a part of the demo crashed; this is a bug")]
    Crashed(#[from] tokio::task::JoinError),
}

/// Where the data is.
enum Home {
    Temporary(TempDir),
    Given(PathBuf),
}

impl Home {
    fn new(given: Option<&PathBuf>) -> Result<Self, Error> {
        if let Some(path) = given {
            return Ok(Self::Given(path.clone()));
        }
        let made = tempfile::Builder::new().prefix("quoit-demo-").tempdir();
        made.map(Self::Temporary).map_err(Error::TemporaryDir)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Given(path) => path,
        }
    }

    fn fate(&self) -> &'static str {
        match self {
            Self::Temporary(_) => "removed at the end",
            Self::Given(_) => "kept at the end",
        }
    }

    fn leave(self) -> Result<(), Error> {
        let Self::Temporary(dir) = self else {
            return Ok(());
        };
        let path = dir.path().to_owned();
        dir.close()
            .map_err(|source| Error::RemoveTemporaryDir { path, source })
    }
}

/// `quoit demo`.
///
/// # Errors
/// It could not start, or something in it failed.
pub async fn run(args: &DemoArgs) -> Result<(), Error> {
    let screen = Screen::new();
    let points = Packages::open(&args.dataset).map_err(Error::Dataset)?;
    let queries = Queries::of_packages(&args.dataset).map_err(Error::Dataset)?;
    let home = Home::new(args.data_dir.as_ref())?;
    let options = NodeOptions::default();
    let wish = ServeArgs {
        files: Vec::new(),
        data_dir: home.path().to_owned(),
        listen: args.listen,
        grpc: args.grpc,
        checkpoint_bytes: options.upkeep.checkpoint_bytes,
        checkpoint_seconds: options.upkeep.checkpoint_after.as_secs(),
        log_segment_bytes: options.log_segment_bytes,
        disk_reserve: options.upkeep.watermark.stop_below,
        payload_index_bytes: options.payload_index_bytes,
    };
    let server = Server::open(&wish).await?;
    let stop = quoit_process::signals::stop().map_err(Error::Signals)?;
    let address = reachable(server.address());
    screen.line("Quoit, an elastic vector database, shown by itself: server and client are this one process.")?;
    screen.line("")?;
    screen.item("Server", &format!("REST at http://{address}"))?;
    screen.more(&format!(
        "data in {}, {}",
        home.path().display(),
        home.fate()
    ))?;

    let told = alongside(server, stop, async {
        let target = Target {
            address,
            shards: args.shards,
            points,
        };
        tell(&screen, args, target, queries).await?;
        if args.exit || !screen.is_terminal() {
            return Ok(());
        }
        show::what_to_try(&screen, address)?;
        std::future::pending().await
    });
    let told = told.await;
    let left = home.leave();
    told.and(left)
}

/// Serves while the client's part runs, and stops the server in order when that
/// ends or the process is told to stop.
async fn alongside(
    server: Server,
    stop: impl Future<Output = ()>,
    client: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let (enough, told_enough) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(server.run(async {
        // An error means that nobody can say it any more: stop too.
        drop(told_enough.await);
    }));
    let ended = tokio::select! {
        ended = client => ended,
        () = stop => Ok(()),
        failed = &mut serving => return Ok(failed??),
    };
    // The server is there: it has not ended.
    drop(enough);
    let stopped = serving.await;
    ended?;
    Ok(stopped??)
}

/// The client's part, from an empty server to figures.
async fn tell(
    screen: &Screen,
    args: &DemoArgs,
    target: Target,
    queries: Queries,
) -> Result<(), Error> {
    let address = target.address;
    let numbers = target.points.total() as u64 * target.points.dimension() as u64;
    load::fill(screen, target).await?;

    let answers = search(screen, address, &queries).await?;
    let memory = figures::anonymous_memory();
    // Who judges needs all vectors in memory, and so comes after it was measured.
    if let Some(recall) = recall(&args.dataset, answers).await? {
        let percent = recall * 100.0;
        let line = format!("{percent:.1} % of the ten packages that are truly nearest were found");
        screen.item("Recall@10", &line)?;
    }
    let line = match memory {
        Some(bytes) => {
            let (all, raw) = (figures::mebibytes(bytes), figures::mebibytes(numbers * 4));
            format!("{all} for server and client; the vectors alone are {raw} in 32-bit numbers")
        }
        None => "not available: it is read from /proc, which this system does not have".to_owned(),
    };
    screen.item("Memory", &line)?;
    let mut client = Client::connect(address).await?;
    show::searches(screen, &mut client, &queries).await
}

/// Runs the queries one at a time, and then on all cores; the answers' ids.
async fn search(
    screen: &Screen,
    address: SocketAddr,
    queries: &Queries,
) -> Result<Vec<Vec<u64>>, Error> {
    let bodies = measure::bodies(&queries.vectors)?;
    let count = figures::thousands(bodies.len() as u64);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let alone = measure::run(address, &bodies, 1).await?;
    screen.item(
        "Search",
        &format!("{count} real queries, one at a time:  {}", alone.summary()),
    )?;
    if cores > 1 {
        let together = measure::run(address, &bodies, cores).await?;
        screen.more(&format!(
            "{count} real queries, {cores} at a time:    {}",
            together.summary()
        ))?;
    }
    Ok(alone.answers)
}

/// How many of the true answers the answers have, from 0 to 1.
async fn recall(folder: &Path, answers: Vec<Vec<u64>>) -> Result<Option<f64>, Error> {
    let folder = folder.to_owned();
    let judging = tokio::task::spawn_blocking(move || {
        let dataset = Dataset::packages(&folder)?;
        Ok(dataset.truth().mean_recall(TOP, &answers))
    });
    judging.await?.map_err(Error::Dataset)
}

/// The address to connect to: one that listens everywhere is reached at home.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
