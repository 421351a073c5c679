//! Both ports of a router, REST and gRPC: how many connections they take, and how
//! they end. Requests in flight may come to their end, within bounds.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::grpc::{ServeGrpc, serve as serve_grpc};
use crate::server::{App, router};
use crate::{connections, metrics};

/// Connections of REST clients at the same time, where the process may open
/// that many files.
const MOST_CONNECTIONS: usize = 10_000;

/// How often times that were recorded since the last scrape are folded.
const FOLD_METRICS: Duration = Duration::from_secs(5);

/// How long requests in flight may take to end after the signal to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// Where a router listens.
#[derive(Debug)]
pub struct Ports {
    /// For REST.
    pub http: TcpListener,
    /// For gRPC.
    pub grpc: TcpListener,
    /// Files that the process may have open. Half of them are for its clients: the
    /// other half is for its data, and for whom it asks.
    pub descriptors: u64,
}

/// Why ports are not served any more.
#[derive(Debug, thiserror::Error)]
pub enum ServePorts {
    /// A bound socket could not be used.
    #[error("the {0} port could not be used")]
    Listen(&'static str, #[source] io::Error),
    /// The gRPC services could not be put together.
    #[error("gRPC could not be served")]
    Grpc(#[from] ServeGrpc),
}

/// Serves both until `stop` resolves, then lets requests in flight end.
///
/// # Errors
/// A port cannot be served; the other ends then too.
pub async fn serve(
    ports: Ports,
    app: Arc<App>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServePorts> {
    let Ports {
        http,
        grpc,
        descriptors,
    } = ports;
    let half = usize::try_from(descriptors / 2);
    let most = half.map_or(MOST_CONNECTIONS, |half| half.min(MOST_CONNECTIONS));
    let http = listener("REST", http)?;
    let grpc = listener("gRPC", grpc)?;
    let (stopping, stopped) = watch::channel(false);
    let told = async {
        stop.await;
        stopping.send_replace(true);
        tokio::time::sleep(DRAIN_PATIENCE).await;
        tracing::warn!("requests were still open after the time to finish them: they are cut off");
    };
    let waiting = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone: stop too.
            drop(stopped.wait_for(|stopped| *stopped).await);
        }
    };
    let rest = async {
        connections::serve(http, router(Arc::clone(&app)), most, waiting()).await;
        Ok(())
    };
    // Each connection of gRPC is of many calls.
    let calls = serve_grpc(grpc, Arc::clone(&app), (most / 4).max(1), waiting());
    let serving = async { tokio::try_join!(rest, async { Ok(calls.await?) }) };
    tokio::select! {
        served = serving => served.map(drop),
        () = told => Ok(()),
        () = fold(&app) => Ok(()),
    }
}

/// Times pile up in memory between two scrapes. Never ends.
async fn fold(app: &App) {
    loop {
        tokio::time::sleep(FOLD_METRICS).await;
        metrics::fold(app);
    }
}

fn listener(name: &'static str, bound: TcpListener) -> Result<tokio::net::TcpListener, ServePorts> {
    let listener = bound
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(bound));
    listener.map_err(|source| ServePorts::Listen(name, source))
}
