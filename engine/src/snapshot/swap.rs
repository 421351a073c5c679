//! Puts a replica that came in in the place of the one that is there, so that a
//! crash at any moment leaves one of them whole.
//!
//! ```text
//! data, data.incoming ─▶ data.old, data.incoming ─▶ data.old, data ─▶ data
//! ```
//!
//! Each arrow is durable before the next. [`settle`], when a replica is opened, goes
//! on from wherever that ended. An install that was not adopted is given up then:
//! nobody was told of it.

use super::SnapshotError;
use crate::error::{Error, Result};
use crate::rows;
use quoit_disk::Disk;
use std::ffi::OsString;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

/// Where an install puts what is to come to be at `dir`.
#[must_use]
pub fn incoming(dir: &Path) -> PathBuf {
    beside(dir, ".incoming")
}

fn old(dir: &Path) -> PathBuf {
    beside(dir, ".old")
}

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(dir);
    path.push(suffix);
    path.into()
}

/// The folder that has a path's name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Puts the finished install in the place of what is at `dir`. The engine there must
/// be closed, with all views of it: what its threads still write would else go into
/// the new one.
///
/// # Errors
/// There is no finished install, the replica is still open, or the disk failed: then
/// [`Engine::open`](crate::Engine::open) opens the old one or the new one.
pub fn adopt(disk: &dyn Disk, dir: &Path) -> std::result::Result<(), SnapshotError> {
    let (new, old) = (incoming(dir), old(dir));
    if !has(disk, &new.join("manifest"))? {
        return Err(SnapshotError::NotThere { path: new });
    }
    let store = dir.join("rows");
    if rows::is_open(&store)? {
        return Err(SnapshotError::StillOpen { path: store });
    }
    remove(disk, &old)?;
    if has(disk, dir)? {
        rename(disk, dir, &old)?;
    }
    rename(disk, &new, dir)?;
    if let Err(error) = remove(disk, &old) {
        // What was to be done is done; the next open tries again.
        tracing::warn!(%error, "a replica that was replaced could not be removed");
    }
    Ok(())
}

/// Whether a finished install waits for [`adopt`]. Opening the engine would remove it.
///
/// # Errors
/// The disk failed.
pub fn has_arrived(disk: &dyn Disk, dir: &Path) -> std::result::Result<bool, SnapshotError> {
    Ok(has(disk, &incoming(dir).join("manifest"))?)
}

/// Ends what a crash left of an [`adopt`], and removes all that is left over, but for
/// an install that is on its way. To be called before anything else is done with the
/// folder.
///
/// # Errors
/// The disk failed.
pub fn settle(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let (new, old) = (incoming(dir), old(dir));
    if is_empty(disk, dir)? {
        let is_new_whole = has(disk, &new.join("manifest"))?;
        let replica = [(&new, is_new_whole), (&old, has(disk, &old)?)];
        if let Some((replica, _)) = replica.into_iter().find(|(_, is_there)| *is_there) {
            remove(disk, dir)?;
            rename(disk, replica, dir)?;
        }
    }
    remove(disk, &old)?;
    if rows::is_open(&new.join("rows"))? {
        return Ok(());
    }
    remove(disk, &new)
}

/// Removes an install that was not finished or not adopted, if there is one.
///
/// # Errors
/// It is on its way, or the disk failed.
pub fn remove_closed(disk: &dyn Disk, dir: &Path) -> std::result::Result<(), SnapshotError> {
    let store = dir.join("rows");
    if rows::is_open(&store)? {
        return Err(SnapshotError::StillOpen { path: store });
    }
    Ok(remove(disk, dir)?)
}

/// Whether nothing is in a folder, or there is none.
fn is_empty(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    Ok(listed(disk, dir)?.is_empty())
}

fn has(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let names = listed(disk, folder_of(path))?;
    Ok(names.iter().any(|p| p.file_name() == path.file_name()))
}

fn listed(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>> {
    match disk.list(dir) {
        Err(e) if e.kind() == NotFound => Ok(Vec::new()),
        other => other.map_err(Error::file("list", dir)),
    }
}

fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<()> {
    disk.rename(from, to).map_err(Error::file("rename", from))?;
    sync(disk, to)
}

fn remove(disk: &dyn Disk, dir: &Path) -> Result<()> {
    if !has(disk, dir)? {
        return Ok(());
    }
    disk.remove_dir_all(dir)
        .map_err(Error::file("remove", dir))?;
    sync(disk, dir)
}

/// Makes a name durable, or that it is gone.
fn sync(disk: &dyn Disk, path: &Path) -> Result<()> {
    let folder = folder_of(path);
    disk.sync_dir(folder).map_err(Error::file("sync", folder))
}
