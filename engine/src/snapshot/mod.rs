//! A replica for another machine: all that an engine has at one applied index, as
//! parts that are read in chunks, and put together into a folder beside another
//! replica's data, which takes its place as a whole.
//!
//! ```text
//! Engine::export ─▶ Export::read ─▶ chunks ─▶ Install::put ─▶ finish ─▶ adopt ─▶ Engine::open
//! ```
//!
//! The parts are those that a checkpoint has: the rows, the vectors of visible
//! slots, the graphs that were last saved with their slots, the saved payload
//! indexes. The rows and the visible slots are of one moment; graphs and indexes
//! may be older, as after any restart: what they lack is the tail of the copy.
//!
//! **What an export costs.** The row store keeps in memory all that is written
//! while a moment of it is held, and a snapshot may be held for hours. So the rows
//! are copied at once into files beside the data, which takes as long as to read
//! them, and only then are the chunks asked for. From there on an export keeps
//! room on the disk: those files, the graphs and indexes that a later checkpoint
//! replaces, segments that reclaim drops. Their names are gone, or may go; the open
//! files keep the bytes, and the numbers of the segments rest. Nothing is locked,
//! and nothing of it outlives the process.

mod error;
mod export;
mod install;
mod manifest;
mod swap;

pub use error::SnapshotError;
pub use export::Export;
pub use install::Install;
pub use swap::{adopt, has_arrived, incoming, settle};

/// What the names of files end in that only an export reads.
pub const SPOOL: &str = "export";

/// Bytes that a chunk has at most, whatever is asked for.
const MAX_CHUNK: usize = 8 << 20;

/// A place in a snapshot: so many bytes of a part, and all parts before it, are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of a part.
    pub part: u32,
    /// A place in its bytes.
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {} of part {}", self.offset, self.part)
    }
}

/// Some bytes of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which export they are of.
    pub export: u64,
    /// Where they begin.
    pub at: Place,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// xxh3 of place and bytes, seeded by the export's manifest.
    pub hash: u64,
}

impl Chunk {
    fn new(export: u64, seed: u64, at: Place, bytes: Vec<u8>) -> Self {
        let hash = hash(seed, at, &bytes);
        Self {
            export,
            at,
            bytes,
            hash,
        }
    }

    fn is_whole(&self, seed: u64) -> bool {
        hash(seed, self.at, &self.bytes) == self.hash
    }
}

fn hash(seed: u64, at: Place, bytes: &[u8]) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::with_seed(seed);
    hasher.update(&at.part.to_le_bytes());
    hasher.update(&at.offset.to_le_bytes());
    hasher.update(bytes);
    hasher.digest()
}
