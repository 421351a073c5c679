//! What is hashed: a point's id in its canonical form, and the vnode it falls
//! into. Strategies choose the key; the ring alone says where it lives.

use std::fmt;
use std::str::FromStr;

/// The identity of a point: an unsigned 64-bit number or a UUID.
///
/// The order is the one clients page by: numbers first, then UUIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// A number.
    Num(u64),
    /// A UUID, as its 128 bits.
    Uuid(uuid::Uuid),
}

/// The tag byte that starts a number's canonical bytes.
const TAG_NUM: u8 = 0;
/// The tag byte that starts a UUID's canonical bytes.
const TAG_UUID: u8 = 1;

/// A text or a row of bytes that is no point id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a point id is an unsigned 64-bit integer or a UUID")]
pub struct NotAPointId;

impl PointId {
    /// The canonical bytes: a tag and then the value, big-endian, so that the
    /// order of the bytes is the order of the ids. 9 or 17 bytes.
    #[must_use]
    pub fn to_key(self) -> IdKey {
        let mut bytes = [0_u8; 17];
        let len = match self {
            Self::Num(n) => {
                bytes[0] = TAG_NUM;
                bytes[1..9].copy_from_slice(&n.to_be_bytes());
                9
            }
            Self::Uuid(u) => {
                bytes[0] = TAG_UUID;
                bytes[1..17].copy_from_slice(u.as_bytes());
                17
            }
        };
        IdKey { bytes, len }
    }

    /// The id whose canonical bytes these are.
    ///
    /// # Errors
    /// The bytes are not of one of the two forms.
    pub fn from_key(key: &[u8]) -> Result<Self, NotAPointId> {
        match key {
            [TAG_NUM, rest @ ..] => {
                let n: [u8; 8] = rest.try_into().map_err(|_| NotAPointId)?;
                Ok(Self::Num(u64::from_be_bytes(n)))
            }
            [TAG_UUID, rest @ ..] => {
                let u: [u8; 16] = rest.try_into().map_err(|_| NotAPointId)?;
                Ok(Self::Uuid(uuid::Uuid::from_bytes(u)))
            }
            _ => Err(NotAPointId),
        }
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Num(n) => n.fmt(f),
            Self::Uuid(u) => u.fmt(f),
        }
    }
}

impl FromStr for PointId {
    type Err = NotAPointId;

    /// Reads a decimal number or a UUID in any of its usual forms (with
    /// hyphens, bare hex, braces, `urn:uuid:`).
    fn from_str(s: &str) -> Result<Self, NotAPointId> {
        if let Ok(n) = s.parse::<u64>() {
            return Ok(Self::Num(n));
        }
        uuid::Uuid::try_parse(s)
            .map(Self::Uuid)
            .map_err(|_| NotAPointId)
    }
}

/// The canonical bytes of an id, without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct IdKey {
    bytes: [u8; 17],
    len: usize,
}

impl std::ops::Deref for IdKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One of the ring's V equal hash ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vnode(pub u16);

/// The number of vnodes of a ring: a power of two from 1 to 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnodeCount(u32);

/// A number of vnodes that no ring can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a ring has a power of two of vnodes, at most 65536; {0} is not one")]
pub struct BadVnodeCount(pub u32);

impl VnodeCount {
    /// A checked count.
    ///
    /// # Errors
    /// Not a power of two, or more than 65,536.
    pub fn new(count: u32) -> Result<Self, BadVnodeCount> {
        if count.is_power_of_two() && count <= 1 << 16 {
            Ok(Self(count))
        } else {
            Err(BadVnodeCount(count))
        }
    }

    /// The count as a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The vnode that a key falls into: the top bits of its xxh3 hash.
    #[must_use]
    pub fn vnode_of(self, key: &[u8]) -> Vnode {
        let bits = self.0.trailing_zeros();
        let hash = xxhash_rust::xxh3::xxh3_64(key);
        // A shift by 64 is not defined, hence a ring of one vnode by itself.
        let top = hash.checked_shr(64 - bits).unwrap_or(0);
        // At most 16 bits are left, by the bound on the count.
        #[allow(clippy::cast_possible_truncation)]
        Vnode(top as u16)
    }

    /// All vnodes, in order.
    pub fn iter(self) -> impl Iterator<Item = Vnode> {
        // The last is at most 65,535, by the bound on the count.
        #[allow(clippy::cast_possible_truncation)]
        (0..self.0).map(|v| Vnode(v as u16))
    }
}

/// A shard's number within its collection; never used again after it retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
