//! Payloads: taken as the text that the client wrote, once it is certain that
//! every later reader can read it, and given back as that text, whole or by
//! their outermost keys.

use std::borrow::Cow;
use std::fmt;

use quoit_filter::{MAX_PAYLOAD_DEPTH, RESERVED_KEYS};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Error;

/// A payload's text: a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a>(pub(crate) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'a RawValue>::deserialize(deserializer)?.get();
        if !text.starts_with('{') {
            return Err(de::Error::custom("a payload is a JSON object or null"));
        }
        // Raw text is only looked over: an escape that stands for half a
        // character or a number beyond all range would pass, and fail whoever
        // reads the payload later.
        let mut check = serde_json::Deserializer::from_str(text);
        Check { depth: 0 }.deserialize(&mut check).map_err(|e| {
            let whole = e.to_string();
            let place = format!(" at line {} column {}", e.line(), e.column());
            de::Error::custom(whole.strip_suffix(&place).unwrap_or(&whole))
        })?;
        Ok(Self(text))
    }
}

/// Reads a value through and keeps nothing of it.
#[derive(Clone, Copy)]
struct Check {
    depth: usize,
}

impl Check {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_PAYLOAD_DEPTH {
            return Err(E::custom(format_args!(
                "objects and lists are nested deeper than {MAX_PAYLOAD_DEPTH}: make the payload flatter"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key.starts_with(RESERVED_KEYS) {
                return Err(de::Error::custom(format_args!(
                    "the key {key:?} is reserved: choose another name"
                )));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// Which part of a payload is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// What is under these outermost keys.
    Include(Vec<String>),
    /// All but what is under these outermost keys.
    Exclude(Vec<String>),
}

impl Selector {
    /// Whether a payload is answered at all.
    pub(crate) fn wants_any(&self) -> bool {
        *self != Self::Nothing
    }

    /// Writes what is selected of a payload; an empty one is `{}`.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, payload: &[u8]) -> Result<(), Error> {
        let wanted: &dyn Fn(&str) -> bool = match self {
            _ if payload.is_empty() => &|_| false,
            Self::Nothing => &|_| false,
            Self::Everything => {
                buffer.extend_from_slice(payload);
                return Ok(());
            }
            Self::Include(keys) => &|key| keys.iter().any(|k| k == key),
            Self::Exclude(keys) => &|key| keys.iter().all(|k| k != key),
        };
        let fields: Fields = match payload {
            [] => Fields(Vec::new()),
            payload => serde_json::from_slice(payload)?,
        };
        buffer.push(b'{');
        let mut first = true;
        for (key, value) in fields.0.iter().filter(|(key, _)| wanted(key)) {
            if !std::mem::take(&mut first) {
                buffer.push(b',');
            }
            serde_json::to_writer(&mut *buffer, key)?;
            buffer.push(b':');
            buffer.extend_from_slice(value.get().as_bytes());
        }
        buffer.push(b'}');
        Ok(())
    }
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

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectorVisitor)
    }
}

struct SelectorVisitor;

/// A key that stands for itself. Paths into a value are more than that.
struct PlainKey(String);

impl<'de> Deserialize<'de> for PlainKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key.contains(['.', '[', '"']) {
            return Err(de::Error::custom(format_args!(
                "a path into a value ({key:?}) is not supported yet, name the outermost key"
            )));
        }
        Ok(Self(key))
    }
}

fn keys(keys: Vec<PlainKey>) -> Vec<String> {
    keys.into_iter().map(|k| k.0).collect()
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
        Vec::deserialize(seq).map(|k| Selector::Include(keys(k)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selector, A::Error> {
        let mut selector = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if selector.is_some() {
                return Err(de::Error::custom("give one of include and exclude"));
            }
            selector = Some(match key.as_ref() {
                "include" => Selector::Include(keys(map.next_value()?)),
                "exclude" => Selector::Exclude(keys(map.next_value()?)),
                other => return Err(de::Error::unknown_field(other, &["include", "exclude"])),
            });
        }
        selector.ok_or_else(|| de::Error::missing_field("include"))
    }
}

/// Whether vectors are answered: a flag, or a list of names of which there is
/// one, the empty.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WithVector(pub(crate) bool);

impl<'de> Deserialize<'de> for WithVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WithVectorVisitor;

        impl<'de> Visitor<'de> for WithVectorVisitor {
            type Value = WithVector;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_unit<E: de::Error>(self) -> Result<WithVector, E> {
                Ok(WithVector(false))
            }

            fn visit_bool<E: de::Error>(self, with: bool) -> Result<WithVector, E> {
                Ok(WithVector(with))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<WithVector, A::Error> {
                let mut with = false;
                while seq.next_element::<super::not_yet::Unnamed>()?.is_some() {
                    with = true;
                }
                Ok(WithVector(with))
            }
        }

        deserializer.deserialize_any(WithVectorVisitor)
    }
}
