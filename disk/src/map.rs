//! A file mapped read-only: the bytes are the page cache's own, nothing is
//! copied, and what is not read takes no memory. The one module of this crate
//! with `unsafe` in it.
//!
//! # Why it is sound for us
//!
//! A mapping breaks Rust's rules in two ways, if one lets it.
//!
//! *The file shrinks*, and a read behind its end is a signal (`SIGBUS`), not an
//! error. [`Map::new`] refuses a length behind the file's end. After that:
//! **a file that is mapped is never cut**, only removed (the mapping keeps its
//! blocks). A full disk is such a signal too, where a page of a sparse file
//! must be filled: that is for pages that are *written* through a mapping, and
//! ours is read-only; what is written goes through `write_at`, which answers
//! `StorageFull`.
//!
//! *The bytes change* while a `&[u8]` says that they cannot. A process that
//! maps a file sees each `pwrite` to it, so this rule is the caller's to keep:
//! **a range is passed to [`Map::bytes`] only after what is in there was
//! published, and published bytes are not written again as long as anybody may
//! read them.** Published means: the `write_at` has returned, and the reader
//! learnt of it by something that orders memory (a lock, a channel, an atomic
//! with release and acquire). Bytes outside of that range may change at any
//! time, also in the same page; no reference covers them, and the compiler is
//! told nothing about them. Slots are used again only when no pinned view
//! shows them, which is the same rule seen from the writer.
//!
//! A caller that breaks the second rule reads torn numbers (every bit pattern
//! is a valid `u8`, so no invalid value can arise), and the compiler may read
//! the same byte twice and see two values. Nothing outside the mapping can be
//! reached that way: the bounds come from the mapping's length, not its bytes.
//! Other programs are kept off the files by the data directory's lock.

#![allow(
    unsafe_code,
    reason = "mapping a file is unsafe; the argument is in the module's header"
)]

use std::io;
use std::ops::Range;

use memmap2::{Advice, Mmap, MmapOptions};

use crate::File;

/// The first bytes of a file, as memory. It outlives the open file, and the
/// file's name.
#[derive(Debug)]
pub struct Map(Mmap);

impl Map {
    /// Maps the first `len` bytes. Read the module's header: the file must
    /// not be cut below `len` from here on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter than `len`; otherwise as the
    /// operating system says.
    pub fn new(file: &dyn File, len: u64) -> io::Result<Self> {
        if file.len()? < len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("a file shorter than the {len} bytes that were to be mapped"),
            ));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        // SAFETY: the range is within the file, and by the two rules in the
        // module's header stays so, and no published byte changes.
        let map = unsafe { MmapOptions::new().len(len).map(file.as_std()) }?;
        Ok(Self(map))
    }

    /// Published bytes of the file: see the module's header for what that
    /// asks of the caller.
    ///
    /// # Panics
    /// When the range reaches behind the mapped length, as a slice does.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.0[range]
    }

    /// The mapped length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells the kernel that reads come in no order, so that it reads no
    /// pages ahead that nobody asked for.
    ///
    /// # Errors
    /// As the operating system says; the mapping is as good as before.
    pub fn advise_random(&self) -> io::Result<()> {
        self.0.advise(Advice::Random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disk, RealDisk};

    #[test]
    fn a_map_shows_what_is_written_after_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a")).unwrap();
        file.allocate(8192).unwrap();
        let map = Map::new(&*file, 8192).unwrap();
        map.advise_random().unwrap();
        file.write_at(b"published", 4090).unwrap();
        assert_eq!(map.bytes(4090..4099), b"published");
        assert_eq!(map.len(), 8192);
    }

    #[test]
    fn a_map_outlives_the_file_and_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = RealDisk.open(&path).unwrap();
        file.write_at(b"still here", 0).unwrap();
        let map = Map::new(&*file, 10).unwrap();
        drop(file);
        RealDisk.remove(&path).unwrap();
        assert_eq!(map.bytes(0..10), b"still here");
    }

    #[test]
    fn more_than_the_file_is_not_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a")).unwrap();
        file.allocate(100).unwrap();
        let error = Map::new(&*file, 101).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(Map::new(&*file, 0).unwrap().is_empty());
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn bytes_behind_the_map_are_out_of_range() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a")).unwrap();
        file.allocate(100).unwrap();
        let _ = Map::new(&*file, 100).unwrap().bytes(90..101);
    }
}
