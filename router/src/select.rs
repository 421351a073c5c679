//! Which part of a payload is answered, by keys and by paths into values, and
//! the text of that part. What is answered of a value is the text that was
//! written; only what is around a part of it is written anew.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use quoit_filter::{BadPath, Path, Step};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::list;
use crate::rest::openapi::shape::{any_of, flag, list as list_of, named, only, shaped, text};

/// Which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// What these paths lead to, with all that is around it.
    Include(Paths),
    /// All but what these paths lead to.
    Exclude(Paths),
}

/// Paths by their common beginnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// One of them ends here: all that is inside is meant.
    is_whole: bool,
    keys: BTreeMap<String, Paths>,
    /// What is meant of each element of an array.
    each: Option<Box<Paths>>,
}

/// Whether what the paths lead to is kept or left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Inside,
    Outside,
}

/// So many keys and elements may be named by all paths of a selector together.
/// Each takes many times the room of its text.
const MAX_STEPS: usize = 10_000;

/// Paths as they are read, one by one.
#[derive(Default)]
struct Reading {
    paths: Paths,
    steps: usize,
}

impl Reading {
    fn add(&mut self, path: Selected) -> Result<(), String> {
        self.steps += 1 + path.rest.len();
        if self.steps > MAX_STEPS {
            return Err(format!(
                "the paths have more than {MAX_STEPS} steps together: name objects as wholes, or fewer paths"
            ));
        }
        self.paths.add(path);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathsVisitor;

        impl<'de> Visitor<'de> for PathsVisitor {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of keys")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Paths, A::Error> {
                let mut all = Reading::default();
                while let Some(path) = seq.next_element()? {
                    all.add(path).map_err(de::Error::custom)?;
                }
                Ok(all.paths)
            }
        }

        deserializer.deserialize_seq(PathsVisitor)
    }
}

impl Paths {
    fn add(&mut self, path: Selected) {
        let mut at = self.keys.entry(path.first).or_default();
        for step in path.rest {
            if at.is_whole {
                return;
            }
            at = match step {
                Step::Key(key) => at.keys.entry(key).or_default(),
                Step::All => at.each.get_or_insert_default(),
                // As in Qdrant, a single element of an array is never meant.
                Step::Index(_) => return,
            };
        }
        at.is_whole = true;
    }

    /// All of these paths, or what is wrong with one of them.
    pub(crate) fn parse(all: &[String]) -> Result<Self, String> {
        let mut read = Reading::default();
        for path in all {
            read.add(path.parse()?)?;
        }
        Ok(read.paths)
    }
}

impl Selector {
    /// Whether a payload is answered at all.
    pub(crate) fn wants_any(&self) -> bool {
        *self != Self::Nothing
    }

    /// Writes what is selected of a payload; an empty one is `{}`.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, payload: &[u8]) -> Result<(), Error> {
        let (paths, kept) = match self {
            _ if payload.is_empty() => {
                buffer.extend_from_slice(b"{}");
                return Ok(());
            }
            Self::Nothing => {
                buffer.extend_from_slice(b"{}");
                return Ok(());
            }
            Self::Everything => {
                buffer.extend_from_slice(payload);
                return Ok(());
            }
            Self::Include(paths) => (paths, Kept::Inside),
            Self::Exclude(paths) => (paths, Kept::Outside),
        };
        write_object(buffer, serde_json::from_slice(payload)?, paths, kept)
    }
}

fn write_object(
    buffer: &mut Vec<u8>,
    fields: Fields,
    paths: &Paths,
    kept: Kept,
) -> Result<(), Error> {
    buffer.push(b'{');
    let mut is_first = true;
    for (key, value) in fields.0 {
        let inner = paths.keys.get(key.as_ref());
        // What no path goes through, and what one ends at, is answered as a
        // whole or not at all.
        let is_kept = match inner {
            None => kept == Kept::Outside,
            Some(inner) => kept == Kept::Inside || !inner.is_whole,
        };
        if !is_kept {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            buffer.push(b',');
        }
        serde_json::to_writer(&mut *buffer, &key)?;
        buffer.push(b':');
        match inner {
            Some(inner) if !inner.is_whole => write_value(buffer, value, inner, kept)?,
            _ => buffer.extend_from_slice(value.get().as_bytes()),
        }
    }
    buffer.push(b'}');
    Ok(())
}

/// Writes the part of a value that paths through it select.
fn write_value(
    buffer: &mut Vec<u8>,
    value: &RawValue,
    paths: &Paths,
    kept: Kept,
) -> Result<(), Error> {
    let text = value.get();
    let each = paths.each.as_deref();
    match (text.as_bytes().first(), each, kept) {
        (Some(b'{'), ..) => write_object(buffer, serde_json::from_str(text)?, paths, kept),
        (Some(b'['), None, Kept::Inside) => nothing(buffer),
        (Some(b'['), Some(each), Kept::Outside) if each.is_whole => nothing(buffer),
        (Some(b'['), Some(each), _) if !each.is_whole => {
            let values: Vec<&RawValue> = serde_json::from_str(text)?;
            list(buffer, values, |buffer, value| {
                write_value(buffer, value, each, kept)
            })
        }
        // No path goes into what is neither: it stays, as in Qdrant.
        _ => {
            buffer.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
}

/// An array that is kept, without its elements.
#[allow(clippy::unnecessary_wraps)] // it stands where others may fail
fn nothing(buffer: &mut Vec<u8>) -> Result<(), Error> {
    buffer.extend_from_slice(b"[]");
    Ok(())
}

/// An object's fields, in their order and as text.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

shaped!(Selector as "WithPayloadInterface" of Included, Excluded => any_of([
    flag(),
    list_of(text()),
    named::<Included>(),
    named::<Excluded>(),
]));

enum Included {}

shaped!(Included as "PayloadSelectorInclude" => only(&[("include", list_of(text()))], &[]));

enum Excluded {}

shaped!(Excluded as "PayloadSelectorExclude" => only(&[("exclude", list_of(text()))], &[]));

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectorVisitor)
    }
}

struct SelectorVisitor;

/// A path to what is selected.
struct Selected {
    first: String,
    rest: Vec<Step>,
}

impl FromStr for Selected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A key with spaces in it stands for itself, though it is no path.
        if !text.contains(['.', '[', '"']) {
            return Ok(Self {
                first: text.to_owned(),
                rest: Vec::new(),
            });
        }
        let path: Path = text.parse().map_err(|e: BadPath| e.to_string())?;
        Ok(Self {
            first: path.first().to_owned(),
            rest: path.rest().to_vec(),
        })
    }
}

impl<'de> Deserialize<'de> for Selected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<'de> Visitor<'de> for SelectorVisitor {
    type Value = Selector;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("true, false, a list of keys, {\"include\": keys} or {\"exclude\": keys}")
    }

    fn visit_bool<E: de::Error>(self, all: bool) -> Result<Selector, E> {
        Ok(if all {
            Selector::Everything
        } else {
            Selector::Nothing
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Selector, A::Error> {
        let seq = de::value::SeqAccessDeserializer::new(seq);
        Paths::deserialize(seq).map(Selector::Include)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selector, A::Error> {
        let mut selector = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if selector.is_some() {
                return Err(de::Error::custom("give one of include and exclude"));
            }
            selector = Some(match key.as_ref() {
                "include" => Selector::Include(map.next_value()?),
                "exclude" => Selector::Exclude(map.next_value()?),
                other => return Err(de::Error::unknown_field(other, &["include", "exclude"])),
            });
        }
        selector.ok_or_else(|| de::Error::missing_field("include"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PAYLOAD: &str = r#"{"a": {"b": 1, "c": {"d" : 2}}, "a.b": 3, "l": [{"b": 4, "c": 5}, 6, [{"b": 7}]], "e" : []}"#;

    fn selected(selector: &Value) -> Value {
        let selector: Selector = serde_json::from_value(selector.clone()).unwrap();
        let mut buffer = Vec::new();
        selector.write(&mut buffer, PAYLOAD.as_bytes()).unwrap();
        serde_json::from_slice(&buffer).unwrap()
    }

    #[test]
    fn paths_lead_into_objects_and_into_each_element_of_an_array() {
        for (paths, included, excluded) in [
            (
                json!(["a.b"]),
                json!({"a": {"b": 1}}),
                json!({"a": {"c": {"d": 2}}}),
            ),
            (
                json!(["a.c.d"]),
                json!({"a": {"c": {"d": 2}}}),
                json!({"a": {"b": 1, "c": {}}}),
            ),
            (
                json!(["a.b", "a"]),
                json!({"a": {"b": 1, "c": {"d": 2}}}),
                json!({}),
            ),
            (
                json!(["a", "a.b"]),
                json!({"a": {"b": 1, "c": {"d": 2}}}),
                json!({}),
            ),
            (
                json!(["a.x"]),
                json!({"a": {}}),
                json!({"a": {"b": 1, "c": {"d": 2}}}),
            ),
            (
                json!(["a.b.x"]),
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 1, "c": {"d": 2}}}),
            ),
            (
                json!(["a[]"]),
                json!({"a": {}}),
                json!({"a": {"b": 1, "c": {"d": 2}}}),
            ),
        ] {
            let excluded_of = |paths: &Value| {
                let mut left = selected(&json!({"exclude": paths}));
                let left = left.as_object_mut().unwrap();
                left.retain(|key, _| key == "a");
                Value::Object(left.clone())
            };
            assert_eq!(selected(&paths), included, "{paths}");
            assert_eq!(excluded_of(&paths), excluded, "{paths}");
        }
        assert_eq!(selected(&json!(["l[].b"])), json!({"l": [{"b": 4}, 6, []]}));
        assert_eq!(
            selected(&json!(["l[][].b"])),
            json!({"l": [{}, 6, [{"b": 7}]]})
        );
        assert_eq!(selected(&json!(["l[]"])), selected(&json!(["l"])));
        assert_eq!(selected(&json!(["l.b", "l[0]"])), json!({"l": []}));
        let rest = json!({"exclude": ["a", "e", "\"a.b\"", "l[].b"]});
        assert_eq!(selected(&rest), json!({"l": [{"c": 5}, 6, [{"b": 7}]]}));
        let rest = json!({"exclude": ["a", "e", "\"a.b\"", "l[]"]});
        assert_eq!(selected(&rest), json!({"l": []}));
        let rest = json!({"exclude": ["a", "e", "\"a.b\"", "l[0]", "l.b"]});
        assert_eq!(
            selected(&rest),
            json!({"l": [{"b": 4, "c": 5}, 6, [{"b": 7}]]})
        );
    }

    #[test]
    fn a_key_in_quotes_is_one_key() {
        assert_eq!(selected(&json!(["\"a.b\""])), json!({"a.b": 3}));
    }

    #[test]
    fn whole_values_are_answered_as_they_were_written() {
        let selector: Selector = serde_json::from_value(json!(["a.c", "e"])).unwrap();
        let mut buffer = Vec::new();
        selector.write(&mut buffer, PAYLOAD.as_bytes()).unwrap();
        assert_eq!(buffer, br#"{"a":{"c":{"d" : 2}},"e":[]}"#);
    }
}
