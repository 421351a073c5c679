//! A set of vnodes, as a read names it and as a shard owns it: one bit each,
//! so that 4,096 vnodes are 512 bytes on the wire.

use crate::key::Vnode;

/// A set of vnodes. Sets of different lengths compare by what they contain.
#[derive(Clone, Debug, Default)]
pub struct VnodeSet {
    words: Vec<u64>,
}

impl VnodeSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vnode; says whether it is new.
    pub fn insert(&mut self, v: Vnode) -> bool {
        let (word, bit) = place(v);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Takes a vnode out; says whether it was there.
    pub fn remove(&mut self, v: Vnode) -> bool {
        let (word, bit) = place(v);
        let Some(w) = self.words.get_mut(word) else {
            return false;
        };
        let was = *w & bit != 0;
        *w &= !bit;
        was
    }

    /// Whether the vnode is in the set.
    #[must_use]
    pub fn contains(&self, v: Vnode) -> bool {
        let (word, bit) = place(v);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// How many vnodes are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// Whether every vnode of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words
            .iter()
            .enumerate()
            .all(|(i, w)| w & !other.words.get(i).copied().unwrap_or(0) == 0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let words = self.words.iter().enumerate();
        let words = words.map(|(i, w)| w & !other.words.get(i).copied().unwrap_or(0));
        Self {
            words: words.collect(),
        }
    }

    /// The vnodes in order.
    pub fn iter(&self) -> impl Iterator<Item = Vnode> + '_ {
        // A word at a time: each read asks which vnodes are *not* here, and
        // that set is almost always empty.
        (0_u32..).zip(&self.words).flat_map(|(i, word)| {
            let some = |w: u64| (w != 0).then_some(w);
            std::iter::successors(some(*word), move |w| some(w & (w - 1)))
                .filter_map(move |w| u16::try_from(i * 64 + w.trailing_zeros()).ok().map(Vnode))
        })
    }

    /// The little-endian bit string, for the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// The set of a little-endian bit string of any length, as if zeros went on
    /// for ever. Bits past vnode 65,535 are ignored: no ring has them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let bytes = chunk.iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Self {
            words: bytes.chunks(8).take(1024).map(word).collect(),
        }
    }
}

impl PartialEq for VnodeSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_subset(other) && other.is_subset(self)
    }
}

impl Eq for VnodeSet {}

impl FromIterator<Vnode> for VnodeSet {
    fn from_iter<I: IntoIterator<Item = Vnode>>(vnodes: I) -> Self {
        let mut set = Self::new();
        for v in vnodes {
            set.insert(v);
        }
        set
    }
}

fn place(v: Vnode) -> (usize, u64) {
    (usize::from(v.0) / 64, 1 << (v.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(vnodes: &BTreeSet<u16>) -> VnodeSet {
        vnodes.iter().map(|v| Vnode(*v)).collect()
    }

    fn numbers(set: &VnodeSet) -> BTreeSet<u16> {
        set.iter().map(|v| v.0).collect()
    }

    fn some() -> impl Strategy<Value = BTreeSet<u16>> {
        let vnode = prop_oneof![0_u16..200, any::<u16>()];
        prop::collection::btree_set(vnode, 0..40)
    }

    proptest! {
        #[test]
        fn a_set_answers_as_a_plain_set_does(a in some(), b in some(), v: u16) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(numbers(&x), a.clone());
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.is_empty(), a.is_empty());
            prop_assert_eq!(x.contains(Vnode(v)), a.contains(&v));
            prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
            prop_assert_eq!(numbers(&x.difference(&y)), &a - &b);
            prop_assert_eq!(x == y, a == b);
        }

        #[test]
        fn inserting_and_removing_say_whether_they_changed_something(a in some(), v: u16) {
            let (mut plain, mut bits) = (a.clone(), set(&a));
            prop_assert_eq!(bits.insert(Vnode(v)), plain.insert(v));
            prop_assert_eq!(numbers(&bits), plain.clone());
            prop_assert_eq!(bits.remove(Vnode(v)), plain.remove(&v));
            prop_assert!(!bits.remove(Vnode(v)));
            prop_assert_eq!(numbers(&bits), plain);
        }

        #[test]
        fn a_set_survives_its_bytes_and_zeros_behind_them(a in some(), zeros in 0_usize..20) {
            let x = set(&a);
            let mut bytes = x.to_bytes();
            prop_assert_eq!(&VnodeSet::from_bytes(&bytes), &x);
            bytes.resize(bytes.len() + zeros, 0);
            prop_assert_eq!(VnodeSet::from_bytes(&bytes), x);
        }

        #[test]
        fn a_bit_is_the_vnode_of_its_place_in_bytes_of_any_length(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let set = VnodeSet::from_bytes(&bytes);
            for (i, byte) in (0_u16..).zip(&bytes) {
                for bit in 0..8 {
                    prop_assert_eq!(set.contains(Vnode(8 * i + bit)), byte >> bit & 1 == 1);
                }
            }
        }
    }

    #[test]
    fn sets_of_different_lengths_are_equal_when_they_contain_the_same() {
        let mut long: VnodeSet = [Vnode(1), Vnode(4000)].into_iter().collect();
        let short: VnodeSet = [Vnode(1)].into_iter().collect();
        assert_ne!(long, short);
        long.remove(Vnode(4000));
        assert_eq!(long, short);
    }

    #[test]
    fn the_bytes_of_all_4096_vnodes_are_512() {
        let all: VnodeSet = (0..4096).map(Vnode).collect();
        assert_eq!(all.to_bytes(), [0xff; 512]);
    }

    #[test]
    fn bytes_past_the_last_vnode_any_ring_has_are_ignored() {
        let set = VnodeSet::from_bytes(&[0xff; 10_000]);
        assert_eq!(set.len(), 65_536);
        assert_eq!(set.iter().last(), Some(Vnode(65_535)));
    }
}
