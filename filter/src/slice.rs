//! Parts of all ids: one of so many, by a hash of the id. It is the hash that
//! Qdrant has, so that a point is in the same slice there and here.

use quoit_ring::PointId;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// One of `total` parts of all ids, about equal and without a point in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    total: u64,
    index: u64,
}

/// A slice that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSlice {
    /// No parts.
    #[error("total: value 0 invalid, must be 1 or larger")]
    Total,
    /// A part behind the last.
    #[error("index: value {index} invalid, must be less than the total of {total}")]
    Index {
        /// The part.
        index: u64,
        /// How many there are.
        total: u64,
    },
}

impl Slice {
    /// The part `index`, of those from 0 to `total` less one.
    ///
    /// # Errors
    /// There is no such part.
    pub fn new(total: u64, index: u64) -> Result<Self, BadSlice> {
        if total == 0 {
            return Err(BadSlice::Total);
        }
        if index >= total {
            return Err(BadSlice::Index { index, total });
        }
        Ok(Self { total, index })
    }

    /// How many parts there are.
    #[must_use]
    pub fn total(self) -> u64 {
        self.total
    }

    /// Which of them it is.
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// Whether an id is in it.
    #[must_use]
    pub fn contains(self, id: PointId) -> bool {
        let mut hasher = SipHasher24::new();
        match id {
            PointId::Num(n) => hasher.write(&n.to_le_bytes()),
            PointId::Uuid(uuid) => hasher.write(uuid.as_bytes()),
        }
        hasher.finish() % self.total == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_in_one_slice_and_the_slices_are_about_equal() {
        let all = (0..4000_u64).map(|n| match n % 2 {
            0 => PointId::Num(n),
            _ => PointId::Uuid(uuid::Uuid::from_u128(u128::from(n))),
        });
        let mut counts = [0; 8];
        for id in all {
            let of = |index: &u64| Slice::new(8, *index).unwrap().contains(id);
            let slices: Vec<u64> = (0..8).filter(of).collect();
            assert_eq!(slices.len(), 1, "{id}");
            counts[usize::try_from(slices[0]).unwrap()] += 1;
        }
        assert!(counts.iter().all(|n| (400..600).contains(n)), "{counts:?}");
    }

    #[test]
    fn there_is_no_slice_behind_the_last() {
        assert_eq!(Slice::new(0, 0), Err(BadSlice::Total));
        let (index, total) = (3, 3);
        assert_eq!(Slice::new(3, 3), Err(BadSlice::Index { index, total }));
        assert!(Slice::new(1, 0).unwrap().contains(PointId::Num(7)));
    }
}
