//! A disk whose power a test can cut. It works on real files below a folder,
//! so that memory maps and other libraries work on them, and remembers how to
//! undo each change that was not made durable; [`SimDisk::cut_power`] then
//! decides by seed what the platter has: of each unsynced write all, nothing,
//! a prefix or any of its sectors, in any order, as a page cache may write
//! back; of each unsynced creation, rename and removal the old name or the
//! new. The result is a function of the seed and the order of the calls.
//!
//! ```text
//!   File::write_at ─▶ the real file, and an undo record ─▶ sync_data drops the record
//!   Disk::rename   ─▶ the real name, and a record       ─▶ sync_dir drops the record
//!   cut_power      ─▶ per record a fate ─▶ changed files are replaced by copies ─▶ a new life
//! ```
//!
//! A file that changes at the cut is replaced by a copy and never cut in
//! place: a thread of the old life that still holds it, or maps it, goes on
//! with the old file and can neither harm the new one nor be killed by it.
//!
//! What is not simulated: folders that are created or removed are so durably and
//! at once, as [`Disk::create_dir_all`] promises (their renames are in order, and
//! may be lost); what another library overwrites *inside*
//! a file is not seen, only what it creates and appends; a file that it
//! writes counts as not durable until [`Disk::sync_file`], in folders not
//! named by [`SimDisk::leave_alone`].

mod content;
mod names;
mod state;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::{Id, State};

use crate::{Disk, File, real};

/// A call that [`SimDisk::fail_next`] can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// [`Disk::open`].
    Open,
    /// [`Disk::read`].
    Read,
    /// [`Disk::list`].
    List,
    /// [`Disk::create_dir_all`].
    CreateDir,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`] and [`Disk::remove_dir_all`].
    Remove,
    /// [`Disk::sync_dir`].
    SyncDir,
    /// [`Disk::sync_file`] and [`File::sync_data`]. What was to be made
    /// durable by a sync that fails may be lost at the cut, whatever later
    /// syncs answer: the kernel marks the pages clean and forgets.
    Sync,
    /// [`Disk::free_space`].
    FreeSpace,
    /// [`File::write_at`]. A prefix of the bytes, by seed, is written.
    WriteAt,
    /// [`File::read_at`].
    ReadAt,
    /// [`File::set_len`].
    SetLen,
    /// [`File::allocate`].
    Allocate,
}

impl Op {
    /// Whether the call asks the disk to change or to keep something.
    fn changes(self) -> bool {
        !matches!(
            self,
            Self::Read | Self::List | Self::FreeSpace | Self::ReadAt
        )
    }
}

/// The simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    /// The only life in which this handle works; `None`: it works in each.
    life: Option<u64>,
}

impl SimDisk {
    /// A disk of what is below `root`; all that is there is durable.
    ///
    /// # Errors
    /// When `root` cannot be created or read.
    pub fn new(root: PathBuf, seed: u64) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(root, seed)?));
        Ok(Self { state, life: None })
    }

    /// The same disk for one life: after the next cut each call on it fails.
    /// For a system under test that may leave threads behind, which would
    /// otherwise open files of the next life.
    #[must_use]
    pub fn until_cut(&self) -> Self {
        let life = Some(self.lock().life());
        Self {
            state: Arc::clone(&self.state),
            life,
        }
    }

    /// Cuts the power, and puts it back: what was not durable has met its
    /// fate, files opened before fail each call with an error, and faults
    /// that were to come are forgotten.
    ///
    /// # Errors
    /// When the real files cannot be read or replaced.
    pub fn cut_power(&self) -> io::Result<()> {
        self.lock().cut_power()
    }

    /// The power fails by itself once `changes` more calls have changed or
    /// synced something: from then on each call fails, until
    /// [`Self::cut_power`] says what is left. For a cut in the middle of a
    /// step that makes several calls.
    pub fn lose_power_after(&self, changes: u64) {
        self.lock().lose_power_after(changes);
    }

    /// Leaves a folder to itself: what is in there is never undone.
    ///
    /// # Errors
    /// When the path cannot be made absolute.
    pub fn leave_alone(&self, dir: &Path) -> io::Result<()> {
        self.lock().leave_alone(dir)
    }

    /// From now on the disk has this many bytes free: more than that cannot
    /// be written or allocated, and a file that is removed or cut gives its
    /// bytes back. `u64::MAX` is a disk without bounds.
    pub fn set_free(&self, bytes: u64) {
        self.lock().set_free(bytes);
    }

    /// The next call of this kind fails. Several of these form a queue.
    pub fn fail_next(&self, op: Op, kind: io::ErrorKind) {
        self.lock().fail_next(op, kind);
    }

    /// Whether syncs succeed and do nothing: a test that cannot fail with
    /// this proves nothing.
    pub fn forget_sync(&self, forget: bool) {
        self.lock().forget_sync(forget);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The state for one call, if there is power and no fault is due.
    fn begin(&self, op: Op) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.begin(op, self.life)?;
        Ok(state)
    }
}

/// A test that panics while it holds the lock has failed already; what runs
/// after it must not hide that behind a second panic.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.begin(Op::Open)?;
        let (id, file) = state.open(path)?;
        let life = state.life();
        let state = Arc::clone(&self.state);
        Ok(Arc::new(SimFile {
            state,
            life,
            id,
            file,
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let _state = self.begin(Op::Read)?;
        fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let _state = self.begin(Op::List)?;
        real::list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let _state = self.begin(Op::CreateDir)?;
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Op::Rename)?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.begin(Op::Remove)?.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.begin(Op::Remove)?.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.begin(Op::SyncDir)?.sync_dir(dir)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let begun = state.begin(Op::Sync, self.life);
        state.sync_file(path, begun)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        match self.begin(Op::FreeSpace)?.free() {
            Some(free) => Ok(free),
            None => real::RealDisk.free_space(path),
        }
    }
}

/// An open file; good for one life.
#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    life: u64,
    /// `None`: below a folder that is left alone.
    id: Option<Id>,
    file: Arc<fs::File>,
}

impl SimFile {
    fn begin(&self, op: Op) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        state.begin(op, Some(self.life))?;
        Ok(state)
    }
}

impl File for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let begun = state.begin(Op::WriteAt, Some(self.life));
        state.write_at(self.id, &self.file, bytes, offset, begun)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let _state = self.begin(Op::ReadAt)?;
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        let begun = state.begin(Op::Sync, Some(self.life));
        state.sync_data(self.id, begun)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.begin(Op::SetLen)?.set_len(self.id, &self.file, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.begin(Op::Allocate)?.allocate(self.id, &self.file, len)
    }

    fn len(&self) -> io::Result<u64> {
        lock(&self.state).alive(Some(self.life))?;
        Ok(self.file.metadata()?.len())
    }

    fn as_std(&self) -> &fs::File {
        &self.file
    }
}
