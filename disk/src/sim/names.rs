//! The names of files: which file each path is, the creations, renames and
//! removals that no `sync_dir` has made durable, and which of them a power cut
//! takes back. Changes of different names are independent of each other, and
//! those of one name keep their order: a rename is never there without the
//! creation before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;

use super::content::Mood;
use super::state::Id;
use crate::real::folder_of;

/// A change of names.
#[derive(Debug, Clone)]
enum Change {
    /// Another library may put a file in another's place.
    Create {
        path: PathBuf,
        replaced: Option<Id>,
    },
    Remove {
        path: PathBuf,
        id: Id,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        id: Id,
        replaced: Option<Id>,
    },
}

impl Change {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path, .. } => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    fn ids(&self) -> Vec<Id> {
        match self {
            Self::Create { replaced, .. } => replaced.iter().copied().collect(),
            Self::Remove { id, .. } => vec![*id],
            Self::Rename { id, replaced, .. } => replaced.iter().copied().chain([*id]).collect(),
        }
    }
}

#[derive(Debug)]
struct Unsynced {
    change: Change,
    /// The folders whose sync it still waits for.
    folders: BTreeSet<PathBuf>,
}

/// Paths and the files behind them. All paths are absolute.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: BTreeMap<PathBuf, Id>,
    unsynced: Vec<Unsynced>,
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Id> {
        self.ids.get(path).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, Id)> {
        self.ids.iter().map(|(path, id)| (path.as_path(), *id))
    }

    /// A name that is durable.
    pub(super) fn insert(&mut self, path: PathBuf, id: Id) {
        self.ids.insert(path, id);
    }

    /// Forgets a name that is no longer there, or no longer this file's.
    pub(super) fn forget(&mut self, path: &Path) {
        self.ids.remove(path);
    }

    pub(super) fn create(&mut self, path: PathBuf, id: Id) {
        let replaced = self.ids.insert(path.clone(), id);
        self.push(Change::Create { path, replaced });
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some(id) = self.ids.remove(path) {
            self.push(Change::Remove {
                path: path.to_owned(),
                id,
            });
        }
    }

    /// The file that lost its name to the renamed one is the answer.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Option<Id> {
        let id = self.ids.remove(from)?;
        let replaced = self.ids.insert(to.to_owned(), id);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.push(Change::Rename {
            from,
            to,
            id,
            replaced,
        });
        replaced
    }

    /// A folder has another name, and so has all in it.
    pub(super) fn move_folder(&mut self, from: &Path, to: &Path) {
        let moved = |path: &mut PathBuf| {
            if let Ok(rest) = path.strip_prefix(from) {
                *path = to.join(rest);
            }
        };
        let ids = std::mem::take(&mut self.ids).into_iter();
        self.ids = ids
            .map(|(mut path, id)| {
                moved(&mut path);
                (path, id)
            })
            .collect();
        for Unsynced { change, folders } in &mut self.unsynced {
            match change {
                Change::Create { path, .. } | Change::Remove { path, .. } => moved(path),
                Change::Rename { from, to, .. } => [from, to].into_iter().for_each(&moved),
            }
            let renamed = std::mem::take(folders).into_iter();
            *folders = renamed
                .map(|mut folder| {
                    moved(&mut folder);
                    folder
                })
                .collect();
        }
    }

    /// A folder is gone for good; these were the files in it.
    pub(super) fn forget_below(&mut self, dir: &Path) -> Vec<Id> {
        let paths = |change: &Change| change.paths().iter().any(|path| path.starts_with(dir));
        self.unsynced.retain(|unsynced| !paths(&unsynced.change));
        let gone = self.ids.extract_if(.., |path, _| path.starts_with(dir));
        gone.map(|(_, id)| id).collect()
    }

    fn push(&mut self, change: Change) {
        let folders = change
            .paths()
            .iter()
            .map(|path| folder_of(path).to_owned())
            .collect();
        self.unsynced.push(Unsynced { change, folders });
    }

    /// A folder was synced. A change that is durable makes those before it
    /// durable which touched the same names.
    pub(super) fn synced(&mut self, dir: &Path) {
        for unsynced in &mut self.unsynced {
            unsynced.folders.remove(dir);
        }
        let mut durable = BTreeSet::new();
        let mut rest = Vec::new();
        while let Some(unsynced) = self.unsynced.pop() {
            let paths = unsynced.change.paths();
            if unsynced.folders.is_empty() || paths.iter().any(|path| durable.contains(*path)) {
                durable.extend(paths.iter().map(|path| path.to_path_buf()));
            } else {
                rest.push(unsynced);
            }
        }
        rest.reverse();
        self.unsynced = rest;
    }

    /// The files that have a name, or may get one back.
    pub(super) fn reachable(&self) -> BTreeSet<Id> {
        let waiting = self
            .unsynced
            .iter()
            .flat_map(|unsynced| unsynced.change.ids());
        self.ids.values().copied().chain(waiting).collect()
    }

    /// The names that a power cut leaves.
    pub(super) fn survive(&self, rng: &mut StdRng) -> BTreeMap<PathBuf, Id> {
        let mood = Mood::draw(rng);
        let mut lost_paths: BTreeSet<&Path> = BTreeSet::new();
        let mut lost = Vec::new();
        for Unsynced { change, .. } in &self.unsynced {
            let paths = change.paths();
            let follows_lost = paths.iter().any(|path| lost_paths.contains(path));
            if follows_lost || !mood.keeps(rng) {
                lost_paths.extend(paths);
                lost.push(change);
            }
        }
        let mut ids = self.ids.clone();
        for change in lost.into_iter().rev() {
            match change {
                Change::Create {
                    path,
                    replaced: None,
                } => {
                    ids.remove(path);
                }
                Change::Create {
                    path,
                    replaced: Some(id),
                }
                | Change::Remove { path, id } => {
                    ids.insert(path.clone(), *id);
                }
                Change::Rename {
                    from,
                    to,
                    id,
                    replaced,
                } => {
                    ids.remove(to);
                    ids.insert(from.clone(), *id);
                    if let Some(replaced) = replaced {
                        ids.insert(to.clone(), *replaced);
                    }
                }
            }
        }
        ids
    }
}
