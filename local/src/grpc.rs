//! The gRPC port: the router's services for clients, health and reflection.

use quoit_router::App;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

/// Why the port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bound socket could not be used.
    #[error("the gRPC port could not be used")]
    Listen(#[source] std::io::Error),
    /// The services could not be put together.
    #[error("gRPC could not be served")]
    Serve(#[source] quoit_router::ServeGrpc),
}

/// Serves until `stop` resolves, then lets open calls end.
///
/// # Errors
/// The port cannot be used.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    connections: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    listener.set_nonblocking(true).map_err(Error::Listen)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Listen)?;
    let served = quoit_router::serve_grpc(listener, app, connections, stop).await;
    served.map_err(Error::Serve)
}
