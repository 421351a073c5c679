//! Why a snapshot could not be given or taken.

use super::Place;
use std::path::PathBuf;

/// A snapshot's failure. None of them touches the data of the replica that gives
/// it, or of the one that was to be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk has too little room; nothing was begun.
    #[error(
        "the snapshot needs {needed} bytes of the disk, and {free} are free: make room and try again"
    )]
    NoRoom {
        /// What it takes, with what is to stay free.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// A manifest is not what an export wrote.
    #[error("the snapshot's manifest is damaged: {0}; ask for it again")]
    Manifest(&'static str),
    /// It is one of another group or collection.
    #[error("the snapshot is not of this shard: {0}")]
    Foreign(String),
    /// A part has no such place.
    #[error("the snapshot has no {0}")]
    NoSuchPlace(Place),
    /// A chunk is one of another export.
    #[error(
        "a chunk is one of snapshot {got:016x}, not of {wanted:016x}: begin anew with its manifest"
    )]
    AnotherExport {
        /// The one that is being installed.
        wanted: u64,
        /// The chunk's.
        got: u64,
    },
    /// A chunk's checksum does not fit it.
    #[error("the chunk at {0} was damaged on its way; ask for it again")]
    DamagedChunk(Place),
    /// A chunk is not the next one.
    #[error("the chunk at {got} is not the next one, which is that at {wanted}")]
    OutOfOrder {
        /// What is wanted next.
        wanted: Place,
        /// Where the chunk begins.
        got: Place,
    },
    /// A part came whole and is not what the manifest says.
    #[error("part {part} of the snapshot is damaged: {what}; begin anew")]
    DamagedPart {
        /// Its number.
        part: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// A chunk could not be written, or was not what it should be: what is there
    /// now is of no use.
    #[error("an earlier chunk could not be taken; begin anew")]
    Broken,
    /// Something is still to come.
    #[error("the snapshot is not whole: {0} is still to come")]
    NotWhole(Place),
    /// The row store to be replaced is still in use.
    #[error(
        "{} is still open: close its engine, and let go of all views of it", path.display()
    )]
    StillOpen {
        /// The store.
        path: PathBuf,
    },
    /// There is no snapshot to take.
    #[error("{} has no finished snapshot", path.display())]
    NotThere {
        /// Where it should be.
        path: PathBuf,
    },
    /// The engine or the disk failed.
    #[error(transparent)]
    Engine(#[from] crate::Error),
}

impl SnapshotError {
    /// Whether the cause is a disk without room: it may go later.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            Self::Engine(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// Whether the same chunk, asked for again, may be taken.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::DamagedChunk(_) | Self::OutOfOrder { .. })
    }
}
