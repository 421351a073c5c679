//! Why the engine could not do something. Every variant is named for the
//! action that failed; the cause is in `source()`.

use std::io;
use std::path::PathBuf;

/// An engine failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened, read, written or synced.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The row store failed. After a failed write it refuses all others.
    #[error("the row store failed to {action}")]
    Rows {
        /// What was tried.
        action: &'static str,
        /// What the store said.
        source: fjall::Error,
    },
    /// The graph library refused an operation.
    #[error("the graph index failed to {action}: {message}")]
    Graph {
        /// What was tried.
        action: &'static str,
        /// What the library said.
        message: String,
    },
    /// Stored bytes are not what was written. Nothing of this replica is served.
    #[error(
        "damaged data in {}: {what}; this replica stops: restore its folder from a copy, or empty it so that it is filled anew",
        path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// An entry that no shard of this collection can have proposed.
    #[error("log entry {index} does not fit the collection: {what}")]
    MisfitEntry {
        /// Its index in the log.
        index: u64,
        /// What does not fit.
        what: String,
    },
    /// A query that does not fit the collection.
    #[error("{0}")]
    BadQuery(String),
}

impl Error {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn rows(action: &'static str) -> impl FnOnce(fjall::Error) -> Self {
        move |source| Self::Rows { action, source }
    }

    pub(crate) fn graph(action: &'static str) -> impl FnOnce(cxx::Exception) -> Self {
        move |source| Self::Graph {
            action,
            message: source.what().to_owned(),
        }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.into(),
            what: what.into(),
        }
    }

    /// Whether the cause is a disk without room: writes may come back with the space.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.io_kind(), Some(StorageFull | QuotaExceeded))
    }

    /// Whether the cause is a disk that cannot be written at all.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Whether the cause is that too many files are open: another try may do.
    #[must_use]
    pub fn is_out_of_descriptors(&self) -> bool {
        self.io().is_some_and(quoit_disk::is_out_of_descriptors)
    }

    /// Whether something could not be read or written, and nothing that was
    /// read is wrong.
    #[must_use]
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::File { .. } | Self::Graph { .. } => true,
            // After a failed write the store takes no others, and is read as before.
            Self::Rows { source, .. } => {
                matches!(source, fjall::Error::Poisoned) || self.io_kind().is_some()
            }
            Self::Damaged { .. } | Self::MisfitEntry { .. } | Self::BadQuery(_) => false,
        }
    }

    /// What the operating system said, wherever in the causes it is.
    fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io().map(io::Error::kind)
    }

    fn io(&self) -> Option<&io::Error> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Some(io);
            }
            cause = error.source();
        }
        None
    }
}

/// The engine's results.
pub type Result<T> = std::result::Result<T, Error>;
