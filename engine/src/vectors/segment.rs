//! One file of vectors at full precision: a fixed number of slots of one
//! stride, preallocated, written by offset and mapped read-only.
//!
//! ```text
//! slot = vectors (f32, little-endian, one behind the other)
//!      | seq u64 | vnode u16 | id length u8 | id 17 bytes | xxh3 u64
//! ```
//!
//! The checksum covers all before it and is seeded by the replica's identity:
//! a segment of another replica is damage here. It is verified when a slot is first read
//! after the file was opened; from then on the page cache is trusted.

use crate::Identity;
use crate::error::{Error, Result};
use crate::slots::SLOTS_PER_SEGMENT;
use quoit_disk::map::Map;
use quoit_disk::{Disk, File};
use quoit_ring::{PointId, Vnode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const TRAILER: usize = 36;

/// The bytes of a slot with so many numbers.
#[must_use]
pub fn stride(numbers: usize) -> usize {
    numbers * 4 + TRAILER
}

/// The bytes of a segment whose slots have so many numbers.
#[must_use]
pub fn file_len(numbers: usize) -> u64 {
    stride(numbers) as u64 * u64::from(SLOTS_PER_SEGMENT)
}

/// Whose vector a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The point.
    pub id: PointId,
    /// The vnode it falls into.
    pub vnode: Vnode,
}

/// An open segment file.
pub struct Segment {
    path: PathBuf,
    file: Arc<dyn File>,
    map: Map,
    identity: Identity,
    len: usize,
    stride: usize,
    /// Bit i: slot i was found whole, or was written by this process.
    verified: Vec<AtomicU64>,
}

impl Segment {
    /// Opens a segment, creating and preallocating it where it is new.
    ///
    /// # Errors
    /// The disk is full, the file cannot be opened or mapped, or it is one of
    /// another length. `numbers` is how many a slot holds.
    pub fn open(disk: &dyn Disk, path: &Path, identity: Identity, numbers: usize) -> Result<Self> {
        let (stride, len) = (stride(numbers), file_len(numbers));
        let file = disk.open(path).map_err(Error::file("open", path))?;
        let found = file.len().map_err(Error::file("measure", path))?;
        if found > len {
            let what = format!("it has {found} bytes and should have {len}");
            return Err(Error::damaged(path, what));
        }
        // A write to a reserved block cannot find the disk full, and a mapped
        // page always has its block: no signal in the middle of a search.
        file.allocate(len)
            .map_err(Error::file("reserve room for", path))?;
        let map = Map::new(&*file, len).map_err(Error::file("map", path))?;
        let verified = (0..SLOTS_PER_SEGMENT.div_ceil(64)).map(|_| AtomicU64::new(0));
        Ok(Self {
            path: path.to_owned(),
            file,
            map,
            identity,
            len: numbers,
            stride,
            verified: verified.collect(),
        })
    }

    /// Whether a file is shorter than a segment is: its creation was cut short.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn is_short(disk: &dyn Disk, path: &Path, numbers: usize) -> Result<bool> {
        let file = disk.open(path).map_err(Error::file("open", path))?;
        let len = file.len().map_err(Error::file("measure", path))?;
        Ok(len < file_len(numbers))
    }

    /// Writes a slot. No reader may know of it yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, slot: usize, numbers: &[f32], owner: Owner, seq: u64) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.stride);
        bytes.extend_from_slice(bytemuck::cast_slice(numbers));
        let key = owner.id.to_key();
        let mut trailer = [0_u8; TRAILER - 8];
        trailer[..8].copy_from_slice(&seq.to_le_bytes());
        trailer[8..10].copy_from_slice(&owner.vnode.0.to_le_bytes());
        trailer[10] = u8::try_from(key.len()).unwrap_or(u8::MAX);
        trailer[11..11 + key.len()].copy_from_slice(&key);
        bytes.extend_from_slice(&trailer);
        let hash = self.hash(&bytes);
        bytes.extend_from_slice(&hash.to_le_bytes());
        self.file
            .write_at(&bytes, (slot * self.stride) as u64)
            .map_err(Error::file("write", &self.path))?;
        self.mark(slot);
        Ok(())
    }

    /// Writes slots, from a first one on, as they are in another replica of the same
    /// identity. No reader may know of them yet.
    ///
    /// # Errors
    /// The bytes are no slots of this identity, or the file cannot be written.
    pub fn copy_in(&self, first: usize, slots: &[u8]) -> Result<()> {
        for (slot, bytes) in (first..).zip(slots.chunks(self.stride)) {
            self.check(slot, bytes)?;
        }
        self.file
            .write_at(slots, (first * self.stride) as u64)
            .map_err(Error::file("write", &self.path))
    }

    /// All bytes of a slot.
    ///
    /// # Errors
    /// They are damaged.
    pub fn bytes(&self, slot: usize) -> Result<&[u8]> {
        self.verified_bytes(slot)
    }

    /// The numbers in a slot.
    ///
    /// # Errors
    /// The slot's bytes are damaged.
    pub fn numbers(&self, slot: usize) -> Result<&[f32]> {
        let bytes = self.verified_bytes(slot)?;
        // Mapped pages are aligned and the stride is a multiple of four.
        Ok(bytemuck::cast_slice(&bytes[..self.len * 4]))
    }

    /// Whose vector a slot holds.
    ///
    /// # Errors
    /// The slot's bytes are damaged.
    pub fn owner(&self, slot: usize) -> Result<Owner> {
        let trailer = &self.verified_bytes(slot)?[self.len * 4..];
        let len = usize::from(trailer[10]);
        let id = trailer
            .get(11..11 + len)
            .and_then(|key| PointId::from_key(key).ok());
        let id = id.ok_or_else(|| self.damage(slot))?;
        Ok(Owner {
            id,
            vnode: Vnode(u16::from_le_bytes([trailer[8], trailer[9]])),
        })
    }

    /// The seq of the change that brought the vector.
    ///
    /// # Errors
    /// The slot's bytes are damaged.
    pub fn seq(&self, slot: usize) -> Result<u64> {
        let trailer = &self.verified_bytes(slot)?[self.len * 4..];
        let seq = trailer.first_chunk().ok_or_else(|| self.damage(slot))?;
        Ok(u64::from_le_bytes(*seq))
    }

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// The operating system could not; what was written must be taken for lost.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(Error::file("sync", &self.path))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn verified_bytes(&self, slot: usize) -> Result<&[u8]> {
        let start = slot * self.stride;
        let bytes = self.map.bytes(start..start + self.stride);
        if self.verified[slot / 64].load(Ordering::Acquire) >> (slot % 64) & 1 == 1 {
            return Ok(bytes);
        }
        self.check(slot, bytes)?;
        self.mark(slot);
        Ok(bytes)
    }

    fn check(&self, slot: usize, bytes: &[u8]) -> Result<()> {
        let fits = bytes.len() == self.stride;
        let parts = bytes.split_last_chunk::<8>().filter(|_| fits);
        let (content, hash) = parts.ok_or_else(|| self.damage(slot))?;
        if self.hash(content) == u64::from_le_bytes(*hash) {
            Ok(())
        } else {
            Err(self.damage(slot))
        }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.identity.0)
    }

    fn mark(&self, slot: usize) {
        self.verified[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
    }

    fn damage(&self, slot: usize) -> Error {
        Error::damaged(
            &self.path,
            format!(
                "the checksum of slot {slot} does not fit its bytes, or the file is another replica's"
            ),
        )
    }
}
