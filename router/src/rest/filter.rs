//! Filters as clients write them. A condition tells by its fields what it is;
//! one that has fields of two kinds, or a field that is not known, is refused
//! and not guessed at: a condition left out would answer another question.

mod geo;
mod schema;

use std::fmt;

use quoit_filter::{
    BadSlice, Condition, Filter, MAX_CONDITIONS, MinShould, Path, Range, Scalar, Scalars, Slice,
    Test, Timestamp, TooLarge, timestamp,
};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::body::plain;
use super::ids::JsonId;
use geo::{JsonBox, JsonPolygon, JsonRadius};

/// A filter in a JSON body; absent or null, every point meets it.
#[derive(Debug, Default, Clone)]
pub(crate) struct JsonFilter(pub(crate) Filter);

impl<'de> Deserialize<'de> for JsonFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let clauses = Option::<Clauses>::deserialize(deserializer)?;
        let filter = clauses.unwrap_or_default().into_filter();
        let filter = filter.map_err(de::Error::custom)?;
        filter.check_size().map_err(de::Error::custom)?;
        Ok(Self(filter))
    }
}

/// The filter that a text in JSON is, where it is by itself and not in a body.
///
/// # Errors
/// It means nothing, or is past the bounds of filters.
pub fn filter_from_json(text: &[u8]) -> Result<Filter, serde_json::Error> {
    plain(text).map(|JsonFilter(filter)| filter)
}

/// Which points are meant.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Filter)]
struct Clauses {
    #[serde(default)]
    must: Conditions,
    #[serde(default)]
    should: Conditions,
    #[serde(default)]
    must_not: Conditions,
    min_should: Option<AtLeast>,
}

impl Clauses {
    fn into_filter(self) -> Result<Filter, &'static str> {
        let min_should = self.min_should.map(|some| match some {
            AtLeast { min_count: 0, .. } => {
                Err("min_should.min_count: 0 is invalid, must be 1 or larger")
            }
            AtLeast {
                conditions: None, ..
            } => Err("min_should.conditions: none are given, and min_count of them are to be met"),
            AtLeast {
                conditions: Some(conditions),
                min_count,
            } => Ok(MinShould {
                conditions: conditions.0,
                min_count,
            }),
        });
        Ok(Filter {
            must: self.must.0,
            should: self.should.0,
            must_not: self.must_not.0,
            min_should: min_should.transpose()?,
        })
    }
}

/// How many of some conditions are to be met.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MinShould)]
struct AtLeast {
    #[schema(value_type = Conditions, required)]
    conditions: Option<Conditions>,
    #[schema(minimum = 1)]
    min_count: usize,
}

/// Conditions: a list of them, a single one, or null.
#[derive(Default)]
struct Conditions(Vec<Condition>);

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConditionsVisitor;

        impl<'de> Visitor<'de> for ConditionsVisitor {
            type Value = Conditions;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a condition or a list of conditions")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Conditions::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(JsonCondition(condition)) = seq.next_element()? {
                    all.push(condition);
                    // Those in each other are counted when all is read.
                    if all.len() > MAX_CONDITIONS {
                        return Err(de::Error::custom(TooLarge::Many));
                    }
                }
                Ok(Conditions(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = JsonCondition::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Conditions(vec![one.0]))
            }
        }

        deserializer.deserialize_any(ConditionsVisitor)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Fields")]
struct JsonCondition(Condition);

/// A field that may be absent or null. That it was there at all tells a condition
/// of nothing from a filter of nothing, which every point meets.
struct Given<T> {
    is_given: bool,
    value: Option<T>,
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self {
            is_given: false,
            value: None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            is_given: true,
            value: Option::deserialize(deserializer)?,
        })
    }
}

/// All fields that any condition has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    key: Given<JsonPath>,
    #[serde(default, rename = "match")]
    matches: Given<JsonMatch>,
    #[serde(default)]
    range: Given<JsonRange>,
    #[serde(default)]
    geo_bounding_box: Given<JsonBox>,
    #[serde(default)]
    geo_radius: Given<JsonRadius>,
    #[serde(default)]
    geo_polygon: Given<JsonPolygon>,
    #[serde(default)]
    values_count: Given<JsonCount>,
    #[serde(default)]
    is_empty: Given<WishOrField>,
    #[serde(default)]
    is_null: Given<WishOrField>,
    #[serde(default)]
    has_id: Given<Vec<JsonId>>,
    #[serde(default)]
    nested: Given<Nested>,
    must: Option<Conditions>,
    should: Option<Conditions>,
    must_not: Option<Conditions>,
    min_should: Option<AtLeast>,
    #[serde(default)]
    has_vector: Given<String>,
    #[serde(default)]
    slice: Given<JsonSlice>,
}

const TESTS: &str =
    "match, range, geo_bounding_box, geo_radius, geo_polygon, values_count, is_empty, is_null";

impl Fields {
    /// Whether a field is there that is none of a filter's.
    fn is_any_given(&self) -> bool {
        self.key.is_given
            || self.matches.is_given
            || self.range.is_given
            || self.geo_bounding_box.is_given
            || self.geo_radius.is_given
            || self.geo_polygon.is_given
            || self.values_count.is_given
            || self.is_empty.is_given
            || self.is_null.is_given
            || self.has_id.is_given
            || self.nested.is_given
            || self.has_vector.is_given
            || self.slice.is_given
    }
}

impl TryFrom<Fields> for JsonCondition {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let is_given = fields.is_any_given();
        let mut tests = Vec::new();
        tests.extend(fields.matches.value.map(|m| m.0));
        tests.extend(fields.range.value.map(|r| r.0));
        tests.extend(fields.geo_bounding_box.value.map(|b| Test::GeoBox(b.0)));
        tests.extend(fields.geo_radius.value.map(|r| Test::GeoRadius(r.0)));
        tests.extend(fields.geo_polygon.value.map(|p| Test::GeoPolygon(p.0)));
        tests.extend(fields.values_count.value.map(|c| Test::Count(c.into())));
        // What is no test of the field that `key` names.
        let mut others = Vec::new();
        for (about, test) in [
            (fields.is_empty.value, Test::IsEmpty as fn(bool) -> Test),
            (fields.is_null.value, Test::IsNull),
        ] {
            match about {
                Some(WishOrField::Wish(wish)) => tests.push(test(wish)),
                Some(WishOrField::Field(path)) => others.push(Condition::Field {
                    path,
                    test: test(true),
                }),
                None => {}
            }
        }
        if let Some(ids) = fields.has_id.value {
            others.push(Condition::HasId(ids.iter().map(|id| id.0).collect()));
        }
        others.extend(fields.slice.value.map(|slice| Condition::Slice(slice.0)));
        others.extend(fields.has_vector.value.map(Condition::HasVector));
        if let Some(Nested { key, filter }) = fields.nested.value {
            others.push(Condition::Nested {
                path: key.0,
                filter: Box::new(filter.into_filter()?),
            });
        }
        let has_clauses = fields.must.is_some()
            || fields.should.is_some()
            || fields.must_not.is_some()
            || fields.min_should.is_some();
        let is_bare = !is_given && tests.is_empty() && others.is_empty();
        if has_clauses || is_bare {
            let clauses = Clauses {
                must: fields.must.unwrap_or_default(),
                should: fields.should.unwrap_or_default(),
                must_not: fields.must_not.unwrap_or_default(),
                min_should: fields.min_should,
            };
            others.push(Condition::Filter(Box::new(clauses.into_filter()?)));
        }
        match (fields.key.value, tests.pop(), others.pop()) {
            (Some(path), Some(test), None) if tests.is_empty() => {
                Ok(Self(Condition::Field { path: path.0, test }))
            }
            (None, None, Some(other)) if others.is_empty() => Ok(Self(other)),
            (Some(path), None, None) => Err(format!(
                "the condition on {} tests nothing: give it one of {TESTS}",
                path.0
            )),
            (None, Some(_), None) => Err("missing field `key`: which field is it about?".into()),
            (None, None, None) => Err(format!(
                "the condition is null: give it a `key` and one of {TESTS}, or has_id, has_vector, slice or nested"
            )),
            _ => Err(
                "this is more than one condition: put each in an object of its own, in `must`"
                    .into(),
            ),
        }
    }
}

/// A filter that one element of an array is to meet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Nested)]
struct Nested {
    key: JsonPath,
    filter: Clauses,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct JsonPath(pub(crate) Path);

impl TryFrom<String> for JsonPath {
    type Error = quoit_filter::BadPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// A part of all ids.
#[derive(Deserialize)]
#[serde(try_from = "SliceFields")]
struct JsonSlice(Slice);

/// Of so many equal parts of all ids, this one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Slice)]
struct SliceFields {
    total: u64,
    index: u64,
}

impl TryFrom<SliceFields> for JsonSlice {
    type Error = BadSlice;

    fn try_from(fields: SliceFields) -> Result<Self, BadSlice> {
        Slice::new(fields.total, fields.index).map(Self)
    }
}

/// `is_empty` and `is_null` have two forms: `{"key": …, "is_null": true}` and
/// `{"is_null": {"key": …}}`.
enum WishOrField {
    Wish(bool),
    Field(Path),
}

impl<'de> Deserialize<'de> for WishOrField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Field {
            key: JsonPath,
        }

        struct WishVisitor;

        impl<'de> Visitor<'de> for WishVisitor {
            type Value = WishOrField;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true, false or an object with a `key`")
            }

            fn visit_bool<E: de::Error>(self, wish: bool) -> Result<WishOrField, E> {
                Ok(WishOrField::Wish(wish))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WishOrField, A::Error> {
                let field = Field::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WishOrField::Field(field.key.0))
            }
        }

        deserializer.deserialize_any(WishVisitor)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "MatchFields")]
struct JsonMatch(Test);

/// Exactly one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Match)]
struct MatchFields {
    value: Option<JsonScalar>,
    #[schema(value_type = Option<schema::Values>)]
    any: Option<Vec<JsonScalar>>,
    #[schema(value_type = Option<schema::Values>)]
    except: Option<Vec<JsonScalar>>,
    text: Option<String>,
    text_any: Option<String>,
    phrase: Option<String>,
    prefix: Option<String>,
    substring: Option<String>,
}

impl TryFrom<MatchFields> for JsonMatch {
    type Error = &'static str;

    fn try_from(fields: MatchFields) -> Result<Self, &'static str> {
        let mut tests = Vec::new();
        tests.extend(fields.value.map(|v| Test::Value(v.0)));
        if let Some(values) = fields.any {
            tests.push(Test::Any(scalars(values)?));
        }
        if let Some(values) = fields.except {
            tests.push(Test::Except(scalars(values)?));
        }
        tests.extend(fields.text.map(|words| Test::Text(words.into())));
        tests.extend(fields.text_any.map(|words| Test::TextAny(words.into())));
        tests.extend(fields.phrase.map(|words| Test::Phrase(words.into())));
        tests.extend(fields.prefix.map(Test::Prefix));
        tests.extend(fields.substring.map(Test::Substring));
        match (tests.pop(), tests.is_empty()) {
            (Some(test), true) => Ok(Self(test)),
            _ => Err(
                "give it exactly one of value, any, except, text, text_any, phrase, prefix, substring",
            ),
        }
    }
}

fn scalars(values: Vec<JsonScalar>) -> Result<Scalars, &'static str> {
    let (mut integers, mut keywords) = (Vec::new(), Vec::new());
    for value in values {
        match value.0 {
            Scalar::Integer(n) => integers.push(n),
            Scalar::Keyword(s) => keywords.push(s),
            Scalar::Bool(_) => return Err("true and false are matched by `value` alone"),
        }
    }
    match (integers.is_empty(), keywords.is_empty()) {
        (false, false) => Err("the values must be all integers or all texts"),
        (false, true) => Ok(Scalars::Integers(integers.into_iter().collect())),
        (true, _) => Ok(Scalars::Keywords(keywords.into_iter().collect())),
    }
}

struct JsonScalar(Scalar);

impl<'de> Deserialize<'de> for JsonScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl Visitor<'_> for ScalarVisitor {
            type Value = JsonScalar;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a text, a 64-bit integer, true or false (other numbers are found by `range`)",
                )
            }

            fn visit_bool<E: de::Error>(self, b: bool) -> Result<JsonScalar, E> {
                Ok(JsonScalar(Scalar::Bool(b)))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<JsonScalar, E> {
                Ok(JsonScalar(Scalar::Integer(n)))
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<JsonScalar, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(n), &self);
                i64::try_from(n)
                    .map(|n| JsonScalar(Scalar::Integer(n)))
                    .map_err(|_| wrong())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<JsonScalar, E> {
                Ok(JsonScalar(Scalar::Keyword(text.to_owned())))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// Bounds of one kind, or, in a `range`, of either.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds<T> {
    lt: Option<T>,
    lte: Option<T>,
    gt: Option<T>,
    gte: Option<T>,
}

type JsonCount = Bounds<u64>;

impl<T> From<Bounds<T>> for Range<T> {
    fn from(Bounds { lt, lte, gt, gte }: Bounds<T>) -> Self {
        Self { lt, lte, gt, gte }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Bounds<Bound>")]
struct JsonRange(Test);

#[derive(Clone, Copy)]
enum Bound {
    Number(f64),
    Time(Timestamp),
}

impl TryFrom<Bounds<Bound>> for JsonRange {
    type Error = &'static str;

    fn try_from(bounds: Bounds<Bound>) -> Result<Self, &'static str> {
        let Bounds { lt, lte, gt, gte } = bounds;
        let all = [lt, lte, gt, gte];
        let number = |bound: Option<Bound>| match bound {
            Some(Bound::Number(x)) => Some(x),
            _ => None,
        };
        let time = |bound: Option<Bound>| match bound {
            Some(Bound::Time(t)) => Some(t),
            _ => None,
        };
        let numbers = all.iter().filter(|b| number(**b).is_some()).count();
        let times = all.iter().filter(|b| time(**b).is_some()).count();
        if numbers > 0 && times > 0 {
            return Err("the bounds must be all numbers or all dates");
        }
        Ok(Self(if times > 0 {
            Test::Time(Range {
                lt: time(lt),
                lte: time(lte),
                gt: time(gt),
                gte: time(gte),
            })
        } else {
            Test::Range(Range {
                lt: number(lt),
                lte: number(lte),
                gt: number(gt),
                gte: number(gte),
            })
        }))
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoundVisitor;

        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, or a date as text")
            }

            fn visit_f64<E: de::Error>(self, x: f64) -> Result<Bound, E> {
                Ok(Bound::Number(x))
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Bound, E> {
                Ok(Bound::Number(n as f64))
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Bound, E> {
                Ok(Bound::Number(n as f64))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bound, E> {
                timestamp(text).map(Bound::Time).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(BoundVisitor)
    }
}
