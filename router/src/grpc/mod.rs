//! gRPC for clients, `quoit.v1`: which services there are, over the same inner
//! calls as REST.
//!
//! ```text
//! HTTP/2 ─→ observe (id, span, log, counts, words for unknown methods)
//!        ─→ body (the size of each message, room for it, no waiting for half of one)
//!        ─→ the codec of quoit-proto (no more parts than may be decoded)
//!        ─→ points, collections (which call it is)
//!        ─→ call (admission, deadline) ─→ read (decode, validate) ─→ fanout
//!        ─→ status (what an error is on the wire)
//! ```

mod body;
mod call;
mod collections;
mod health;
mod import;
mod observe;
mod points;
mod read;
mod scroll;
mod search;
mod server;
mod status;
mod write;

pub use server::{ServeGrpc, serve};

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use quoit_proto::v1::collections_server::CollectionsServer;
use quoit_proto::v1::points_server::PointsServer;
use tonic::service::Routes;

use crate::server::App;

/// The services for clients. Health and reflection are beside them where they
/// are served.
fn services(app: &Arc<App>) -> Routes {
    // The body has been held to the bound before the decoder sees it.
    let points = PointsServer::new(points::Service(Arc::clone(app)))
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let collections = CollectionsServer::new(collections::Service(Arc::clone(app)));
    Routes::new(points).add_service(collections)
}

/// What is around every call.
fn wrapped(app: Arc<App>, routes: Routes) -> Router {
    routes
        .into_axum_router()
        .fallback(observe::no_service)
        .layer(from_fn_with_state(app, body::measure))
        .layer(from_fn(observe::observe))
}

/// The services for clients as routes, to be served over HTTP/2.
pub fn routes(app: Arc<App>) -> Router {
    let services = services(&app);
    wrapped(app, services)
}
