//! A power cut for the row store, which does its own input and output: an
//! image of its folder as it is, in which the journal is cut at a place between
//! what was synced and the end. The journal is written in order and reserved in
//! advance, so its end is where the zeros begin.

use rand::prelude::*;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const CHUNK: usize = 64 << 10;

/// How much of the newest journal is written: its path and the length.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    journal: PathBuf,
    len: u64,
}

/// The present end of the store's journal.
pub fn end(rows: &Path) -> Mark {
    let number = |p: &PathBuf| -> Option<u64> { p.file_stem()?.to_str()?.parse().ok() };
    let journals = super::files(rows);
    let journals = journals
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "jnl"));
    let journal = journals.max_by_key(number).unwrap();
    let content = content(&journal);
    Mark {
        len: content.len() as u64,
        journal,
    }
}

/// What is in a journal before the zeros. No row holds so many zeros in a row.
fn content(journal: &Path) -> Vec<u8> {
    let mut file = File::open(journal).unwrap();
    let mut content = Vec::new();
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        file.by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)
            .unwrap();
        let whole = chunk.len() == CHUNK;
        let used = chunk.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
        content.extend_from_slice(&chunk);
        if !whole || used == 0 {
            break;
        }
    }
    let used = content.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    content.truncate(used);
    content
}

/// Copies the store, with its journal cut somewhere from `synced` on.
pub fn image(rows: &Path, to: &Path, synced: &Mark, rng: &mut StdRng) {
    let now = end(rows);
    copy_sparse(rows, to);
    let journal = to.join(now.journal.strip_prefix(rows).unwrap());
    let from = if now.journal == synced.journal {
        synced.len.min(now.len)
    } else {
        now.len
    };
    let cut = match rng.random_range(0..4) {
        0 => from,
        1 => now.len,
        _ => rng.random_range(from..=now.len),
    };
    let file = File::options().write(true).open(journal).unwrap();
    let reserved = file.metadata().unwrap().len();
    file.set_len(cut).unwrap();
    if rng.random_bool(0.5) {
        file.set_len(reserved).unwrap();
    }
}

/// Loses one page of a journal, of which later pages were written.
pub fn lose_page(rows: &Path, page: u64) {
    let file = File::options().write(true).open(end(rows).journal).unwrap();
    file.write_all_at(&[0; 4096], page * 4096).unwrap();
}

impl Mark {
    /// The pages of which all was written between two marks of one journal.
    pub fn pages_until(&self, later: &Self) -> std::ops::Range<u64> {
        assert_eq!(self.journal, later.journal);
        self.len.div_ceil(4096)..later.len / 4096
    }
}

fn copy_sparse(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in super::files(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_sparse(&path, &target);
        } else if path.extension().is_some_and(|e| e == "jnl") {
            let file = File::create(&target).unwrap();
            file.set_len(path.metadata().unwrap().len()).unwrap();
            file.write_all_at(&content(&path), 0).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
