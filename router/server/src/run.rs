//! The order in which the process starts and stops.

use crate::args::Args;
use crate::asked::Asked;
use crate::catalog::ClusterCatalog;
use crate::shards::Shards;
use quoit_process::{descriptors, secure, signals, telemetry};
use quoit_proto::reach::Reach;
use quoit_router::{App, Catalog, Ports, ServePorts, ServerLimits};
use quoit_store::{Etcd, EtcdRingStore, OptionsError};
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

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
    /// A port failed.
    #[error(transparent)]
    Serve(#[from] ServePorts),
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
    let descriptors = descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(run(args, descriptors));
    runtime.shutdown_background();
    done
}

async fn run(args: &Args, descriptors: u64) -> Result<(), Box<dyn Error>> {
    let stop = signals::stop()?;
    let secure = secure::Secure::read(&args.cluster.tls)?;
    if let Some(secure) = secure.clone() {
        tokio::spawn(secure.remind());
    }
    let etcd = Etcd::open(args.cluster.etcd_options()?).map_err(RunError::from)?;
    let http = bind("--listen", args.listen)?;
    let grpc = bind("--grpc", args.grpc)?;
    let recorder = quoit_router::prometheus().install_recorder()?;
    let values = Arc::new(etcd.store(args.cluster.collection));
    let rings = EtcdRingStore::new((*values).clone(), args.cluster.collection);
    let catalog = Arc::new(ClusterCatalog::new(values));
    let reach = Reach {
        tls: secure.as_ref().map(secure::Secure::client),
        from: args.cluster.bind_outgoing,
    };
    let asked = Asked {
        addresses: args.shards.clone(),
        reach: reach.clone(),
        collection: args.cluster.collection,
    };
    let shards = Shards::new(reach, args.cluster.zone.clone());
    let following = tokio::spawn({
        let catalog = catalog.clone();
        async move { catalog.follow(Arc::new(rings), shards, asked).await }
    });
    let catalog: Arc<dyn Catalog> = catalog;
    let app = Arc::new(App::new(catalog, ServerLimits::default(), Some(recorder)));
    let ports = Ports {
        http,
        grpc,
        descriptors,
    };
    tracing::info!(address = %args.listen, grpc = %args.grpc, "serving");
    let served = quoit_router::serve_ports(ports, app, stop).await;
    following.abort();
    tracing::info!("stopped");
    Ok(served.map_err(RunError::from)?)
}

fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).map_err(|source| RunError::Bind {
        flag,
        address,
        source,
    })
}
