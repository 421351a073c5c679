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

/// The digits of the greatest number.
const MAX_DIGITS: usize = 20;

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
        // Digits only: the parser of numbers would take a plus sign as well. And
        // no more of them than a number has: a bare UUID may be all digits.
        if s.len() <= MAX_DIGITS
            && s.bytes().all(|b| b.is_ascii_digit())
            && let Ok(n) = s.parse()
        {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = PointId> {
        prop_oneof![
            any::<u64>().prop_map(PointId::Num),
            any::<u128>().prop_map(|u| PointId::Uuid(uuid::Uuid::from_u128(u))),
        ]
    }

    #[test]
    fn a_bare_uuid_that_is_all_digits_is_no_number() {
        let text = "00000000000000000000000000000008";
        let uuid = uuid::Uuid::from_u128(8);
        assert_eq!(text.parse(), Ok(PointId::Uuid(uuid)));
        assert_eq!(u64::MAX.to_string().parse(), Ok(PointId::Num(u64::MAX)));
    }

    proptest! {
        #[test]
        fn an_id_survives_its_key_and_its_text(id in any_id()) {
            prop_assert_eq!(PointId::from_key(&id.to_key()), Ok(id));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn keys_are_in_the_order_of_the_ids(a in any_id(), b in any_id()) {
            prop_assert_eq!(a.to_key().cmp(&b.to_key()), a.cmp(&b));
        }

        #[test]
        fn any_bytes_are_the_key_of_one_id_or_an_error(
            key in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..20),
        ) {
            if let Ok(id) = PointId::from_key(&key) {
                prop_assert_eq!(id.to_key().to_vec(), key);
            }
        }

        #[test]
        fn any_text_is_an_id_that_reads_back_or_an_error(text in "[0-9a-f+-]{0,40}|\\PC*") {
            if let Ok(id) = text.parse::<PointId>() {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
            }
        }

        #[test]
        fn every_key_falls_into_a_vnode_of_the_ring(
            key in prop::collection::vec(any::<u8>(), 0..40),
            log2 in 0_u32..=16,
        ) {
            let count = VnodeCount::new(1 << log2).unwrap();
            let vnode = count.vnode_of(&key);
            prop_assert!(u32::from(vnode.0) < count.get());
            // A ring of half as many vnodes has each two of them as one.
            if log2 > 0 {
                let half = VnodeCount::new(1 << (log2 - 1)).unwrap();
                prop_assert_eq!(half.vnode_of(&key).0, vnode.0 / 2);
            }
        }
    }

    #[test]
    fn texts_that_look_like_ids_are_taken_or_refused_as_clients_expect() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        let id = PointId::Uuid(uuid::Uuid::try_parse(uuid).unwrap());
        let taken = [
            ("0", PointId::Num(0)),
            ("18446744073709551615", PointId::Num(u64::MAX)),
            (uuid, id),
            ("550e8400e29b41d4a716446655440000", id),
            ("{550e8400-e29b-41d4-a716-446655440000}", id),
            ("urn:uuid:550e8400-e29b-41d4-a716-446655440000", id),
            ("550E8400-E29B-41D4-A716-446655440000", id),
        ];
        for (text, id) in taken {
            assert_eq!(text.parse(), Ok(id), "{text}");
        }
        let refused = ["", " 1", "+1", "-1", "1.0", "18446744073709551616", "x"];
        for text in refused {
            assert_eq!(text.parse::<PointId>(), Err(NotAPointId), "{text:?}");
        }
    }

    /// Where a point lives is on the disks of every shard: these values never
    /// change. They were computed with Python's xxhash.
    #[test]
    fn ids_fall_into_the_vnodes_they_always_fell_into() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
        let golden: [(PointId, u16, u16); 5] = [
            (PointId::Num(0), 836, 13385),
            (PointId::Num(1), 165, 2651),
            (PointId::Num(42), 3636, 58180),
            (PointId::Num(u64::MAX), 1226, 19623),
            (uuid, 580, 9280),
        ];
        let (usual, largest) = (
            VnodeCount::new(4096).unwrap(),
            VnodeCount::new(65_536).unwrap(),
        );
        for (id, of_4096, of_65536) in golden {
            assert_eq!(usual.vnode_of(&id.to_key()), Vnode(of_4096), "{id}");
            assert_eq!(largest.vnode_of(&id.to_key()), Vnode(of_65536), "{id}");
        }
        let one = VnodeCount::new(1).unwrap();
        assert_eq!(one.vnode_of(b""), Vnode(0));
    }

    #[test]
    fn canonical_bytes_are_a_tag_and_the_value_big_endian() {
        assert_eq!(*PointId::Num(258).to_key(), [0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let uuid = PointId::Uuid(uuid::Uuid::from_u128(3));
        let mut bytes = [0; 17];
        (bytes[0], bytes[16]) = (1, 3);
        assert_eq!(*uuid.to_key(), bytes);
    }

    #[test]
    fn only_powers_of_two_up_to_65536_count_vnodes() {
        for log2 in 0..=16 {
            assert_eq!(
                VnodeCount::new(1 << log2).map(VnodeCount::get),
                Ok(1 << log2)
            );
        }
        for bad in [0, 3, 100, 65_535, 1 << 17, u32::MAX] {
            assert_eq!(VnodeCount::new(bad), Err(BadVnodeCount(bad)));
        }
        let all: Vec<Vnode> = VnodeCount::new(65_536).unwrap().iter().collect();
        assert_eq!(all.len(), 65_536);
        assert_eq!(all.last(), Some(&Vnode(65_535)));
    }
}
