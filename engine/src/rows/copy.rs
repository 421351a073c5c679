//! All rows as bytes, keyspace by keyspace, for another replica. What a row means
//! is not looked at: a keyspace that is added is copied with the others, once its
//! name is in [`KEYSPACES`].
//!
//! ```text
//! row = key length u16 | value length u32 | key | value        numbers little-endian
//! ```

use super::{Rows, RowsView};
use crate::error::{Error, Result};
use fjall::{Keyspace, Readable};
use std::fs::{self, TryLockError};
use std::io;
use std::path::Path;

/// All keyspaces, in the order in which they are copied.
pub const KEYSPACES: [&str; 5] = ["ids", "feed", "vnodes", "ops", "meta"];

const HEADER: usize = 6;

impl Rows {
    fn keyspace(&self, name: &str) -> Result<&Keyspace> {
        match name {
            "ids" => Ok(&self.ids),
            "feed" => Ok(&self.feed),
            "vnodes" => Ok(&self.vnodes),
            "ops" => Ok(&self.ops),
            "meta" => Ok(&self.meta),
            _ => Err(self.damage(&format!("the name of a keyspace, {name},"))),
        }
    }

    /// Takes rows of a keyspace as they come in.
    ///
    /// # Errors
    /// The store failed; it refuses all further writes.
    pub fn copy_in(&self, keyspace: &str, reader: &mut RowsReader, bytes: &[u8]) -> Result<()> {
        let keyspace = self.keyspace(keyspace)?;
        let mut batch = self.db.batch();
        reader.read(bytes, |key, value| batch.insert(keyspace, key, value));
        batch.commit().map_err(Error::rows("write a batch"))
    }
}

impl RowsView {
    /// All rows of a keyspace, in the order of their keys, given away in pieces of
    /// about so many bytes.
    ///
    /// # Errors
    /// A row cannot be read, or a piece not be taken.
    pub fn copy_out<E: From<Error>>(
        &self,
        keyspace: &str,
        piece: usize,
        mut give: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut bytes = Vec::with_capacity(piece);
        for guard in self.snapshot.iter(self.rows.keyspace(keyspace)?) {
            let (key, value) = guard.into_inner().map_err(Error::rows("read rows"))?;
            let lengths = (u16::try_from(key.len()), u32::try_from(value.len()));
            let (Ok(key_len), Ok(value_len)) = lengths else {
                return Err(self.rows.damage("a row beyond all bounds").into());
            };
            bytes.extend(key_len.to_le_bytes());
            bytes.extend(value_len.to_le_bytes());
            bytes.extend_from_slice(&key);
            bytes.extend_from_slice(&value);
            if bytes.len() >= piece {
                give(&bytes)?;
                bytes.clear();
            }
        }
        if bytes.is_empty() {
            Ok(())
        } else {
            give(&bytes)
        }
    }
}

/// Finds the rows in bytes that come in pieces cut anywhere.
#[derive(Default)]
pub struct RowsReader {
    /// The begin of a row of which the rest is still to come.
    begun: Vec<u8>,
}

impl RowsReader {
    /// Takes a piece, and gives away the rows that are whole with it.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        self.begun.extend_from_slice(bytes);
        let mut rest = &self.begun[..];
        while let Some((key, value, after)) = split_row(rest) {
            each(key, value);
            rest = after;
        }
        let taken = self.begun.len() - rest.len();
        self.begun.drain(..taken);
    }

    /// Whether no row is begun.
    pub fn is_between_rows(&self) -> bool {
        self.begun.is_empty()
    }
}

fn split_row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [k0, k1, v0, v1, v2, v3] = *header;
    let key = usize::from(u16::from_le_bytes([k0, k1]));
    let value = usize::try_from(u32::from_le_bytes([v0, v1, v2, v3])).ok()?;
    let (key, rest) = rest.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some((key, value, rest))
}

/// Whether a store is open, in this process or in another. Views keep it open.
///
/// # Errors
/// Its lock cannot be read.
pub fn is_open(store: &Path) -> Result<bool> {
    let path = store.join("lock");
    let lock = match fs::File::open(&path) {
        Ok(lock) => lock,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::file("open", path)(e)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(Error::file("lock", path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use crate::rows::RowsTuning;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn open(path: &Path) -> Rows {
        let tuning = RowsTuning {
            cache_bytes: 1 << 20,
            memtable_bytes: 1 << 20,
        };
        Rows::open(path, Identity(1), tuning).unwrap()
    }

    #[test]
    fn every_keyspace_of_the_store_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let rows = open(dir.path());
        let names = rows.db.list_keyspace_names();
        let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(names, KEYSPACES.map(String::from).into());
        for name in KEYSPACES {
            rows.keyspace(name).unwrap();
        }
        assert!(rows.keyspace("others").is_err());
    }

    #[test]
    fn a_store_is_open_until_its_last_view_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_open(dir.path()).unwrap());
        let rows = open(dir.path());
        let view = rows.view();
        drop(rows);
        assert!(is_open(dir.path()).unwrap());
        drop(view);
        assert!(!is_open(dir.path()).unwrap());
        open(dir.path());
    }

    proptest! {
        #[test]
        fn rows_cut_into_pieces_are_the_same_rows(
            rows in prop::collection::btree_map(
                prop::collection::vec(any::<u8>(), 1..5),
                prop::collection::vec(any::<u8>(), 0..40),
                0..20,
            ),
            piece in 1_usize..60,
            cut in 1_usize..60,
        ) {
            let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let [from, to] = dirs.each_ref().map(|dir| open(dir.path()));
            for (key, value) in &rows {
                from.feed.insert(key.as_slice(), value.as_slice()).unwrap();
            }
            let view = from.view();
            // Not in the view.
            from.feed.insert([9; 7], [9]).unwrap();
            let mut bytes = Vec::new();
            view.copy_out("feed", piece, |part| -> Result<()> {
                bytes.extend_from_slice(part);
                Ok(())
            }).unwrap();
            let mut reader = RowsReader::default();
            for part in bytes.chunks(cut) {
                to.copy_in("feed", &mut reader, part).unwrap();
            }
            prop_assert!(reader.is_between_rows());
            let copied: Vec<_> = to.feed.iter().map(|row| {
                let (key, value) = row.into_inner().unwrap();
                (key.to_vec(), value.to_vec())
            }).collect();
            prop_assert_eq!(copied, rows.into_iter().collect::<Vec<_>>());
        }
    }
}
