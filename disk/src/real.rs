//! The operating system's file system: what the traits promise, in terms of
//! `std::fs`, and of `rustix` where the standard library has no word for it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Disk, File};

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// The folder that holds a path's name; a bare name is in the current folder.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// What is in a folder: full paths, sorted.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Opens to read and write; created if absent, never truncated.
pub(crate) fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut unnamed: Vec<&Path> = dir
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        fs::create_dir_all(dir)?;
        // The folder itself, even if it was there: whoever made it may have
        // been killed between making it and syncing its name.
        if unnamed.is_empty() {
            unnamed.push(dir);
        }
        for path in unnamed.iter().rev() {
            self.sync_dir(folder_of(path))?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        // Not `open`: a file that is not there must be an error, not an empty
        // file that is now durable.
        fs::File::open(path)?.sync_all()
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// An open file of the operating system.
#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        // fdatasync on Linux, F_FULLFSYNC on macOS (a plain fsync leaves the
        // bytes in the drive's cache there).
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match reserve(&self.0, len) {
            // NFS and a few others have no such call.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => fill(&self.0, len),
            other => other,
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn as_std(&self) -> &fs::File {
        &self.0
    }
}

#[cfg(target_os = "linux")]
fn reserve(file: &fs::File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len))?;
    Ok(())
}

/// Elsewhere there is no call that reserves, grows and never shrinks.
#[cfg(not(target_os = "linux"))]
fn reserve(_: &fs::File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reserves by writing zeros behind the end. A hole before the end stays one:
/// filling it could overwrite what another thread is writing there.
fn fill(file: &fs::File, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = file.metadata()?.len();
    while at < len {
        let step = usize::try_from(len - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_all_at(&ZEROS[..step], at)?;
        at += step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(file: &dyn File, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn opening_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        RealDisk.open(&path).unwrap().write_at(b"kept", 0).unwrap();
        let file = RealDisk.open(&path).unwrap();
        assert_eq!(bytes_of(&*file, 4), b"kept");
        assert_eq!(RealDisk.read(&path).unwrap(), b"kept");
    }

    #[test]
    fn reading_past_the_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a")).unwrap();
        file.write_at(b"abc", 0).unwrap();
        let error = file.read_at(&mut [0; 4], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn allocating_grows_and_never_shrinks() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a")).unwrap();
        file.write_at(b"abc", 0).unwrap();
        file.allocate(0).unwrap();
        file.allocate(100_000).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        assert_eq!(&bytes_of(&*file, 5), b"abc\0\0");
        file.allocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
    }

    #[test]
    fn filling_with_zeros_does_what_allocating_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = open(&dir.path().join("a")).unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        fill(&file, 70_000).unwrap();
        fill(&file, 10).unwrap();
        let bytes = fs::read(dir.path().join("a")).unwrap();
        assert_eq!(bytes.len(), 70_000);
        assert_eq!(&bytes[..3], b"abc");
        assert!(bytes[3..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_folder_is_listed_in_order_with_full_paths() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "c", "a"] {
            RealDisk.open(&dir.path().join(name)).unwrap();
        }
        let names = ["a", "b", "c"].map(|name| dir.path().join(name));
        assert_eq!(RealDisk.list(dir.path()).unwrap(), names);
    }

    #[test]
    fn names_move_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("x/y/old"), dir.path().join("x/y/new"));
        RealDisk.create_dir_all(&dir.path().join("x/y")).unwrap();
        RealDisk.create_dir_all(&dir.path().join("x/y")).unwrap();
        RealDisk.open(&old).unwrap().write_at(b"1", 0).unwrap();
        RealDisk.open(&new).unwrap().write_at(b"2", 0).unwrap();
        RealDisk.rename(&old, &new).unwrap();
        RealDisk.sync_file(&new).unwrap();
        RealDisk.sync_dir(folder_of(&new)).unwrap();
        assert!(RealDisk.sync_file(&old).is_err());
        assert_eq!(RealDisk.read(&new).unwrap(), b"1");
        RealDisk.remove(&new).unwrap();
        assert!(RealDisk.list(folder_of(&new)).unwrap().is_empty());
    }

    #[test]
    fn free_space_is_known() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RealDisk.free_space(dir.path()).unwrap() > 0);
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("a")), Path::new("."));
        assert_eq!(folder_of(Path::new("/a/b")), Path::new("/a"));
        assert_eq!(folder_of(Path::new("/")), Path::new("/"));
    }
}
