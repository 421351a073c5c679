//! Puts the routes together. The process that runs the router makes the
//! [`App`], calls [`router`], and serves what it gets.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::Catalog;
use crate::limits::{Admission, ServerLimits};
use crate::rest::openapi::{self, Operation, Routes, Tag, a};
use crate::{metrics, request, rest};

/// The version of the dialect: clients warn unless it is near their own.
pub const DIALECT_VERSION: &str = "1.20.0";

/// What all requests share.
pub struct App {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) limits: ServerLimits,
    pub(crate) admission: Admission,
    pub(crate) recorder: Option<PrometheusHandle>,
}

impl App {
    /// A router over these collections. The handle is that of the recorder
    /// that [`prometheus`](crate::prometheus) makes and the process installs;
    /// without it, `/metrics` shows the collections alone.
    #[must_use]
    pub fn new(
        catalog: Arc<dyn Catalog>,
        limits: ServerLimits,
        recorder: Option<PrometheusHandle>,
    ) -> Self {
        Self {
            catalog,
            limits,
            admission: Admission::new(&limits),
            recorder,
        }
    }
}

/// All routes, and what is told of them.
pub(crate) fn routes() -> Routes {
    let about = |id, summary| Operation::new(Tag::Service, id, summary);
    Routes::new()
        .page(
            "/",
            root,
            about("root", "Tell what this is").answers_bare(a::<About>),
        )
        .page("/healthz", alive, about("healthz", "Answer at all"))
        .page("/livez", alive, about("livez", "Answer at all"))
        .page(
            "/readyz",
            ready,
            about("readyz", "Tell whether every shard is ready").may_be_unwell(),
        )
        .page(
            "/metrics",
            scrape,
            about("metrics", "Tell the figures that Prometheus reads"),
        )
        .page(
            "/openapi.json",
            openapi::serve,
            about("openapi", "Describe the API").answers_bare(openapi::any_document),
        )
        .and(rest::routes())
}

/// All routes, ready to be served.
pub fn router(app: Arc<App>) -> Router {
    routes()
        .into_router()
        .fallback(rest::no_route)
        .method_not_allowed_fallback(rest::no_method)
        .layer(axum::middleware::from_fn(request::observe))
        .with_state(app)
}

/// What clients read to find out whom they talk to.
#[derive(Serialize, ToSchema)]
#[schema(as = VersionInfo)]
struct About {
    title: &'static str,
    /// The version of the dialect.
    version: &'static str,
    quoit_version: &'static str,
}

async fn root() -> Response {
    axum::Json(About {
        title: "quoit - vector database",
        version: DIALECT_VERSION,
        quoit_version: env!("CARGO_PKG_VERSION"),
    })
    .into_response()
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let trouble = app.catalog.trouble();
    if app.catalog.ready() {
        let but = trouble
            .map(|why| format!(", but {why}"))
            .unwrap_or_default();
        (StatusCode::OK, format!("ready{but}\n"))
    } else {
        let why = trouble.unwrap_or_else(|| "not every shard is ready yet".to_owned());
        (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
    }
}

async fn scrape(State(app): State<Arc<App>>) -> Response {
    let mut text = app
        .recorder
        .as_ref()
        .map(PrometheusHandle::render)
        .unwrap_or_default();
    text.push_str(&metrics::collections(app.catalog.as_ref()).await);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
