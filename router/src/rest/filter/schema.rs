//! What the description of the API says of filters. A condition is told by its
//! fields, so that its kinds stand side by side.

use super::geo::{Circle, Corners, Rings};
use super::{
    Clauses, Conditions, JsonCondition, JsonCount, JsonFilter, JsonPath, JsonRange, JsonScalar,
    MatchFields, Nested, SliceFields,
};
use crate::rest::ids::JsonId;
use crate::rest::openapi::shape::{
    Shape, any_of, at_least, flag, integer, list, moment, named, null, number, only, shaped, text,
};

shaped!(JsonFilter as "Filter" of Conditions, super::AtLeast => <Clauses as utoipa::PartialSchema>::schema());

shaped!(Conditions as "Conditions" of JsonCondition => any_of([
    named::<JsonCondition>(),
    list(named::<JsonCondition>()),
    null(),
]));

shaped!(JsonCondition as "Condition" of FieldCondition, IsEmptyCondition, IsNullCondition, HasIdCondition,
    HasVectorCondition, SliceCondition, NestedCondition, Clauses => any_of([
    named::<FieldCondition>(),
    named::<IsEmptyCondition>(),
    named::<IsNullCondition>(),
    named::<HasIdCondition>(),
    named::<HasVectorCondition>(),
    named::<SliceCondition>(),
    named::<NestedCondition>(),
    named::<Clauses>(),
]));

/// One test of the field that `key` names.
enum FieldCondition {}

shaped!(FieldCondition as "FieldCondition" of JsonPath, MatchFields, JsonRange, Corners, Circle, Rings, JsonCount => only(
    &[("key", named::<JsonPath>())],
    &[
        ("match", or_null(named::<MatchFields>())),
        ("range", or_null(named::<JsonRange>())),
        ("geo_bounding_box", or_null(named::<Corners>())),
        ("geo_radius", or_null(named::<Circle>())),
        ("geo_polygon", or_null(named::<Rings>())),
        ("values_count", or_null(named::<JsonCount>())),
        ("is_empty", or_null(flag())),
        ("is_null", or_null(flag())),
    ],
));

enum IsEmptyCondition {}

shaped!(IsEmptyCondition as "IsEmptyCondition" of JsonPath => only(&[("is_empty", field())], &[]));

enum IsNullCondition {}

shaped!(IsNullCondition as "IsNullCondition" of JsonPath => only(&[("is_null", field())], &[]));

enum HasIdCondition {}

shaped!(HasIdCondition as "HasIdCondition" of JsonId => only(&[("has_id", list(named::<JsonId>()))], &[]));

enum HasVectorCondition {}

shaped!(HasVectorCondition as "HasVectorCondition" => only(&[("has_vector", text())], &[]));

enum SliceCondition {}

shaped!(SliceCondition as "SliceCondition" of SliceFields => only(&[("slice", named::<SliceFields>())], &[]));

enum NestedCondition {}

shaped!(NestedCondition as "NestedCondition" of Nested => only(&[("nested", named::<Nested>())], &[]));

shaped!(JsonPath as "JsonPath" => text());

shaped!(JsonScalar as "ValueVariants" => any_of([text(), integer(), flag()]));

/// Values that are all of one kind.
pub(super) enum Values {}

shaped!(Values as "AnyVariants" => any_of([list(text()), list(integer())]));

shaped!(JsonRange as "RangeInterface" of Numbers, Moments => any_of([
    named::<Numbers>(),
    named::<Moments>(),
]));

enum Numbers {}

shaped!(Numbers as "Range" => bounds(number));

enum Moments {}

shaped!(Moments as "DatetimeRange" => bounds(moment));

shaped!(JsonCount as "ValuesCount" => bounds(|| at_least(0)));

fn bounds(bound: fn() -> Shape) -> Shape {
    only(
        &[],
        &["lt", "lte", "gt", "gte"].map(|name| (name, or_null(bound()))),
    )
}

/// A field, as two conditions name it without a test.
fn field() -> Shape {
    only(&[("key", named::<JsonPath>())], &[])
}

/// Null is as good as absent.
fn or_null(shape: Shape) -> Shape {
    any_of([shape, null()])
}
