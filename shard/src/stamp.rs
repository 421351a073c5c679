//! Whose data a folder holds. A shard that is started on another's folder, or
//! on an emptied one, must not take it for its own: it would serve what is not
//! its own, or serve as empty what is merely lost.

use quoit_disk::Disk;
use quoit_ring::ShardId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The identity of a shard's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The collection's uid.
    pub collection: Uuid,
    /// The shard.
    pub shard: ShardId,
    /// The layout of the folder.
    pub format: u32,
}

/// The layout that this version writes.
pub const FORMAT: u32 = 1;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The stamp cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The stamp's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The stamp cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The stamp's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The stamp is not one.
    #[error("{} is damaged; restore the folder from a copy", path.display())]
    Damaged {
        /// The stamp's file.
        path: PathBuf,
        /// Why it does not decode.
        source: serde_json::Error,
    },
    /// The folder is another's.
    #[error("{} belongs to shard {} of collection {}, not to shard {} of {}: check the data directory", path.display(), found.shard, found.collection, expected.shard, expected.collection)]
    Foreign {
        /// The stamp's file.
        path: PathBuf,
        /// Whose it is.
        found: Box<Stamp>,
        /// Who asked.
        expected: Box<Stamp>,
    },
    /// A shard that was founded before has no data.
    #[error("{} is not there, and this shard had data: it is not empty but lost; restore the folder from a copy", path.display())]
    Lost {
        /// The stamp's file.
        path: PathBuf,
    },
}

/// Checks a folder's stamp, or sets it where the shard is `new`.
///
/// # Errors
/// The folder is another's, its data is lost, or it cannot be read or written.
pub fn check(disk: &dyn Disk, dir: &Path, expected: &Stamp, new: bool) -> Result<(), StampError> {
    let path = dir.join("stamp.json");
    match disk.read(&path) {
        Ok(bytes) => {
            let found: Stamp =
                serde_json::from_slice(&bytes).map_err(|source| StampError::Damaged {
                    path: path.clone(),
                    source,
                })?;
            if found == *expected {
                return Ok(());
            }
            Err(StampError::Foreign {
                path,
                found: Box::new(found),
                expected: Box::new(expected.clone()),
            })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && new => {
            set(disk, dir, &path, expected).map_err(|source| StampError::Write { path, source })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StampError::Lost { path }),
        Err(source) => Err(StampError::Read { path, source }),
    }
}

fn set(disk: &dyn Disk, dir: &Path, path: &Path, stamp: &Stamp) -> io::Result<()> {
    let bytes = serde_json::to_vec(stamp).map_err(io::Error::other)?;
    disk.create_dir_all(dir)?;
    let new = dir.join("stamp.new");
    let file = disk.open(&new)?;
    file.set_len(0)?;
    file.write_at(&bytes, 0)?;
    file.sync_data()?;
    disk.rename(&new, path)?;
    disk.sync_dir(dir)
}
