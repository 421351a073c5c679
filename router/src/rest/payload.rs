//! Payloads as clients write them in a body of JSON, and what of each point a
//! client wants to have.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::payload::readable;

/// A payload's text: a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a>(pub(crate) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'a RawValue>::deserialize(deserializer)?.get();
        readable(text).map_err(de::Error::custom)?;
        Ok(Self(text))
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
