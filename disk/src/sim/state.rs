//! The simulated disk behind its lock: which calls may go on (power, faults,
//! room), which file each call is about, and the cut.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Op;
use super::content::{self, Content};
use super::names::Names;
use crate::real;

/// A file, whatever its names are.
pub(super) type Id = u64;

#[derive(Debug)]
pub(super) struct State {
    root: PathBuf,
    rng: StdRng,
    /// Raised by each cut; a handle of another life is dead.
    life: u64,
    powered: bool,
    changes_left: Option<u64>,
    free: Option<u64>,
    forget_sync: bool,
    faults: BTreeMap<Op, VecDeque<io::ErrorKind>>,
    left_alone: Vec<PathBuf>,
    names: Names,
    /// Renames of folders that are not durable: from, to.
    moved: Vec<(PathBuf, PathBuf)>,
    files: BTreeMap<Id, Content>,
    next_id: Id,
}

/// A root may be reached by a symbolic link (`/tmp` on macOS): the names below
/// it are kept as the link's target has them.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (fs::canonicalize(real::folder_of(&path)), path.file_name()) {
        (Ok(folder), Some(name)) => Ok(folder.join(name)),
        _ => Ok(path),
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power was cut")
}

impl State {
    pub(super) fn new(root: PathBuf, seed: u64) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let root = fs::canonicalize(root)?;
        let mut state = Self {
            root,
            rng: StdRng::seed_from_u64(seed),
            life: 0,
            powered: true,
            changes_left: None,
            free: None,
            forget_sync: false,
            faults: BTreeMap::new(),
            left_alone: Vec::new(),
            names: Names::default(),
            moved: Vec::new(),
            files: BTreeMap::new(),
            next_id: 0,
        };
        state.all_is_durable()?;
        Ok(state)
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn free(&self) -> Option<u64> {
        self.free
    }

    pub(super) fn set_free(&mut self, bytes: u64) {
        self.free = Some(bytes);
    }

    pub(super) fn lose_power_after(&mut self, changes: u64) {
        self.changes_left = Some(changes);
    }

    pub(super) fn leave_alone(&mut self, dir: &Path) -> io::Result<()> {
        self.left_alone.push(resolve(dir)?);
        Ok(())
    }

    pub(super) fn fail_next(&mut self, op: Op, kind: io::ErrorKind) {
        self.faults.entry(op).or_default().push_back(kind);
    }

    pub(super) fn forget_sync(&mut self, forget: bool) {
        self.forget_sync = forget;
    }

    /// Whether there is power, and the handle is of this life.
    pub(super) fn alive(&self, life: Option<u64>) -> io::Result<()> {
        if self.powered && life.is_none_or(|life| life == self.life) {
            Ok(())
        } else {
            Err(no_power())
        }
    }

    /// Whether a call may go on.
    pub(super) fn begin(&mut self, op: Op, life: Option<u64>) -> io::Result<()> {
        self.alive(life)?;
        if op.changes()
            && let Some(left) = self.changes_left
        {
            let Some(left) = left.checked_sub(1) else {
                self.powered = false;
                return Err(no_power());
            };
            self.changes_left = Some(left);
        }
        match self.faults.get_mut(&op).and_then(VecDeque::pop_front) {
            Some(kind) => Err(io::Error::new(kind, "a fault that the test asked for")),
            None => Ok(()),
        }
    }

    /// The path as the key of a name; `None` below a folder that is left alone.
    fn key(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let path = resolve(path)?;
        if !path.starts_with(&self.root) {
            let (path, root) = (path.display(), self.root.display());
            let text = format!("{path} is not on the simulated disk, which is {root}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let alone = self.left_alone.iter().any(|dir| path.starts_with(dir));
        Ok((!alone).then_some(path))
    }

    fn add(&mut self, content: Content) -> Id {
        self.next_id += 1;
        self.files.insert(self.next_id, content);
        self.next_id
    }

    /// The file behind a path, if there is one: as known, or, where another
    /// library made or replaced it, as new and not durable.
    fn known(&mut self, path: &Path) -> io::Result<Option<Id>> {
        let actual = match fs::metadata(path) {
            Ok(actual) => actual,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.names.forget(path);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if !actual.is_file() {
            let text = format!("{} is a folder; only files are simulated", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if let Some(id) = self.names.get(path)
            && let Some(content) = self.files.get(&id)
        {
            let ours = content.file().metadata()?;
            if (ours.dev(), ours.ino()) == (actual.dev(), actual.ino()) {
                return Ok(Some(id));
            }
        }
        let id = self.add(Content::foreign(real::open(path)?)?);
        self.names.create(path.to_owned(), id);
        Ok(Some(id))
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<(Option<Id>, Arc<fs::File>)> {
        let Some(key) = self.key(path)? else {
            return Ok((None, Arc::new(real::open(path)?)));
        };
        let id = if let Some(id) = self.known(&key)? {
            id
        } else {
            let id = self.add(Content::foreign(real::open(&key)?)?);
            self.names.create(key, id);
            id
        };
        let content = self.files.get(&id).ok_or_else(no_power)?;
        Ok((Some(id), Arc::clone(content.file())))
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        match (self.key(from)?, self.key(to)?) {
            (Some(from), Some(to)) if from.is_dir() => {
                if real::folder_of(&from) != real::folder_of(&to) {
                    let text = "a folder is renamed within its folder only";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
                fs::rename(&from, &to)?;
                self.names.move_folder(&from, &to);
                self.moved.push((from, to));
            }
            (Some(from), Some(to)) => {
                self.known(&from)?;
                self.known(&to)?;
                fs::rename(&from, &to)?;
                if let Some(replaced) = self.names.rename(&from, &to) {
                    self.give_back(replaced);
                }
            }
            (None, None) => fs::rename(from, to)?,
            _ => {
                let text = "a rename into or out of a folder that is left alone";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let Some(key) = self.key(path)? else {
            return fs::remove_file(path);
        };
        let id = self.known(&key)?;
        fs::remove_file(&key)?;
        self.names.remove(&key);
        if let Some(id) = id {
            self.give_back(id);
        }
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        let Some(key) = self.key(dir)? else {
            return fs::remove_dir_all(dir);
        };
        fs::remove_dir_all(&key)?;
        for id in self.names.forget_below(&key) {
            self.give_back(id);
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let paths = real::list(dir)?;
        let Some(dir) = self.key(&fs::canonicalize(dir)?)? else {
            return Ok(());
        };
        if self.forget_sync {
            return Ok(());
        }
        for path in paths {
            if fs::symlink_metadata(&path)?.is_file()
                && let Some(key) = self.key(&path)?
            {
                self.known(&key)?;
            }
        }
        self.moved.retain(|(_, to)| real::folder_of(to) != dir);
        self.names.synced(&dir);
        let reachable = self.names.reachable();
        self.files.retain(|id, _| reachable.contains(id));
        Ok(())
    }

    pub(super) fn sync_file(&mut self, path: &Path, begun: io::Result<()>) -> io::Result<()> {
        let Some(key) = self.key(path)? else {
            return begun;
        };
        let id = self.known(&key)?.ok_or(io::ErrorKind::NotFound)?;
        self.sync_data(Some(id), begun)
    }

    /// `begun` is whether the sync may go on: a failed one is an event too.
    pub(super) fn sync_data(&mut self, id: Option<Id>, begun: io::Result<()>) -> io::Result<()> {
        if self.forget_sync {
            return begun;
        }
        let content = id.and_then(|id| self.files.get_mut(&id));
        match (content, &begun) {
            (Some(content), Ok(())) => content.synced()?,
            (Some(content), Err(_)) if self.powered => content.sync_failed()?,
            _ => {}
        }
        begun
    }

    pub(super) fn write_at(
        &mut self,
        id: Option<Id>,
        file: &fs::File,
        bytes: &[u8],
        offset: u64,
        begun: io::Result<()>,
    ) -> io::Result<()> {
        if begun.is_err() && !self.powered {
            return begun;
        }
        let Some(content) = id.and_then(|id| self.files.get_mut(&id)) else {
            begun?;
            return file.write_all_at(bytes, offset);
        };
        if begun.is_err() {
            let part = self.rng.random_range(0..=bytes.len());
            content.write_at(&bytes[..part], offset)?;
            return begun;
        }
        let end = offset + bytes.len() as u64;
        let wanted = end.saturating_sub(content.allocated());
        let free = self.free.unwrap_or(u64::MAX);
        if wanted <= free {
            content.write_at(bytes, offset)?;
            self.free = self.free.map(|free| free - wanted);
            return Ok(());
        }
        // What fits is written, as by an operating system.
        let fits = (content.allocated().saturating_add(free)).saturating_sub(offset);
        let part = usize::try_from(fits).map_or(bytes.len(), |fits| fits.min(bytes.len()));
        content.write_at(&bytes[..part], offset)?;
        if part > 0 {
            self.free = Some(0);
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    pub(super) fn set_len(&mut self, id: Option<Id>, file: &fs::File, len: u64) -> io::Result<()> {
        let Some(content) = id.and_then(|id| self.files.get_mut(&id)) else {
            return file.set_len(len);
        };
        let before = content.allocated();
        content.set_len(len)?;
        let returned = before - content.allocated();
        self.free = self.free.map(|free| free.saturating_add(returned));
        Ok(())
    }

    pub(super) fn allocate(&mut self, id: Option<Id>, file: &fs::File, len: u64) -> io::Result<()> {
        let Some(content) = id.and_then(|id| self.files.get_mut(&id)) else {
            let longer = file.metadata()?.len().max(len);
            return file.set_len(longer);
        };
        let wanted = len.saturating_sub(content.allocated());
        if wanted > self.free.unwrap_or(u64::MAX) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.allocate(len)?;
        self.free = self.free.map(|free| free - wanted);
        Ok(())
    }

    /// A file lost its name, and the disk has its room back.
    fn give_back(&mut self, id: Id) {
        if let Some(content) = self.files.get_mut(&id) {
            let returned = content.allocated();
            content.set_allocated(0);
            self.free = self.free.map(|free| free.saturating_add(returned));
        }
    }

    /// All files below the root that are not in a folder left alone, sorted.
    fn walk(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            if self.left_alone.contains(&folder) {
                continue;
            }
            for path in real::list(&folder)? {
                let kind = fs::symlink_metadata(&path)?.file_type();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Some of the last renames of folders are taken back.
    fn lose_moves(&mut self) -> io::Result<()> {
        let kept = self.rng.random_range(0..=self.moved.len());
        for (from, to) in self.moved.split_off(kept).into_iter().rev() {
            // What was removed meanwhile does not come back.
            if to.exists() {
                fs::rename(&to, &from)?;
                self.names.move_folder(&to, &from);
            }
        }
        self.moved.clear();
        Ok(())
    }

    /// What is there now is what the platter has.
    fn all_is_durable(&mut self) -> io::Result<()> {
        self.names = Names::default();
        self.files.clear();
        for path in self.walk()? {
            let id = self.add(Content::durable(real::open(&path)?)?);
            self.names.insert(path, id);
        }
        Ok(())
    }

    pub(super) fn cut_power(&mut self) -> io::Result<()> {
        if !self.moved.is_empty() {
            self.lose_moves()?;
        }
        for path in self.walk()? {
            self.known(&path)?;
        }
        let gone: Vec<PathBuf> = self
            .names
            .iter()
            .map(|(path, _)| path.to_owned())
            .filter(|path| !path.exists())
            .collect();
        for path in gone {
            self.names.forget(&path);
        }
        let left = self.names.survive(&mut self.rng);
        // The copies are made from open files, so the order in which names
        // are taken away and given does not matter.
        for (path, _) in self.names.iter() {
            if !left.contains_key(path) {
                fs::remove_file(path)?;
            }
        }
        for (path, id) in &left {
            let content = self.files.get_mut(id).ok_or_else(no_power)?;
            if content.unsynced()? || self.names.get(path) != Some(*id) {
                // Not by a rename over it: some file systems then write the
                // copy to the disk at once, which takes most of a test's time.
                if path.exists() {
                    fs::remove_file(path)?;
                }
                content::fill(&real::open(path)?, &content.survive(&mut self.rng)?)?;
            }
        }
        self.all_is_durable()?;
        self.life += 1;
        self.powered = true;
        self.changes_left = None;
        self.faults.clear();
        Ok(())
    }
}
