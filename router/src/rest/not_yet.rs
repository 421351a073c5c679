//! Fields that Qdrant has and Quoit does not serve yet: they may be left out,
//! null, or ask for nothing; anything else is refused, and never ignored,
//! since the answer would be another than the one asked for.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

const REFUSED: &str = "this is not supported yet";

/// A field that must ask for nothing: absent, null, false, `[]` or `{}`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nothing)
    }
}

struct Nothing;

impl<'de> Visitor<'de> for Nothing {
    type Value = NotYet;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_unit<E: de::Error>(self) -> Result<NotYet, E> {
        Ok(NotYet)
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<NotYet, E> {
        if v {
            Err(E::custom(REFUSED))
        } else {
            Ok(NotYet)
        }
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<NotYet, E> {
        Err(E::custom(REFUSED))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<NotYet, E> {
        Err(E::custom(REFUSED))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<NotYet, E> {
        Err(E::custom(REFUSED))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<NotYet, E> {
        Err(E::custom(REFUSED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NotYet, A::Error> {
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(NotYet),
            Some(_) => Err(de::Error::custom(REFUSED)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NotYet, A::Error> {
        match map.next_key::<IgnoredAny>()? {
            None => Ok(NotYet),
            Some(_) => Err(de::Error::custom(REFUSED)),
        }
    }
}
