//! A disk of which the n-th call of one kind from now on fails, once.

use quoit_disk::{Disk, File, SimDisk};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub struct Faulty {
    pub disk: SimDisk,
    sync_dirs: AtomicI64,
}

impl Faulty {
    pub fn new(disk: SimDisk) -> Self {
        Self {
            disk,
            sync_dirs: AtomicI64::new(-1),
        }
    }

    /// The sync of a folder after `nth` others fails.
    pub fn fail_sync_dir(&self, nth: i64) {
        self.sync_dirs.store(nth, Ordering::SeqCst);
    }
}

impl Disk for Faulty {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.sync_dirs.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(io::ErrorKind::Other.into());
        }
        self.disk.sync_dir(dir)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_file(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
}
