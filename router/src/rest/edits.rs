//! The calls that change points that are there: payloads set, overwritten,
//! cleared, keys taken away, other vectors, and points deleted; each by ids or
//! by a filter. And batches of them, with upserts among them.

use quoit_proto::v1::change::Kind;
use quoit_proto::v1::payload_edit::Kind as Edit;
use quoit_proto::v1::{self, Delete, Paths, PayloadEdit};
use quoit_ring::PointId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::{JsonFilter, JsonPath};
use super::ids::JsonId;
use super::not_yet::NotYet;
use super::payload::Payload;
use super::update::{Reading, many, one};
use super::upsert::{self, kept};
use super::vectors::{OfPoint, fitting_all};
use crate::check::known;
use crate::fanout::write::Change;
use crate::update::{Mode, Update};

/// `POST /collections/{c}/points/delete`: takes points away.
pub(crate) async fn delete(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Selected>(reading.body)?.delete(&mut reading)
    })
    .await
}

/// `POST /collections/{c}/points/payload`: sets keys, the others stay.
pub(crate) async fn set_payload(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Values>(reading.body)?.set(&mut reading)
    })
    .await
}

/// `PUT /collections/{c}/points/payload`: puts a payload in the place of what
/// was there.
pub(crate) async fn overwrite_payload(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Values>(reading.body)?.overwrite(&mut reading)
    })
    .await
}

/// `POST /collections/{c}/points/payload/delete`: takes keys away.
pub(crate) async fn delete_payload(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Removal>(reading.body)?.remove(&mut reading)
    })
    .await
}

/// `POST /collections/{c}/points/payload/clear`: takes all keys away.
pub(crate) async fn clear_payload(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Selected>(reading.body)?.clear(&mut reading)
    })
    .await
}

/// `PUT /collections/{c}/points/vectors`: other vectors, the payloads stay.
pub(crate) async fn update_vectors(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<Vectors>(reading.body)?.update(&mut reading)
    })
    .await
}

/// `POST /collections/{c}/points/vectors/delete`: takes vectors away, the
/// points stay.
pub(crate) async fn delete_vectors(call: Call) -> Result<Reply, Error> {
    one(call, |mut reading| {
        decode::<VectorRemoval>(reading.body)?.remove(&mut reading)
    })
    .await
}

/// `POST /collections/{c}/points/batch`: any of these, in their order.
pub(crate) async fn batch(call: Call) -> Result<Reply, Error> {
    many(call, |mut reading| {
        let batch: Batch = decode(reading.body)?;
        let operations = batch.operations.into_iter().enumerate();
        let updates = operations.map(|(i, operation)| {
            reading.at = format!("operations[{i}].");
            operation.update(&mut reading)
        });
        updates.collect()
    })
    .await
}

/// Several changes, in their order.
#[derive(Deserialize, ToSchema)]
#[schema(as = UpdateOperations)]
pub(crate) struct Batch<'a> {
    #[serde(borrow)]
    operations: Vec<Operation<'a>>,
}

/// One of a batch: exactly one of its fields is there. In boxes, since a batch
/// has many that are short.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdateOperation)]
struct Operation<'a> {
    #[serde(borrow)]
    upsert: Option<Box<upsert::Body<'a>>>,
    delete: Option<Box<Selected>>,
    #[serde(borrow)]
    set_payload: Option<Box<Values<'a>>>,
    #[serde(borrow)]
    overwrite_payload: Option<Box<Values<'a>>>,
    delete_payload: Option<Box<Removal>>,
    clear_payload: Option<Box<Selected>>,
    update_vectors: Option<Box<Vectors>>,
    delete_vectors: Option<Box<VectorRemoval>>,
}

impl Operation<'_> {
    fn update(self, reading: &mut Reading) -> Result<Update, Error> {
        type Read<'a> = Box<dyn FnOnce(&mut Reading) -> Result<Update, Error> + 'a>;
        fn named<'a, T: 'a>(
            name: &'static str,
            field: Option<Box<T>>,
            read: impl FnOnce(T, &mut Reading) -> Result<Update, Error> + 'a,
        ) -> Option<(&'static str, Read<'a>)> {
            let field = field?;
            Some((name, Box::new(move |reading| read(*field, reading))))
        }
        let there = [
            named("upsert", self.upsert, upsert::Body::update),
            named("delete", self.delete, Selected::delete),
            named("set_payload", self.set_payload, Values::set),
            named(
                "overwrite_payload",
                self.overwrite_payload,
                Values::overwrite,
            ),
            named("delete_payload", self.delete_payload, Removal::remove),
            named("clear_payload", self.clear_payload, Selected::clear),
            named("update_vectors", self.update_vectors, Vectors::update),
            named("delete_vectors", self.delete_vectors, VectorRemoval::remove),
        ];
        let mut there = there.into_iter().flatten();
        let (Some((name, read)), None) = (there.next(), there.next()) else {
            return Err(Error::ReadJson(format!(
                "{}: an operation is exactly one of upsert, delete, set_payload, overwrite_payload, delete_payload, \
                 clear_payload, update_vectors and delete_vectors",
                reading.at.trim_end_matches('.')
            )));
        };
        reading.at = format!("{}{name}.", reading.at);
        read(reading)
    }
}

/// Points by their ids or by a filter: one of these two.
#[derive(Deserialize, ToSchema)]
#[schema(as = PointsSelector)]
pub(crate) struct Selected {
    points: Option<Vec<JsonId>>,
    filter: Option<JsonFilter>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

impl Selected {
    fn delete(self, reading: &mut Reading) -> Result<Update, Error> {
        let kind = Kind::Delete(Delete {});
        reading.selected(self.points, self.filter, "points", kind)
    }

    fn clear(self, reading: &mut Reading) -> Result<Update, Error> {
        let kind = edit(Edit::Replace(String::new()));
        reading.selected(self.points, self.filter, "points", kind)
    }
}

/// A payload, and the points that get it: by ids or by a filter.
#[derive(Deserialize, ToSchema)]
#[schema(as = SetPayload)]
pub(crate) struct Values<'a> {
    #[serde(borrow)]
    payload: Payload<'a>,
    points: Option<Vec<JsonId>>,
    filter: Option<JsonFilter>,
    key: Option<JsonPath>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

impl Values<'_> {
    fn set(self, reading: &mut Reading) -> Result<Update, Error> {
        let values = text(reading, self.payload)?;
        let at = self.key.map(|JsonPath(path)| path);
        let set = quoit_filter::Edit::Set { at, values };
        set.check()
            .map_err(|e| Error::validate(reading.field("payload"), e.to_string()))?;
        let kind = Kind::EditPayload(PayloadEdit::from(&set));
        reading.selected(self.points, self.filter, "payload", kind)
    }

    fn overwrite(self, reading: &mut Reading) -> Result<Update, Error> {
        if self.key.is_some() {
            let message = "a payload is overwritten as a whole: leave `key` out, or set the payload at it (POST)";
            return Err(Error::validate(reading.field("key"), message));
        }
        let kind = edit(Edit::Replace(text(reading, self.payload)?));
        reading.selected(self.points, self.filter, "payload", kind)
    }
}

/// Keys, and the points that lose them: by ids or by a filter.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeletePayload)]
pub(crate) struct Removal {
    #[schema(value_type = Vec<JsonPath>)]
    keys: Vec<Key>,
    points: Option<Vec<JsonId>>,
    filter: Option<JsonFilter>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// A path as it is sent on: a list of paths takes many times the room of their
/// texts.
#[derive(Deserialize)]
#[serde(from = "JsonPath")]
struct Key(String);

impl From<JsonPath> for Key {
    fn from(JsonPath(path): JsonPath) -> Self {
        Self(path.to_string())
    }
}

impl Removal {
    fn remove(self, reading: &mut Reading) -> Result<Update, Error> {
        let paths = self.keys.into_iter().map(|Key(text)| text).collect();
        let kind = edit(Edit::Remove(Paths { paths }));
        reading.selected(self.points, self.filter, "keys", kind)
    }
}

/// Other vectors of points.
#[derive(Deserialize, ToSchema)]
#[schema(as = UpdateVectors)]
pub(crate) struct Vectors {
    points: Vec<PointVector>,
    update_filter: Option<JsonFilter>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// The vectors of one point.
#[derive(Deserialize, ToSchema)]
#[schema(as = PointVectors)]
struct PointVector {
    id: JsonId,
    vector: OfPoint,
}

impl Vectors {
    fn update(self, reading: &mut Reading) -> Result<Update, Error> {
        reading.count("points", self.points.len())?;
        let changes = self.points.into_iter().enumerate().map(|(i, point)| {
            let field = || reading.field(&format!("points[{i}].vector"));
            let vectors = fitting_all(reading.collection, point.vector, field)?;
            if vectors.is_empty() {
                let message = "no vector to set: name at least one, or leave the point out";
                return Err(Error::validate(field(), message));
            }
            Ok(always(
                point.id.0,
                Kind::SetVectors(v1::Vectors { vectors }),
            ))
        });
        let changes = changes.collect::<Result<_, Error>>()?;
        reading.conditional(changes, Mode::Upsert, self.update_filter.as_ref())
    }
}

/// Names of vectors, and the points that lose them: by ids or by a filter.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeleteVectors)]
pub(crate) struct VectorRemoval {
    vector: Vec<String>,
    points: Option<Vec<JsonId>>,
    filter: Option<JsonFilter>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

impl VectorRemoval {
    fn remove(self, reading: &mut Reading) -> Result<Update, Error> {
        let Self {
            vector: names,
            points,
            filter,
            ..
        } = self;
        if names.is_empty() {
            let message = "no vector to delete: name at least one";
            return Err(Error::validate(reading.field("vector"), message));
        }
        for name in &names {
            known(reading.collection, name, || reading.field("vector"))?;
        }
        let kind = Kind::RemoveVectors(v1::VectorNames { names });
        reading.selected(points, filter, "vector", kind)
    }
}

fn always(id: PointId, kind: Kind) -> Change {
    Change {
        id,
        only_if: None,
        kind,
    }
}

fn edit(kind: Edit) -> Kind {
    Kind::EditPayload(PayloadEdit { kind: Some(kind) })
}

/// The text of a payload that is within its bound.
fn text(reading: &Reading, payload: Payload) -> Result<String, Error> {
    kept(reading, Some(payload), || reading.field("payload"))?;
    Ok(payload.0.to_owned())
}
