//! `PUT /collections/{c}/points`: points as a list, or as columns in a batch.

use bytes::Bytes;
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::v1::{Upsert, Vector};
use quoit_ring::PointId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::JsonFilter;
use super::ids::JsonId;
use super::not_yet::NotYet;
use super::payload::Payload;
use super::update::{Reading, one};
use super::vectors::{MaybeNamed, OfPoint, OfPoints, fitting_all};
use crate::check;
use crate::fanout::write::Change;
use crate::update::{Mode, Update};

/// The body of an upsert.
#[derive(Deserialize, ToSchema)]
#[schema(as = PointInsertOperations)]
pub(crate) struct Body<'a> {
    #[serde(borrow)]
    points: Option<Vec<Point<'a>>>,
    #[serde(borrow)]
    batch: Option<Batch<'a>>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
    update_filter: Option<JsonFilter>,
    update_mode: Option<Mode>,
}

/// A point to put in.
#[derive(Deserialize, ToSchema)]
#[schema(as = PointStruct)]
struct Point<'a> {
    id: JsonId,
    vector: OfPoint,
    #[serde(borrow)]
    payload: Option<Payload<'a>>,
    /// If given, the point is put in only if this is its version.
    if_version: Option<u64>,
}

/// Points by columns of the same length.
#[derive(Deserialize, ToSchema)]
#[schema(as = Batch)]
struct Batch<'a> {
    ids: Vec<JsonId>,
    vectors: OfPoints,
    #[serde(borrow)]
    payloads: Option<Vec<Option<Payload<'a>>>>,
}

/// Puts points in.
pub(crate) async fn upsert(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Body>(reading.body)?.update(&mut reading)
    })
    .await
}

impl Body<'_> {
    /// The points as changes that fit the collection.
    pub(crate) fn update(self, reading: &mut Reading) -> Result<Update, Error> {
        let changes = match (self.points, self.batch) {
            (Some(points), None) => rows(reading, points)?,
            (None, Some(batch)) => columns(reading, batch)?,
            (Some(_), Some(_)) => {
                return Err(Error::ReadJson(format!(
                    "`{0}points` and `{0}batch` exclude each other: send one of them",
                    reading.at
                )));
            }
            (None, None) => {
                return Err(Error::ReadJson(format!(
                    "missing field `{0}points`: send a list of points, or `{0}batch` with ids, vectors and payloads",
                    reading.at
                )));
            }
        };
        let mode = self.update_mode.unwrap_or_default();
        reading.conditional(changes, mode, self.update_filter.as_ref())
    }
}

fn rows(reading: &mut Reading, points: Vec<Point>) -> Result<Vec<Change>, Error> {
    reading.count("points", points.len())?;
    let changes = points.into_iter().enumerate().map(|(i, point)| {
        let field = |name| reading.field(&format!("points[{i}].{name}"));
        let vectors = fitting_all(reading.collection, point.vector, || field("vector"))?;
        let payload = kept(reading, point.payload, || field("payload"))?;
        Ok(Change {
            only_if: point.if_version.map(OnlyIf::UnchangedSince),
            ..put(point.id.0, vectors, payload)
        })
    });
    changes.collect()
}

fn columns(reading: &mut Reading, batch: Batch) -> Result<Vec<Change>, Error> {
    let Batch {
        ids,
        vectors: MaybeNamed(vectors),
        payloads,
    } = batch;
    let of_vectors = vectors.iter().map(|(_, list)| ("vectors", list.len()));
    let of_payloads = payloads.iter().map(|list| ("payloads", list.len()));
    for (name, len) in of_vectors.chain(of_payloads) {
        if len != ids.len() {
            let message = format!(
                "number of ids and {name} must be equal ({} != {len})",
                ids.len()
            );
            let field = reading.field(&format!("batch.{name}"));
            return Err(Error::validate(field, message));
        }
    }
    reading.count("batch.ids", ids.len())?;
    let payloads = payloads
        .into_iter()
        .flatten()
        .chain(std::iter::repeat_with(|| None));
    let mut columns: Vec<_> = vectors
        .into_iter()
        .map(|(name, list)| (name, list.into_iter()))
        .collect();
    let changes = ids
        .into_iter()
        .zip(payloads)
        .enumerate()
        .map(|(i, (id, payload))| {
            let field = |name| reading.field(&format!("batch.{name}[{i}]"));
            let next = columns.iter_mut();
            let next = next.filter_map(|(name, list)| Some((name.clone(), list.next()?)));
            let vectors = MaybeNamed(next.collect());
            let vectors = fitting_all(reading.collection, vectors, || field("vectors"))?;
            let payload = kept(reading, payload, || field("payloads"))?;
            Ok(put(id.0, vectors, payload))
        });
    changes.collect()
}

fn put(id: PointId, vectors: Vec<Vector>, payload: Bytes) -> Change {
    Change {
        id,
        only_if: None,
        kind: Kind::Upsert(Upsert { vectors, payload }),
    }
}

/// The payload as a piece of the body, without a copy.
pub(crate) fn kept(
    reading: &Reading,
    payload: Option<Payload>,
    field: impl FnOnce() -> String,
) -> Result<Bytes, Error> {
    match payload {
        None | Some(Payload("{}")) => Ok(Bytes::new()),
        Some(Payload(text)) => {
            check::payload_size(reading.collection, text.len(), field)?;
            Ok(reading.body.slice_ref(text.as_bytes()))
        }
    }
}
