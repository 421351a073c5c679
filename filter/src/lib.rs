//! What a filter means: conditions on payloads, and whether a point meets them;
//! and how a payload is changed at the same paths.
//! One form for every door; pure: no payload is fetched here, no index asked.
//!
//! The words and the meaning are those of Qdrant's clients:
//!
//! - a path selects values; where the last of it selects an array, its elements
//!   are the values (one level), and a test holds if it holds for any of them;
//! - a missing field meets no test but *is empty* (and what `must_not` makes of it);
//! - numbers, booleans and texts are never equal to each other: 1 is not 1.0.

mod analyzed;
mod check;
mod edit;
mod geo;
mod path;
mod slice;
mod text;
mod time;

pub use edit::{BadEdit, Edit, MAX_PAYLOAD_DEPTH};
pub use geo::{GeoBox, GeoError, GeoPoint, GeoPolygon, GeoRadius};
pub use path::{BadPath, Path, RESERVED_KEYS, Step};
pub use slice::{BadSlice, Slice};
pub use text::{Analyzer, MAX_PREFIX, Tokenizer, Words};
pub use time::{BadTime, Timestamp, timestamp};

use quoit_ring::PointId;
use std::collections::BTreeSet;

/// How deep filters may lie in each other. As protobuf, a level takes up to four
/// messages within each other, and decoders take no more than a hundred: what is
/// logged must be readable, with all the messages around it.
pub const MAX_DEPTH: usize = 20;

/// How many conditions a filter may have, those inside others included.
pub const MAX_CONDITIONS: usize = 4096;

/// Conditions, and how many of them must hold. The default holds always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// All of these hold.
    pub must: Vec<Condition>,
    /// At least one of these holds, if there are any.
    pub should: Vec<Condition>,
    /// None of these holds.
    pub must_not: Vec<Condition>,
    /// At least so many of some hold.
    pub min_should: Option<MinShould>,
}

/// At least so many of some conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct MinShould {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// How many of them must hold; at least one.
    pub min_count: usize,
}

/// What of a point a filter looks at besides its payload.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Its id.
    pub id: PointId,
    /// Whether it has a vector of a name.
    pub has_vector: &'a dyn Fn(&str) -> bool,
}

/// What may hold for a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A test holds for a value that a path selects.
    Field {
        /// Where the values are.
        path: Path,
        /// What must hold for one of them.
        test: Test,
    },
    /// The point's id is one of these.
    HasId(BTreeSet<PointId>),
    /// The point's id is in a part of all ids.
    Slice(Slice),
    /// The point has a vector of this name.
    HasVector(String),
    /// A filter holds for an object in the array at a path, by itself.
    Nested {
        /// Where the array is.
        path: Path,
        /// What must hold for one of its objects.
        filter: Box<Filter>,
    },
    /// A filter in the filter.
    Filter(Box<Filter>),
}

/// What may hold for a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is this.
    Value(Scalar),
    /// It is one of these texts or numbers.
    Any(Scalars),
    /// It is there, not null, and none of these.
    Except(Scalars),
    /// A text that has all of these words.
    Text(Words),
    /// A text that has one of these words.
    TextAny(Words),
    /// A text that has these words, one after the other.
    Phrase(Words),
    /// A text that begins with this, byte by byte.
    Prefix(String),
    /// A text that contains this, byte by byte.
    Substring(String),
    /// A number within bounds.
    Range(Range<f64>),
    /// A moment within bounds.
    Time(Range<Timestamp>),
    /// A point of the globe within a box.
    GeoBox(GeoBox),
    /// A point of the globe near another.
    GeoRadius(GeoRadius),
    /// A point of the globe within a polygon.
    GeoPolygon(GeoPolygon),
    /// How many elements an array has (null: none; anything else: one).
    Count(Range<u64>),
    /// Whether the field is missing, null or an empty array.
    IsEmpty(bool),
    /// Whether the field is null or an array with a null in it.
    IsNull(bool),
}

/// A value that can be compared for equality.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Keyword(String),
}

/// Values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalars {
    /// Whole numbers.
    Integers(BTreeSet<i64>),
    /// Texts.
    Keywords(BTreeSet<String>),
}

/// Bounds; all that are given must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<T> {
    /// Less than.
    pub lt: Option<T>,
    /// At most.
    pub lte: Option<T>,
    /// Greater than.
    pub gt: Option<T>,
    /// At least.
    pub gte: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self {
            lt: None,
            lte: None,
            gt: None,
            gte: None,
        }
    }
}

impl<T: PartialOrd> Range<T> {
    /// Whether a value is within the bounds.
    pub fn contains(&self, value: &T) -> bool {
        self.lt.as_ref().is_none_or(|bound| value < bound)
            && self.lte.as_ref().is_none_or(|bound| value <= bound)
            && self.gt.as_ref().is_none_or(|bound| value > bound)
            && self.gte.as_ref().is_none_or(|bound| value >= bound)
    }
}

/// A filter that is too large to be evaluated for every point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Filters lie too deep in each other.
    #[error("filters lie more than {MAX_DEPTH} deep in each other: make it flatter")]
    Deep,
    /// There are too many conditions.
    #[error(
        "more than {MAX_CONDITIONS} conditions: `match` with `any` and `has_id` take many values in one"
    )]
    Many,
}

impl Filter {
    /// Whether every point meets it, whatever it is.
    #[must_use]
    pub fn is_always_met(&self) -> bool {
        *self == Self::default()
    }

    /// Shows that a filter is within its bounds.
    ///
    /// # Errors
    /// It is not.
    pub fn check_size(&self) -> Result<(), TooLarge> {
        let mut conditions = 0;
        let mut level = vec![self];
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for condition in level.drain(..).flat_map(Self::conditions) {
                conditions += 1;
                if conditions > MAX_CONDITIONS {
                    return Err(TooLarge::Many);
                }
                if let Condition::Filter(filter) | Condition::Nested { filter, .. } = condition {
                    next.push(filter.as_ref());
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            level = next;
        }
        Err(TooLarge::Deep)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let counted = self.min_should.iter().flat_map(|m| &m.conditions);
        let others = self.must.iter().chain(&self.should).chain(&self.must_not);
        others.chain(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Filter {
        (1..depth).fold(Filter::default(), |inner, _| Filter {
            must_not: vec![Condition::Filter(Box::new(inner))],
            ..Filter::default()
        })
    }

    #[test]
    fn a_filter_may_be_as_deep_as_the_bound_and_no_deeper() {
        assert_eq!(nested(MAX_DEPTH).check_size(), Ok(()));
        assert_eq!(nested(MAX_DEPTH + 1).check_size(), Err(TooLarge::Deep));
    }

    #[test]
    fn conditions_are_counted_wherever_they_are() {
        let some = |n| vec![Condition::HasId(BTreeSet::new()); n];
        let inner = Filter {
            must: some(MAX_CONDITIONS - 4),
            ..Filter::default()
        };
        let mut filter = Filter {
            should: some(1),
            must_not: vec![Condition::Filter(Box::new(inner))],
            min_should: Some(MinShould {
                conditions: some(1),
                min_count: 1,
            }),
            ..Filter::default()
        };
        filter.must = some(1);
        assert_eq!(filter.check_size(), Ok(()));
        filter.must = some(2);
        assert_eq!(filter.check_size(), Err(TooLarge::Many));
    }
}
