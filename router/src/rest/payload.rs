//! Payloads as clients write them: taken as the text that the client wrote, once it is certain that
//! every later reader can read it.

use std::borrow::Cow;
use std::fmt;

use quoit_filter::{MAX_PAYLOAD_DEPTH, RESERVED_KEYS};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// Which vectors are answered: a flag for all, or a list of names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum WithVector {
    #[default]
    None,
    All,
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for WithVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WithVectorVisitor;

        impl<'de> Visitor<'de> for WithVectorVisitor {
            type Value = WithVector;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true, false or a list of names")
            }

            fn visit_unit<E: de::Error>(self) -> Result<WithVector, E> {
                Ok(WithVector::None)
            }

            fn visit_bool<E: de::Error>(self, with: bool) -> Result<WithVector, E> {
                Ok(if with {
                    WithVector::All
                } else {
                    WithVector::None
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<WithVector, A::Error> {
                let names = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(WithVector::Names(names))
            }
        }

        deserializer.deserialize_any(WithVectorVisitor)
    }
}
