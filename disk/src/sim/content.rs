//! One file's content: the changes since it was last durable, and what a power
//! cut leaves of them. Only undo records are kept; what a change wrote is
//! found again at the cut, by undoing the changes one by one.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;

/// What a drive writes whole or not at all.
const SECTOR: u64 = 512;

/// What was there before a change.
#[derive(Debug)]
enum Undo {
    /// `len` bytes were written at `offset`; `old` is what was there, up to
    /// the end of the file, which was at `old_len`.
    Write {
        offset: u64,
        len: usize,
        old: Vec<u8>,
        old_len: u64,
    },
    /// The length was set; `cut` is what was behind the new end.
    SetLen {
        old_len: u64,
        new_len: u64,
        cut: Vec<u8>,
    },
}

/// What is known of a change's durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Not synced yet.
    Pending,
    /// A sync of it failed: later syncs do not mend that.
    Doomed,
    /// Synced, and in the list only because a doomed change is before it.
    Durable,
}

#[derive(Debug)]
struct Change {
    undo: Undo,
    hold: Hold,
}

/// One file's content, whatever its names are.
#[derive(Debug)]
pub(super) struct Content {
    file: Arc<fs::File>,
    /// The length as we know it; what is behind it, another library wrote.
    len: u64,
    /// Up to here no write needs new room.
    allocated: u64,
    changes: Vec<Change>,
}

impl Content {
    /// A file whose content is durable as it is.
    pub(super) fn durable(file: fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            len,
            allocated: len,
            changes: Vec::new(),
        })
    }

    /// A file that another library wrote, or that is new: nothing is durable.
    pub(super) fn foreign(file: fs::File) -> io::Result<Self> {
        Ok(Self {
            len: 0,
            ..Self::durable(file)?
        })
    }

    pub(super) fn file(&self) -> &Arc<fs::File> {
        &self.file
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    pub(super) fn set_allocated(&mut self, allocated: u64) {
        self.allocated = allocated;
    }

    /// Records what another library appended as an unsynced write, and returns
    /// the length.
    fn notice(&mut self) -> io::Result<u64> {
        let actual = self.file.metadata()?.len();
        if actual > self.len {
            let len = usize::try_from(actual - self.len).map_err(io::Error::other)?;
            let (offset, old_len) = (self.len, self.len);
            self.push(Undo::Write {
                offset,
                len,
                old: Vec::new(),
                old_len,
            });
            self.allocated = self.allocated.max(actual);
        }
        self.len = actual;
        Ok(actual)
    }

    fn push(&mut self, undo: Undo) {
        self.changes.push(Change {
            undo,
            hold: Hold::Pending,
        });
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let old_len = self.notice()?;
        let end = offset + bytes.len() as u64;
        let old = read_range(&self.file, offset, end.min(old_len))?;
        self.push(Undo::Write {
            offset,
            len: bytes.len(),
            old,
            old_len,
        });
        self.len = old_len.max(end);
        self.allocated = self.allocated.max(end);
        self.file.write_all_at(bytes, offset)
    }

    pub(super) fn set_len(&mut self, new_len: u64) -> io::Result<()> {
        let old_len = self.notice()?;
        let cut = read_range(&self.file, new_len, old_len)?;
        self.push(Undo::SetLen {
            old_len,
            new_len,
            cut,
        });
        self.len = new_len;
        self.allocated = self.allocated.min(new_len);
        self.file.set_len(new_len)
    }

    /// Grows to `new_len` with room for all of it.
    pub(super) fn allocate(&mut self, new_len: u64) -> io::Result<()> {
        if self.notice()? < new_len {
            self.set_len(new_len)?;
        }
        self.allocated = self.allocated.max(new_len);
        Ok(())
    }

    /// All changes so far are durable, but those that a failed sync doomed.
    pub(super) fn synced(&mut self) -> io::Result<()> {
        self.notice()?;
        for change in &mut self.changes {
            if change.hold == Hold::Pending {
                change.hold = Hold::Durable;
            }
        }
        if self
            .changes
            .iter()
            .all(|change| change.hold == Hold::Durable)
        {
            self.changes.clear();
        }
        Ok(())
    }

    /// A sync failed: the changes since the last one may be lost for good.
    pub(super) fn sync_failed(&mut self) -> io::Result<()> {
        self.notice()?;
        for change in &mut self.changes {
            if change.hold == Hold::Pending {
                change.hold = Hold::Doomed;
            }
        }
        Ok(())
    }

    /// Whether a cut could change this file.
    pub(super) fn unsynced(&mut self) -> io::Result<bool> {
        self.notice()?;
        Ok(!self.changes.is_empty())
    }

    /// What a power cut leaves of this file.
    pub(super) fn survive(&self, rng: &mut StdRng) -> io::Result<Vec<u8>> {
        let mut image = read_range(&self.file, 0, self.file.metadata()?.len())?;
        let mut written = Vec::with_capacity(self.changes.len());
        for change in self.changes.iter().rev() {
            written.push(match &change.undo {
                Undo::Write {
                    offset,
                    len,
                    old,
                    old_len,
                } => {
                    let at = index(*offset)?;
                    let bytes = image[at..at + len].to_vec();
                    put(&mut image, old, *offset)?;
                    image.resize(index(*old_len)?, 0);
                    bytes
                }
                Undo::SetLen {
                    old_len,
                    new_len,
                    cut,
                } => {
                    image.resize(index(*old_len)?, 0);
                    put(&mut image, cut, *new_len)?;
                    Vec::new()
                }
            });
        }
        let mood = Mood::draw(rng);
        for (change, bytes) in self.changes.iter().zip(written.iter().rev()) {
            let durable = change.hold == Hold::Durable;
            match &change.undo {
                Undo::Write { offset, .. } if durable => put(&mut image, bytes, *offset)?,
                Undo::Write { offset, .. } => land(&mut image, bytes, *offset, mood, rng)?,
                Undo::SetLen { new_len, .. } => {
                    if durable || mood.keeps(rng) {
                        image.resize(index(*new_len)?, 0);
                    }
                }
            }
        }
        Ok(image)
    }
}

/// Whether the drive was idle, overwhelmed, or in the midst of it. Without the
/// first two, a file with many changes would never come out whole or untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    AllKept,
    AllLost,
    Mixed,
}

impl Mood {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..6) {
            0 => Self::AllKept,
            1 => Self::AllLost,
            _ => Self::Mixed,
        }
    }

    pub(super) fn keeps(self, rng: &mut StdRng) -> bool {
        match self {
            Self::AllKept => true,
            Self::AllLost => false,
            Self::Mixed => rng.random(),
        }
    }
}

/// Puts into the image what arrived of an unsynced write.
fn land(
    image: &mut Vec<u8>,
    bytes: &[u8],
    offset: u64,
    mood: Mood,
    rng: &mut StdRng,
) -> io::Result<()> {
    let end = offset + bytes.len() as u64;
    let part = |from: u64, to: u64| -> io::Result<&[u8]> {
        Ok(&bytes[index(from - offset)?..index(to - offset)?])
    };
    let fate = match mood {
        Mood::AllKept => 0,
        Mood::AllLost => 1,
        Mood::Mixed => rng.random_range(0..5),
    };
    match fate {
        0 => put(image, bytes, offset),
        1 => Ok(()),
        // The length arrived, the data did not.
        2 => {
            image.resize(image.len().max(index(end)?), 0);
            Ok(())
        }
        // A prefix, of whole sectors.
        3 => {
            let sectors = offset / SECTOR + 1..=end.div_ceil(SECTOR);
            let torn_at = (rng.random_range(sectors) * SECTOR).min(end);
            put(image, part(offset, torn_at)?, offset)
        }
        // Any of its sectors.
        _ => {
            for sector in offset / SECTOR..end.div_ceil(SECTOR) {
                if rng.random() {
                    let from = (sector * SECTOR).max(offset);
                    let to = ((sector + 1) * SECTOR).min(end);
                    put(image, part(from, to)?, from)?;
                }
            }
            Ok(())
        }
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

/// Writes into the image as into a file: behind its end there are zeros.
fn put(image: &mut Vec<u8>, bytes: &[u8], offset: u64) -> io::Result<()> {
    let at = index(offset)?;
    if !bytes.is_empty() {
        image.resize(image.len().max(at + bytes.len()), 0);
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
    Ok(())
}

/// The bytes of a range, which lies within the file; none if it is empty.
fn read_range(file: &fs::File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; index(to.saturating_sub(from))?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Fills a new file, with holes where the image has zeros: preallocated files
/// would otherwise make a cut as slow as they are large.
pub(super) fn fill(file: &fs::File, image: &[u8]) -> io::Result<()> {
    const STEP: usize = 256 << 10;
    file.set_len(image.len() as u64)?;
    for (number, bytes) in (0..).zip(image.chunks(STEP)) {
        if bytes.iter().any(|&byte| byte != 0) {
            file.write_all_at(bytes, number * STEP as u64)?;
        }
    }
    Ok(())
}
