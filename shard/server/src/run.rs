//! The order in which the process starts and stops. What is wrong with the words
//! of the command is said before anything is touched; nothing is served before
//! the data was checked; and at the end nothing that was taken on is left undone:
//! no new requests, those in flight to their end, the group left, a checkpoint.

use crate::args::Args;
use crate::data::{DataDir, DataError, Record};
use crate::enlist::{EnlistError, enlist};
use crate::picture::{Showing, keep};
use crate::probes::{self, Probed};
use crate::tend::{Tended, tend};
use quoit_cluster::spec;
use quoit_process::{descriptors, secure, signals, telemetry};
use quoit_proto::reach::Reach;
use quoit_ring::{Registration, RingStore, ShardId, Values, VnodeSet};
use quoit_shard::grpc::{GrpcPeers, ServeError, serve};
use quoit_shard::log::LogOptions;
use quoit_shard::{Keeper, MemberId, Membership, OpenError, ShardOptions, Stamp, Timing};
use quoit_store::{Etcd, EtcdRingStore, OptionsError};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a leader that stops tries to let another one lead. The others elect one all the
/// same when it is gone, only later.
const HANDOVER_PATIENCE: Duration = Duration::from_secs(1);

/// How long requests in flight may take to end after the signal to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// How often times that were recorded since the last scrape are folded.
const FOLD_METRICS: Duration = Duration::from_secs(5);

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A port cannot be bound.
    #[error(
        "{flag} {address}: cannot listen there; is another program there? Give another address"
    )]
    Bind {
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The options of etcd.
    #[error("--etcd")]
    Etcd(#[from] OptionsError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It is no replica yet, and cannot become one.
    #[error(transparent)]
    Enlist(#[from] EnlistError),
    /// The collection cannot be served.
    #[error("the collection cannot be served by this version")]
    Spec(#[from] spec::Error),
    /// The shard cannot be opened.
    #[error("the shard cannot be opened")]
    Open(#[from] OpenError),
    /// The port failed.
    #[error("--listen")]
    Serve(#[from] ServeError),
}

/// Parses, runs, and stops in order.
///
/// # Errors
/// What went wrong, with the flag and the remedy.
pub fn main(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.cluster.print_config {
        return Ok(quoit_process::print_config(args)?);
    }
    let logs = &args.cluster.logs;
    telemetry::init(logs.log_format, &logs.log)?;
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(run(args));
    // A start that was stopped may still be replaying a log.
    runtime.shutdown_background();
    done
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stop = signals::stop()?;
    tokio::pin!(stop);
    let secure = secure::Secure::read(&args.cluster.tls)?;
    if let Some(secure) = secure.clone() {
        tokio::spawn(secure.remind());
    }
    let etcd = Etcd::open(args.cluster.etcd_options()?).map_err(RunError::from)?;
    let address = args.address()?;
    let grpc = bind("--listen", args.listen).await?;
    let http = bind("--http", args.http).await?;
    let recorder = quoit_router::prometheus().install_recorder()?;
    tokio::spawn({
        let recorder = recorder.clone();
        async move {
            loop {
                tokio::time::sleep(FOLD_METRICS).await;
                recorder.run_upkeep();
            }
        }
    });
    let probed = Arc::new(Probed::new(recorder));
    tokio::spawn(probes::serve(http, probed.clone()));
    let data = Arc::new(DataDir::open(&args.data_dir).map_err(RunError::from)?);
    let reach = Reach {
        tls: secure.as_ref().map(secure::Secure::client),
        from: args.cluster.bind_outgoing,
    };
    let values = Arc::new(etcd.store(args.cluster.collection));
    let rings = EtcdRingStore::new((*values).clone(), args.cluster.collection);
    let rings: Arc<dyn RingStore> = Arc::new(rings);
    let starting = start(args, &data, &*values, &*rings, reach);
    let (keeper, record) = tokio::select! {
        started = starting => started?,
        () = &mut stop => {
            tracing::info!("stopped while it was starting: the next start does what this one began");
            return Ok(());
        }
    };
    probed.set(Some(keeper.clone()));
    let (showing, picture) = Showing::begin(&data, args.cluster.collection);
    let keeping = tokio::spawn(keep(data, picture.clone()));
    let tended = Tended {
        keeper: keeper.clone(),
        registration: Registration {
            address,
            zone: Some(args.cluster.zone.clone()).filter(|zone| !zone.is_empty()),
            ordinal: args.ordinal,
        },
        record,
        values,
        rings,
        is_remembered: AtomicBool::new(false),
    };
    let tending = tokio::spawn(tend(tended, showing));
    tracing::info!(address = %args.listen, http = %args.http, "serving");
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let tls = secure.as_ref().map(secure::Secure::server);
    let serving = serve(grpc, tls, keeper.clone(), picture, async {
        // It resolves also if the sender is gone.
        let _: Result<(), _> = stopped.await;
    });
    tokio::pin!(serving);
    let mut served = tokio::select! {
        served = &mut serving => Some(served),
        () = &mut stop => None,
    };
    probed.set(None);
    tending.abort();
    keeping.abort();
    if served.is_none() {
        tracing::info!("stopping");
        // While requests are still taken: who asks meanwhile is told to ask the next leader.
        if let Some(shard) = keeper.current() {
            shard.give_way(HANDOVER_PATIENCE).await;
        }
        // It was sent, or nobody serves any more.
        let _: Result<(), ()> = stopping.send(());
        let drained = tokio::time::timeout(DRAIN_PATIENCE, &mut serving).await;
        if drained.is_err() {
            tracing::warn!(
                "requests were still open after the time to finish them: they are cut off"
            );
        }
        served = drained.ok();
    }
    // The group is left before the checkpoint is made: the others need not wait for it.
    tokio::task::spawn_blocking(move || keeper.stop()).await?;
    tracing::info!("stopped");
    Ok(served.transpose().map(drop).map_err(RunError::from)?)
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, RunError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| RunError::Bind {
        flag,
        address,
        source,
    })
}

/// Opens the replica that the data directory belongs to, or makes a new one there.
async fn start(
    args: &Args,
    data: &DataDir,
    values: &dyn Values,
    rings: &dyn RingStore,
    reach: Reach,
) -> Result<(Arc<Keeper>, Record), RunError> {
    let mut record = if let Some(record) = data.record(args)? {
        record
    } else {
        let record = enlist(args, values, rings).await?;
        data.set(&record)?;
        record
    };
    let keeper = Keeper::open(shard_options(args, data, &record, reach)?).await?;
    if !record.is_begun {
        // Before it promises anything to anybody: from here on an empty folder is lost.
        record.is_begun = true;
        data.set(&record)?;
    }
    Ok((Arc::new(keeper), record))
}

fn shard_options(
    args: &Args,
    data: &DataDir,
    record: &Record,
    reach: Reach,
) -> Result<ShardOptions, RunError> {
    let resolved = spec::resolve(&record.spec)?;
    let shard = ShardId(record.shard);
    let member = MemberId {
        collection: record.collection,
        group: u64::from(record.shard),
        node: record.node,
    };
    let stamp = Stamp::new(member, shard, &resolved.engine);
    let salt = uuid::Uuid::new_v4().as_u64_pair().0;
    Ok(ShardOptions {
        disk: data.disk.clone(),
        dir: data.shard(),
        birth: (!record.is_begun).then(VnodeSet::new),
        params: resolved.engine,
        tuning: spec::tuning(1, args.payload_index_bytes),
        upkeep: args.upkeep(),
        log: LogOptions {
            segment_bytes: args.log_segment_bytes,
            ..LogOptions::new(stamp.own_identity().0, salt)
        },
        stamp,
        membership: Membership::Member {
            ordinal: record.ordinal,
            peers: Arc::new(GrpcPeers::new(reach)),
            timing: Timing::default(),
        },
        max_tail: spec::MAX_TAIL,
    })
}
