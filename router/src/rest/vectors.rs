//! Vectors as clients write them: a list of numbers, bare or under a name. They
//! go straight from the text into the `Vec<f32>` that the engine gets. Lists of
//! vectors, sparse vectors and texts to embed are known and refused. And which
//! of them fit a collection.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use quoit_proto::v1;
use quoit_ring::PointId;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::Error;
use super::ids::JsonId;
use super::openapi::shape::{any_of, list, map, named, number, shaped};
use crate::catalog::Collection;
use crate::check::fitting;

/// A number that is finite as an `f32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finite(pub(crate) f32);

shaped!(Finite as "Finite" => number());

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f32(FiniteVisitor)
    }
}

struct FiniteVisitor;

impl Visitor<'_> for FiniteVisitor {
    type Value = Finite;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number (lists of vectors are not supported yet)")
    }

    // An f32 is what vectors are made of: rounding to it is the point.
    #[allow(clippy::cast_possible_truncation)]
    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Finite, E> {
        let narrow = x as f32;
        if narrow.is_finite() {
            Ok(Finite(narrow))
        } else {
            Err(E::custom(format_args!(
                "{x} is not finite as a 32-bit number"
            )))
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: de::Error>(self, x: u64) -> Result<Finite, E> {
        Ok(Finite(x as f32))
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: de::Error>(self, x: i64) -> Result<Finite, E> {
        Ok(Finite(x as f32))
    }
}

/// A list of finite numbers, without a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bare(pub(crate) Vec<f32>);

shaped!(Bare as "DenseVector" => list(number()));

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BareVisitor;

        impl<'de> Visitor<'de> for BareVisitor {
            type Value = Bare;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bare, A::Error> {
                // JSON tells no length; most vectors are of some hundred numbers.
                let mut vector = Vec::with_capacity(seq.size_hint().unwrap_or(256));
                while let Some(Finite(x)) = seq.next_element()? {
                    vector.push(x);
                }
                // A thousand short ones are not to take the room of long ones.
                if vector.len() < vector.capacity() / 2 {
                    vector.shrink_to_fit();
                }
                Ok(Bare(vector))
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Bare, E> {
                Err(E::custom(TO_EMBED))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bare, A::Error> {
                Err(refuse_object(map))
            }
        }

        deserializer.deserialize_any(BareVisitor)
    }
}

const TO_EMBED: &str = "an input to embed is not supported yet, send its vector";

/// Says of an object in the place of a vector what it is, by its first key.
pub(crate) fn refuse_object<'de, A: MapAccess<'de>>(mut map: A) -> A::Error {
    match map.next_key::<Cow<'de, str>>() {
        Ok(Some(key)) => de::Error::custom(match key.as_ref() {
            "indices" | "values" => "a sparse vector is not supported yet".to_owned(),
            "text" | "image" | "object" | "model" => TO_EMBED.to_owned(),
            name => format!("a list of numbers is needed here, and no object with {name:?}"),
        }),
        Ok(None) => de::Error::custom("a list of numbers is needed here, and no object"),
        Err(error) => error,
    }
}

/// Something that is given bare, or under names: then once for each.
pub(crate) struct MaybeNamed<T>(pub(crate) Vec<(String, T)>);

/// The vectors of a point.
pub(crate) type OfPoint = MaybeNamed<Bare>;

/// Those of several, one behind the other.
pub(crate) type OfPoints = MaybeNamed<Vec<Bare>>;

shaped!(OfPoint as "VectorStruct" of Bare => any_of([
    named::<Bare>(),
    map(named::<Bare>()),
]));

shaped!(OfPoints as "BatchVectorStruct" of Bare => any_of([
    list(named::<Bare>()),
    map(list(named::<Bare>())),
]));

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeNamed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeNamedVisitor(PhantomData))
    }
}

struct MaybeNamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeNamedVisitor<T> {
    type Value = MaybeNamed<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of numbers, or an object of them by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<MaybeNamed<T>, A::Error> {
        let one = T::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(MaybeNamed(vec![(String::new(), one)]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeNamed<T>, A::Error> {
        let mut found: Vec<(String, T)> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "indices" {
                let key = Some(name);
                return Err(refuse_object(Rest { key, map }));
            }
            if found.iter().any(|(other, _)| *other == name) {
                let what = format_args!("the vector {name:?} is there twice");
                return Err(de::Error::custom(what));
            }
            // Named so often, a list of them is no longer looked through in no time.
            if found.len() == MAX_NAMES {
                let what = format_args!("more than {MAX_NAMES} vectors for one point");
                return Err(de::Error::custom(what));
            }
            let one = map.next_value()?;
            found.push((name.into_owned(), one));
        }
        Ok(MaybeNamed(found))
    }
}

/// As many as a collection can have.
const MAX_NAMES: usize = 16;

/// The vectors of one point, checked.
pub(crate) fn fitting_all(
    collection: &Collection,
    vectors: MaybeNamed<Bare>,
    field: impl Fn() -> String,
) -> Result<Vec<v1::Vector>, Error> {
    let vectors = vectors.0.into_iter().map(|(name, Bare(values))| {
        let within = || match name.as_str() {
            "" => field(),
            name => format!("{}.{name}", field()),
        };
        fitting(collection, &name, &values, within)?;
        Ok(v1::Vector { name, values })
    });
    vectors.collect()
}

/// A map whose first key has been read already.
pub(crate) struct Rest<'de, A> {
    pub(crate) key: Option<Cow<'de, str>>,
    pub(crate) map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(key) => {
                let key = de::value::CowStrDeserializer::new(key);
                seed.deserialize(key).map(Some)
            }
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Where a search starts: a vector, or the point that has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Start {
    /// A vector.
    Vector(Vec<f32>),
    /// A point of the collection.
    Point(PointId),
}

shaped!(Start as "VectorInput" of Bare, JsonId => any_of([
    named::<Bare>(),
    named::<JsonId>(),
]));

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StartVisitor)
    }
}

struct StartVisitor;

impl<'de> Visitor<'de> for StartVisitor {
    type Value = Start;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a vector or a point id")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Start, E> {
        let JsonId(id) = JsonId::deserialize(de::value::U64Deserializer::new(id))?;
        Ok(Start::Point(id))
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Start, E> {
        let JsonId(id) = JsonId::deserialize(de::value::StrDeserializer::new(id))?;
        Ok(Start::Point(id))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Start, A::Error> {
        let Bare(vector) = Bare::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Start::Vector(vector))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Start, A::Error> {
        let Bare(vector) = Bare::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Start::Vector(vector))
    }
}
