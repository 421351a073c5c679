//! What a collection is on disk besides its ring and its shards: a record with
//! its identity and its spec, and whether its shards have been founded.

use super::indexes::Indexes;
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
    /// Its payload indexes: those of the spec, and those made by clients.
    pub indexes: Indexes,
}

/// The layout that this version writes.
pub const FORMAT: u32 = 1;

/// What a record's file is called: the record as JSON for people, and a last
/// line with the xxh3 of what is before it, in hex.
const NAME: &str = "record";

/// A record that is being written: what is left of it is no record.
const UNFINISHED: &str = "record.new";

/// What the record of a deleted collection is called.
const DELETED: &str = "record.deleted";

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
    /// It is not what was written.
    #[error("{} is damaged: its checksum does not fit; restore it from a copy", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
    },
    /// It is what was written, and no record.
    #[error("{} does not decode; restore it from a copy", path.display())]
    Decode {
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
    let path = dir.join(NAME);
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let Some(json) = checked(&bytes) else {
        return Err(Error::Damaged { path });
    };
    let record: Record = serde_json::from_str(json).map_err(|source| Error::Decode {
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

/// What is before the checksum, if that fits.
fn checked(bytes: &[u8]) -> Option<&str> {
    let (json, hash) = std::str::from_utf8(bytes)
        .ok()?
        .trim_end()
        .rsplit_once('\n')?;
    (checksum(json) == hash).then_some(json)
}

fn checksum(json: &str) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(json.as_bytes()))
}

/// Replaces a folder's record, as a whole or not at all.
pub fn write(disk: &dyn Disk, dir: &Path, record: &Record) -> Result<(), Error> {
    let path = dir.join(NAME);
    let write = || {
        let json = serde_json::to_string_pretty(record).map_err(io::Error::other)?;
        let text = format!("{json}\n{}\n", checksum(&json));
        let new = dir.join(UNFINISHED);
        let file = disk.open(&new)?;
        file.set_len(0)?;
        file.write_at(text.as_bytes(), 0)?;
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
    disk.rename(&dir.join(NAME), &dir.join(DELETED))
}

/// Whether the collection of a folder was deleted.
pub fn is_marked_deleted(dir: &Path) -> bool {
    dir.join(DELETED).exists() && !dir.join(NAME).exists()
}
