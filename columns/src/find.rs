//! What of a payload one column keeps: the values that its kind can hold, and
//! of which sort the others are.

use crate::key::{Number, Place};
use jiff::Timestamp;
use quoit_filter::{Analyzer, GeoPoint, Path, timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// The sorts of values that a column may be unable to hold. A test that only
/// values of one sort can meet leaves the slots with others alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Bool,
    Number,
    Text,
    /// An object with a latitude and a longitude, on the globe or not.
    Place,
    /// Any other object, and an array in an array.
    Thing,
}

/// All of them, by their numbers.
pub const SORTS: [Sort; 5] = [
    Sort::Bool,
    Sort::Number,
    Sort::Text,
    Sort::Place,
    Sort::Thing,
];

impl Sort {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Object(_) if GeoPoint::of(value).is_some() => Self::Place,
            Value::Object(_) | Value::Array(_) => Self::Thing,
        })
    }
}

/// What a column keeps of a payload.
pub struct Found<K> {
    /// The values it can hold, each once.
    pub keys: Vec<K>,
    /// Which sorts of values it cannot.
    pub others: [bool; SORTS.len()],
    /// How many values are not null: as often as they are there.
    pub values: usize,
    /// Whether a null is there.
    pub null: bool,
    /// Whether anything but nulls and empty arrays is there.
    pub filled: bool,
    /// How many elements the selected values have; each number once.
    pub counts: Vec<u64>,
}

/// Looks through a payload; `hold` takes the keys of a value that the kind can
/// hold, and says whether it can.
pub fn find<K: Ord>(
    path: &Path,
    payload: &Map<String, Value>,
    hold: impl Fn(&Value, &mut Vec<K>) -> bool,
) -> Found<K> {
    let mut found = Found {
        keys: Vec::new(),
        others: [false; SORTS.len()],
        values: 0,
        null: false,
        filled: false,
        counts: Vec::new(),
    };
    for value in path.values(payload) {
        let (count, elements) = match value {
            Value::Null => (0, std::slice::from_ref(value)),
            Value::Array(elements) => (elements.len() as u64, &elements[..]),
            _ => (1, std::slice::from_ref(value)),
        };
        found.counts.push(count);
        found.filled |= count > 0;
        for element in elements {
            let Some(sort) = Sort::of(element) else {
                found.null = true;
                continue;
            };
            found.values += 1;
            if !hold(element, &mut found.keys) {
                found.others[sort as usize] = true;
            }
        }
    }
    found.keys.sort_unstable();
    found.keys.dedup();
    found.counts.sort_unstable();
    found.counts.dedup();
    found
}

fn put<K>(key: Option<K>, keys: &mut Vec<K>) -> bool {
    let holds = key.is_some();
    keys.extend(key);
    holds
}

pub fn keyword(value: &Value, keys: &mut Vec<Arc<str>>) -> bool {
    put(value.as_str().map(Into::into), keys)
}

pub fn integer(value: &Value, keys: &mut Vec<i64>) -> bool {
    put(value.as_i64(), keys)
}

pub fn float(value: &Value, keys: &mut Vec<Number>) -> bool {
    put(value.as_f64().map(Number::new), keys)
}

pub fn boolean(value: &Value, keys: &mut Vec<bool>) -> bool {
    put(value.as_bool(), keys)
}

pub fn datetime(value: &Value, keys: &mut Vec<Timestamp>) -> bool {
    put(value.as_str().and_then(|s| timestamp(s).ok()), keys)
}

pub fn uuid(value: &Value, keys: &mut Vec<u128>) -> bool {
    put(value.as_str().and_then(canonical), keys)
}

/// The number of a UUID in the one form in which equal texts are equal UUIDs.
pub fn canonical(text: &str) -> Option<u128> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    let same = uuid.hyphenated().encode_lower(&mut buffer) == text;
    same.then_some(uuid.as_u128())
}

pub fn place(value: &Value, keys: &mut Vec<Place>) -> bool {
    let place = GeoPoint::of(value).and_then(|p| GeoPoint::new(p.lat(), p.lon()).ok());
    put(place.map(Place::new), keys)
}

pub fn words(analyzer: Analyzer, value: &Value, keys: &mut Vec<Arc<str>>) -> bool {
    let words = value.as_str().map(|text| analyzer.tokens(text));
    let holds = words.is_some();
    keys.extend(words.into_iter().flatten().map(Into::into));
    holds
}
