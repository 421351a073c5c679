//! Whether a point meets a filter, from its id, its payload and which vectors it has.

use crate::geo::GeoPoint;
use crate::time::timestamp;
use crate::{Condition, Filter, Path, Scalar, Scalars, Test, Who};
use serde_json::{Map, Value};

type Payload = Map<String, Value>;

impl Filter {
    /// Whether a point meets the filter.
    #[must_use]
    pub fn is_met(&self, who: Who<'_>, payload: &Payload) -> bool {
        self.is_met_by(Some(who), payload)
    }

    /// An object in an array has no id and no vectors.
    fn is_met_by(&self, who: Option<Who<'_>>, payload: &Payload) -> bool {
        let holds = |condition: &Condition| condition.holds(who, payload);
        self.must.iter().all(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && !self.must_not.iter().any(holds)
            && self.min_should.as_ref().is_none_or(|some| {
                let held = some.conditions.iter().filter(|c| holds(c));
                held.take(some.min_count).count() == some.min_count
            })
    }
}

impl Condition {
    fn holds(&self, who: Option<Who<'_>>, payload: &Payload) -> bool {
        match self {
            Self::Field { path, test } => test.holds_at(path, payload),
            Self::HasId(ids) => who.is_some_and(|who| ids.contains(&who.id)),
            Self::Slice(slice) => who.is_some_and(|who| slice.contains(who.id)),
            Self::HasVector(name) => who.is_some_and(|who| (who.has_vector)(name)),
            Self::Nested { path, filter } => {
                let arrays = path.to_array().values(payload).into_iter();
                let objects = arrays
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter_map(Value::as_object);
                objects.into_iter().any(|o| filter.is_met_by(None, o))
            }
            Self::Filter(filter) => filter.is_met_by(who, payload),
        }
    }
}

impl Test {
    fn holds_at(&self, path: &Path, payload: &Payload) -> bool {
        let values = path.values(payload);
        match self {
            Self::IsEmpty(wish) => values.iter().all(|v| is_empty(v)) == *wish,
            Self::IsNull(wish) => values.iter().any(|v| has_null(v)) == *wish,
            Self::Count(range) => {
                // A missing field has no values, and so has one that is all null.
                let none = values.is_empty() && range.contains(&0);
                none || values.iter().any(|v| range.contains(&count(v)))
            }
            _ => values.into_iter().any(|value| match value {
                Value::Array(elements) => elements.iter().any(|e| self.holds(e)),
                value => self.holds(value),
            }),
        }
    }

    /// Whether it holds for one value by itself: an element if the path selects
    /// an array. Tests of the whole field hold for none.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        let text = |has: &dyn Fn(&str) -> bool| value.as_str().is_some_and(has);
        match self {
            Self::Value(scalar) => scalar.is(value),
            Self::Any(scalars) => scalars.contain(value),
            Self::Except(scalars) => !value.is_null() && !scalars.contain(value),
            Self::Text(words) => text(&|stored| words.are_all_in(stored)),
            Self::TextAny(words) => text(&|stored| words.is_one_in(stored)),
            Self::Phrase(words) => text(&|stored| words.are_in_order_in(stored)),
            Self::Prefix(part) => text(&|stored| stored.starts_with(part.as_str())),
            Self::Substring(part) => text(&|stored| stored.contains(part.as_str())),
            Self::Range(range) => value.as_f64().is_some_and(|x| range.contains(&x)),
            Self::Time(range) => {
                let moment = value.as_str().and_then(|s| timestamp(s).ok());
                moment.is_some_and(|t| range.contains(&t))
            }
            Self::GeoBox(area) => GeoPoint::of(value).is_some_and(|p| area.contains(p)),
            Self::GeoRadius(area) => GeoPoint::of(value).is_some_and(|p| area.contains(p)),
            Self::GeoPolygon(area) => GeoPoint::of(value).is_some_and(|p| area.contains(p)),
            // These are of the field and not of one value.
            Self::Count(_) | Self::IsEmpty(_) | Self::IsNull(_) => false,
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Bool(b) => value.as_bool() == Some(*b),
            Self::Integer(n) => value.as_i64() == Some(*n),
            Self::Keyword(s) => value.as_str() == Some(s),
        }
    }
}

impl Scalars {
    fn contain(&self, value: &Value) -> bool {
        match self {
            Self::Integers(all) => value.as_i64().is_some_and(|n| all.contains(&n)),
            Self::Keywords(all) => value.as_str().is_some_and(|s| all.contains(s)),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.iter().any(Value::is_null),
        _ => false,
    }
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Array(elements) => elements.len() as u64,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
