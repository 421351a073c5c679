//! Opening: which segments are there, whether they join, whether each is as it
//! was written, and where the log goes on. The only place that cuts anything
//! off the log's end, and it cuts only what was never known to be durable.
//!
//! All that is found is made durable before it is served. After a process was
//! killed, the page cache may show groups, and names of segments, that no
//! fdatasync has seen; a replica that told others of them and then lost the
//! power would have forgotten what it promised. What no group behind it shows to
//! have been durable, usually the last group, is also written again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use quoit_disk::Disk;

use super::codec::{self, Flaw, SEGMENT_HEADER, SegmentHeader};
use super::index::Index;
use super::reader::Published;
use super::scan::{self, Scanned, Stop};
use super::segment::{self, Segment};
use super::writer::Active;
use super::{LogError, LogOptions, LogReader, LogWriter, Position};

/// A log, open.
pub struct Opened {
    /// The one writer.
    pub writer: LogWriter,
    /// A reader, to be cloned.
    pub reader: LogReader,
}

/// What was cut off at the opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were behind.
    pub bytes: u64,
    /// What is wrong with them.
    pub what: &'static str,
}

/// Where the last segment read so far ended.
struct End {
    header: SegmentHeader,
    scanned: Scanned,
    /// The file's length.
    len: u64,
}

/// A log as it lies there, read and checked, with nothing cut off yet.
pub struct Found {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    segments: BTreeMap<u32, Arc<Segment>>,
    index: Index,
    end: Option<End>,
}

/// Opens the log in a folder; where there is none, an empty one is made.
///
/// # Errors
/// As [`find`] and [`Found::settle`].
pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: LogOptions) -> Result<Opened, LogError> {
    find(disk, dir, options)?.settle()
}

/// Reads the log in a folder. The caller compares its last index with what it
/// has applied before it settles the log: one that was deleted is not told from
/// a new one here, and what a damaged one had behind its damage is cut off then.
///
/// # Errors
/// [`LogError::Damaged`], [`LogError::SegmentMissing`] and [`LogError::Newer`]
/// when the log must not be served, or not by this version; otherwise what
/// the disk said.
pub fn find(disk: Arc<dyn Disk>, dir: &Path, options: LogOptions) -> Result<Found, LogError> {
    disk.create_dir_all(dir).map_err(LogError::folder(dir))?;
    let seqs = segments_in(&*disk, dir)?;
    // A name that was given and not synced before the process was killed.
    disk.sync_dir(dir).map_err(LogError::folder(dir))?;
    let mut segments = BTreeMap::new();
    let mut index = Index::new(Position::default());
    let mut end: Option<End> = None;
    for seq in seqs {
        let path = segment::path_of(dir, seq);
        if let Some(End { header, .. }) = &end
            && header.seq + 1 != seq
        {
            return Err(LogError::SegmentMissing {
                path: segment::path_of(dir, header.seq + 1),
            });
        }
        let bytes = disk.read(&path).map_err(LogError::read(&path))?;
        let (header, chain) = header_of(&bytes, &path, seq, options.identity)?;
        match &end {
            Some(end) => check_joint(end, &header, &index, dir)?,
            None => index = Index::new(header.base),
        }
        let scanned = scan::scan(&bytes, seq, header.salt, chain, &mut index);
        end = Some(End {
            header,
            scanned,
            len: bytes.len() as u64,
        });
        let file = disk.open(&path).map_err(LogError::read(&path))?;
        segments.insert(
            seq,
            Arc::new(Segment {
                seq,
                path,
                file,
                salt: header.salt,
            }),
        );
    }
    Ok(Found {
        disk,
        dir: dir.to_owned(),
        options,
        segments,
        index,
        end,
    })
}

impl Found {
    /// Whether there is no log yet, not even an empty one.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.segments.is_empty()
    }

    /// The last entry that is whole.
    #[must_use]
    pub fn last(&self) -> Position {
        self.index.last()
    }

    /// Cuts a torn tail off, makes what is left durable, and opens it.
    ///
    /// # Errors
    /// The end is damaged and no torn tail, or of a newer version; or the disk
    /// failed.
    pub fn settle(self) -> Result<Opened, LogError> {
        let Self {
            disk,
            dir,
            options,
            mut segments,
            index,
            end,
        } = self;
        let (active, torn_tail) = match (end, segments.values().next_back()) {
            (Some(end), Some(segment)) => settle(&end, segment)?,
            _ => (first_segment(&*disk, &dir, options, &mut segments)?, None),
        };
        let published = Arc::new(RwLock::new(Published { index, segments }));
        let reader = LogReader::new(Arc::clone(&published));
        let writer = LogWriter::new(disk, dir, options, published, active, torn_tail);
        Ok(Opened { writer, reader })
    }
}

/// The numbers of the segments, in order. What was not finished is removed.
fn segments_in(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, LogError> {
    let mut seqs = Vec::new();
    for path in disk.list(dir).map_err(LogError::folder(dir))? {
        if segment::is_unfinished(&path) {
            disk.remove(&path).map_err(LogError::remove(&path))?;
        }
        seqs.extend(segment::seq_of(&path));
    }
    seqs.sort_unstable();
    Ok(seqs)
}

fn header_of(
    bytes: &[u8],
    path: &Path,
    seq: u32,
    identity: u64,
) -> Result<(SegmentHeader, u64), LogError> {
    let damaged = |what| LogError::Damaged {
        path: path.to_owned(),
        offset: 0,
        what,
    };
    match codec::decode_segment(bytes, identity) {
        Ok((header, chain)) if header.seq == seq && header.base.index < u64::MAX => {
            Ok((header, chain))
        }
        Ok(_) => Err(damaged("the segment has another's name")),
        Err(Flaw::Bad(what)) => Err(damaged(what)),
        Err(Flaw::Newer) => Err(LogError::Newer {
            path: path.to_owned(),
            offset: 0,
        }),
    }
}

/// Whether a segment goes on where the one before it ended. That one was
/// durable to its end before this one was made: whatever stopped the scan
/// before that end is damage.
fn check_joint(end: &End, next: &SegmentHeader, index: &Index, dir: &Path) -> Result<(), LogError> {
    let End {
        header,
        scanned: Scanned {
            end, chain, stop, ..
        },
        ..
    } = end;
    let path = segment::path_of(dir, header.seq);
    if (next.prev_end, next.chain, next.base) == (*end, *chain, index.last()) {
        return Ok(());
    }
    let what = match stop {
        Stop::Newer => return Err(LogError::Newer { path, offset: *end }),
        Stop::Torn(what) | Stop::Damaged(what) => what,
        Stop::Clean if next.prev_end > *end => "the segment ends before the next one begins",
        Stop::Clean => {
            let what = "the segment does not follow the one before it";
            return Err(LogError::Damaged {
                path: segment::path_of(dir, next.seq),
                offset: 0,
                what,
            });
        }
    };
    Err(LogError::Damaged {
        path,
        offset: *end,
        what,
    })
}

/// Decides what the end of the last segment is, cuts it if it is torn, and
/// makes what is left durable.
fn settle(end: &End, segment: &Arc<Segment>) -> Result<(Active, Option<TornTail>), LogError> {
    let End {
        scanned:
            Scanned {
                end,
                chain,
                durable,
                stop,
            },
        len,
        ..
    } = *end;
    let Segment { path, file, .. } = &**segment;
    let torn_tail = match stop {
        Stop::Clean => None,
        Stop::Torn(what) => Some(TornTail {
            path: path.clone(),
            offset: end,
            bytes: len - end,
            what,
        }),
        Stop::Newer => {
            return Err(LogError::Newer {
                path: path.clone(),
                offset: end,
            });
        }
        Stop::Damaged(what) => {
            return Err(LogError::Damaged {
                path: path.clone(),
                offset: end,
                what,
            });
        }
    };
    if torn_tail.is_some() {
        // Durable before anything is appended: else remains of the torn group
        // could follow a new, shorter one.
        file.set_len(end).map_err(LogError::settle(path))?;
    }
    // Written again, since its fdatasync may have failed: then the kernel holds
    // the pages for clean, and a sync alone would not bring them to the disk.
    let too_large = |_| io::ErrorKind::FileTooLarge.into();
    let unproven = usize::try_from(end - durable).map_err(too_large);
    let unproven = unproven.and_then(|len| {
        let mut bytes = vec![0; len];
        file.read_at(&mut bytes, durable)?;
        file.write_at(&bytes, durable)?;
        file.sync_data()
    });
    unproven.map_err(LogError::settle(path))?;
    Ok((Active::new(Arc::clone(segment), end, chain), torn_tail))
}

/// The first segment of a new log.
fn first_segment(
    disk: &dyn Disk,
    dir: &Path,
    options: LogOptions,
    segments: &mut BTreeMap<u32, Arc<Segment>>,
) -> Result<Active, LogError> {
    let base = Position::default();
    let header = SegmentHeader {
        seq: 1,
        salt: options.salt,
        base,
        chain: 0,
        prev_end: 0,
    };
    let (segment, chain) =
        segment::create(disk, dir, &header, options.identity, SEGMENT_HEADER as u64)?;
    let segment = Arc::new(segment);
    segments.insert(1, Arc::clone(&segment));
    Ok(Active::new(segment, SEGMENT_HEADER as u64, chain))
}
