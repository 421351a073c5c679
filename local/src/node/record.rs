//! What a collection is on disk besides its ring and its shards: a record with
//! its identity and its spec, and whether its shards have been founded.

use quoit_crds::VectorCollectionSpec;
use quoit_disk::Disk;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
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
}

/// The layout that this version writes.
pub const FORMAT: u32 = 1;

/// A record that is being written: what is left of it is no record.
pub const UNFINISHED: &str = "collection.new";

/// What the record of a deleted collection is called.
const DELETED: &str = "collection.deleted";

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Its file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It does not decode.
    #[error("{} is damaged; restore it from a copy", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("{} is of format {format}, and this version of quoit knows format {FORMAT}: use the version that wrote it", path.display())]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

impl Error {
    /// Whether the disk has no room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// Reads a folder's record; `None` where there is none.
pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Record>, Error> {
    let path = dir.join("collection.json");
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|source| Error::Damaged {
        path: path.clone(),
        source,
    })?;
    if record.format == FORMAT {
        Ok(Some(record))
    } else {
        Err(Error::Newer {
            path,
            format: record.format,
        })
    }
}

/// Replaces a folder's record, as a whole or not at all.
pub fn write(disk: &dyn Disk, dir: &Path, record: &Record) -> Result<(), Error> {
    let path = dir.join("collection.json");
    let write = || {
        let bytes = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        disk.create_dir_all(dir)?;
        let new = dir.join(UNFINISHED);
        let file = disk.open(&new)?;
        file.set_len(0)?;
        file.write_at(&bytes, 0)?;
        file.sync_data()?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)
    };
    write().map_err(|source| Error::Write {
        path: path.clone(),
        source,
    })
}

/// Marks a collection as deleted. If this fails, nothing has changed; that it
/// is done for all later starts is only known after the folder was synced.
pub fn mark_deleted(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.rename(&dir.join("collection.json"), &dir.join(DELETED))
}

/// Whether the collection of a folder was deleted.
pub fn is_marked_deleted(dir: &Path) -> bool {
    dir.join(DELETED).exists() && !dir.join("collection.json").exists()
}
