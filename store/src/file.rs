//! A ring in a file. It decides how one file is replaced whole, so that
//! whatever moment the process or the power stops at, the file is the ring
//! before or the ring after, and the ring after once `swap` has said so:
//!
//! ```text
//! remove ring.tmp ─▶ write ring.tmp ─▶ sync_data ─▶ rename over ring ─▶ sync_dir ─▶ done
//!     └────────── a failure: nothing changed ──────────┘└─ a failure: unknown ─┘
//! ```
//!
//! A leftover `ring.tmp` is never read; the next write removes it. It is removed
//! and not overwritten because a sync that failed may have lost some of its
//! bytes for good, and a new file has none to lose.
//!
//! The compare-and-swap holds within the process. Against other processes the
//! data directory has a lock of its own, which is taken elsewhere. The calls do
//! not yield: the file has a few kilobytes and is seldom touched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quoit_disk::Disk;
use quoit_ring::{
    Cause, Leader, Revision, Ring, RingStore, StoreError, SwapError, UnpackError, Versioned, Watch,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::local::{Bell, LocalElection};

#[cfg(test)]
mod tests;

// "QUOITRF"  format (1)  revision (8, little-endian)  packed ring  xxh3 of all
// that precedes (8). The packed ring has a checksum too; this one is for the
// revision.
const MAGIC: [u8; 7] = *b"QUOITRF";
const FORMAT: u8 = 1;

/// A file that is not one that [`FileRingStore`] wrote.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not begin as one.
    #[error(
        "it does not begin as a ring file does; put back the right file, from a backup if need be"
    )]
    NotARingFile,
    /// A newer version wrote it.
    #[error(
        "it has format {0}, and this version reads format {FORMAT}; \
         use the version of Quoit that wrote it, or a newer one"
    )]
    UnknownFormat(u8),
    /// Some of its bytes are missing or are not those that were written.
    #[error("its content does not match its checksum; restore it from a backup")]
    Checksum,
    /// It is whole, and the ring in it is not one.
    #[error("the ring in it cannot be read")]
    Ring(#[source] UnpackError),
}

/// One ring in one file. Only the tasks of its process compete for it, so its
/// election is among these.
pub struct FileRingStore {
    file: Arc<RingFile>,
    bell: Bell,
    election: LocalElection,
}

struct RingFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    dir: PathBuf,
    temporary: PathBuf,
    durable: Mutex<Durable>,
}

/// Whether the file as it is read is also what a power cut leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    /// A replacement began and was not seen to end.
    Unknown,
}

impl FileRingStore {
    /// The store of the ring in this file, which need not be there yet; its
    /// folder is created.
    ///
    /// # Errors
    /// The folder cannot be created or synced, or the path names no file.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        let action = || format!("open {}", path.display());
        let Some(name) = path.file_name() else {
            return Err(StoreError::Unavailable {
                action: action(),
                source: Cause::from("the path names no file"),
            });
        };
        let mut temporary = name.to_owned();
        temporary.push(".tmp");
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        // A process that was killed between the rename and the sync left a
        // ring that can be read, acted upon, and then lost with the power.
        disk.create_dir_all(&dir)
            .and_then(|()| disk.sync_dir(&dir))
            .map_err(|error| unavailable(action(), error))?;
        let file = RingFile {
            temporary: dir.join(temporary),
            path: path.to_owned(),
            dir,
            disk,
            durable: Mutex::new(Durable::Yes),
        };
        Ok(Self {
            file: Arc::new(file),
            bell: Bell::new(),
            election: LocalElection::default(),
        })
    }

    /// The election of who may write with [`RingStore::swap_as`].
    #[must_use]
    pub fn election(&self) -> &LocalElection {
        &self.election
    }

    fn replace(&self, expected: Option<Revision>, next: &Ring) -> Result<Revision, SwapError> {
        let replaced = self.file.swap(expected, next);
        self.bell.ring();
        replaced
    }
}

impl RingFile {
    /// Nobody else reads or writes the file while this is held.
    fn lock(&self) -> MutexGuard<'_, Durable> {
        // Whatever panicked had noted `Unknown` before it changed anything.
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content, with the certainty that a power cut leaves it in place.
    fn content(&self, durable: &mut Durable) -> Result<Option<Content>, StoreError> {
        let reading = |error| unavailable(format!("read {}", self.path.display()), error);
        let bytes = match self.disk.read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(reading(error)),
        };
        let content = decode(&bytes).map_err(|source| StoreError::Damaged {
            place: self.path.display().to_string(),
            source: Box::new(source),
        })?;
        if *durable == Durable::Unknown {
            // A second sync may say that all is well although the first lost
            // something. A second file, with the same content, has lost nothing.
            let writing = || format!("make {} durable", self.path.display());
            self.replace(&bytes, durable).map_err(|failure| {
                let (Failure::Before(error) | Failure::After(error)) = failure;
                unavailable(writing(), error)
            })?;
        }
        Ok(Some(content))
    }

    fn read(&self) -> Result<Option<Content>, StoreError> {
        self.content(&mut self.lock())
    }

    fn swap(&self, expected: Option<Revision>, next: &Ring) -> Result<Revision, SwapError> {
        let mut durable = self.lock();
        let content = self.content(&mut durable).map_err(SwapError::Failed)?;
        let present = content.map(|content| content.revision);
        if present != expected {
            return Err(SwapError::Conflict { present });
        }
        let revision = Revision(present.map_or(0, |revision| revision.0).wrapping_add(1));
        let writing = || format!("write {}", self.path.display());
        self.replace(&encode(revision, next), &mut durable)
            .map_err(|failure| match failure {
                Failure::Before(error) => SwapError::Failed(unavailable(writing(), error)),
                Failure::After(error) => SwapError::Unknown(unavailable(writing(), error)),
            })?;
        Ok(revision)
    }

    fn replace(&self, bytes: &[u8], durable: &mut Durable) -> Result<(), Failure> {
        self.write_temporary(bytes).map_err(Failure::Before)?;
        *durable = Durable::Unknown;
        self.disk
            .rename(&self.temporary, &self.path)
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .map_err(Failure::After)?;
        *durable = Durable::Yes;
        Ok(())
    }

    fn write_temporary(&self, bytes: &[u8]) -> io::Result<()> {
        match self.disk.remove(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = self.disk.open(&self.temporary)?;
        file.write_at(bytes, 0)?;
        file.sync_data()
    }
}

/// Where a replacement failed.
enum Failure {
    /// Before the rename: nothing changed.
    Before(io::Error),
    /// At the rename or after it: either content may be there.
    After(io::Error),
}

#[async_trait::async_trait]
impl RingStore for FileRingStore {
    async fn read(&self) -> Result<Option<Versioned<Ring>>, StoreError> {
        self.file.read()
    }

    async fn swap(&self, expected: Option<Revision>, next: &Ring) -> Result<Revision, SwapError> {
        self.replace(expected, next)
    }

    async fn swap_as(
        &self,
        leader: &Leader,
        expected: Option<Revision>,
        next: &Ring,
    ) -> Result<Revision, SwapError> {
        let replace = || self.replace(expected, next);
        let replaced = self.election.while_leading(leader, replace);
        replaced.unwrap_or_else(|| {
            Err(SwapError::NotLeader {
                who: leader.who.clone(),
            })
        })
    }

    fn watch(&self) -> Watch<Option<Versioned<Ring>>> {
        let file = Arc::clone(&self.file);
        self.bell.watch(
            move || file.read(),
            |before, now| match (before, now) {
                (Some(before), Some(now)) => now.value.epoch() < before.value.epoch(),
                _ => false,
            },
        )
    }
}

type Content = Versioned<Ring>;

fn unavailable(action: String, error: io::Error) -> StoreError {
    StoreError::Unavailable {
        action,
        source: Box::new(error),
    }
}

fn encode(revision: Revision, ring: &Ring) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(FORMAT);
    bytes.extend(revision.0.to_le_bytes());
    bytes.extend(ring.to_bytes());
    let checksum = xxh3_64(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Content, FileError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(FileError::NotARingFile)?;
    let (format, rest) = rest.split_first().ok_or(FileError::Checksum)?;
    // Before the checksum: another format may have it elsewhere.
    if *format != FORMAT {
        return Err(FileError::UnknownFormat(*format));
    }
    let (rest, checksum) = rest.split_last_chunk::<8>().ok_or(FileError::Checksum)?;
    if xxh3_64(&bytes[..bytes.len() - checksum.len()]) != u64::from_le_bytes(*checksum) {
        return Err(FileError::Checksum);
    }
    let (revision, ring) = rest.split_first_chunk::<8>().ok_or(FileError::Checksum)?;
    Ok(Versioned {
        revision: Revision(u64::from_le_bytes(*revision)),
        value: Ring::from_bytes(ring).map_err(FileError::Ring)?,
    })
}
