//! Runs the queries over REST and takes the time of each, from the moment its
//! request is written to the moment its answer is read. The server works on the
//! same cores at the same time, and the times include that.

use super::{COLLECTION, TOP};
use crate::client::{self, Client};
use crate::figures::{milliseconds, percentile, rate};
use bytes::Bytes;
use hyper::Method;
use quoit_dataset::Matrix;
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Why the queries were not all answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not answer one.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A query cannot be written as JSON.
    #[error("a query cannot be written as JSON")]
    Write(#[from] serde_json::Error),
    /// A task panicked.
    #[error("a part of the measurement crashed; this is a bug")]
    Crashed(#[from] tokio::task::JoinError),
}

/// What came of the queries.
pub(super) struct Run {
    /// The ids that each query got, best first, in the order of the queries.
    pub(super) answers: Vec<Vec<u64>>,
    /// The time of each, in order.
    times: Vec<Duration>,
    /// The time of all.
    took: Duration,
}

impl Run {
    /// The figures, in words.
    pub(super) fn summary(&self) -> String {
        let of = |percent| {
            percentile(&self.times, percent).map_or_else(|| "unknown".to_owned(), milliseconds)
        };
        let rate = rate(self.times.len(), self.took);
        format!(
            "{rate:>6} a second, half within {} (p50), 99 % within {} (p99)",
            of(50),
            of(99)
        )
    }
}

#[derive(Deserialize)]
struct Found {
    points: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

/// The requests of the queries, made before the clock runs.
pub(super) fn bodies(queries: &Matrix<f32>) -> Result<Arc<Vec<Bytes>>, Error> {
    let bodies = queries
        .iter()
        .map(|vector| serde_json::to_vec(&json!({"query": vector, "limit": TOP})));
    let bodies: Result<Vec<_>, _> = bodies.map(|body| body.map(Bytes::from)).collect();
    Ok(Arc::new(bodies?))
}

/// Runs all queries, so many at a time.
pub(super) async fn run(
    address: SocketAddr,
    bodies: &Arc<Vec<Bytes>>,
    at_a_time: usize,
) -> Result<Run, Error> {
    let mut clients = Vec::new();
    for _ in 0..at_a_time {
        clients.push(Client::connect(address).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let since = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(ask(client, bodies.clone(), next.clone()));
    }
    let mut all = Vec::with_capacity(bodies.len());
    while let Some(asked) = tasks.join_next().await {
        all.extend(asked??);
    }
    let took = since.elapsed();
    all.sort_unstable_by_key(|(query, ..)| *query);
    let mut times: Vec<_> = all.iter().map(|(_, time, _)| *time).collect();
    times.sort_unstable();
    let answers = all.into_iter().map(|(.., ids)| ids).collect();
    Ok(Run {
        answers,
        times,
        took,
    })
}

/// A query's number, its time, and the ids it got.
type Asked = (usize, Duration, Vec<u64>);

/// Asks the next query until there is none.
async fn ask(
    mut client: Client,
    bodies: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Asked>, Error> {
    let path = format!("/collections/{COLLECTION}/points/query");
    let mut asked = Vec::new();
    loop {
        let query = next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = bodies.get(query) else {
            return Ok(asked);
        };
        let since = Instant::now();
        let found: Found = client.call(Method::POST, &path, body.clone()).await?;
        let time = since.elapsed();
        asked.push((
            query,
            time,
            found.points.into_iter().map(|point| point.id).collect(),
        ));
    }
}
