//! The schemas of answers whose text is written piece by piece, by `envelope`
//! and by the calls that have lists of points in their results.

use super::shape::{any_of, at_least, list, named, null, number, object, shaped};
use crate::groups::GroupId;
use crate::rest::ids::JsonId;
use crate::rest::payload::Payload;
use crate::rest::vectors::OfPoint;

/// A point without a score.
pub(crate) enum Record {}

/// A point that was searched for.
pub(crate) enum ScoredPoint {}

/// What a query has found.
pub(crate) enum QueryResponse {}

/// A page of points.
pub(crate) enum ScrollResult {}

/// The points with the same value.
pub(crate) enum PointGroup {}

/// What a query for groups has found.
pub(crate) enum GroupsResult {}

shaped!(Record as "Record" of JsonId, Payload<'_>, OfPoint => object(
    &[("id", named::<JsonId>())],
    &[
        ("payload", named::<Payload<'_>>()),
        ("vector", named::<OfPoint>()),
        ("order_value", number()),
    ],
)
.description(Some("A point. What was not asked for is left out"))
.into());

shaped!(ScoredPoint as "ScoredPoint" of JsonId, Payload<'_>, OfPoint => object(
    &[
        ("id", named::<JsonId>()),
        ("version", at_least(0)),
        ("score", number()),
    ],
    &[
        ("payload", named::<Payload<'_>>()),
        ("vector", named::<OfPoint>()),
        ("order_value", number()),
    ],
)
.description(Some("A point with its score. What was not asked for is left out"))
.into());

shaped!(QueryResponse as "QueryResponse" of ScoredPoint => object(
    &[("points", list(named::<ScoredPoint>()))],
    &[],
)
.into());

shaped!(ScrollResult as "ScrollResult" of Record => object(
    &[
        ("points", list(named::<Record>())),
        ("next_page_offset", any_of([named::<JsonId>(), null()])),
    ],
    &[],
)
.into());

shaped!(PointGroup as "PointGroup" of GroupId, ScoredPoint, Record => object(
    &[
        ("id", named::<GroupId>()),
        ("hits", list(named::<ScoredPoint>())),
    ],
    &[("lookup", named::<Record>())],
)
.into());

shaped!(GroupsResult as "GroupsResult" of PointGroup => object(
    &[("groups", list(named::<PointGroup>()))],
    &[],
)
.into());
