//! Where a collection's ring is kept: [`FileRingStore`], one ring in one file.

mod file;

pub use file::{FileError, FileRingStore};
