//! An import: a stream of batches in, a summary out.
//!
//! Batches are written in the order in which they come, a few at a time. The
//! next one is not read while so many are on their way, and what is not read
//! stays with the client: that is all the back-pressure there is, and all that
//! is needed. A batch is written by a task of its own, so that one that has been
//! begun comes to its end also if the connection is cut.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use quoit_proto::ErrorKind;
use quoit_proto::v1::{ImportPointsRequest, ImportPointsResponse, PointInput, RefusedPoint};
use quoit_ring::PointId;
use tonic::{Request, Response, Status, Streaming};

use super::body::Rooms;
use super::call::{collection, enter, timeout, within};
use super::read;
use super::status::broken_off;
use crate::catalog::Collection;
use crate::error::Error;
use crate::fanout;
use crate::fanout::write::{Change, write};
use crate::limits::Room;
use crate::server::App;

/// Batches that are on their way to the shards at the same time. Two keep a
/// shard's log and its engine busy together; more smooth out what is uneven.
const IN_FLIGHT: usize = 4;

/// Points that were refused and are told of.
const REFUSALS: usize = 10;

/// The pause before a batch is sent again that a shard was too busy to take.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs an import to its end.
pub(crate) async fn import(
    app: &Arc<App>,
    request: Request<Streaming<ImportPointsRequest>>,
) -> Result<Response<ImportPointsResponse>, Status> {
    let (metadata, extensions, mut batches) = request.into_parts();
    let limit = timeout(&metadata)?.unwrap_or(Duration::MAX);
    let rooms = extensions.get::<Rooms>().cloned().unwrap_or_default();
    let mut import = Import {
        app: Arc::clone(app),
        collection: String::new(),
        summary: ImportPointsResponse::default(),
        in_flight: FuturesOrdered::new(),
        ids: VecDeque::new(),
        failed: None,
    };
    let ended = tokio::time::timeout(limit, import.run(&mut batches, &rooms)).await;
    let writes = true;
    let ended = ended.unwrap_or_else(|_| Err(Error::Finish { limit, writes }.into()));
    match ended {
        Ok(()) => Ok(Response::new(import.summary)),
        Err(status) => Err(broken_off(&status, &import.summary)),
    }
}

/// A batch on its way: the position after it, and how many of it are written.
type Batch = BoxFuture<'static, (u64, Result<u64, Error>)>;

struct Import {
    app: Arc<App>,
    /// The name that the first message gave.
    collection: String,
    summary: ImportPointsResponse,
    in_flight: FuturesOrdered<Batch>,
    /// The points of each batch in flight: batches that have one in common are
    /// written one after the other, since the later one is to win.
    ids: VecDeque<HashSet<PointId>>,
    /// Why the first batch was not written that was not.
    failed: Option<Error>,
}

impl Import {
    async fn run(
        &mut self,
        batches: &mut Streaming<ImportPointsRequest>,
        rooms: &Rooms,
    ) -> Result<(), Status> {
        let read = self.read(batches, rooms).await;
        // What is on its way is waited for whatever happened: to say what is
        // durable.
        while !self.in_flight.is_empty() {
            self.settle().await;
        }
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => read,
        }
    }

    /// Reads to the end of the stream or to the first failure.
    async fn read(
        &mut self,
        batches: &mut Streaming<ImportPointsRequest>,
        rooms: &Rooms,
    ) -> Result<(), Status> {
        while self.failed.is_none() {
            if self.in_flight.len() >= IN_FLIGHT {
                self.settle().await;
                continue;
            }
            let next = tokio::select! {
                biased;
                () = self.settle(), if !self.in_flight.is_empty() => continue,
                next = batches.message() => next?,
            };
            let Some(message) = next else {
                return Ok(());
            };
            self.take(message, rooms.take()).await?;
        }
        Ok(())
    }

    /// Sends off what fits of a batch.
    async fn take(
        &mut self,
        message: ImportPointsRequest,
        room: Option<Room>,
    ) -> Result<(), Error> {
        let collection = self.named(&message.collection)?;
        within(&collection, &message)?;
        let max = collection.params().limits.max_batch_points;
        let count = message.points.len();
        if count > max {
            let message =
                format!("{count} points are more than the {max} of one batch: send several");
            return Err(Error::validate("points", message));
        }
        let mut ids = HashSet::with_capacity(count);
        let mut changes = Vec::with_capacity(count);
        for mut point in message.points {
            match read::upsert(&collection, &mut point, |name: &str| name.to_owned()) {
                Ok(change) if change.only_if.is_some() => {
                    let message = "imports have no conditions: send the point by Upsert";
                    self.refuse(point, &Error::fit("if_version", message));
                }
                Ok(change) => {
                    ids.insert(change.id);
                    changes.push(change);
                }
                Err(error) => self.refuse(point, &error),
            }
            self.summary.received += 1;
        }
        while self.ids.iter().any(|others| !others.is_disjoint(&ids)) {
            self.settle().await;
        }
        let end = self.summary.received;
        let write = tokio::spawn(written(Arc::clone(&self.app), collection, changes, room));
        self.ids.push_back(ids);
        self.in_flight.push_back(Box::pin(async move {
            (
                end,
                write.await.unwrap_or_else(|e| Err(Error::AwaitWrite(e))),
            )
        }));
        Ok(())
    }

    /// The collection of the import, as it is now.
    fn named(&mut self, name: &str) -> Result<Arc<Collection>, Error> {
        if self.collection.is_empty() {
            name.clone_into(&mut self.collection);
        } else if !name.is_empty() && name != self.collection {
            let message = format!(
                "{name:?}, and the first message said {:?}: import into one collection after the other",
                self.collection
            );
            return Err(Error::fit("collection", message));
        }
        collection(&self.app, &self.collection)
    }

    fn refuse(&mut self, point: PointInput, error: &Error) {
        self.summary.refused += 1;
        if self.summary.refusals.len() < REFUSALS {
            let reason = match error {
                Error::Fit { field, message } | Error::Validate { field, message, .. } => {
                    format!("{field}: {message}")
                }
                other => other.to_string(),
            };
            self.summary.refusals.push(RefusedPoint {
                position: self.summary.received,
                id: point.id,
                reason,
            });
        }
    }

    /// Waits for the first batch of those on their way.
    async fn settle(&mut self) {
        let Some((end, written)) = self.in_flight.next().await else {
            return;
        };
        self.ids.pop_front();
        match written {
            Ok(count) => {
                self.summary.written += count;
                if self.failed.is_none() {
                    self.summary.next_position = end;
                }
            }
            Err(error) => {
                if let Error::AskShards(fanout::Error::WriteAll { done, .. }) = &error {
                    self.summary.written += *done as u64;
                }
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// Writes a batch, again while a shard is too busy to take it, and says how many
/// points are written.
async fn written(
    app: Arc<App>,
    collection: Arc<Collection>,
    changes: Vec<Change>,
    // Given back when the batch is done.
    _room: Option<Room>,
) -> Result<u64, Error> {
    if changes.is_empty() {
        return Ok(0);
    }
    let count = changes.len() as u64;
    let limit = app.limits.timeout;
    let write = async {
        let _place = enter(&app).await?;
        loop {
            match write(&collection, changes.clone()).await {
                Ok(_) => return Ok(count),
                // Batches after this one have no point in common with it.
                Err(error) if error.kind() == ErrorKind::Busy => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    };
    let writes = true;
    let finished = tokio::time::timeout(limit, write).await;
    finished.unwrap_or(Err(Error::Finish { limit, writes }))
}
