//! Repairs the one thing that a power cut may leave of the store's journal and
//! that the store refuses to open: a batch of which a page in the middle was
//! never written, while later pages were. The kernel writes back in any order.
//!
//! The batch was not synced, so nothing relies on it: the log is replayed from
//! the manifest. Cut there, the journal is what a crash a moment earlier would
//! have left. Should the batch have been synced after all, the disk is at
//! fault; the rows then end before the manifest, and that is found at open.
//!
//! The journal, as the store's version 3 writes it, numbers little-endian:
//!
//! ```text
//! start  1, items u32, seqno u64
//! item   2, kind u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value
//! end    3, xxh3-64 of the items u64, "FJL" 3
//! clear  4, keyspace u64
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const TRAILER: &[u8; 4] = b"FJL\x03";

/// Cuts the store's newest journal before its first batch that is there and
/// damaged; says whether there was one.
///
/// # Errors
/// The journal cannot be read or cut.
pub fn cut_torn_batch(store: &Path) -> io::Result<bool> {
    let Some(journal) = newest_journal(store)? else {
        return Ok(false);
    };
    let file = File::options().read(true).write(true).open(journal)?;
    let len = file.metadata()?.len();
    let Some(at) = torn_batch(&mut BufReader::new(&file), len)? else {
        return Ok(false);
    };
    file.set_len(at)?;
    file.sync_all()?;
    Ok(true)
}

fn newest_journal(store: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        let number = path
            .extension()
            .filter(|e| *e == "jnl")
            .and_then(|_| path.file_stem()?.to_str()?.parse().ok());
        let Some(number) = number else {
            continue;
        };
        if newest.as_ref().is_none_or(|(n, _)| *n < number) {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where the first damaged batch begins; `None` if the batches just end.
fn torn_batch(journal: &mut impl Read, len: u64) -> io::Result<Option<u64>> {
    let mut source = Source { journal, left: len };
    let mut whole_to = 0;
    loop {
        let batch = match read_batch(&mut source) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Batch::End,
            other => other?,
        };
        match batch {
            Batch::Whole => whole_to = len - source.left,
            Batch::Damaged => return Ok(Some(whole_to)),
            Batch::End => return Ok(None),
        }
    }
}

enum Batch {
    Whole,
    Damaged,
    /// No batch begins here, or it has no end: the store cuts it itself.
    End,
}

struct Source<'a, R> {
    journal: &'a mut R,
    left: u64,
}

impl<R: Read> Source<'_, R> {
    fn take(&mut self, len: u64) -> io::Result<Vec<u8>> {
        // A length that reaches behind the file must not be allocated.
        if len > self.left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= len;
        let mut bytes = Vec::new();
        self.journal.by_ref().take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn u8(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }
}

fn read_batch(source: &mut Source<'_, impl Read>) -> io::Result<Batch> {
    if source.u8()? != 1 {
        return Ok(Batch::End);
    }
    let start = source.take(12)?;
    let items = number(&start[..4]);
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut seen = 0;
    loop {
        match source.u8()? {
            2 => {
                let header = source.take(20)?;
                let content = source.take(number(&header[10..12]) + number(&header[16..20]))?;
                for part in [&[2][..], &header, &content] {
                    hasher.update(part);
                }
                seen += 1;
            }
            3 => {
                let end = source.take(12)?;
                if end[8..] != *TRAILER {
                    return Ok(Batch::End);
                }
                let whole = seen == items && hasher.digest() == number(&end[..8]);
                return Ok(if whole { Batch::Whole } else { Batch::Damaged });
            }
            4 => {
                hasher.update(&[4]);
                hasher.update(&source.take(8)?);
                seen += 1;
            }
            _ => return Ok(Batch::End),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}
