//! What Kubernetes and Prometheus ask: whether the process lives, whether the
//! replica serves, and its figures.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::RwLock;
use quoit_shard::Keeper;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What is asked about.
pub struct Probed {
    /// The replica, once it is open.
    keeper: RwLock<Option<Arc<Keeper>>>,
    recorder: PrometheusHandle,
}

impl Probed {
    /// A replica that is not open yet.
    pub fn new(recorder: PrometheusHandle) -> Self {
        Self {
            keeper: RwLock::default(),
            recorder,
        }
    }

    /// It is open; or, with nothing, stops.
    pub fn set(&self, keeper: Option<Arc<Keeper>>) {
        *self.keeper.write() = keeper;
    }

    fn unready(&self) -> Option<String> {
        match &*self.keeper.read() {
            Some(keeper) => keeper.unready(),
            None => Some("it is not open: it starts, or stops".to_owned()),
        }
    }
}

async fn live() -> &'static str {
    "ok\n"
}

async fn ready(State(probed): State<Arc<Probed>>) -> (StatusCode, String) {
    match probed.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("this replica is not ready: {why}\n"),
        ),
    }
}

async fn figures(State(probed): State<Arc<Probed>>) -> String {
    probed.recorder.render()
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, probed: Arc<Probed>) {
    let routes = Router::new()
        .route("/livez", get(live))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(probed);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "probes and figures are not served any more");
    }
}
