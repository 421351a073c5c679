//! YAML in and out: text to JSON values, the line and column of any field, and
//! values to text. The only module that names the YAML library, so that it can
//! be replaced here alone.
//!
//! Line and column of a field are found by parsing again: a probe walks down
//! the path and fails on purpose when it arrives, and the library notes where
//! that was. So positions come from the same parser as the values, whatever
//! style, anchors or documents the text uses, and cost nothing until asked for.

use std::cell::Cell;
use std::fmt;

use serde::Serialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::{Map, Number, Value};

use crate::load::Position;
use crate::violation::Segment;

/// Text that is not YAML, or YAML that has no meaning as a JSON value.
pub(crate) struct NotYaml {
    pub(crate) position: Option<Position>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// The ends of the errors that this module makes itself; the library's own know
/// no remedy.
const TWICE: &str = "is given twice: keep one";
const TAG: &str = "a tag (!name) has no meaning here: remove it";
const LARGE: &str =
    "the aliases (*name) stand for too much: write what they stand for where it is wanted";

/// What the values of a text may come to, each counted by its bytes and one
/// more: so many times the text, and in small texts this much. Without aliases
/// no text comes near it; a few that stand for a long list, each many times,
/// would take up all memory, and the library's own bound only counts aliases.
const TIMES: usize = 4;
const SMALL: usize = 1 << 16;

/// Which part of a field a position is wanted of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

/// The documents of a text, in order; an empty document is `Null`.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, NotYaml> {
    let room = Cell::new(text.len() * TIMES + SMALL);
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let value = Tree(&room).deserialize(document);
            value.map_err(|error| not_yaml(text, &error))
        })
        .collect()
}

/// Where in `text` the field is; if it is not there, where the nearest value
/// around it is.
pub(crate) fn locate(
    text: &str,
    document: usize,
    mut path: &[Segment],
    mut part: Part,
) -> Option<Position> {
    loop {
        let probed = serde_yaml::Deserializer::from_str(text).nth(document)?;
        if let Err(found) = (Probe { path, part }).deserialize(probed) {
            return position(&found);
        }
        let (_, around) = path.split_last()?;
        path = around;
        part = Part::Key;
    }
}

/// A value as YAML text.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    // It fails for maps with keys that are no scalars, which no type of this
    // crate has; the text would be seen by the test of the committed file.
    serde_yaml::to_string(value).unwrap_or_else(|error| format!("# {error}\n"))
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|at| Position {
        line: at.line(),
        column: at.column(),
    })
}

fn not_yaml(text: &str, error: &serde_yaml::Error) -> NotYaml {
    let position = position(error);
    let mut reason = error.to_string();
    if let Some(Position { line, column }) = position {
        // The position is told before the reason.
        reason = reason.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    let is_tab = error
        .location()
        .is_some_and(|at| text.as_bytes().get(at.index()) == Some(&b'\t'));
    let ours = [TWICE, TAG, LARGE];
    let message = if ours.iter().any(|end| reason.ends_with(end)) {
        reason
    } else if is_tab {
        "not valid YAML, a tab: indent with spaces".to_owned()
    } else {
        format!("not valid YAML, {reason}: check the indentation, quotes and brackets here")
    };
    NotYaml { position, message }
}

/// Reads a JSON value from YAML, while there is room. Unlike
/// `serde_json::Value` by itself, it refuses a key given twice, of which the
/// last would win in silence.
#[derive(Clone, Copy)]
struct Tree<'a>(&'a Cell<usize>);

impl Tree<'_> {
    fn take<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes + 1);
        self.0.set(left.ok_or_else(|| E::custom(LARGE))?);
        Ok(())
    }

    fn scalar<E: serde::de::Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.scalar(beyond_64_bits(&value.to_string()))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.scalar(beyond_64_bits(&value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no infinity and no NaN; nor has any field.
        let number = Number::from_f64(value).map(Value::Number);
        self.scalar(number.unwrap_or_else(|| value.to_string().into()))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key_seed(NewKey(&map))? {
            self.take(key.len())?;
            let value = fields.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom(TAG))
    }
}

/// No field takes such a number; it is kept so that it can be shown.
fn beyond_64_bits(digits: &str) -> Value {
    let nearest = digits.parse().ok().and_then(Number::from_f64);
    nearest.map_or_else(|| digits.into(), Value::Number)
}

/// Reads a key that is not in the map yet.
struct NewKey<'a>(&'a Map<String, Value>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    // Here and not after the map is read, so that the error is placed at the
    // second of the two keys.
    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if self.0.contains_key(key) {
            return Err(E::custom(format!("{key} {TWICE}")));
        }
        Ok(key.to_owned())
    }
}

/// Walks down a path and fails where it ends.
#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [Segment],
    part: Part,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            // Whatever is here, this visitor does not take it.
            deserializer.deserialize_any(Arrived)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if let Some((Segment::Item(wanted), path)) = self.path.split_first() {
            for _ in 0..*wanted {
                items.next_element::<IgnoredAny>()?;
            }
            items.next_element_seed(Probe { path, ..self })?;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let seek = Seek(self);
        while let Some(is_wanted) = fields.next_key_seed(seek)? {
            match self.path.split_first() {
                Some((_, path)) if is_wanted => fields.next_value_seed(Probe { path, ..self })?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    // A scalar where the path goes on: the path is not in this text.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Says of a key whether it is the next of the path; fails on it if the key is
/// what is sought.
#[derive(Clone, Copy)]
struct Seek<'a>(Probe<'a>);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Seek<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        let Probe { path, part } = self.0;
        let is_wanted = matches!(path.first(), Some(Segment::Key(wanted)) if wanted == key);
        if is_wanted && path.len() == 1 && part == Part::Key {
            return Err(E::custom("arrived"));
        }
        Ok(is_wanted)
    }
}

/// Takes nothing: the error that results carries the position.
struct Arrived;

impl Visitor<'_> for Arrived {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
