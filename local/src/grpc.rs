//! The gRPC port: health and reflection, by the standard services.

use std::future::Future;
use std::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

/// Why the port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bound socket could not be used.
    #[error("the gRPC port could not be used")]
    Listen(#[source] std::io::Error),
    /// The descriptions of the services do not fit together.
    #[error("the gRPC reflection service could not be built")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server failed.
    #[error("the gRPC server failed")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves until `stop` resolves, then lets open calls end.
///
/// # Errors
/// The port cannot be used.
pub async fn serve(listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), Error> {
    listener.set_nonblocking(true).map_err(Error::Listen)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Listen)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    // The empty name is the server as a whole.
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(Error::Reflection)?;
    Server::builder()
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop)
        .await
        .map_err(Error::Serve)
}
