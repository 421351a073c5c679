//! Small files that are read and written as a whole: JSON for people, and a last
//! line with the xxh3 of what is before it, in hex. A new one takes the place of
//! an old one at once, so that a power cut leaves one of the two.

use quoit_disk::Disk;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// What is kept in such a file.
pub trait Sealed: Serialize + DeserializeOwned {
    /// What the file is called.
    const NAME: &str;
    /// The layout that this version reads and writes.
    const FORMAT: u32;
    /// The layout that it is of.
    fn format(&self) -> u32;
}

/// Why such a file could not be read or written.
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
    /// It is what was written, and not what it should be.
    #[error("{} does not decode; restore it from a copy", path.display())]
    Decode {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("{} is of format {format}, and this version of quoit knows format {known}: use the version that wrote it", path.display())]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The one that this version knows.
        known: u32,
    },
}

impl Error {
    /// Whether the disk has no room.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// Reads a folder's file; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub fn read<T: Sealed>(disk: &dyn Disk, dir: &Path) -> Result<Option<T>, Error> {
    let path = dir.join(T::NAME);
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let Some(json) = checked(&bytes) else {
        return Err(Error::Damaged { path });
    };
    let read: T = serde_json::from_str(json).map_err(|source| Error::Decode {
        path: path.clone(),
        source,
    })?;
    if read.format() == T::FORMAT {
        Ok(Some(read))
    } else {
        Err(Error::Newer {
            path,
            format: read.format(),
            known: T::FORMAT,
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

/// Replaces a folder's file, as a whole or not at all.
///
/// # Errors
/// It was not replaced, or may not have been.
pub fn write<T: Sealed>(disk: &dyn Disk, dir: &Path, what: &T) -> Result<(), Error> {
    let path = dir.join(T::NAME);
    let write = || {
        let json = serde_json::to_string_pretty(what).map_err(io::Error::other)?;
        let text = format!("{json}\n{}\n", checksum(&json));
        // What is left of one that is being written is not taken for one.
        let new = dir.join(format!("{}.new", T::NAME));
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
