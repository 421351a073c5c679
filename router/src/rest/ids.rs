//! Point ids as clients write them: in JSON a number or a UUID in quotes, in a
//! path either of them.

use std::fmt;

use quoit_ring::PointId;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use utoipa::openapi::SchemaFormat;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use super::openapi::shape::{any_of, at_least, shaped};

/// A point id in a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonId(pub(crate) PointId);

/// What an id may be, for people.
pub(crate) const EXPECTED: &str = "an unsigned 64-bit integer or a UUID";

impl<'de> Deserialize<'de> for JsonId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

shaped!(JsonId as "ExtendedPointId" => {
    let uuid = ObjectBuilder::new().schema_type(Type::String);
    let uuid = uuid.format(Some(SchemaFormat::Custom("uuid".to_owned())));
    any_of([at_least(0), uuid.into()])
});

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = JsonId;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a point id: {EXPECTED}")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<JsonId, E> {
        Ok(JsonId(PointId::Num(id)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<JsonId, E> {
        uuid(text)
            .map(JsonId)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// The digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A UUID in any of its forms. A number in quotes is none: the same point
/// would have two names.
fn uuid(text: &str) -> Option<PointId> {
    Uuid::try_parse(text).ok().map(PointId::Uuid)
}

/// A point id in a path. A UUID without hyphens may be of digits alone, and
/// start with many zeros: by its length it is told from a number.
pub(crate) fn from_path(text: &str) -> Option<PointId> {
    let number = (text.len() <= MAX_DIGITS)
        .then(|| text.parse().ok())
        .flatten();
    number.map(PointId::Num).or_else(|| uuid(text))
}
