//! Payloads as clients write them in a body of JSON, and what of each point a
//! client wants to have.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::openapi::shape::{any_object, any_of, flag, list, null, shaped, text};
use crate::payload::readable;

/// A payload's text: a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a>(pub(crate) &'a str);

shaped!(Payload<'_> as "Payload" => any_object());

impl<'de: 'a, 'a> Deserialize<'de> for Payload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'a RawValue>::deserialize(deserializer)?.get();
        readable(text).map_err(de::Error::custom)?;
        Ok(Self(text))
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

shaped!(WithVector as "WithVector" => any_of([flag(), list(text()), null()]));

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
