//! Gives a replica away: pins what it has at one applied index, and reads any range
//! of it, again and again.
//!
//! What is pinned is pinned for as long as the export lives, and no longer:
//!
//! | what | by what |
//! |---|---|
//! | rows | a copy in files whose names are removed at once |
//! | vectors | the segments, mapped: reclaim may remove a file, its number rests |
//! | graphs, slots, payload indexes | the open files of the last checkpoint |
//!
//! A segment is read by its visible slots alone. What else is in it may be written
//! at this moment, and is no part of the snapshot.

use super::manifest::{Kind, Manifest, Part, Shape, kinds, record_len};
use super::{Chunk, MAX_CHUNK, Place, SPOOL, SnapshotError};
use crate::checkpoint::{self, graph_paths};
use crate::engine::Engine;
use crate::error::Error;
use crate::rows::RowsView;
use crate::saved_columns;
use crate::slots::{Slot, SlotSet};
use crate::vectors::Segments;
use quoit_disk::File;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Rows are copied so many bytes at a time.
const PIECE: usize = 1 << 20;

/// A replica as it was at one applied index.
pub struct Export {
    manifest: Manifest,
    text: Vec<u8>,
    seed: u64,
    sources: Vec<Source>,
    segments: Segments,
    visible: SlotSet,
}

/// Where a part's bytes are.
enum Source {
    File(OpenFile),
    Vectors,
}

struct OpenFile {
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
}

/// What is pinned under the engine's locks.
struct Pinned {
    applied: u64,
    rows: RowsView,
    segments: Segments,
    visible: SlotSet,
    checkpoint: checkpoint::Manifest,
    /// A slot at least of each segment that the graphs or the payload indexes know.
    known: SlotSet,
    /// Those of the checkpoint, in the order of its parts.
    files: Vec<OpenFile>,
}

impl Engine {
    /// Pins what this replica has, for another one. `export` is a number that no
    /// other export of the group has; so many bytes of the disk, `spare`, stay free.
    ///
    /// The graphs are those of the last checkpoint, and the rest is the tail of the
    /// copy: where much is new, make a checkpoint first.
    ///
    /// Waits for a step of indexing, checkpoint or reclaim, and then takes as long as
    /// to read all rows and write them; nothing waits for it.
    ///
    /// # Errors
    /// There is no room for the rows, or something cannot be read.
    pub fn export(&self, export: u64, spare: u64) -> Result<Export, SnapshotError> {
        let Pinned {
            applied,
            rows,
            segments,
            visible,
            mut checkpoint,
            known,
            files,
        } = self.pin()?;
        checkpoint.applied = applied;
        let mut files = files.into_iter();
        let mut parts = Vec::new();
        let mut sources = Vec::new();
        for (kind, hash) in kinds(&checkpoint) {
            let (source, hash) = match &kind {
                Kind::Rows(keyspace) => {
                    let (file, hash) = self.spool(&rows, keyspace, export, spare)?;
                    (Source::File(file), Some(hash))
                }
                Kind::Vectors => (Source::Vectors, None),
                Kind::Graph(_) | Kind::Slots(_) | Kind::Columns => match files.next() {
                    Some(file) => (Source::File(file), hash),
                    None => return Err(SnapshotError::Manifest("a file of it was not opened")),
                },
            };
            let bytes = match &source {
                Source::File(file) => file.bytes,
                Source::Vectors => visible.len() * record_len(segments.layout().len()) as u64,
            };
            parts.push(Part { kind, bytes, hash });
            sources.push(source);
        }
        let manifest = Manifest {
            export,
            identity: self.identity.0,
            shape: Shape::of(&self.params),
            checkpoint,
            segments: numbers(&[&visible, &known]),
            parts,
        };
        let text = manifest.to_bytes()?;
        Ok(Export {
            seed: xxh3_64(&text),
            text,
            manifest,
            sources,
            segments,
            visible,
        })
    }

    fn pin(&self) -> Result<Pinned, Error> {
        // No file is replaced, and no segment dropped, until all are held.
        let indexing = self.indexing.lock();
        indexing.check_syncs(&self.dir)?;
        let mut files = Vec::new();
        let mut known = SlotSet::default();
        let mut graphs = Vec::new();
        for (named, slots) in &indexing.saved.graphs {
            if let Some(named) = named {
                let (graph, beside) = graph_paths(&self.dir, named.number);
                files.push(self.open_file(graph)?);
                files.push(self.open_file(beside)?);
                known.extend(&slots.first_of_each_segment());
            }
            graphs.push(named.clone());
        }
        let columns = indexing.saved.columns.clone();
        if let Some(named) = &columns {
            files.push(self.open_file(saved_columns::path(&self.dir, named.number))?);
            known.extend(&indexing.saved.in_columns.first_of_each_segment());
        }
        let writer = self.writer.lock();
        let visible = writer.visible.clone();
        Ok(Pinned {
            applied: writer.applied,
            rows: self.rows.view(),
            segments: writer.vectors.segments().only(&visible),
            visible,
            checkpoint: checkpoint::Manifest {
                applied: writer.applied,
                graphs,
                columns,
            },
            known,
            files,
        })
    }

    fn open_file(&self, path: PathBuf) -> Result<OpenFile, Error> {
        let file = self.disk.open(&path).map_err(Error::file("open", &path))?;
        let bytes = file.len().map_err(Error::file("measure", &path))?;
        Ok(OpenFile { path, file, bytes })
    }

    /// Copies the rows of a keyspace into a file that only this process has.
    fn spool(
        &self,
        rows: &RowsView,
        keyspace: &str,
        export: u64,
        spare: u64,
    ) -> Result<(OpenFile, u64), SnapshotError> {
        let name = format!("{export:016x}.{keyspace}.{SPOOL}");
        let mut spool = self.open_file(self.dir.join(name))?;
        unlink(self, &spool.path)?;
        let mut hasher = Xxh3::new();
        rows.copy_out(keyspace, PIECE, |bytes| -> Result<(), SnapshotError> {
            let free = self.free_space()?;
            let needed = spare.saturating_add(bytes.len() as u64);
            if free < needed {
                return Err(SnapshotError::NoRoom { needed, free });
            }
            let written = spool.file.write_at(bytes, spool.bytes);
            written.map_err(Error::file("write", &spool.path))?;
            hasher.update(bytes);
            spool.bytes += bytes.len() as u64;
            Ok(())
        })?;
        Ok((spool, hasher.digest()))
    }
}

/// From here on the file goes with its last handle.
fn unlink(engine: &Engine, path: &Path) -> Result<(), Error> {
    match engine.disk.remove(path) {
        // A checkpoint came by, which removes what no manifest names.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::file("remove", path)),
    }
}

/// The numbers of the segments of some slots, in order.
fn numbers(sets: &[&SlotSet]) -> Vec<u32> {
    let all = sets.iter().flat_map(|set| {
        let numbers = 0..set.segments();
        numbers.filter(|number| set.len_of_segment(*number) > 0)
    });
    all.collect::<BTreeSet<u32>>().into_iter().collect()
}

impl Export {
    /// What it says of itself: the first thing that the other replica needs.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.text
    }

    /// The number that it was given.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.manifest.export
    }

    /// The log index of all its rows.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.manifest.checkpoint.applied
    }

    /// All bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.parts.iter().map(|part| part.bytes).sum()
    }

    /// Reads `max` bytes or fewer; any place may be read again. The pace is that of
    /// the one who asks.
    ///
    /// # Errors
    /// There is nothing at that place, or what is there cannot be read or is damaged.
    pub fn read(&self, at: Place, max: usize) -> Result<Chunk, SnapshotError> {
        let number = usize::try_from(at.part).unwrap_or(usize::MAX);
        let (Some(part), Some(source)) =
            (self.manifest.parts.get(number), self.sources.get(number))
        else {
            return Err(SnapshotError::NoSuchPlace(at));
        };
        if at.offset >= part.bytes {
            return Err(SnapshotError::NoSuchPlace(at));
        }
        let left = usize::try_from(part.bytes - at.offset).unwrap_or(usize::MAX);
        let len = left.min(max.clamp(1, MAX_CHUNK));
        let bytes = match source {
            Source::File(OpenFile { path, file, .. }) => {
                let mut bytes = vec![0; len];
                file.read_at(&mut bytes, at.offset)
                    .map_err(Error::file("read", path))?;
                bytes
            }
            Source::Vectors => self.vectors(at.offset, len)?,
        };
        Ok(Chunk::new(self.manifest.export, self.seed, at, bytes))
    }

    fn vectors(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let record = record_len(self.segments.layout().len()) as u64;
        let within = usize::try_from(offset % record).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(within + len);
        for Slot(number) in self.visible.iter_after(offset / record) {
            if bytes.len() >= within + len {
                break;
            }
            bytes.extend(number.to_le_bytes());
            bytes.extend_from_slice(self.segments.bytes(Slot(number))?);
        }
        bytes.truncate(within + len);
        Ok(bytes.split_off(within))
    }
}
