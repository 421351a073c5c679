//! What a collection is on disk besides its ring and its shards: a record with
//! its identity and its spec, and whether its shards have been founded.

use quoit_cluster::indexes::Indexes;
use quoit_crds::VectorCollectionSpec;
use quoit_disk::Disk;
use quoit_store::sealed::Sealed;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use uuid::Uuid;

/// A collection's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The layout of the folder.
    pub format: u32,
    /// What clients call it.
    pub name: String,
    /// The collection's identity; a new one for each collection ever made.
    pub uid: Uuid,
    /// Whether each shard has taken its first vnodes. Before that an empty
    /// shard is new; after it, lost.
    pub founded: bool,
    /// What its owner asked for.
    pub spec: VectorCollectionSpec,
    /// Its payload indexes: those of the spec, and those made by clients.
    pub indexes: Indexes,
}

/// The layout that this version writes.
pub const FORMAT: u32 = 1;

/// What a record's file is called.
const NAME: &str = "record";

/// What the record of a deleted collection is called.
const DELETED: &str = "record.deleted";

impl Sealed for Record {
    const NAME: &str = NAME;
    const FORMAT: u32 = FORMAT;

    fn format(&self) -> u32 {
        self.format
    }
}

/// Marks a collection as deleted. If this fails, nothing has changed; that it
/// is done for all later starts is only known after the folder was synced.
pub fn mark_deleted(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.rename(&dir.join(NAME), &dir.join(DELETED))
}

/// Whether the collection of a folder was deleted.
pub fn is_marked_deleted(dir: &Path) -> bool {
    dir.join(DELETED).exists() && !dir.join(NAME).exists()
}
