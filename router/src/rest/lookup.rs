//! What a request takes from another collection: the vectors of points that
//! are examples, and the points that groups are named after.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use quoit_ring::PointId;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use super::envelope::Show;
use super::error::Error;
use super::not_yet::NotYet;
use super::openapi::shape::{any_of, named, shaped, text};
use super::payload::WithVector;
use crate::catalog::{Catalog, Collection};
use crate::check::known;
use crate::fanout::Row;
use crate::fanout::read;
use crate::groups::GroupId;
use crate::select::Selector;

/// Where the points are that are examples.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LookupLocation)]
pub(crate) struct LookupFrom {
    collection: String,
    /// The name of its vectors; the empty one if nothing is said.
    vector: Option<String>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// Another collection, and the place of the name whose vectors its points are
/// taken for.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) collection: Arc<Collection>,
    pub(crate) using: usize,
}

impl LookupFrom {
    /// Checks that there is such a collection.
    pub(crate) fn check(&self, catalog: &dyn Catalog) -> Result<(), Error> {
        open(catalog, &self.collection).map(drop)
    }

    /// The other collection, whose vectors must be comparable with those of this
    /// one under a name; `None` if it is this one.
    pub(crate) fn resolve(
        &self,
        collection: &Collection,
        using: usize,
        catalog: &dyn Catalog,
        place: &str,
    ) -> Result<Option<Source>, Error> {
        let other = open(catalog, &self.collection)?.read_as(&collection.reading().whole());
        // By whatever name.
        let is_own = other.name() == collection.name();
        if is_own && self.vector.is_none() {
            return Ok(None);
        }
        let name = self.vector.as_deref().unwrap_or_default();
        let of_other = known(&other, name, || format!("{place}lookup_from.vector"))?;
        if is_own && of_other == using {
            return Ok(None);
        }
        let dimension = |c: &Collection, at: usize| c.params().vectors[at].dimension;
        let (theirs, ours) = (dimension(&other, of_other), dimension(collection, using));
        if theirs != ours {
            let message = format!(
                "Vector dimension error: expected dim: {ours}, and the vectors of `{}` have {theirs}",
                self.collection
            );
            return Err(Error::fit(format!("{place}lookup_from"), message));
        }
        Ok(Some(Source {
            collection: Arc::new(other),
            using: of_other,
        }))
    }
}

/// The points of another collection that groups are named after, and what is
/// shown of them.
#[derive(Debug, Clone)]
pub(crate) struct WithLookup {
    collection: String,
    with_payload: Selector,
    with_vectors: WithVector,
}

/// The points of another collection that groups are named after, and what is
/// shown of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WithLookup)]
struct Fields {
    collection: String,
    with_payload: Option<Selector>,
    // The name of this field was in the singular once.
    #[serde(default, alias = "with_vector")]
    with_vectors: WithVector,
}

shaped!(WithLookup as "WithLookupInterface" of Fields => any_of([text(), named::<Fields>()]));

impl<'de> Deserialize<'de> for WithLookup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LookupVisitor;

        impl<'de> Visitor<'de> for LookupVisitor {
            type Value = WithLookup;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a collection, or an object like {\"collection\": …}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<WithLookup, E> {
                Ok(WithLookup {
                    collection: name.to_owned(),
                    with_payload: Selector::Everything,
                    with_vectors: WithVector::None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WithLookup, A::Error> {
                let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WithLookup {
                    collection: fields.collection,
                    with_payload: fields.with_payload.unwrap_or(Selector::Everything),
                    with_vectors: fields.with_vectors,
                })
            }
        }

        deserializer.deserialize_any(LookupVisitor)
    }
}

impl WithLookup {
    /// The collection that it names, read as that whose points are grouped.
    pub(crate) fn resolve(
        self,
        grouped: &Collection,
        catalog: &dyn Catalog,
    ) -> Result<Lookup, Error> {
        let collection = open(catalog, &self.collection)?.read_as(&grouped.reading().whole());
        let (payload, vectors) = (self.with_payload, self.with_vectors);
        let show = Show::new(&collection, payload, vectors, "with_lookup.")?;
        Ok(Lookup { collection, show })
    }
}

/// Where the points are that groups are named after.
pub(crate) struct Lookup {
    collection: Collection,
    pub(crate) show: Show,
}

impl Lookup {
    /// The points of some groups that are there.
    pub(crate) async fn points(
        &self,
        groups: impl Iterator<Item = &GroupId>,
    ) -> Result<HashMap<PointId, Row>, Error> {
        let ids: Vec<PointId> = groups.filter_map(GroupId::point).collect();
        let rows = read::retrieve(&self.collection, &ids, self.show.with()).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// A collection by its name.
pub(crate) fn open(catalog: &dyn Catalog, name: &str) -> Result<Arc<Collection>, Error> {
    let found = catalog.get(name);
    found.map_err(|why| Error::no_collection(name, why))
}
