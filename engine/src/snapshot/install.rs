//! Takes a replica in: parts in their order, each from its first byte to its last,
//! into a folder beside the live data. It asks for what it wants next, so that a
//! lost connection costs one chunk; a process that dies costs all of it.
//!
//! The manifest of the folder is written last, when all before it is durable: a
//! folder without one is never opened, and goes when the next install begins.

use super::manifest::{Kind, Manifest, record_len};
use super::swap::{self, incoming};
use super::{Chunk, Place, SnapshotError};
use crate::checkpoint::{self, graph_paths};
use crate::error::Error;
use crate::rows::{Rows, RowsReader, RowsTuning};
use crate::saved_columns;
use crate::slots::SLOTS_PER_SEGMENT;
use crate::vectors::{Layout, Segment, segment_path};
use crate::{Identity, Params, Tuning};
use quoit_disk::{Disk, File};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A replica that is coming in.
pub struct Install {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    manifest: Manifest,
    /// The chunks' checksums are seeded by it.
    seed: u64,
    rows: Rows,
    vectors: VectorsIn,
    /// What is wanted next.
    at: Place,
    /// Of the present part.
    sink: Sink,
    hasher: Xxh3,
    is_broken: bool,
}

/// Where the bytes of a part go.
enum Sink {
    Rows(String, RowsReader),
    Vectors,
    File(PathBuf, Arc<dyn File>),
    /// All parts are there.
    Done,
}

impl Install {
    /// Begins an install beside the live data in `dir`. So many bytes of the disk,
    /// `spare`, stay free.
    ///
    /// # Errors
    /// The manifest is damaged or another's, the disk has too little room, or an
    /// earlier install is still on its way.
    pub fn begin(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        params: &Params,
        tuning: Tuning,
        manifest: &[u8],
        spare: u64,
    ) -> Result<Self, SnapshotError> {
        let seed = xxh3_64(manifest);
        let manifest = Manifest::from_bytes(manifest, identity, params)?;
        let dir = incoming(dir);
        swap::remove_closed(&*disk, &dir)?;
        let needed = manifest.needed(params).saturating_add(spare);
        let beside = swap::folder_of(&dir);
        let free = disk
            .free_space(beside)
            .map_err(Error::file("measure the disk of", beside))?;
        if free < needed {
            return Err(SnapshotError::NoRoom { needed, free });
        }
        let in_vectors = dir.join("vectors");
        disk.create_dir_all(&in_vectors)
            .map_err(Error::file("create", &in_vectors))?;
        let rows_tuning = RowsTuning {
            cache_bytes: tuning.cache_bytes,
            memtable_bytes: tuning.memtable_bytes,
        };
        let rows = Rows::open(&dir.join("rows"), identity, rows_tuning)?;
        let vectors = VectorsIn {
            disk: disk.clone(),
            dir: in_vectors,
            identity,
            numbers: Layout::new(&params.vectors).len(),
            segments: manifest.segments.iter().copied().collect(),
            open: None,
            last: None,
            begun: Vec::new(),
        };
        let mut install = Self {
            disk,
            dir,
            identity,
            manifest,
            seed,
            rows,
            vectors,
            at: Place { part: 0, offset: 0 },
            sink: Sink::Done,
            hasher: Xxh3::new(),
            is_broken: false,
        };
        install.open_sink()?;
        install.leave_parts_that_are_whole()?;
        Ok(install)
    }

    /// The place that is wanted next; `None` once all is there.
    #[must_use]
    pub fn wants(&self) -> Option<Place> {
        (!matches!(self.sink, Sink::Done)).then_some(self.at)
    }

    /// Takes the chunk that is wanted.
    ///
    /// # Errors
    /// It is not the one that is wanted, or is damaged: then nothing has changed, and
    /// another may be put. Any other failure ends the install.
    pub fn put(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        if self.is_broken {
            return Err(SnapshotError::Broken);
        }
        let (wanted, got) = (self.manifest.export, chunk.export);
        if wanted != got {
            return Err(SnapshotError::AnotherExport { wanted, got });
        }
        if !chunk.is_whole(self.seed) {
            return Err(SnapshotError::DamagedChunk(chunk.at));
        }
        let (wanted, got) = (self.at, chunk.at);
        if wanted != got {
            return Err(SnapshotError::OutOfOrder { wanted, got });
        }
        let taken = self.take(&chunk.bytes);
        self.is_broken = taken.is_err();
        taken
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let end = self.at.offset + bytes.len() as u64;
        if end > self.bytes_of_part() {
            return Err(self.damaged("it is longer than the manifest says"));
        }
        match &mut self.sink {
            Sink::Rows(keyspace, reader) => self.rows.copy_in(keyspace, reader, bytes)?,
            Sink::Vectors => {
                let taken = self.vectors.take(bytes)?;
                taken.map_err(|what| self.damaged(what))?;
            }
            Sink::File(path, file) => file
                .write_at(bytes, self.at.offset)
                .map_err(Error::file("write", path.as_path()))?,
            Sink::Done => return Err(self.damaged("it is longer than the manifest says")),
        }
        self.hasher.update(bytes);
        self.at.offset = end;
        self.leave_parts_that_are_whole()
    }

    fn bytes_of_part(&self) -> u64 {
        let part = self.manifest.parts.get(self.at.part as usize);
        part.map_or(0, |part| part.bytes)
    }

    fn leave_parts_that_are_whole(&mut self) -> Result<(), SnapshotError> {
        while !matches!(self.sink, Sink::Done) && self.at.offset == self.bytes_of_part() {
            self.close_sink()?;
            self.at = Place {
                part: self.at.part + 1,
                offset: 0,
            };
            self.open_sink()?;
        }
        Ok(())
    }

    fn open_sink(&mut self) -> Result<(), SnapshotError> {
        self.hasher = Xxh3::new();
        let Some(part) = self.manifest.parts.get(self.at.part as usize) else {
            self.sink = Sink::Done;
            return Ok(());
        };
        let graph = |place: usize| {
            let graph = self.manifest.checkpoint.graphs.get(place);
            graph.cloned().flatten().map(|graph| graph.number)
        };
        let path = match &part.kind {
            Kind::Rows(keyspace) => {
                self.sink = Sink::Rows(keyspace.clone(), RowsReader::default());
                return Ok(());
            }
            Kind::Vectors => {
                self.sink = Sink::Vectors;
                return Ok(());
            }
            Kind::Graph(place) => graph(*place).map(|number| graph_paths(&self.dir, number).0),
            Kind::Slots(place) => graph(*place).map(|number| graph_paths(&self.dir, number).1),
            Kind::Columns => {
                let columns = self.manifest.checkpoint.columns.as_ref();
                columns.map(|named| saved_columns::path(&self.dir, named.number))
            }
        };
        let path = path.ok_or(self.damaged("its checkpoint does not name it"))?;
        let file = self.disk.open(&path).map_err(Error::file("open", &path))?;
        self.sink = Sink::File(path, file);
        Ok(())
    }

    fn close_sink(&mut self) -> Result<(), SnapshotError> {
        match &self.sink {
            Sink::Rows(_, reader) if !reader.is_between_rows() => {
                return Err(self.damaged("it ends within a row"));
            }
            Sink::Vectors => {
                let closed = self.vectors.close()?;
                closed.map_err(|what| self.damaged(what))?;
            }
            Sink::File(path, file) => file
                .sync_data()
                .map_err(Error::file("sync", path.as_path()))?,
            Sink::Rows(..) | Sink::Done => {}
        }
        let part = self.manifest.parts.get(self.at.part as usize);
        let expected = part.and_then(|part| part.hash);
        if expected.is_some_and(|hash| hash != self.hasher.digest()) {
            return Err(self.damaged("its checksum is not the manifest's"));
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> SnapshotError {
        let part = self.at.part;
        SnapshotError::DamagedPart { part, what }
    }

    /// Makes all of it durable, and says up to which log index it is. From here on
    /// [`adopt`](super::adopt) may put it in the place of the live data.
    ///
    /// # Errors
    /// Something is still to come, is not what it should be, or the disk failed.
    pub fn finish(self) -> Result<u64, SnapshotError> {
        if self.is_broken {
            return Err(SnapshotError::Broken);
        }
        if let Some(place) = self.wants() {
            return Err(SnapshotError::NotWhole(place));
        }
        let applied = self.manifest.checkpoint.applied;
        // Rows of another moment than the manifest's would be another's custody.
        if self.rows.replica()?.applied != applied {
            return Err(SnapshotError::DamagedPart {
                part: 0,
                what: "its rows are not those of the manifest's log index",
            });
        }
        self.rows.persist()?;
        let sync = |dir: &Path| self.disk.sync_dir(dir).map_err(Error::file("sync", dir));
        sync(&self.vectors.dir)?;
        // Closed: its folder gets another name.
        drop(self.rows);
        sync(&self.dir)?;
        let checkpoint = &self.manifest.checkpoint;
        checkpoint::write_manifest(&*self.disk, &self.dir, self.identity, checkpoint)?;
        Ok(applied)
    }
}

/// Slots as they come in, in ascending order: one segment is open at a time.
struct VectorsIn {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    /// How many numbers a slot holds.
    numbers: usize,
    /// Those still to be made.
    segments: BTreeSet<u32>,
    open: Option<(u32, Segment)>,
    last: Option<u32>,
    /// The begin of a record of which the rest is still to come.
    begun: Vec<u8>,
}

/// Why bytes are no slots of the snapshot.
type Misfit = Result<(), &'static str>;

impl VectorsIn {
    fn take(&mut self, bytes: &[u8]) -> Result<Misfit, Error> {
        let mut begun = std::mem::take(&mut self.begun);
        begun.extend_from_slice(bytes);
        let records = begun.chunks_exact(record_len(self.numbers));
        self.begun = records.remainder().to_vec();
        // Slots one behind the other are written at once.
        let mut run = Vec::with_capacity(begun.len());
        let mut first = 0;
        for record in records {
            let Some((slot, bytes)) = record.split_first_chunk() else {
                return Ok(Err("it has a record without a slot"));
            };
            let slot = u32::from_le_bytes(*slot);
            if self.last.is_some_and(|last| slot <= last) {
                return Ok(Err("its slots are not in order"));
            }
            let follows = self.last.is_some_and(|last| last + 1 == slot);
            self.last = Some(slot);
            let number = slot / SLOTS_PER_SEGMENT;
            let is_open = self.open.as_ref().is_some_and(|(open, _)| *open == number);
            if !follows || !is_open {
                self.write(first, &run)?;
                run.clear();
            }
            if run.is_empty() {
                first = slot;
            }
            if !is_open {
                if !self.segments.remove(&number) {
                    return Ok(Err("it has a slot in a segment that the manifest lacks"));
                }
                self.sync_open()?;
                self.open = Some((number, self.make(number)?));
            }
            run.extend_from_slice(bytes);
        }
        self.write(first, &run)?;
        Ok(Ok(()))
    }

    fn write(&self, first: u32, run: &[u8]) -> Result<(), Error> {
        match &self.open {
            Some((_, segment)) if !run.is_empty() => {
                segment.copy_in((first % SLOTS_PER_SEGMENT) as usize, run)
            }
            _ => Ok(()),
        }
    }

    /// All slots are there. The segments that none came for are made for their
    /// numbers: their dead slots are known, and must not come to mean others.
    fn close(&mut self) -> Result<Misfit, Error> {
        if !self.begun.is_empty() {
            return Ok(Err("it ends within a slot"));
        }
        self.sync_open()?;
        for number in std::mem::take(&mut self.segments) {
            self.make(number)?.sync()?;
        }
        Ok(Ok(()))
    }

    fn make(&self, number: u32) -> Result<Segment, Error> {
        let path = segment_path(&self.dir, number);
        Segment::open(&*self.disk, &path, self.identity, self.numbers)
    }

    fn sync_open(&mut self) -> Result<(), Error> {
        match self.open.take() {
            Some((_, segment)) => segment.sync(),
            None => Ok(()),
        }
    }
}
