//! What a request takes from another collection: the vectors of points that
//! are examples, and the points that groups are named after.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use quoit_ring::PointId;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::envelope::Show;
use super::error::Error;
use super::not_yet::NotYet;
use super::payload::WithVector;
use super::select::Selector;
use super::vectors::known;
use crate::catalog::{Catalog, Collection, NoCollection};
use crate::fanout::Row;
use crate::fanout::read;
use crate::groups::GroupId;

/// Where the points are that are examples, as clients write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupFrom {
    collection: String,
    vector: Option<String>,
    #[serde(default, rename = "shard_key")]
    _shard_key: NotYet,
}

/// Where the points are that are examples.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) collection: Arc<Collection>,
    /// The place there of the name whose vectors count.
    pub(crate) place: usize,
    /// It is the collection that is searched.
    pub(crate) is_own: bool,
}

impl LookupFrom {
    /// The other collection, whose vectors must be comparable with those of the
    /// name that this one is searched by.
    pub(crate) fn resolve(
        &self,
        collection: &Collection,
        catalog: &dyn Catalog,
        using: &str,
        at: &str,
    ) -> Result<From, Error> {
        let other = open(catalog, &self.collection)?;
        let name = self.vector.as_deref().unwrap_or(using);
        let place = known(&other, name, || format!("{at}lookup_from.vector"))?;
        let own = known(collection, using, || format!("{at}using"))?;
        let theirs = other.params().vectors[place].dimension;
        let ours = collection.params().vectors[own].dimension;
        if theirs != ours {
            let message = format!(
                "Vector dimension error: expected dim: {ours}, and the vectors of `{}` have {theirs}",
                self.collection
            );
            return Err(Error::fit(format!("{at}lookup_from"), message));
        }
        Ok(From {
            is_own: self.collection == collection.name(),
            collection: other,
            place,
        })
    }
}

/// The points of another collection that groups are named after, and what is
/// shown of them.
#[derive(Debug, Clone)]
pub(crate) struct WithLookup {
    collection: String,
    payload: Selector,
    vectors: WithVector,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    collection: String,
    with_payload: Option<Selector>,
    // The name of this field was in the singular once.
    #[serde(default, alias = "with_vector")]
    with_vectors: WithVector,
}

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
                    payload: Selector::Everything,
                    vectors: WithVector::None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WithLookup, A::Error> {
                let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WithLookup {
                    collection: fields.collection,
                    payload: fields.with_payload.unwrap_or(Selector::Everything),
                    vectors: fields.with_vectors,
                })
            }
        }

        deserializer.deserialize_any(LookupVisitor)
    }
}

impl WithLookup {
    /// The collection that it names.
    pub(crate) fn resolve(self, catalog: &dyn Catalog) -> Result<Lookup, Error> {
        let collection = open(catalog, &self.collection)?;
        let show = Show::new(&collection, self.payload, self.vectors, "with_lookup.")?;
        Ok(Lookup { collection, show })
    }
}

/// Where the points are that groups are named after.
pub(crate) struct Lookup {
    collection: Arc<Collection>,
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
    catalog.get(name).map_err(|error| match error {
        NoCollection::Unknown => Error::FindCollection(name.to_owned()),
        NoCollection::Unopened(why) => Error::OpenCollection {
            name: name.to_owned(),
            why,
        },
    })
}
