//! From an empty server to one that has everything indexed: the collection is
//! made, the points are imported in batches over a few connections, and the
//! server is asked until it says that its index is whole.

use super::COLLECTION;
use super::screen::Screen;
use crate::client::{self, Client};
use crate::figures::{rate, thousands};
use bytes::Bytes;
use hyper::Method;
use quoit_dataset::{Package, Packages};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many points a request brings: about a megabyte of JSON.
const BATCH: usize = 250;

/// How many requests are under way, so that the server has one to work on while
/// another waits for the disk.
const CONNECTIONS: usize = 4;

/// How often the server is asked how far its index is.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// For how long an index may make no progress.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why the data did not get in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not do as asked.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// Something else has the collection's name.
    #[error(
        "--data-dir: its collection {COLLECTION} has vectors of {present} numbers, and these have {wanted}; name another directory"
    )]
    OtherCollection {
        /// The dimension of the one that is there.
        present: u64,
        /// The dimension that is wished.
        wanted: u64,
    },
    /// The server says that something is wrong with it.
    #[error("the server has trouble: {0}")]
    Trouble(String),
    /// The index stands still.
    #[error("the index has been at {indexed} of {total} points for a minute; this is a bug")]
    Stuck {
        /// Points in it.
        indexed: u64,
        /// Points that should be.
        total: u64,
    },
    /// The data cannot be read to its end.
    #[error("--dataset: the demo's data is damaged")]
    Dataset(#[from] quoit_dataset::Error),
    /// A point cannot be written as JSON.
    #[error("a point cannot be written as JSON")]
    Write(#[from] serde_json::Error),
    /// A task panicked.
    #[error("a part of the import crashed; this is a bug")]
    Crashed(#[from] tokio::task::JoinError),
    /// Nothing can be printed.
    #[error("cannot print")]
    Print(#[from] io::Error),
}

/// What goes where.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) shards: u32,
    pub(super) points: Packages,
}

/// What the server says of a collection.
#[derive(Deserialize)]
struct Info {
    status: String,
    optimizer_status: Value,
    indexed_vectors_count: u64,
    points_count: u64,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    vectors: VectorParams,
    shard_number: u32,
}

#[derive(Deserialize)]
struct VectorParams {
    size: u64,
}

#[derive(Serialize)]
struct Upsert<'a> {
    points: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    id: usize,
    vector: &'a [f32],
    payload: &'a RawValue,
}

/// Makes the collection where it is not there, puts the points in where they are
/// not there, and waits until all are indexed.
pub(super) async fn fill(screen: &Screen, target: Target) -> Result<(), Error> {
    let mut client = Client::connect(target.address).await?;
    let total = target.points.total();
    let present = collection(screen, &mut client, &target).await?;
    let count = thousands(total as u64);
    if present == total as u64 {
        let line = format!("{count} points are there already");
        screen.item("Import", &line)?;
    } else {
        let since = Instant::now();
        import(screen, target.address, target.points).await?;
        let took = since.elapsed();
        let (rate, seconds) = (rate(total, took), took.as_secs_f64());
        let line =
            format!("{count} points in {seconds:.1} s, {rate} a second, each safely on disk");
        screen.item("Import", &line)?;
    }
    let imported = Instant::now();
    wait_for_index(screen, &mut client, total as u64).await?;
    let took = imported.elapsed().as_secs_f64();
    let line = if present == total as u64 {
        "complete".to_owned()
    } else {
        format!("complete {took:.1} s after the last point; searches saw all points meanwhile")
    };
    screen.item("Index", &line)?;
    Ok(())
}

/// Makes the collection, or finds it; how many points are in it.
async fn collection(screen: &Screen, client: &mut Client, target: &Target) -> Result<u64, Error> {
    #[derive(Deserialize)]
    struct Exists {
        exists: bool,
    }
    let path = format!("/collections/{COLLECTION}");
    let wanted = target.points.dimension() as u64;
    let there: Exists = client
        .call(Method::GET, &format!("{path}/exists"), Bytes::new())
        .await?;
    if !there.exists {
        let wish = json!({"vectors": {"size": wanted, "distance": "Cosine"}, "shard_number": target.shards});
        let _: bool = client
            .call(Method::PUT, &path, wish.to_string().into())
            .await?;
    }
    let info = info(client).await?;
    let params = info.config.params;
    let present = params.vectors.size;
    if present != wanted {
        return Err(Error::OtherCollection { present, wanted });
    }
    let shards = params.shard_number;
    let split = if shards == 1 {
        "1 shard".to_owned()
    } else {
        format!("{shards} shards")
    };
    screen.item(
        "Collection",
        &format!("{COLLECTION}: {present} numbers a vector, compared by cosine, in {split}"),
    )?;
    Ok(info.points_count)
}

async fn info(client: &mut Client) -> Result<Info, Error> {
    Ok(client
        .call(
            Method::GET,
            &format!("/collections/{COLLECTION}"),
            Bytes::new(),
        )
        .await?)
}

/// Puts the points in, in batches. A batch is acknowledged when it is on disk.
async fn import(screen: &Screen, address: SocketAddr, points: Packages) -> Result<(), Error> {
    let mut bar = screen.progress("Import", "points", points.total() as u64);
    let (done, mut acknowledged) = mpsc::unbounded_channel();
    let points = Arc::new(Mutex::new(points));
    // Dropped before its end, as by Ctrl-C, it takes its tasks along.
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        tasks.spawn(batches(address, points.clone(), done.clone()));
    }
    drop(done);
    let mut so_far = 0;
    // Ends when all tasks have, whether well or not.
    while let Some(more) = acknowledged.recv().await {
        so_far += more as u64;
        bar.set(screen, so_far)?;
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Sends the next batch until there is none.
async fn batches(
    address: SocketAddr,
    points: Arc<Mutex<Packages>>,
    done: mpsc::UnboundedSender<usize>,
) -> Result<(), Error> {
    let mut client = Client::connect(address).await?;
    let path = format!("/collections/{COLLECTION}/points?wait=true");
    loop {
        let batch = next(&points)?;
        if batch.is_empty() {
            return Ok(());
        }
        let _: Value = client.call(Method::PUT, &path, body(&batch)?).await?;
        // Nobody listens only if the import was given up.
        let _ = done.send(batch.len());
    }
}

/// The next batch, read from the file: from here on it is this connection's.
fn next(points: &Mutex<Packages>) -> Result<Vec<Package>, quoit_dataset::Error> {
    // One who panicked with it has ended the import.
    let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
    points.by_ref().take(BATCH).collect()
}

/// The request that brings these points.
fn body(batch: &[Package]) -> Result<Bytes, serde_json::Error> {
    let points = batch.iter().map(|package| {
        let payload = serde_json::from_str(&package.payload);
        payload.map(|payload| Point {
            id: package.id,
            vector: &package.vector,
            payload,
        })
    });
    let points = points.collect::<Result<_, _>>()?;
    Ok(serde_json::to_vec(&Upsert { points })?.into())
}

/// Asks until every point is in the index.
async fn wait_for_index(screen: &Screen, client: &mut Client, total: u64) -> Result<(), Error> {
    let mut bar = screen.progress("Index", "points", total);
    let (mut best, mut moved) = (0, Instant::now());
    loop {
        let info = info(client).await?;
        if info.status == "red" {
            let why = info.optimizer_status.get("error").and_then(Value::as_str);
            return Err(Error::Trouble(
                why.unwrap_or("it does not say which").to_owned(),
            ));
        }
        let indexed = info.indexed_vectors_count.min(total);
        bar.set(screen, indexed)?;
        if info.status == "green" && info.points_count >= total {
            return Ok(());
        }
        if indexed > best {
            (best, moved) = (indexed, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            return Err(Error::Stuck { indexed, total });
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
