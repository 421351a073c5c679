//! What `/metrics` shows, in Prometheus' text form: counts and times of
//! requests, from the recorder that the process installed, and the points of
//! each collection, asked of the shards at each scrape, so that a deleted
//! collection leaves nothing behind.

use std::fmt::Write;
use std::time::Duration;

use futures::future::join_all;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use crate::catalog::Catalog;
use crate::fanout::read;
use crate::server::App;

pub(crate) const REQUESTS: &str = "quoit_http_requests_total";
pub(crate) const SECONDS: &str = "quoit_http_request_duration_seconds";
pub(crate) const REFUSED: &str = "quoit_http_requests_refused_total";

pub(crate) const CALLS: &str = "quoit_grpc_requests_total";
pub(crate) const CALL_SECONDS: &str = "quoit_grpc_request_duration_seconds";

/// Of the replicas, all together: by replica they would outlive it here.
pub(crate) const IN_FLIGHT: &str = "quoit_router_replica_calls_in_flight";
pub(crate) const OPEN_CIRCUITS: &str = "quoit_router_replica_circuits_open";
pub(crate) const HEDGES: &str = "quoit_router_hedges_total";
pub(crate) const RETRIES: &str = "quoit_router_retries_total";

/// The bounds of the buckets of request times, in seconds: a search takes
/// from half a millisecond on, an upload up to many seconds.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 10.0, 60.0,
];

/// How long a scrape waits for the shards.
const PATIENCE: Duration = Duration::from_secs(2);

/// A recorder that fits the router's metrics. The process installs it, hands
/// its handle to [`crate::App::new`], and calls `run_upkeep` of the handle
/// every few seconds, since times pile up in memory between two scrapes.
#[must_use]
pub fn prometheus() -> PrometheusBuilder {
    let times = [SECONDS, CALL_SECONDS];
    let builder = times
        .iter()
        .try_fold(PrometheusBuilder::new(), |builder, name| {
            builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), &BUCKETS)
        });
    // The only error is an empty list of bounds.
    builder.unwrap_or_else(|_| PrometheusBuilder::new())
}

/// Folds the times that were recorded since the last scrape.
pub(crate) fn fold(app: &App) {
    if let Some(recorder) = &app.recorder {
        recorder.run_upkeep();
    }
}

/// The lines about each collection.
pub(crate) async fn collections(catalog: &dyn Catalog) -> String {
    let collections: Vec<_> = catalog
        .names()
        .iter()
        .filter_map(|n| catalog.get(n).ok())
        .collect();
    let statuses = join_all(collections.iter().map(|collection| async {
        tokio::time::timeout(PATIENCE, read::status(collection)).await
    }))
    .await;

    let mut points = String::new();
    let mut indexed = String::new();
    let mut tail = String::new();
    let mut silent = String::new();
    for (collection, statuses) in collections.iter().zip(statuses) {
        let statuses = statuses.unwrap_or_default();
        let label = label(collection.name());
        let said = || statuses.iter().filter_map(|s| s.as_ref().ok());
        let lines = [
            (&mut points, said().map(|s| s.points).sum::<u64>()),
            (&mut indexed, said().map(|s| s.indexed).sum()),
            (&mut tail, said().map(|s| s.tail).sum()),
            (
                &mut silent,
                (collection.targets().len() - said().count()) as u64,
            ),
        ];
        for (text, value) in lines {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{{collection=\"{label}\"}} {value}");
        }
    }
    let mut text = String::new();
    for (name, help, lines) in [
        ("quoit_collection_points", "Visible points.", points),
        (
            "quoit_collection_vectors_indexed",
            "Visible vectors that the graph holds.",
            indexed,
        ),
        (
            "quoit_collection_vectors_tail",
            "Visible vectors that are not in the graph yet.",
            tail,
        ),
        (
            "quoit_collection_shards_silent",
            "Shards that did not answer this scrape.",
            silent,
        ),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for line in lines.lines() {
            let _ = writeln!(text, "{name}{line}");
        }
    }
    text
}

/// A label's value with what would end it escaped.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
