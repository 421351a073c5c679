//! What clients send, checked, and what they are sent: between the messages of
//! `quoit.v1` and what the inner calls take and give.

use std::collections::HashMap;
use std::mem::take;

use bytes::Bytes;
use quoit_filter::Filter;
use quoit_proto::BadFilter;
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::{
    self, PayloadSelector, PointInput, PointOutput, Upsert, Vector, VectorSelector,
    payload_selector, vector_selector,
};
use quoit_ring::PointId;

use crate::catalog::Collection;
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

/// A vector without a name, given bare or under the empty one.
pub(crate) fn vector(
    collection: &Collection,
    bare: Vec<f32>,
    mut named: HashMap<String, Vector>,
    place: impl Place,
) -> Result<Vec<f32>, Error> {
    let unnamed = named.remove("");
    if let Some(name) = named.keys().min() {
        return Err(named_vector(place("named_vectors"), name));
    }
    let vector = match unnamed {
        None => bare,
        Some(vector) if bare.is_empty() => vector.values,
        Some(_) => {
            let message =
                "the vector without a name is there twice: leave out the empty name or `vector`";
            return Err(Error::fit(place("named_vectors"), message));
        }
    };
    checked(collection, &vector, place)?;
    Ok(vector)
}

/// Checks that a vector can be one of the collection's.
pub(crate) fn checked(
    collection: &Collection,
    vector: &[f32],
    place: impl Place,
) -> Result<(), Error> {
    fitting(collection, vector, || place("vector"))?;
    let at = vector.iter().position(|x| !x.is_finite());
    at.map_or(Ok(()), |at| {
        let message = format!("{} is not finite as a 32-bit number", vector[at]);
        Err(Error::fit(place(&format!("vector[{at}]")), message))
    })
}

/// The name of the vectors that are meant.
pub(crate) fn vector_name(name: &str, field: impl FnOnce() -> String) -> Result<(), Error> {
    if name.is_empty() {
        return Ok(());
    }
    Err(named_vector(field(), name))
}

fn named_vector(field: String, name: &str) -> Error {
    let message = format!(
        "the vector {name:?}: named vectors are not supported yet, leave the name out or empty"
    );
    Error::fit(field, message)
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
    } = point;
    let id = id(number.as_ref(), &place)?;
    let vector = vector(collection, take(bare), take(named_vectors), &place)?;
    let payload = payload(collection, take(text), &place)?;
    Ok(Change {
        id,
        only_if: None,
        kind: Kind::Upsert(Upsert { vector, payload }),
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
    vector: bool,
}

impl Show {
    /// What a client asks for; `unsaid` is what it gets of payloads where it says
    /// nothing.
    pub(crate) fn new(
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
        let vector = match vectors.and_then(|selector| selector.kind) {
            None => false,
            Some(vector_selector::Kind::All(all)) => all,
            Some(vector_selector::Kind::Names(names)) => {
                for name in &names.names {
                    vector_name(name, || place("with_vectors"))?;
                }
                !names.names.is_empty()
            }
        };
        Ok(Self { payload, vector })
    }

    /// What the shards are to send for it.
    pub(crate) fn with(&self) -> With {
        With {
            payload: self.payload.wants_any(),
            vector: self.vector,
        }
    }

    /// A point as it is answered.
    pub(crate) fn point(&self, row: Row) -> Result<PointOutput, Error> {
        let Row { id, point } = row;
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
        Ok(PointOutput {
            id: Some(id.into()),
            version: point.version,
            payload,
            vector: point.vector,
            named_vectors: HashMap::new(),
        })
    }
}
