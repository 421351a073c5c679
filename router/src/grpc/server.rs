//! Puts the gRPC port together: the services for clients, health and
//! reflection, over bounded connections of HTTP/2.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{health, services, wrapped};
use crate::connections;
use crate::server::App;

/// Why the port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeGrpc {
    /// The descriptions of the services do not fit together.
    #[error("the gRPC reflection service could not be built")]
    Reflect(#[from] tonic_reflection::server::Error),
}

/// Serves until `stop` resolves, then lets open calls end. No more than `most`
/// connections are open at the same time.
///
/// # Errors
/// Reflection cannot describe the services.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    most: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeGrpc> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(quoit_proto::CLIENT_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Tools that are a few years old ask by the older name.
    let routes = services(&app)
        .add_service(health)
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?);
    let routes = wrapped(Arc::clone(&app), routes);
    let (stopping, mut stopped) = watch::channel(false);
    let told = async move {
        // An error means that the sender is gone: stop too.
        drop(stopped.wait_for(|stopped| *stopped).await);
    };
    let stop = async {
        stop.await;
        stopping.send_replace(true);
    };
    tokio::join!(
        connections::serve_http2(listener, routes, most, stop),
        health::follow(app, reporter, told),
    );
    Ok(())
}
