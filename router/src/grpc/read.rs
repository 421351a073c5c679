//! What clients send, checked, and what they are sent: between the messages of
//! `quoit.v1` and what the inner calls take and give.

use std::mem::take;

use bytes::Bytes;
use quoit_filter::Filter;
use quoit_proto::BadFilter;
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::v1::{
    self, PayloadSelector, PointInput, PointOutput, Upsert, Vector, VectorSelector,
    payload_selector, vector_selector,
};
use quoit_ring::PointId;

use crate::catalog::{Collection, VectorSet};
use crate::check::{self, fitting};
use crate::error::Error;
use crate::fanout::Row;
use crate::fanout::read::With;
use crate::fanout::write::Change;
use crate::payload::readable;
use crate::select::{Paths, Selector};

/// Says where in a message a field is.
pub(crate) trait Place: Fn(&str) -> String {}

impl<F: Fn(&str) -> String> Place for F {}

/// A point's id.
pub(crate) fn id(id: Option<&v1::PointId>, place: impl Place) -> Result<PointId, Error> {
    let Some(kind) = id.and_then(|id| id.kind.as_ref()) else {
        let message = "it is missing: send `num`, an unsigned 64-bit integer, or `uuid`, 16 bytes";
        return Err(Error::fit(place("id"), message));
    };
    match kind {
        v1::point_id::Kind::Num(n) => Ok(PointId::Num(*n)),
        v1::point_id::Kind::Uuid(bytes) => {
            let uuid = uuid::Uuid::from_slice(bytes).map_err(|_| {
                let message = format!("a UUID has 16 bytes, and not {}", bytes.len());
                Error::fit(place("id.uuid"), message)
            })?;
            Ok(PointId::Uuid(uuid))
        }
    }
}

/// Some ids.
pub(crate) fn ids(ids: &[v1::PointId], field: &str) -> Result<Vec<PointId>, Error> {
    let ids = ids.iter().enumerate();
    let ids = ids.map(|(i, one)| id(Some(one), |_: &str| format!("{field}[{i}]")));
    ids.collect()
}

/// The vectors of one point: that without a name is given bare.
pub(crate) fn vectors(
    collection: &Collection,
    bare: Vec<f32>,
    mut all: Vec<Vector>,
    place: impl Place,
) -> Result<Vec<Vector>, Error> {
    // Where there is but one, and nothing is sent, a client has forgotten it.
    if !bare.is_empty() || (all.is_empty() && collection.params().is_unnamed()) {
        let name = String::new();
        all.push(Vector { values: bare, name });
    }
    let mut seen = VectorSet::NONE;
    for vector in &all {
        let Vector { values, name } = vector;
        let field = |rest: &str| match name.as_str() {
            "" => place(&format!("vector{rest}")),
            name => place(&format!("named_vectors.{name}{rest}")),
        };
        let number = checked(collection, name, values, field)?;
        if seen.contains(number) {
            return Err(Error::fit(
                field(""),
                "this vector is there twice: send it once",
            ));
        }
        seen = seen.with(number);
    }
    Ok(all)
}

/// Checks that a vector can be one of the collection's; the place of its name.
/// `place` adds to the name of the field.
pub(crate) fn checked(
    collection: &Collection,
    name: &str,
    values: &[f32],
    place: impl Place,
) -> Result<usize, Error> {
    let number = fitting(collection, name, values, || place(""))?;
    let at = values.iter().position(|x| !x.is_finite());
    at.map_or(Ok(number), |at| {
        let message = format!("{} is not finite as a 32-bit number", values[at]);
        Err(Error::fit(place(&format!("[{at}]")), message))
    })
}

/// A payload's text; empty for none.
fn payload(collection: &Collection, text: String, place: impl Place) -> Result<Bytes, Error> {
    let field = || place("payload");
    if text.is_empty() || text == "{}" {
        return Ok(Bytes::new());
    }
    payload_text(collection, &text, field)?;
    Ok(text.into())
}

/// Checks that a text, which is not empty, can be a payload.
pub(crate) fn payload_text(
    collection: &Collection,
    text: &str,
    field: impl Fn() -> String,
) -> Result<(), Error> {
    check::payload_size(collection, text.len(), &field)?;
    if !text.starts_with('{') {
        let message = "a payload is the text of a JSON object, or empty";
        return Err(Error::fit(field(), message));
    }
    readable(text).map_err(|message| Error::fit(field(), message))
}

/// A point that is to be put in; it is left with its id alone.
pub(crate) fn upsert(
    collection: &Collection,
    point: &mut PointInput,
    place: impl Place,
) -> Result<Change, Error> {
    let PointInput {
        id: number,
        vector: bare,
        named_vectors,
        payload: text,
        if_version,
    } = point;
    let id = id(number.as_ref(), &place)?;
    let vectors = vectors(collection, take(bare), take(named_vectors), &place)?;
    let payload = payload(collection, take(text), &place)?;
    Ok(Change {
        id,
        only_if: if_version.map(OnlyIf::UnchangedSince),
        kind: Kind::Upsert(Upsert { vectors, payload }),
    })
}

/// A filter; every point meets one that is not there.
pub(crate) fn filter(filter: Option<v1::Filter>, field: &str) -> Result<Filter, Error> {
    let Some(filter) = filter else {
        return Ok(Filter::default());
    };
    let filter: Filter = filter.try_into().map_err(|BadFilter { place, what }| {
        let rest = place.strip_prefix("filter").unwrap_or_default();
        Error::fit(format!("{field}{rest}"), what)
    })?;
    let size = filter.check_size();
    size.map_err(|e| Error::validate(field, e.to_string()))?;
    Ok(filter)
}

/// What of each point is answered.
#[derive(Debug)]
pub(crate) struct Show {
    payload: Selector,
    vectors: VectorSet,
}

impl Show {
    /// What a client asks for; `unsaid` is what it gets of payloads where it says
    /// nothing.
    pub(crate) fn new(
        collection: &Collection,
        payload: Option<PayloadSelector>,
        vectors: Option<VectorSelector>,
        unsaid: Selector,
        place: impl Place,
    ) -> Result<Self, Error> {
        let paths = |paths: v1::Paths| {
            let parsed = Paths::parse(&paths.paths);
            parsed.map_err(|message| Error::fit(place("with_payload"), message))
        };
        let payload = match payload.and_then(|selector| selector.kind) {
            None => unsaid,
            Some(payload_selector::Kind::All(true)) => Selector::Everything,
            Some(payload_selector::Kind::All(false)) => Selector::Nothing,
            Some(payload_selector::Kind::Include(all)) => Selector::Include(paths(all)?),
            Some(payload_selector::Kind::Exclude(all)) => Selector::Exclude(paths(all)?),
        };
        let vectors = match vectors.and_then(|selector| selector.kind) {
            None | Some(vector_selector::Kind::All(false)) => VectorSet::NONE,
            Some(vector_selector::Kind::All(true)) => VectorSet::ALL,
            Some(vector_selector::Kind::Names(names)) => {
                let mut some = VectorSet::NONE;
                for name in &names.names {
                    let field = || place("with_vectors");
                    some = some.with(check::known(collection, name, field)?);
                }
                some
            }
        };
        Ok(Self { payload, vectors })
    }

    /// What the shards are to send for it.
    pub(crate) fn with(&self) -> With {
        With {
            payload: self.payload.wants_any(),
            vectors: self.vectors,
        }
    }

    /// A point as it is answered.
    pub(crate) fn point(&self, row: Row) -> Result<PointOutput, Error> {
        let Row { id, point, .. } = row;
        let text = match &self.payload {
            Selector::Nothing => Vec::new(),
            Selector::Everything => point.payload.into(),
            part => {
                let mut text = Vec::new();
                part.write(&mut text, &point.payload)?;
                text
            }
        };
        let payload =
            String::from_utf8(text).map_err(<serde_json::Error as serde::ser::Error>::custom)?;
        let mut named_vectors = point.vectors;
        let unnamed = named_vectors.iter().position(|v| v.name.is_empty());
        let unnamed = unnamed.map(|at| named_vectors.swap_remove(at));
        Ok(PointOutput {
            id: Some(id.into()),
            version: point.version,
            payload,
            vector: unnamed.map(|v| v.values).unwrap_or_default(),
            named_vectors,
        })
    }
}
