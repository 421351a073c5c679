//! The payload indexes in a checkpoint. Beside the columns is how far each vnode
//! had come when they were taken: a point that was changed after that is indexed
//! again after a restart. A slot that they may know is not given out again, so that
//! what is known of one that is still visible is known of the same point.
//!
//! The file: the number of vnodes, each with its seq; the number of columns, each
//! with its length and its bytes. Integers are little-endian, of 64 bits.

use crate::checkpoint::write_whole;
use crate::error::{Error, Result};
use crate::vnodes::VnodeTable;
use quoit_columns::{Column, Columns};
use quoit_disk::Disk;
use quoit_ring::{Vnode, VnodeCount};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// What a manifest says of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub(crate) number: u64,
    pub(crate) hash: u64,
}

/// Payload indexes as they were at one moment.
#[derive(Default)]
pub struct SavedColumns {
    /// All of them.
    pub columns: Vec<Column>,
    /// Up to which change of each vnode they are; 0 where it is not there.
    seqs: BTreeMap<Vnode, u64>,
}

impl SavedColumns {
    /// Those of a moment.
    pub fn new(columns: &Columns, count: VnodeCount, vnodes: &VnodeTable) -> Self {
        let seqs = count.iter().map(|vnode| (vnode, vnodes.get(vnode).seq));
        Self {
            // A closed one is tried again after a restart: there may be more room.
            columns: columns.iter().filter(|c| !c.is_closed()).cloned().collect(),
            seqs: seqs.filter(|(_, seq)| *seq > 0).collect(),
        }
    }

    /// Whether they have what a change of a vnode did.
    pub fn include(&self, vnode: Vnode, seq: u64) -> bool {
        self.seqs.get(&vnode).is_some_and(|to| seq <= *to)
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> u64 {
        let columns = self.columns.iter().map(|column| column.bytes() as u64);
        columns.sum::<u64>() + self.seqs.len() as u64 * 16
    }

    /// Writes them to a new file.
    ///
    /// # Errors
    /// The disk failed.
    pub fn write(&self, disk: &dyn Disk, dir: &Path, number: u64) -> Result<Named> {
        let mut bytes = Vec::new();
        let mut put = |n: u64| bytes.extend(n.to_le_bytes());
        put(self.seqs.len() as u64);
        for (vnode, seq) in &self.seqs {
            put(u64::from(vnode.0));
            put(*seq);
        }
        put(self.columns.len() as u64);
        for column in &self.columns {
            let column = column.to_bytes();
            bytes.extend((column.len() as u64).to_le_bytes());
            bytes.extend(column);
        }
        let path = path(dir, number);
        write_whole(disk, &path, &bytes)?;
        disk.sync_dir(dir).map_err(Error::file("sync", dir))?;
        Ok(Named {
            number,
            hash: xxh3_64(&bytes),
        })
    }

    /// Reads those that a manifest names.
    ///
    /// # Errors
    /// The file is missing, damaged, or cannot be read.
    pub fn read(disk: &dyn Disk, dir: &Path, named: &Named) -> Result<Self> {
        let path = path(dir, named.number);
        let there = disk.list(dir).map_err(Error::file("list", dir))?;
        if !there.contains(&path) {
            let what = "the manifest names it and it is missing";
            return Err(Error::damaged(path, what));
        }
        let bytes = disk.read(&path).map_err(Error::file("read", &path))?;
        if xxh3_64(&bytes) != named.hash {
            return Err(Error::damaged(path, "its checksum is not the manifest's"));
        }
        decode(&bytes).ok_or_else(|| Error::damaged(path, "it does not decode"))
    }
}

fn decode(mut bytes: &[u8]) -> Option<SavedColumns> {
    let bytes = &mut bytes;
    let mut saved = SavedColumns::default();
    for _ in 0..number(bytes)? {
        let vnode = Vnode(u16::try_from(number(bytes)?).ok()?);
        saved.seqs.insert(vnode, number(bytes)?);
    }
    for _ in 0..number(bytes)? {
        let len = usize::try_from(number(bytes)?).ok()?;
        let column = bytes.split_off(..len)?;
        saved.columns.push(Column::from_bytes(column).ok()?);
    }
    bytes.is_empty().then_some(saved)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

/// Where the columns of a number are.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.columns"))
}
