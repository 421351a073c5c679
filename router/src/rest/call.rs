//! One call of the API from its door to its envelope: a place among the
//! requests in flight, a deadline, and the parts that handlers read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::RequestPartsExt;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use quoit_proto::ErrorKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::envelope::Reply;
use super::error::Error;
use super::lookup::open;
use super::params::Params;
use crate::catalog::Collection;
use crate::limits::Room;
use crate::metrics::REFUSED;
use crate::reading::{Partial, Reading};
use crate::server::App;

/// Whether a call can change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It cannot.
    Reads,
    /// It can.
    Writes,
}

/// What a handler is given.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) params: Params,
    reading: Reading,
    path: HashMap<String, String>,
    declared: Option<usize>,
    body: Body,
    /// The room that the body takes up, held until the call ends.
    room: Option<Room>,
}

impl Call {
    /// A variable of the path; empty if the route has none of that name.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The collection that the path names.
    pub(crate) async fn collection(&mut self) -> Result<Arc<Collection>, Error> {
        let name = self.path("c");
        let error = match open(&*self.app.catalog, name) {
            Ok(collection) => return Ok(Arc::new(collection.read_as(&self.reading))),
            Err(error) => error,
        };
        body::discard(std::mem::take(&mut self.body)).await;
        Err(error)
    }

    /// The body, up to a bound.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Bytes, Error> {
        let room = self.declared.unwrap_or(limit).min(limit);
        let room = self.app.admission.room_for(room).await;
        self.room = Some(room.map_err(|_| Error::Enter)?);
        body::read(std::mem::take(&mut self.body), self.declared, limit).await
    }
}

/// A route of one method. Routes of several methods are added one by one.
pub(crate) fn route<H, F>(
    method: MethodFilter,
    effect: Effect,
    handler: H,
) -> MethodRouter<Arc<App>>
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Error>> + Send + 'static,
{
    on(
        method,
        move |State(app): State<Arc<App>>, request: Request| {
            let handler = handler.clone();
            async move { run(app, request, effect, handler).await }
        },
    )
}

async fn run<H, F>(app: Arc<App>, request: Request, effect: Effect, handler: H) -> Response
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, Error>>,
{
    let begun = request.extensions().get::<Instant>().copied();
    let begun = begun.unwrap_or_else(Instant::now);
    let (parts, body) = request.into_parts();
    let result = match Params::read(&parts.uri) {
        Ok(params) => {
            let limit = params.timeout.unwrap_or(app.limits.timeout);
            let reading = reading(effect, params, limit);
            let call = admitted(app, parts, body, params, reading, handler);
            let finished = tokio::time::timeout(limit, call).await;
            finished.unwrap_or(Err(Error::Finish {
                limit,
                writes: effect == Effect::Writes,
            }))
        }
        Err(error) => {
            body::discard(body).await;
            Err(error)
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    match result {
        Ok(reply) => reply.close(seconds),
        Err(error) => error.answer(seconds),
    }
}

/// How a call reads. A write looks at what is there now, and at all of it.
fn reading(effect: Effect, params: Params, limit: Duration) -> Reading {
    match effect {
        Effect::Writes => Reading::default(),
        Effect::Reads => Reading {
            freshness: params.freshness,
            partial: params
                .partial
                .then(|| Arc::new(Partial::new(tokio::time::Instant::now() + limit))),
        },
    }
}

/// Beside a result: the shards that it is without.
#[derive(Serialize, ToSchema)]
#[schema(as = PartialResult)]
pub(crate) struct LeftOut {
    missing_shards: Vec<u32>,
}

/// Names the shards that are left out, if there are any.
fn named(reply: Reply, partial: Option<&Partial>) -> Result<Reply, Error> {
    let missing = partial.map(Partial::missing).unwrap_or_default();
    if missing.is_empty() {
        return Ok(reply);
    }
    let missing_shards = missing.into_iter().map(|shard| shard.0).collect();
    reply.with("partial", &LeftOut { missing_shards })
}

async fn admitted<H, F>(
    app: Arc<App>,
    mut parts: Parts,
    body: Body,
    params: Params,
    reading: Reading,
    handler: H,
) -> Result<Reply, Error>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, Error>>,
{
    let shared = Arc::clone(&app);
    let _place = shared.admission.enter().await.map_err(|_| {
        metrics::counter!(REFUSED).increment(1);
        Error::Enter
    })?;
    let path = parts.extract::<Path<HashMap<String, String>>>().await;
    let Path(path) = path.map_err(|e| Error::ReadUrl {
        place: "path parameters",
        message: e.body_text(),
    })?;
    let name = path.get("c").cloned();
    let partial = reading.partial.clone();
    let done = handler(Call {
        app,
        params,
        reading,
        path,
        declared: body::declared(&parts.headers),
        body,
        room: None,
    })
    .await;
    match (done, name) {
        // A shard is stopped when its collection is deleted: a client that is told
        // to try again would do so in vain.
        (Err(Error::AskShards(error)), Some(name)) if error.kind() == ErrorKind::Unavailable => {
            open(&*shared.catalog, &name)?;
            Err(error.into())
        }
        (done, _) => named(done?, partial.as_deref()),
    }
}
