//! The shard's log: entries by index and term, in append-only segment files.
//! What the log acknowledges survives a power cut; what it finds damaged it
//! does not serve.
//!
//! ```text
//!   append_group ─▶ group: header, records ─▶ one write, one fdatasync ─▶ readers see it
//!   open         ─▶ each segment: header, then groups one after another, each checked
//!                     └─ the first bad one ─▶ torn tail: cut  │  anything else: an error
//! ```
//!
//! **The unit is the group**: what one fdatasync makes durable. It is there as
//! a whole or not at all. Its header is chained to the group before by
//! checksum, names its own place in the file, and says up to where the file
//! was known to be durable when it was written (`synced_through`). So a bad
//! group is a *torn tail*, and may be cut, only if no valid group behind it,
//! and no later segment, shows that it had been durable. Anything else is
//! damage. One case cannot be told apart from the bytes alone: the very last
//! group, damaged after it was durable. [`LogWriter::mark_synced`] closes it
//! with an empty group; call it when the log comes to rest.
//!
//! **Nothing is ever overwritten.** To truncate is to append a group that says
//! so, and so is to start again after a snapshot; both are there or not, like
//! any group, and no crash can leave half of one. Segments are deleted whole,
//! oldest first, when nothing in them is wanted. Each begins with the index
//! that follows what came before it, so a log purged up to an index and a new
//! one are different after a restart.
//!
//! **Segments are preallocated** in steps of a few MiB. A group in allocated
//! blocks needs no change of the file's length in the file system's journal,
//! which makes the fdatasync cheaper; and a full disk is found by the
//! allocation, before a byte of the group is written. Not the whole segment at
//! once: a laptop with many small shards would pay 64 MiB for each.
//!
//! **After a failed write or fdatasync the log is poisoned**: the kernel may
//! have marked the pages clean, so a second fdatasync proves nothing. The one
//! exception is a full disk before any fdatasync: the group is cut off again,
//! durably, and the log goes on when there is room.

mod codec;
mod error;
mod index;
mod open;
mod reader;
mod scan;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use error::LogError;
pub use open::{Found, Opened, TornTail, find, open};
pub use reader::LogReader;
pub use writer::LogWriter;

/// What a shard agreed on at an index. The log does not look into the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: the one after the entry before it; the first is 1.
    pub index: u64,
    /// The term of the leader that proposed it; never falls.
    pub term: u64,
    /// The command.
    pub payload: Bytes,
}

/// Where an entry is in history. The point before the first entry is 0, 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The entry's index.
    pub index: u64,
    /// The entry's term.
    pub term: u64,
}

/// How a log lays out its files.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// Whose log it is. Segments of a log of another identity are damage here.
    pub identity: u64,
    /// A segment is closed before it outgrows this. A group that is larger has
    /// a segment to itself. At most 1 GiB is used.
    pub segment_bytes: u64,
    /// Room is allocated in steps of this; 0: only as it is written.
    pub preallocate_bytes: u64,
    /// A random number for the segments made from now on. It seeds their
    /// checksums, so that no client can send bytes that look like a group.
    pub salt: u64,
}

impl LogOptions {
    /// Segments of 64 MiB, allocated 4 MiB at a time.
    #[must_use]
    pub fn new(identity: u64, salt: u64) -> Self {
        Self {
            identity,
            segment_bytes: 64 << 20,
            preallocate_bytes: 4 << 20,
            salt,
        }
    }
}
