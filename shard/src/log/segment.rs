//! Segment files: their names, and how one comes into being. A segment has its
//! name only once its header is durable: so a bad header under that name is
//! damage, never the trace of a crash.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quoit_disk::{Disk, File};

use super::LogError;
use super::codec::{self, SegmentHeader};

/// An open segment.
pub(super) struct Segment {
    pub seq: u32,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    /// The seed of its checksums.
    pub salt: u64,
}

/// The name that a segment has.
pub(super) fn path_of(dir: &Path, seq: u32) -> PathBuf {
    dir.join(format!("{seq:010}.log"))
}

/// The number of the segment with this name; `None`: it is none of ours.
pub(super) fn seq_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let seq = name.parse().ok()?;
    (name.len() == 10).then_some(seq)
}

/// Whether this is a segment whose making was interrupted.
pub(super) fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "new")
        && seq_of(&path.with_extension("log")).is_some()
}

/// Makes a segment with room for so many bytes; answers it and the chain that
/// its first group continues. After [`LogError::Full`] and [`LogError::Grow`]
/// nothing is changed; after any other error, what a restart would find is
/// not known.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    header: &SegmentHeader,
    identity: u64,
    room: u64,
) -> Result<(Segment, u64), LogError> {
    let path = path_of(dir, header.seq);
    let new = path.with_extension("new");
    let (bytes, chain) = codec::encode_segment(header, identity);
    let file = match begin(disk, &new, &bytes, room) {
        Ok(file) => file,
        Err(source) => {
            // If it stays, the next opening removes it, or the next attempt
            // starts over in it.
            let _ = disk.remove(&new);
            return Err(LogError::room(&path)(source));
        }
    };
    file.sync_data().map_err(LogError::sync(&path))?;
    disk.rename(&new, &path).map_err(LogError::sync(&path))?;
    disk.sync_dir(dir).map_err(LogError::sync(&path))?;
    let segment = Segment {
        seq: header.seq,
        path,
        file,
        salt: header.salt,
    };
    Ok((segment, chain))
}

fn begin(disk: &dyn Disk, new: &Path, header: &[u8], room: u64) -> io::Result<Arc<dyn File>> {
    // What an earlier attempt may have left in it is zeros and this header's
    // like, or a part of one: all of that is written over.
    let file = disk.open(new)?;
    file.allocate(room)?;
    file.write_at(header, 0)?;
    Ok(file)
}
