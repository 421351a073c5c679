//! A disk that counts, holds up and fails calls by the name of the file.

use crate::support::PATIENCE;
use quoit_disk::{Disk, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What can be counted, held up and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Open,
    Sync,
    Write,
    FreeSpace,
}

/// What a call fails with.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Kind(io::ErrorKind),
    /// Too many files are open in the process.
    OutOfDescriptors,
}

impl From<io::ErrorKind> for Fault {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Kind(kind)
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Kind(kind) => kind.into(),
            Self::OutOfDescriptors => io::Error::from_raw_os_error(24),
        }
    }
}

/// A part of the path of each file of a log, which has another ending while it
/// is made.
pub const LOG: &str = "/log/";

/// A disk and what a test does to it. Clones are the same disk.
#[derive(Clone)]
pub struct Watched {
    inner: Arc<dyn Disk>,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    held: Mutex<Vec<Rule>>,
    released: Condvar,
    fails: Mutex<Vec<(Rule, Fault)>>,
    failed: AtomicU64,
    /// What is free, by a part of the path; the last that fits counts.
    free: Mutex<Vec<(String, u64)>>,
    log_syncs: AtomicU64,
    sync_takes: Mutex<Duration>,
}

type Rule = (Call, &'static str);

impl Watched {
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self {
            inner,
            rules: Arc::default(),
        }
    }

    /// Calls on files with this part in their path wait until [`Self::release`].
    pub fn hold(&self, call: Call, part: &'static str) {
        self.rules.held.lock().unwrap().push((call, part));
    }

    /// All that wait go on.
    pub fn release(&self) {
        self.rules.held.lock().unwrap().clear();
        self.rules.released.notify_all();
    }

    /// Calls on files with this part in their path fail from now on.
    pub fn fail(&self, call: Call, part: &'static str, fault: impl Into<Fault>) {
        let mut fails = self.rules.fails.lock().unwrap();
        fails.push(((call, part), fault.into()));
    }

    /// So much is free, whatever the disk below says.
    pub fn set_free(&self, bytes: u64) {
        self.set_free_of("", bytes);
    }

    /// The same, of files with this part in their path.
    pub fn set_free_of(&self, part: &str, bytes: u64) {
        self.rules
            .free
            .lock()
            .unwrap()
            .push((part.to_owned(), bytes));
    }

    /// No call fails any more.
    pub fn mend(&self) {
        self.rules.fails.lock().unwrap().clear();
    }

    /// How many calls have failed.
    pub fn failed(&self) -> u64 {
        self.rules.failed.load(Ordering::SeqCst)
    }

    /// A sync takes at least so long, as on a real disk.
    pub fn slow_down(&self, sync: Duration) {
        *self.rules.sync_takes.lock().unwrap() = sync;
    }

    /// How often a file of a log was synced.
    pub fn log_syncs(&self) -> u64 {
        self.rules.log_syncs.load(Ordering::SeqCst)
    }
}

impl Rules {
    fn meet(&self, call: Call, path: &Path) -> io::Result<()> {
        let path = path.to_string_lossy();
        let is = |rule: &Rule| rule.0 == call && path.contains(rule.1);
        let mut held = self.held.lock().unwrap();
        let begun = Instant::now();
        // Bounded, so that a test that fails in between comes to its end.
        while held.iter().any(is) && begun.elapsed() < PATIENCE {
            let waited = self.released.wait_timeout(held, PATIENCE);
            held = waited.unwrap().0;
        }
        drop(held);
        let fails = self.fails.lock().unwrap();
        match fails.iter().find(|(rule, _)| is(rule)) {
            Some((_, fault)) => {
                self.failed.fetch_add(1, Ordering::SeqCst);
                Err(fault.error())
            }
            None => Ok(()),
        }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let takes = *self.sync_takes.lock().unwrap();
        std::thread::sleep(takes);
        if path.to_string_lossy().contains(LOG) {
            self.log_syncs.fetch_add(1, Ordering::SeqCst);
        }
        self.meet(Call::Sync, path)
    }
}

impl Disk for Watched {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.rules.meet(Call::Open, path)?;
        let file = self.inner.open(path)?;
        Ok(Arc::new(WatchedFile {
            file,
            path: path.to_owned(),
            rules: self.rules.clone(),
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.inner.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.rules.sync(path)?;
        self.inner.sync_file(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.rules.meet(Call::FreeSpace, path)?;
        let free = self.rules.free.lock().unwrap();
        let is_of = |(part, _): &&(String, u64)| path.to_string_lossy().contains(part);
        if let Some((_, bytes)) = free.iter().rev().find(is_of) {
            return Ok(*bytes);
        }
        self.inner.free_space(path)
    }
}

struct WatchedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    rules: Arc<Rules>,
}

impl File for WatchedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.rules.meet(Call::Write, &self.path)?;
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.rules.sync(&self.path)?;
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn as_std(&self) -> &std::fs::File {
        self.file.as_std()
    }
}
