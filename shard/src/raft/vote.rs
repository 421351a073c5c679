//! The vote in a file of its own: whom this member promised to follow. It is
//! replaced whole, and durable before anyone is told of it: a member that forgot
//! a promise could help two leaders into one term.
//!
//! ```text
//! write vote.new ─▶ sync ─▶ rename over vote ─▶ sync the folder ─▶ allocate vote.new
//! ```
//!
//! The room for the next one is kept, so that a full disk keeps no member from voting:
//! while it waited for room it would be silent, also for those who read.

use super::Vote;
use super::codec::{self, CodecError};
use prost::Message;
use quoit_disk::Disk;
use quoit_engine::Identity;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What the file begins with.
const MAGIC: &[u8; 8] = b"quoitvot";

/// The room that is kept for the next one: more than it needs.
const ROOM: u64 = 512;

/// Why a vote is not known, or was not kept.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// The file is not as it was written.
    #[error(
        "the vote in {} is damaged, so this replica cannot know what it promised: if its shard has other replicas, remove its folder, and it comes back as a new one; if it is the only one, restore the folder from a copy", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file is whole, and what is in it is no vote.
    #[error("the vote in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: CodecError,
    },
    /// The disk failed.
    #[error("could not {action} the vote in {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl VoteError {
    /// What the disk said.
    pub fn of_the_disk(&self) -> Option<&io::Error> {
        match self {
            Self::Disk { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The file of one member's vote.
pub struct VoteFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    /// What seeds the checksum: another member's vote is not this one's.
    seed: u64,
}

impl VoteFile {
    /// The file in this folder, of a member with this identity.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, identity: Identity) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            path: dir.join("vote"),
            seed: identity.0,
        }
    }

    /// The vote; `None` where none was ever given.
    ///
    /// # Errors
    /// What is there is not a vote of this member, or cannot be read.
    pub fn read(&self) -> Result<Option<Vote>, VoteError> {
        let path = || self.path.clone();
        let bytes = match self.disk.read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(VoteError::Disk {
                    action: "read",
                    path: path(),
                    source,
                });
            }
        };
        let damaged = || VoteError::Damaged { path: path() };
        let (whole, sum) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
        if xxh3_64_with_seed(whole, self.seed) != u64::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let vote = whole.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let vote = codec::decode_vote(vote);
        let vote = vote.map_err(|source| VoteError::Unreadable {
            path: path(),
            source,
        })?;
        Ok(Some(vote))
    }

    /// Keeps a vote: it is durable when this returns.
    ///
    /// # Errors
    /// The disk failed; which of the two votes is there is not known.
    pub fn write(&self, vote: &Vote) -> Result<(), VoteError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(codec::vote_message(vote).encode_to_vec());
        let sum = xxh3_64_with_seed(&bytes, self.seed);
        bytes.extend(sum.to_le_bytes());
        let replace = || {
            let new = self.new_path();
            let file = self.disk.open(&new)?;
            // Not emptied before: that would give its room back.
            file.write_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_data()?;
            self.disk.rename(&new, &self.path)?;
            self.disk.sync_dir(&self.dir)
        };
        replace().map_err(|source| VoteError::Disk {
            action: "keep",
            path: self.path.clone(),
            source,
        })?;
        self.keep_room();
        Ok(())
    }

    /// Keeps room for the next vote, where there is some.
    pub fn keep_room(&self) {
        let new = self.disk.open(&self.new_path());
        if let Err(error) = new.and_then(|new| new.allocate(ROOM)) {
            tracing::debug!(%error, "no room is kept for the next vote: it may have to wait for some");
        }
    }

    fn new_path(&self) -> PathBuf {
        self.dir.join("vote.new")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_disk::SimDisk;

    #[test]
    fn votes_are_kept_on_a_disk_without_room_and_after_the_power_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
        let file = VoteFile::new(Arc::new(disk.clone()), dir.path(), Identity(7));
        file.write(&Vote::new(1, 1)).unwrap();
        disk.set_free(0);
        for term in 2..20 {
            let vote = Vote::new(term, 3);
            file.write(&vote).unwrap();
            assert_eq!(file.read().unwrap(), Some(vote));
        }
        disk.cut_power().unwrap();
        assert_eq!(file.read().unwrap(), Some(Vote::new(19, 3)));
    }
}
