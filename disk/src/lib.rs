//! The file system as it is passed in. What a replica writes goes through
//! [`Disk`], so that a test can cut the power (what was not synced is gone),
//! fill the disk or tear a write, and the code under test is the one that runs.
//!
//! Two forms: [`RealDisk`], and [`SimDisk`], which works on real files below a
//! folder and remembers how to undo each write that was not synced. A file of
//! either can be mapped read-only ([`Map`]).

pub mod map;
mod real;
pub mod sim;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use map::Map;
pub use real::RealDisk;
pub use sim::SimDisk;

/// Whether a file could not be opened because this process, or the machine, has
/// too many open: nothing is wrong with the file, and later it may go.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A file system. Paths are absolute or relative to the process, as for `std::fs`.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file to read and write, creating it if it is not there; what is
    /// in it stays. A new file's name is durable only after `sync_dir`.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Reads a whole file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// What is in a folder, files and folders alike: full paths, sorted.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Creates a folder and those above it. They are durable when this
    /// returns: no file in a folder can outlive the folder's own name, so a
    /// forgotten sync of the folder above would cost all that is in it.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file over another, or a folder, with all in it, to a name in the
    /// same folder that nothing has; durable only after `sync_dir` of the folder.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable only after `sync_dir`.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and all in it; durable only after `sync_dir`. Cut short, it
    /// leaves any part of it.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the content of a file that another library wrote durable. Its
    /// name needs `sync_dir`.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// The bytes that an unprivileged writer may still use below this path.
    ///
    /// # Errors
    /// As the operating system says.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. All offsets are explicit: a file has no position.
#[allow(
    clippy::len_without_is_empty,
    reason = "whether a file is empty is no question anybody asks"
)]
pub trait File: Send + Sync {
    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// As the operating system says; part of the bytes may be there.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes the content durable (fdatasync).
    ///
    /// # Errors
    /// As the operating system says. What was written since the last success
    /// must be taken for lost: a second call may say that all is well.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves blocks up to `len`, so that a later write in there does not
    /// find the disk full. A shorter file grows (with zeros) to `len`, a
    /// longer one keeps its length.
    ///
    /// # Errors
    /// `StorageFull` when there is no room; the file may have grown in part.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// The length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn len(&self) -> io::Result<u64>;
    /// The file as the operating system knows it, to be mapped read-only.
    fn as_std(&self) -> &std::fs::File;
}
