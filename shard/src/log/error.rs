//! What can go wrong with a log, by the action that failed. Two questions
//! matter to the caller: had the call an effect ([`LogError::had_no_effect`]),
//! and may the log be used on (not after [`LogError::Poisoned`], nor when it
//! would not open).

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a call on the log failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// Bytes that were durable are not what was written.
    #[error(
        "the log is damaged at byte {offset} of {path}: {what}. This replica must not serve: move its data \
         directory away and let it join again as a new node; if it is the only copy, restore a backup"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A segment between others is gone.
    #[error(
        "the log lacks its segment {path}. This replica must not serve: move its data directory away and let it \
         join again as a new node; if it is the only copy, restore a backup"
    )]
    SegmentMissing {
        /// The path it should have.
        path: PathBuf,
    },
    /// Valid, but of a kind that this version does not know.
    #[error(
        "byte {offset} of {path} was written by a newer version: run that version, or a later one"
    )]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The log's folder could not be made, listed or synced.
    #[error("the log's folder {path} could not be read or made durable")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A segment could not be opened or read.
    #[error("the log's segment {path} could not be read")]
    Read {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A torn tail could not be cut, or what was found not be made durable.
    #[error("the end of the log's segment {path} could not be made durable")]
    Settle {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk is full. Nothing of the group is left, and the log goes on
    /// when there is room.
    #[error("the disk is full: the log's segment {path} cannot grow")]
    Full {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Too many files are open. Nothing of the group is there, and the log goes
    /// on when there are fewer.
    #[error("too many files are open: the log's segment {path} cannot be made")]
    Descriptors {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A new segment, or room in one, could not be had.
    #[error("room in the log's segment {path} could not be had")]
    Grow {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A group could not be written. Whether it will be there after a restart
    /// is not known; until then the log is poisoned.
    #[error("writing to the log's segment {path} failed")]
    Write {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A group could not be made durable. Whether it will be there after a
    /// restart is not known; until then the log is poisoned.
    #[error("making the log's segment {path} durable failed")]
    Sync {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A segment that is no longer wanted could not be deleted.
    #[error("deleting the log's segment {path} failed")]
    Remove {
        /// The segment.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// An earlier failure left open what is durable; reading goes on.
    #[error("the log takes nothing until a restart, since an earlier call failed: {cause}")]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// An entry does not follow the one before it.
    #[error("entry {index} of term {term} cannot follow entry {after_index} of term {after_term}")]
    OutOfOrder {
        /// The entry.
        index: u64,
        /// Its term.
        term: u64,
        /// The last one before it.
        after_index: u64,
        /// That one's term.
        after_term: u64,
    },
    /// A group is larger than a log can hold.
    #[error("a group of {bytes} bytes is over the log's limit of {limit}")]
    TooLarge {
        /// The group's size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// What was asked for is behind the log's begin.
    #[error("entry {index} was purged: the log begins at {first}")]
    Purged {
        /// The index asked for.
        index: u64,
        /// The first one there.
        first: u64,
    },
    /// What was asked for is not there yet.
    #[error("entry {index} is not there: the next will be {next}")]
    BeyondEnd {
        /// The index asked for.
        index: u64,
        /// The one that the next entry will have.
        next: u64,
    },
}

impl LogError {
    /// Whether the call certainly changed nothing, now or after a restart. An
    /// entry whose append failed otherwise may yet turn up.
    #[must_use]
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::Write { .. } | Self::Sync { .. } | Self::Remove { .. } => false,
            Self::Damaged { .. }
            | Self::SegmentMissing { .. }
            | Self::Newer { .. }
            | Self::Folder { .. }
            | Self::Read { .. }
            | Self::Settle { .. }
            | Self::Full { .. }
            | Self::Descriptors { .. }
            | Self::Grow { .. }
            | Self::Poisoned { .. }
            | Self::OutOfOrder { .. }
            | Self::TooLarge { .. }
            | Self::Purged { .. }
            | Self::BeyondEnd { .. } => true,
        }
    }
}

/// A constructor's shape: `.map_err(LogError::sync(path))`.
macro_rules! at_path {
    ($($name:ident => $variant:ident),* $(,)?) => {
        impl LogError {
            $(pub(super) fn $name(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
                move |source| Self::$variant { path: path.to_owned(), source }
            })*
        }
    };
}

at_path! {
    folder => Folder,
    read => Read,
    settle => Settle,
    write => Write,
    sync => Sync,
    remove => Remove,
}

impl LogError {
    /// Of a failure to get room.
    pub(super) fn room(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| {
            let path = path.to_owned();
            if is_full(&source) {
                Self::Full { path, source }
            } else if quoit_disk::is_out_of_descriptors(&source) {
                Self::Descriptors { path, source }
            } else {
                Self::Grow { path, source }
            }
        }
    }
}

/// Whether more room would have helped.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
