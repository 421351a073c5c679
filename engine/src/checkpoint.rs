//! What a restart needs, in an order that a power cut cannot break.
//!
//! 1. Each graph and the payload indexes, if enough came to them since they were
//!    last saved, under new names.
//! 2. The rows, and the vectors, synced.
//! 3. The manifest, renamed into place: it names the graphs and the log index
//!    from which the log is replayed.
//! 4. Only then what the former manifest named is removed.
//!
//! Graphs and indexes come before the rows: all they hold was applied by then, so
//! rows that survive a power cut are never behind them, and no slot that they
//! know is given out a second time by the replay.

use crate::engine::{Engine, Indexing};
use crate::error::{Error, Result};
use crate::index::{Graph, HnswParams, Precision, Quantizer};
use crate::saved_columns::{self, Named, SavedColumns};
use crate::slots::SlotSet;
use crate::snapshot::SPOOL;
use crate::space::Space;
use crate::{Identity, VectorParams};
use quoit_disk::Disk;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the manifest says. Its file is this as JSON in one line, and a second
/// line with the xxh3 of the first in hex, seeded by the replica's identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// All entries up to here are in the rows and vectors that were synced.
    pub applied: u64,
    /// The saved graphs, one for each of the collection's vectors that has one.
    pub graphs: Vec<Option<SavedGraph>>,
    /// The saved payload indexes.
    pub columns: Option<Named>,
}

impl Manifest {
    /// The number of the next file.
    pub fn next_file(&self) -> u64 {
        let graphs = self.graphs.iter().flatten().map(|g| g.number);
        let numbers = graphs.chain(self.columns.iter().map(|c| c.number));
        numbers.max().unwrap_or(0) + 1
    }
}

/// A graph's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedGraph {
    pub(crate) number: u64,
    m: usize,
    precision: Precision,
    quantizer: Option<Quantizer>,
    pub(crate) graph_hash: u64,
    pub(crate) slots_hash: u64,
}

/// The state of checkpoints in a running engine.
#[derive(Default)]
pub struct Saved {
    /// All entries up to here are in it.
    pub(crate) applied: u64,
    /// The keeper's note as of then; `None` before this process made one.
    pub(crate) note: Option<Vec<u8>>,
    /// For each of the collection's vectors the graph that the manifest names,
    /// and its slots.
    pub(crate) graphs: Vec<(Option<SavedGraph>, SlotSet)>,
    /// The payload indexes that the manifest names.
    pub(crate) columns: Option<Named>,
    /// Slots of all segments of which they may know a slot. Were it given out again for
    /// a vector that reclaim moves, they would take it for the former one after a restart.
    pub(crate) in_columns: SlotSet,
    /// How many checkpoints this process has made.
    pub(crate) made: u64,
    /// The number of the next file to be saved. Never one that was tried
    /// before: a checkpoint that failed late may have left a manifest that
    /// names it.
    pub(crate) next_file: u64,
}

impl Saved {
    fn take_number(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        number
    }

    /// How many slots of a segment what is saved has.
    pub(crate) fn len_of_segment(&self, number: u32) -> u32 {
        let slots = self.graphs.iter().map(|(_, slots)| slots);
        let slots = slots.chain([&self.in_columns]);
        slots.map(|slots| slots.len_of_segment(number)).sum()
    }
}

/// When a checkpoint saves a graph too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveGraph {
    /// If a good part of it is new: what is not saved is indexed again after a
    /// restart, which must stay cheap.
    IfMuchIsNew,
    /// If anything in it is new: before a planned stop.
    IfAnythingIsNew,
}

impl Engine {
    /// Up to where the last checkpoint that was made since the opening is, and
    /// the note that was kept with that index.
    #[must_use]
    pub fn checkpointed(&self) -> Option<(u64, Vec<u8>)> {
        let indexing = self.indexing.lock();
        let note = indexing.saved.note.clone()?;
        Some((indexing.saved.applied, note))
    }

    /// Makes all that is applied durable; the log may be cut before the answer,
    /// an index.
    ///
    /// # Errors
    /// The disk failed. The last checkpoint stays as it was. After a sync that
    /// failed no later one is believed: the replica must be opened anew, and
    /// the log replayed.
    pub fn checkpoint(&self, save: SaveGraph) -> Result<u64> {
        // No vector comes into the graph while it is written.
        let mut indexing = self.indexing.lock();
        indexing.check_syncs(&self.dir)?;
        let present = |space: &Space| (space.graph.clone(), space.in_graph.clone());
        let present: Vec<_> = self.writer.lock().spaces.iter().map(present).collect();
        let mut graphs = indexing.saved.graphs.clone();
        let of_names = self.params.vectors.iter().zip(present).zip(&mut graphs);
        for ((params, (graph, in_graph)), saved) in of_names {
            if let Some(graph) = graph
                && worth_saving(save, &indexing, &saved.1, &in_graph)
                && self.has_room_for(&graph)?
            {
                let number = indexing.saved.take_number();
                let named = self.save_graph(number, params, &graph, &in_graph)?;
                *saved = (Some(named), in_graph);
            }
        }
        let (columns, in_columns, changes) = self.save_columns(save, &mut indexing)?;
        let (applied, note, dirty) = {
            let mut writer = self.writer.lock();
            let note = self.rows.note()?;
            (writer.applied, note, writer.vectors.take_dirty())
        };
        indexing.sync_all(&dirty)?;
        self.rows.persist()?;
        let manifest = Manifest {
            applied,
            graphs: graphs.iter().map(|(named, _)| named.clone()).collect(),
            columns: columns.clone(),
        };
        write_manifest(&*self.disk, &self.dir, self.identity, &manifest)?;
        indexing.saved.graphs = graphs;
        indexing.saved.columns = columns;
        indexing.saved.in_columns = in_columns;
        self.writer.lock().payload_indexes.note_saved(changes);
        indexing.saved.applied = applied;
        indexing.saved.note = Some(note);
        indexing.saved.made += 1;
        if let Err(error) = remove_unnamed(&*self.disk, &self.dir, &manifest) {
            // The checkpoint is made; what stays is removed by the next one.
            tracing::warn!(%error, "a file of a former checkpoint could not be removed");
        }
        Ok(applied)
    }

    /// The payload indexes that the next manifest is to name, the slots that they may
    /// know, and how many of their changes are in them that are not in those saved before.
    fn save_columns(
        &self,
        save: SaveGraph,
        indexing: &mut Indexing,
    ) -> Result<(Option<Named>, SlotSet, u64)> {
        let is_waited_for = indexing.waiting_for(&indexing.saved.in_columns).count() > 0;
        let saved = &mut indexing.saved;
        let as_before = (saved.columns.clone(), saved.in_columns.clone(), 0);
        let (columns, in_columns, changes) = {
            let writer = self.writer.lock();
            let indexes = &writer.payload_indexes;
            if !indexes.indexes_any() {
                return Ok((None, SlotSet::default(), indexes.unsaved()));
            }
            let much = match save {
                SaveGraph::IfAnythingIsNew => 1,
                SaveGraph::IfMuchIsNew => 1000.max(writer.visible.len() / 8),
            };
            if indexes.unsaved() < much && !is_waited_for {
                return Ok(as_before);
            }
            let count = self.params.vnodes;
            let columns = SavedColumns::new(indexes.columns(), count, &writer.vnodes);
            (columns, writer.visible.clone(), indexes.unsaved())
        };
        let (free, needed) = (self.free_space()?, columns.bytes());
        if free < needed {
            tracing::warn!(
                free,
                needed,
                "no room to save the payload indexes: what the saved ones lack is indexed again after a restart"
            );
            return Ok(as_before);
        }
        let named = columns.write(&*self.disk, &self.dir, saved.take_number())?;
        Ok((Some(named), in_columns, changes))
    }

    /// Without room for the graph the checkpoint is made all the same: it lets
    /// the log be cut, which makes room.
    fn has_room_for(&self, graph: &Graph) -> Result<bool> {
        let (free, needed) = (self.free_space()?, graph.saved_bytes());
        if free < needed {
            tracing::warn!(
                free,
                needed,
                "no room to save the graph: what the saved one lacks is indexed again after a restart"
            );
        }
        Ok(free >= needed)
    }

    fn save_graph(
        &self,
        number: u64,
        params: &VectorParams,
        graph: &Graph,
        slots: &SlotSet,
    ) -> Result<SavedGraph> {
        let (graph_path, slots_path) = graph_paths(&self.dir, number);
        graph.save(&graph_path)?;
        self.disk
            .sync_file(&graph_path)
            .map_err(Error::file("sync", &graph_path))?;
        let bytes = slots.to_bytes();
        write_whole(&*self.disk, &slots_path, &bytes)?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::file("sync", &self.dir))?;
        let params = params.index.unwrap_or_default();
        Ok(SavedGraph {
            number,
            m: params.m,
            precision: params.precision,
            quantizer: graph.quantizer(),
            graph_hash: hash_file(&*self.disk, &graph_path)?,
            slots_hash: xxhash_rust::xxh3::xxh3_64(&bytes),
        })
    }
}

fn worth_saving(save: SaveGraph, indexing: &Indexing, saved: &SlotSet, in_graph: &SlotSet) -> bool {
    // A segment that waits for nothing but the saved graph.
    let only_saved = |number: u32| in_graph.len_of_segment(number) == 0;
    if indexing.waiting_for(saved).any(only_saved) {
        return true;
    }
    // After a rebuild the graph may be as large as before and still another one.
    let came = in_graph.difference(saved).len();
    let gone = saved.difference(in_graph).len();
    let enough = match save {
        SaveGraph::IfAnythingIsNew => 1,
        SaveGraph::IfMuchIsNew => 1000.max(saved.len() / 8),
    };
    came + gone >= enough
}

/// Reads the manifest; `None` where there is none yet.
///
/// # Errors
/// It cannot be read or is damaged.
pub fn read_manifest(disk: &dyn Disk, dir: &Path, identity: Identity) -> Result<Option<Manifest>> {
    let path = dir.join("manifest");
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::file("read", path)(e)),
    };
    unsealed(&bytes, identity.0).map(Some).ok_or_else(|| {
        let what = "its checksum does not fit its content, or it is another replica's";
        Error::damaged(path, what)
    })
}

/// A value as JSON in one line, and a second line with the xxh3 of the first in hex.
///
/// # Errors
/// It cannot be written as JSON.
pub fn sealed(value: &impl Serialize, seed: u64) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(json.as_bytes(), seed);
    Ok(format!("{json}\n{hash:016x}\n"))
}

/// The value of such lines; `None` if they are cut, changed, or of another seed.
#[must_use]
pub fn unsealed<T: DeserializeOwned>(bytes: &[u8], seed: u64) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (json, hash) = text.trim_end().split_once('\n')?;
    let expected = xxhash_rust::xxh3::xxh3_64_with_seed(json.as_bytes(), seed);
    let fits = format!("{expected:016x}") == hash;
    fits.then(|| serde_json::from_str(json).ok()).flatten()
}

/// Puts a manifest in the place of the former one.
///
/// # Errors
/// The disk failed.
pub fn write_manifest(
    disk: &dyn Disk,
    dir: &Path,
    identity: Identity,
    manifest: &Manifest,
) -> Result<()> {
    let path = dir.join("manifest");
    let text = sealed(manifest, identity.0)
        .map_err(|e| Error::file("encode", &path)(std::io::Error::other(e)))?;
    let new = dir.join("manifest.new");
    write_whole(disk, &new, text.as_bytes())?;
    disk.rename(&new, &path)
        .map_err(Error::file("rename", &new))?;
    disk.sync_dir(dir).map_err(Error::file("sync", dir))
}

/// Writes a file and syncs it.
///
/// # Errors
/// The disk failed.
pub fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = disk.open(path).map_err(Error::file("open", path))?;
    // One of a checkpoint that was cut short may be longer.
    file.set_len(0).map_err(Error::file("empty", path))?;
    file.write_at(bytes, 0)
        .map_err(Error::file("write", path))?;
    file.sync_data().map_err(Error::file("sync", path))
}

/// Loads the graph that a manifest names, with its slots; `None` where there is
/// none that fits the collection's parameters.
///
/// # Errors
/// A file is damaged.
pub fn load_graph(
    disk: &dyn Disk,
    dir: &Path,
    params: &VectorParams,
    saved: &SavedGraph,
) -> Result<Option<(Arc<Graph>, SlotSet)>> {
    let fits = |p: HnswParams| p.m == saved.m && p.precision == saved.precision;
    let Some(hnsw) = params.index.filter(|p| fits(*p)) else {
        return Ok(None);
    };
    let (graph_path, slots_path) = graph_paths(dir, saved.number);
    let there = disk.list(dir).map_err(Error::file("list", dir))?;
    for path in [&graph_path, &slots_path] {
        if !there.contains(path) {
            return Err(Error::damaged(
                path,
                "the manifest names it and it is missing",
            ));
        }
    }
    if hash_file(disk, &graph_path)? != saved.graph_hash {
        return Err(Error::damaged(
            graph_path,
            "its checksum is not the manifest's",
        ));
    }
    let bytes = disk
        .read(&slots_path)
        .map_err(Error::file("read", &slots_path))?;
    let slots = SlotSet::from_bytes(&bytes)
        .filter(|_| xxhash_rust::xxh3::xxh3_64(&bytes) == saved.slots_hash)
        .ok_or_else(|| Error::damaged(slots_path, "its checksum is not the manifest's"))?;
    let graph = Graph::load(
        &graph_path,
        params.metric,
        params.dimension,
        hnsw,
        saved.quantizer,
    )?;
    if (graph.len() as u64) < slots.len() {
        let what = format!(
            "{} vectors, and {} slots beside it",
            graph.len(),
            slots.len()
        );
        return Err(Error::damaged(graph_path, what));
    }
    Ok(Some((Arc::new(graph), slots)))
}

/// Removes what a checkpoint wrote and no manifest came to name, and what an
/// export left that was killed.
///
/// # Errors
/// The folder cannot be read or changed.
pub fn remove_unnamed(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> Result<()> {
    let named = manifest.graphs.iter().flatten();
    let named = named.map(|g| graph_paths(dir, g.number));
    let columns = manifest.columns.iter();
    let columns = columns.map(|c| saved_columns::path(dir, c.number));
    let keep: Vec<PathBuf> = named.flat_map(|(a, b)| [a, b]).chain(columns).collect();
    for path in disk.list(dir).map_err(Error::file("list", dir))? {
        let is_saved = path
            .extension()
            .is_some_and(|e| ["graph", "slots", "columns", SPOOL].iter().any(|s| e == *s));
        if is_saved && !keep.contains(&path) {
            disk.remove(&path).map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}

/// Where the graph and the slots of a number are.
pub fn graph_paths(dir: &Path, number: u64) -> (PathBuf, PathBuf) {
    (
        dir.join(format!("{number:08}.graph")),
        dir.join(format!("{number:08}.slots")),
    )
}

fn hash_file(disk: &dyn Disk, path: &Path) -> Result<u64> {
    let file = disk.open(path).map_err(Error::file("open", path))?;
    let len = file.len().map_err(Error::file("measure", path))?;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let part = usize::try_from(len - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        file.read_at(&mut buffer[..part], at)
            .map_err(Error::file("read", path))?;
        hasher.update(&buffer[..part]);
        at += part as u64;
    }
    Ok(hasher.digest())
}
