//! The schema of a collection, as a value beside its ring: the payload indexes
//! that its owner declared and clients made, and its other names. It decides the
//! form, which is JSON.

use crate::indexes::Indexes;
use quoit_crds::VectorCollectionSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A schema as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptSchema {
    /// The payload indexes, numbered: each shard takes them through its log.
    pub indexes: Indexes,
    /// Other names of the collection.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
}

/// Bytes that are no schema.
#[derive(Debug, thiserror::Error)]
#[error(
    "the schema is not as Quoit writes it; put back the one that was there, or remove it and apply the collection again: indexes made by clients are to be made again then"
)]
pub struct BadSchema(#[source] serde_json::Error);

impl KeptSchema {
    /// That of a new collection.
    #[must_use]
    pub fn declared(spec: &VectorCollectionSpec) -> Self {
        Self {
            indexes: Indexes::declared(spec),
            aliases: BTreeSet::new(),
        }
    }

    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers and texts: there is nothing that JSON lacks.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The schema that was kept.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSchema> {
        serde_json::from_slice(bytes).map_err(BadSchema)
    }
}
