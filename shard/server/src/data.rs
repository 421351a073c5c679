//! The data directory: whose it is, that one process uses it, and the record of
//! which replica it belongs to, so that a restart needs nobody else.
//!
//! ```text
//! DIR/LOCK      held while a process uses the directory
//! DIR/record    which replica this is, and what its collection is
//! DIR/cluster   what it saw last of its cluster: see `picture`; nothing needs it
//! DIR/shard/    the shard's own folder
//! ```

use crate::args::Args;
use crate::picture::Kept;
use quoit_crds::VectorCollectionSpec;
use quoit_disk::{Disk, RealDisk};
use quoit_store::sealed::{self, Sealed};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Which replica a directory belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The layout of the directory.
    pub format: u32,
    /// The collection.
    pub collection: Uuid,
    /// The shard.
    pub shard: u32,
    /// The place among its replicas.
    pub ordinal: u32,
    /// The replica: a number that no other of the collection ever had.
    pub node: u64,
    /// Whether the shard's folder was made: an empty one is new before, and lost after.
    pub is_begun: bool,
    /// What the collection's owner asked for when this replica began.
    pub spec: VectorCollectionSpec,
}

/// The layout that this version writes.
pub const FORMAT: u32 = 1;

impl Sealed for Record {
    const NAME: &str = "record";
    const FORMAT: u32 = FORMAT;

    fn format(&self) -> u32 {
        self.format
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The disk.
    #[error("--data-dir: cannot {action} {}", path.display())]
    Directory {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("--data-dir: {} is in use by another quoit-shard; stop it, or give another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It has data and nothing that says whose.
    #[error(
        "--data-dir: {} has a shard's folder and no record of which replica it belongs to: give an empty directory, which becomes a new replica, or restore this one from a copy", path.display()
    )]
    NoRecord {
        /// The directory.
        path: PathBuf,
    },
    /// The record cannot be read or written.
    #[error("--data-dir")]
    Record(#[from] sealed::Error),
    /// It is another's.
    #[error(
        "{flag} is {asked}, and the data directory {} is of {found}: give the replica its own directory back, or an empty one", path.display()
    )]
    Foreign {
        /// The flag that says otherwise.
        flag: &'static str,
        /// What it says.
        asked: String,
        /// What the directory says.
        found: String,
        /// The directory.
        path: PathBuf,
    },
}

/// A data directory that is this process's.
pub struct DataDir {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Held open: the lock goes with it.
    _lock: File,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
    move |source| DataError::Directory {
        action,
        path: path.to_owned(),
        source,
    }
}

impl DataDir {
    /// Makes it where it is not there, and locks it.
    ///
    /// # Errors
    /// It cannot be used, or another process uses it.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        disk.create_dir_all(path).map_err(failed("create", path))?;
        let file = path.join("LOCK");
        let mut options = File::options();
        let options = options.create(true).write(true).truncate(false);
        let lock = options.open(&file).map_err(failed("open", &file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                disk,
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(failed("lock", &file)(e)),
        }
    }

    /// The shard's folder.
    pub fn shard(&self) -> PathBuf {
        self.path.join("shard")
    }

    /// The record; `None` for a replica that is new.
    ///
    /// # Errors
    /// It is not readable, or the directory is another's than the flags say.
    pub fn record(&self, args: &Args) -> Result<Option<Record>, DataError> {
        let record: Option<Record> = sealed::read(&*self.disk, &self.path)?;
        let Some(record) = record else {
            let shard = self.shard();
            let listed = self.disk.list(&shard);
            return match listed {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(failed("list", &shard)(e)),
                Ok(_) => Err(DataError::NoRecord {
                    path: self.path.clone(),
                }),
            };
        };
        let is = [
            (
                "--collection",
                args.cluster.collection.to_string(),
                record.collection.to_string(),
            ),
            ("--shard", args.shard.to_string(), record.shard.to_string()),
            (
                "--ordinal",
                args.ordinal.to_string(),
                record.ordinal.to_string(),
            ),
        ];
        for (flag, asked, found) in is {
            if asked != found {
                return Err(DataError::Foreign {
                    flag,
                    asked,
                    found,
                    path: self.path.clone(),
                });
            }
        }
        Ok(Some(record))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// It was not written.
    pub fn set(&self, record: &Record) -> Result<(), DataError> {
        Ok(sealed::write(&*self.disk, &self.path, record)?)
    }

    /// What was kept of the cluster; `None` where nothing was.
    ///
    /// # Errors
    /// It is not readable.
    pub fn picture(&self) -> Result<Option<Kept>, sealed::Error> {
        sealed::read(&*self.disk, &self.path)
    }

    /// Keeps what was seen of the cluster.
    ///
    /// # Errors
    /// It was not written.
    pub fn set_picture(&self, kept: &Kept) -> Result<(), sealed::Error> {
        sealed::write(&*self.disk, &self.path, kept)
    }
}
