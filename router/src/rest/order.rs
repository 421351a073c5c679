//! An order of points by the values of a field, as clients write it: the name
//! of the field, or an object that also says which way and from where.

use std::fmt;

use quoit_filter::timestamp;
use quoit_proto::v1::OrderBy;
use quoit_proto::v1::order_by::StartFrom;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use super::filter::JsonPath;
use super::openapi::shape::{any_of, moment, named, number, shaped};

/// An order.
#[derive(Debug, Clone)]
pub(crate) struct JsonOrder(pub(crate) OrderBy);

/// Which values come first: the least, or the largest.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Asc,
    Desc,
}

/// A field that is not known is refused: by a mistyped `direction` the first
/// would be the last.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderBy)]
struct Fields {
    key: JsonPath,
    direction: Option<Direction>,
    start_from: Option<JsonStart>,
}

struct JsonStart(StartFrom);

shaped!(JsonStart as "StartFrom" => any_of([number(), moment()]));

shaped!(JsonOrder as "OrderByInterface" of JsonPath, Fields => any_of([
    named::<JsonPath>(),
    named::<Fields>(),
]));

impl<'de> Deserialize<'de> for JsonOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderVisitor;

        impl<'de> Visitor<'de> for OrderVisitor {
            type Value = JsonOrder;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "the name of a field, or an object like {\"key\": …, \"direction\": \"desc\"}",
                )
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<JsonOrder, E> {
                let JsonPath(path) = JsonPath::deserialize(StrDeserializer::new(key))?;
                Ok(JsonOrder(OrderBy {
                    path: path.to_string(),
                    ..OrderBy::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JsonOrder, A::Error> {
                let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(JsonOrder(OrderBy {
                    path: fields.key.0.to_string(),
                    descending: matches!(fields.direction, Some(Direction::Desc)),
                    start_from: fields.start_from.map(|start| start.0),
                }))
            }
        }

        deserializer.deserialize_any(OrderVisitor)
    }
}

impl<'de> Deserialize<'de> for JsonStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StartVisitor;

        impl Visitor<'_> for StartVisitor {
            type Value = JsonStart;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, or a moment like \"2024-06-15T12:00:00Z\"")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<JsonStart, E> {
                Ok(JsonStart(StartFrom::Integer(n)))
            }

            #[expect(clippy::cast_precision_loss)]
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<JsonStart, E> {
                // What is beyond 63 bits is beyond all whole numbers of an index.
                Ok(JsonStart(match i64::try_from(n) {
                    Ok(n) => StartFrom::Integer(n),
                    Err(_) => StartFrom::Float(n as f64),
                }))
            }

            fn visit_f64<E: de::Error>(self, x: f64) -> Result<JsonStart, E> {
                Ok(JsonStart(StartFrom::Float(x)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<JsonStart, E> {
                timestamp(text).map_err(E::custom)?;
                Ok(JsonStart(StartFrom::Moment(text.to_owned())))
            }
        }

        deserializer.deserialize_any(StartVisitor)
    }
}
