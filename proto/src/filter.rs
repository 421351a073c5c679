//! Filters as they travel and as they are evaluated. What travels may be
//! anything: it is checked here, and an error says where in the filter it is.

use crate::v1;
use crate::v1::condition::Kind;
use crate::v1::field_condition::Test as Wire;
use quoit_filter::{
    Condition, Filter, GeoBox, GeoPoint, GeoPolygon, GeoRadius, MAX_DEPTH, MinShould, Path, Range,
    Scalar, Scalars, Slice, Test, Timestamp, timestamp,
};
use quoit_ring::PointId;
use std::fmt::Display;

/// A filter that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct BadFilter {
    /// Where in the filter.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub what: String,
}

impl BadFilter {
    fn new(what: impl Display) -> Self {
        Self {
            place: "filter".into(),
            what: what.to_string(),
        }
    }

    fn within(mut self, place: impl Display) -> Self {
        let rest = self.place.strip_prefix("filter").unwrap_or_default();
        self.place = format!("filter.{place}{rest}");
        self
    }
}

impl From<&Filter> for v1::Filter {
    fn from(filter: &Filter) -> Self {
        let all = |conditions: &[Condition]| conditions.iter().map(Into::into).collect();
        Self {
            must: all(&filter.must),
            should: all(&filter.should),
            must_not: all(&filter.must_not),
            min_should: filter.min_should.as_ref().map(|some| v1::MinShould {
                conditions: all(&some.conditions),
                min_count: u32::try_from(some.min_count).unwrap_or(u32::MAX),
            }),
        }
    }
}

impl From<&Condition> for v1::Condition {
    fn from(condition: &Condition) -> Self {
        let kind = match condition {
            Condition::Field { path, test } => Kind::Field(v1::FieldCondition {
                path: path.to_string(),
                test: Some(test.into()),
            }),
            Condition::HasId(ids) => Kind::HasId(v1::HasId {
                ids: ids.iter().map(|id| (*id).into()).collect(),
            }),
            Condition::HasVector(name) => Kind::HasVector(name.clone()),
            Condition::Slice(slice) => Kind::Slice(v1::Slice {
                total: slice.total(),
                index: slice.index(),
            }),
            Condition::Nested { path, filter } => Kind::Nested(v1::NestedCondition {
                path: path.to_string(),
                filter: Some(filter.as_ref().into()),
            }),
            Condition::Filter(filter) => Kind::Filter(filter.as_ref().into()),
        };
        Self { kind: Some(kind) }
    }
}

impl From<&Test> for Wire {
    fn from(test: &Test) -> Self {
        match test {
            Test::Value(scalar) => Self::Value(scalar.into()),
            Test::Any(scalars) => Self::Any(scalars.into()),
            Test::Except(scalars) => Self::Except(scalars.into()),
            Test::Text(words) => Self::Text(words.text.clone()),
            Test::TextAny(words) => Self::TextAny(words.text.clone()),
            Test::Phrase(words) => Self::Phrase(words.text.clone()),
            Test::Prefix(part) => Self::Prefix(part.clone()),
            Test::Substring(part) => Self::Substring(part.clone()),
            Test::Range(Range { lt, lte, gt, gte }) => Self::Range(v1::NumberRange {
                lt: *lt,
                lte: *lte,
                gt: *gt,
                gte: *gte,
            }),
            Test::Time(range) => {
                let shown = |moment: Option<Timestamp>| moment.map(|m| m.to_string());
                Self::Time(v1::TimeRange {
                    lt: shown(range.lt),
                    lte: shown(range.lte),
                    gt: shown(range.gt),
                    gte: shown(range.gte),
                })
            }
            Test::GeoBox(area) => Self::GeoBox(v1::GeoBox {
                top_left: Some(area.top_left.into()),
                bottom_right: Some(area.bottom_right.into()),
            }),
            Test::GeoRadius(area) => Self::GeoRadius(v1::GeoRadius {
                center: Some(area.center().into()),
                metres: area.metres(),
            }),
            Test::GeoPolygon(area) => Self::GeoPolygon(v1::GeoPolygon {
                exterior: Some(ring(area.exterior())),
                interiors: area.interiors().iter().map(|r| ring(r)).collect(),
            }),
            Test::Count(Range { lt, lte, gt, gte }) => Self::Count(v1::CountRange {
                lt: *lt,
                lte: *lte,
                gt: *gt,
                gte: *gte,
            }),
            Test::IsEmpty(wish) => Self::IsEmpty(*wish),
            Test::IsNull(wish) => Self::IsNull(*wish),
        }
    }
}

impl From<&Scalar> for v1::Scalar {
    fn from(scalar: &Scalar) -> Self {
        let kind = match scalar {
            Scalar::Bool(b) => v1::scalar::Kind::Boolean(*b),
            Scalar::Integer(n) => v1::scalar::Kind::Integer(*n),
            Scalar::Keyword(s) => v1::scalar::Kind::Keyword(s.clone()),
        };
        Self { kind: Some(kind) }
    }
}

impl From<&Scalars> for v1::Scalars {
    fn from(scalars: &Scalars) -> Self {
        match scalars {
            Scalars::Integers(all) => Self {
                integers: all.iter().copied().collect(),
                keywords: Vec::new(),
            },
            Scalars::Keywords(all) => Self {
                integers: Vec::new(),
                keywords: all.iter().cloned().collect(),
            },
        }
    }
}

impl From<GeoPoint> for v1::GeoPoint {
    fn from(point: GeoPoint) -> Self {
        Self {
            lat: point.lat(),
            lon: point.lon(),
        }
    }
}

fn ring(points: &[GeoPoint]) -> v1::GeoRing {
    v1::GeoRing {
        points: points.iter().map(|p| (*p).into()).collect(),
    }
}

impl TryFrom<v1::Filter> for Filter {
    type Error = BadFilter;

    fn try_from(filter: v1::Filter) -> Result<Self, BadFilter> {
        let filter = read_filter(filter, MAX_DEPTH)?;
        filter.check_size().map_err(BadFilter::new)?;
        Ok(filter)
    }
}

fn read_filter(filter: v1::Filter, depth: usize) -> Result<Filter, BadFilter> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(BadFilter::new(quoit_filter::TooLarge::Deep));
    };
    let all = |clause: &str, conditions: Vec<v1::Condition>| {
        let numbered = conditions.into_iter().enumerate();
        numbered
            .map(|(i, c)| read_condition(c, depth).map_err(|e| e.within(format!("{clause}[{i}]"))))
            .collect::<Result<Vec<_>, _>>()
    };
    let min_should = match filter.min_should {
        None => None,
        Some(some) if some.min_count == 0 => {
            let what = "min_count is 0 and must be 1 or more";
            return Err(BadFilter::new(what).within("min_should"));
        }
        Some(some) => Some(MinShould {
            conditions: all("min_should.conditions", some.conditions)?,
            min_count: some.min_count as usize,
        }),
    };
    Ok(Filter {
        must: all("must", filter.must)?,
        should: all("should", filter.should)?,
        must_not: all("must_not", filter.must_not)?,
        min_should,
    })
}

fn read_condition(condition: v1::Condition, depth: usize) -> Result<Condition, BadFilter> {
    match condition.kind {
        Some(Kind::Field(field)) => Ok(Condition::Field {
            path: read_path(&field.path)?,
            test: read_test(field.test)?,
        }),
        Some(Kind::HasId(some)) => {
            let ids = some.ids.iter().map(PointId::try_from);
            let ids = ids.collect::<Result<_, _>>();
            ids.map(Condition::HasId).map_err(BadFilter::new)
        }
        Some(Kind::HasVector(name)) => Ok(Condition::HasVector(name)),
        Some(Kind::Slice(slice)) => {
            let slice = Slice::new(slice.total, slice.index);
            slice.map(Condition::Slice).map_err(BadFilter::new)
        }
        Some(Kind::Nested(nested)) => Ok(Condition::Nested {
            path: read_path(&nested.path)?,
            filter: Box::new(read_filter(nested.filter.unwrap_or_default(), depth)?),
        }),
        Some(Kind::Filter(filter)) => {
            read_filter(filter, depth).map(|f| Condition::Filter(Box::new(f)))
        }
        None => Err(BadFilter::new("a condition of a kind that is not known")),
    }
}

fn read_path(path: &str) -> Result<Path, BadFilter> {
    path.parse().map_err(|e| BadFilter::new(e).within("path"))
}

fn read_test(test: Option<Wire>) -> Result<Test, BadFilter> {
    let missing = || BadFilter::new("a part of it is missing");
    Ok(
        match test.ok_or_else(|| BadFilter::new("it tests nothing"))? {
            Wire::Value(scalar) => Test::Value(match scalar.kind.ok_or_else(missing)? {
                v1::scalar::Kind::Boolean(b) => Scalar::Bool(b),
                v1::scalar::Kind::Integer(n) => Scalar::Integer(n),
                v1::scalar::Kind::Keyword(s) => Scalar::Keyword(s),
            }),
            Wire::Any(some) => Test::Any(read_scalars(some)?),
            Wire::Except(some) => Test::Except(read_scalars(some)?),
            Wire::Text(words) => Test::Text(words.into()),
            Wire::TextAny(words) => Test::TextAny(words.into()),
            Wire::Phrase(words) => Test::Phrase(words.into()),
            Wire::Prefix(part) => Test::Prefix(part),
            Wire::Substring(part) => Test::Substring(part),
            Wire::Range(v1::NumberRange { lt, lte, gt, gte }) => {
                Test::Range(Range { lt, lte, gt, gte })
            }
            Wire::Time(range) => {
                let read = |text: Option<String>| text.map(|t| timestamp(&t)).transpose();
                let read = |text| read(text).map_err(BadFilter::new);
                Test::Time(Range {
                    lt: read(range.lt)?,
                    lte: read(range.lte)?,
                    gt: read(range.gt)?,
                    gte: read(range.gte)?,
                })
            }
            Wire::GeoBox(area) => Test::GeoBox(GeoBox {
                top_left: read_point(area.top_left.ok_or_else(missing)?)?,
                bottom_right: read_point(area.bottom_right.ok_or_else(missing)?)?,
            }),
            Wire::GeoRadius(area) => {
                let center = read_point(area.center.ok_or_else(missing)?)?;
                Test::GeoRadius(GeoRadius::new(center, area.metres).map_err(BadFilter::new)?)
            }
            Wire::GeoPolygon(area) => {
                let exterior = read_ring(area.exterior.ok_or_else(missing)?)?;
                let interiors = area.interiors.into_iter().map(read_ring);
                let area = GeoPolygon::new(exterior, interiors.collect::<Result<_, _>>()?);
                Test::GeoPolygon(area.map_err(BadFilter::new)?)
            }
            Wire::Count(v1::CountRange { lt, lte, gt, gte }) => {
                Test::Count(Range { lt, lte, gt, gte })
            }
            Wire::IsEmpty(wish) => Test::IsEmpty(wish),
            Wire::IsNull(wish) => Test::IsNull(wish),
        },
    )
}

fn read_scalars(scalars: v1::Scalars) -> Result<Scalars, BadFilter> {
    let v1::Scalars { integers, keywords } = scalars;
    match (integers.is_empty(), keywords.is_empty()) {
        (false, false) => Err(BadFilter::new(
            "the values are to be all integers or all keywords",
        )),
        (false, true) => Ok(Scalars::Integers(integers.into_iter().collect())),
        (true, _) => Ok(Scalars::Keywords(keywords.into_iter().collect())),
    }
}

fn read_point(point: v1::GeoPoint) -> Result<GeoPoint, BadFilter> {
    GeoPoint::new(point.lat, point.lon).map_err(BadFilter::new)
}

fn read_ring(ring: v1::GeoRing) -> Result<Vec<GeoPoint>, BadFilter> {
    ring.points.into_iter().map(read_point).collect()
}

#[cfg(test)]
mod tests;
