//! `PUT /collections/{c}/points`: points as a list, or as columns in a batch.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::ids::JsonId;
use super::not_yet::NotYet;
use super::params::Params;
use super::payload::Payload;
use super::vectors::{Bare, MaybeNamed};
use crate::catalog::Collection;
use crate::fanout::write::{self, Change};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    points: Option<Vec<Point<'a>>>,
    #[serde(borrow)]
    batch: Option<Batch<'a>>,
    #[serde(default, rename = "shard_key")]
    _shard_key: NotYet,
    #[serde(default, rename = "update_filter")]
    _update_filter: NotYet,
    update_mode: Option<String>,
}

#[derive(Deserialize)]
struct Point<'a> {
    id: JsonId,
    vector: MaybeNamed<Bare>,
    #[serde(borrow)]
    payload: Option<Payload<'a>>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    ids: Vec<JsonId>,
    vectors: MaybeNamed<Vec<Bare>>,
    #[serde(borrow)]
    payloads: Option<Vec<Option<Payload<'a>>>>,
}

/// Puts points in.
pub(crate) async fn upsert(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let changes = changes(&collection, &body)?;
    drop(body);
    written(call.params, &collection, changes).await
}

/// Sends the changes and says what came of it.
pub(crate) async fn written(
    params: Params,
    collection: &Collection,
    changes: Vec<Change>,
) -> Result<Reply, Error> {
    let operation = write::write(collection, changes).await?;
    let status = if params.wait {
        "completed"
    } else {
        "acknowledged"
    };
    Reply::of(&json!({"operation_id": operation, "status": status}))
}

fn changes(collection: &Collection, bytes: &Bytes) -> Result<Vec<Change>, Error> {
    let body: Body = decode(bytes)?;
    if let Some(mode) = body.update_mode
        && mode != "upsert"
    {
        let known = ["insert_only", "update_only"].contains(&mode.as_str());
        let field = format!("update_mode {mode:?}");
        return Err(if known {
            Error::NotYet(field)
        } else {
            Error::ReadJson(format!(
                "{field} is none of upsert, insert_only, update_only"
            ))
        });
    }
    match (body.points, body.batch) {
        (Some(points), None) => {
            check_count(collection, "points", points.len())?;
            let changes = points.into_iter().enumerate().map(|(i, point)| {
                let MaybeNamed(Bare(vector)) = point.vector;
                fitting(collection, &vector, || format!("points[{i}].vector"))?;
                let payload = kept(collection, bytes, point.payload, || {
                    format!("points[{i}].payload")
                })?;
                let id = point.id.0;
                Ok(Change::Upsert { id, vector, payload })
            });
            changes.collect()
        }
        (None, Some(batch)) => columns(collection, bytes, batch),
        (Some(_), Some(_)) => Err(Error::ReadJson(
            "`points` and `batch` exclude each other: send one of them".to_owned(),
        )),
        (None, None) => Err(Error::ReadJson(
            "missing field `points`: send a list of points, or `batch` with ids, vectors and payloads"
                .to_owned(),
        )),
    }
}

fn columns(collection: &Collection, bytes: &Bytes, batch: Batch) -> Result<Vec<Change>, Error> {
    let Batch {
        ids,
        vectors: MaybeNamed(vectors),
        payloads,
    } = batch;
    for (name, len) in [
        ("vectors", vectors.len()),
        ("payloads", payloads.as_ref().map_or(ids.len(), Vec::len)),
    ] {
        if len != ids.len() {
            let message = format!(
                "number of ids and {name} must be equal ({} != {len})",
                ids.len()
            );
            return Err(Error::validate(format!("batch.{name}"), message));
        }
    }
    check_count(collection, "batch.ids", ids.len())?;
    let payloads = payloads
        .into_iter()
        .flatten()
        .chain(std::iter::repeat_with(|| None));
    let points = ids.into_iter().zip(vectors).zip(payloads);
    let changes = points
        .enumerate()
        .map(|(i, ((id, Bare(vector)), payload))| {
            fitting(collection, &vector, || format!("batch.vectors[{i}]"))?;
            let payload = kept(collection, bytes, payload, || {
                format!("batch.payloads[{i}]")
            })?;
            Ok(Change::Upsert {
                id: id.0,
                vector,
                payload,
            })
        });
    changes.collect()
}

/// Checks how many points or ids a request names.
pub(crate) fn check_count(collection: &Collection, field: &str, count: usize) -> Result<(), Error> {
    let max = collection.params().limits.max_batch_points;
    if count == 0 {
        return Err(Error::fit(
            field,
            "Empty update request: name at least one point",
        ));
    }
    if count > max {
        let message =
            format!("{count} points are more than the {max} of one request: send several");
        return Err(Error::validate(field, message));
    }
    Ok(())
}

/// Checks a vector's length.
pub(crate) fn fitting(
    collection: &Collection,
    vector: &[f32],
    field: impl FnOnce() -> String,
) -> Result<(), Error> {
    let (want, got) = (collection.params().dimension, vector.len());
    if want == got {
        return Ok(());
    }
    let message = format!("Vector dimension error: expected dim: {want}, got {got}");
    Err(Error::fit(field(), message))
}

/// The payload as a piece of the body, without a copy.
fn kept(
    collection: &Collection,
    body: &Bytes,
    payload: Option<Payload>,
    field: impl FnOnce() -> String,
) -> Result<Bytes, Error> {
    let max = collection.params().limits.max_payload_bytes;
    match payload {
        None | Some(Payload("{}")) => Ok(Bytes::new()),
        Some(Payload(text)) if text.len() > max => {
            let message = format!(
                "{} bytes are more than the {max} of one payload",
                text.len()
            );
            Err(Error::validate(field(), message))
        }
        Some(Payload(text)) => Ok(body.slice_ref(text.as_bytes())),
    }
}
