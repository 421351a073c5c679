//! A playground from its start to its end, in the order that each step needs the
//! one before: folder, ports, etcd, the collection in it, shards, proxies, router,
//! ready; and then until it is told to stop.

use crate::Options;
use crate::control;
use crate::folder::{self, Folder};
use crate::listing::Listing;
use crate::plan::{Etcd, MAX_ENDPOINTS, Plan, Role, router_addresses};
use crate::ports;
use crate::proxy::Network;
use crate::stage::Stage;
use crate::supervisor::{Handle, State, Status, Supervisor};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// So often a process may die before it was ever ready: then the playground
/// cannot become what it should.
const MOST_DEATHS: u32 = 4;

/// Why a playground did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// Its ports.
    #[error(transparent)]
    Ports(#[from] ports::Error),
    /// Too many ways to etcd.
    #[error("--etcd: takes {MAX_ENDPOINTS} endpoints at most, not {given}")]
    Endpoints {
        /// So many were given.
        given: usize,
    },
    /// The collection could not be founded in etcd.
    #[error("cannot found the collection in etcd")]
    Prepare(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The socket.
    #[error("cannot listen for `quoit playground`")]
    Listen(#[source] io::Error),
    /// A process dies again and again before it was ready.
    #[error("the playground cannot start: {0}")]
    NeverReady(String),
    /// It cannot be said that it is ready.
    #[error("cannot say that the playground is ready")]
    Announce(#[source] io::Error),
}

/// Runs a playground until `stop` resolves, then stops its processes in order;
/// when `stop` resolves once more in the meantime, at once.
///
/// `prepare` founds the collection in the etcd of these URLs, or finds it there,
/// and returns its identity. `announce` is called when all is ready.
///
/// # Errors
/// It could not be started. What was started is stopped.
pub async fn run(
    options: &Options,
    prepare: impl AsyncFnOnce(Vec<String>) -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
    announce: impl FnOnce(&Listing) -> io::Result<()>,
    mut stop: impl AsyncFnMut(),
) -> Result<(), Error> {
    if let Etcd::Given(endpoints) = &options.etcd
        && endpoints.len() > MAX_ENDPOINTS
    {
        let given = endpoints.len();
        return Err(Error::Endpoints { given });
    }
    let folder = Folder::claim(&options.dir)?;
    // The addresses do not depend on the base.
    let claim = ports::claim(&Plan::new(options, folder.path(), 0).sources)?;
    let plan = Plan::new(options, folder.path(), claim.base());
    let [listen, grpc] = router_addresses(options, claim.base());
    ports::check_router("--listen", listen)?;
    ports::check_router("--grpc", grpc)?;

    let mut network = Network::default();
    let mut supervisor = Supervisor::new(options.launcher.clone());
    let playing = play(
        &folder,
        plan,
        &mut supervisor,
        &mut network,
        prepare,
        announce,
    );
    let ended = tokio::select! {
        ended = playing => ended.map(|never| match never {}),
        () = stop() => Ok(()),
    };
    tracing::info!("stopping");
    // A process stops well only if it reaches the others.
    network.faults().send_modify(|faults| faults.heal(None));
    tokio::select! {
        () = supervisor.stop() => {}
        () = stop() => tracing::warn!("stopped at once: the processes are killed"),
    }
    ended
}

/// Starts all and serves commands; does not end.
async fn play(
    folder: &Folder,
    plan: Plan,
    supervisor: &mut Supervisor,
    network: &mut Network,
    prepare: impl AsyncFnOnce(Vec<String>) -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
    announce: impl FnOnce(&Listing) -> io::Result<()>,
) -> Result<Infallible, Error> {
    let count = plan.processes.len();
    tracing::info!("starting {count} processes in {}", folder.path().display());
    let (first, others): (Vec<_>, Vec<_>) = plan
        .processes
        .iter()
        .partition(|process| process.role == Role::Etcd);
    let mut handles = Vec::with_capacity(count);
    for process in first {
        // etcd knows of no collection.
        handles.push(supervisor.add(process, process.arguments("")));
    }
    until_ready(&handles).await?;
    let collection = prepare(plan.etcd.clone()).await.map_err(Error::Prepare)?;
    for process in others {
        handles.push(supervisor.add(process, process.arguments(&collection)));
    }
    network.open(&plan, &handles);
    let listens = network.listens();
    let stage = Arc::new(Stage {
        plan,
        collection,
        handles,
        faults: network.faults(),
    });
    let listener = folder.listen()?;
    listener.set_nonblocking(true).map_err(Error::Listen)?;
    let listener = UnixListener::from_std(listener).map_err(Error::Listen)?;
    let announced = async {
        until_ready(&stage.handles).await?;
        listens.await;
        announce(&stage.listing()).map_err(Error::Announce)?;
        std::future::pending().await
    };
    tokio::select! {
        ended = announced => ended,
        never = control::serve(listener, Arc::clone(&stage)) => Ok(never),
    }
}

/// Waits until each has been ready. They are waited for at the same time: who
/// dies again and again may be the reason why another is not ready.
async fn until_ready(handles: &[Handle]) -> Result<(), Error> {
    let mut waiting = JoinSet::new();
    for handle in handles {
        let mut status = handle.watch();
        waiting.spawn(async move {
            let settled = |s: &Status| s.state == State::Running || s.deaths >= MOST_DEATHS;
            // An error means that the supervisor is gone, and this with it.
            status.wait_for(settled).await.map(|status| status.clone())
        });
    }
    while let Some(settled) = waiting.join_next().await {
        match settled {
            Ok(Ok(status)) if status.state != State::Running => {
                return Err(Error::NeverReady(status.last_words));
            }
            _ => {}
        }
    }
    Ok(())
}
