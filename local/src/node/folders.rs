//! The data directory: that one process at a time uses it, and what each entry
//! in its folder of collections is. Whatever is not known is left alone or
//! refused, never taken for empty.
//!
//! ```text
//! .new-UID        a collection that is being made; nobody was told of it: removed
//! UID             a collection; without a record its data is lost: refused
//! .deleted-UID    a deleted collection's folder: removed
//! ```

use super::record::{self, Record};
use super::sealed;
use super::{Error, directory};
use quoit_disk::Disk;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Takes the directory for this process; the lock is held as long as the file is.
///
/// # Errors
/// Another process has it, or it cannot be locked.
pub fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(directory("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(directory("lock", &path)(e)),
    }
}

/// A collection's folder.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub record: Record,
}

/// What the name of a folder starts with that is not a collection's yet.
const BEGUN: &str = ".new-";

/// What the name of a deleted collection's folder starts with.
const DELETED: &str = ".deleted-";

/// Makes a collection's folder, with its record: both are there, or neither.
///
/// # Errors
/// It cannot be made. What is left of it is no collection's folder.
pub fn make(disk: &dyn Disk, dir: &Path, record: &Record) -> Result<(), sealed::Error> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let begun = dir.with_file_name(format!("{BEGUN}{name}"));
    let written = |source| sealed::Error::Write {
        path: dir.to_owned(),
        source,
    };
    let made = disk.create_dir_all(&begun).map_err(written);
    let made = made.and_then(|()| sealed::write(disk, &begun, record));
    let made = made.and_then(|()| {
        let collections = dir.parent().unwrap_or(Path::new("."));
        let named = disk.rename(&begun, dir);
        named
            .and_then(|()| disk.sync_dir(collections))
            .map_err(written)
    });
    if made.is_err() {
        // If it stays, the next start removes it.
        let _ = remove(&begun);
    }
    made
}

/// What an entry of the folder of collections is: a collection's folder, or
/// nothing that is to be opened.
///
/// # Errors
/// It may be a collection's folder, and which is not known.
pub fn look_into(disk: &dyn Disk, path: PathBuf) -> Result<Option<Folder>, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(BEGUN) {
        if let Err(error) = remove(&path) {
            tracing::warn!(path = %path.display(), %error, "what was only begun could not be removed");
        }
        return Ok(None);
    }
    if name.starts_with(DELETED) || record::is_marked_deleted(&path) {
        if let Err(error) = remove_deleted(&path) {
            tracing::warn!(path = %path.display(), %error, "a deleted collection's files could not all be removed");
        }
        return Ok(None);
    }
    if !path.is_dir() {
        tracing::warn!(path = %path.display(), "not a collection's folder: left alone");
        return Ok(None);
    }
    let record: Option<Record> = sealed::read(disk, &path).map_err(|source| Error::Open {
        name: name.clone().into_owned(),
        source: source.into(),
    })?;
    let Some(record) = record else {
        return Err(Error::NoRecord { path });
    };
    if name == record.uid.to_string() {
        Ok(Some(Folder { path, record }))
    } else {
        let uid = record.uid;
        Err(Error::Misnamed { path, uid })
    }
}

/// Removes a deleted collection's folder. It is renamed first: its mark may be
/// the first of it that goes, and what is left would be no collection's.
pub fn remove_deleted(dir: &Path) -> io::Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(DELETED) {
        return remove(dir);
    }
    let gone = dir.with_file_name(format!("{DELETED}{name}"));
    std::fs::rename(dir, &gone)?;
    remove(&gone)
}

/// Removes a folder with all that is in it.
pub fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
