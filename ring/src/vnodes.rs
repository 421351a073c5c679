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
        self.words.iter().enumerate().flat_map(|(i, w)| {
            (0..64_usize)
                .filter(move |b| w >> b & 1 == 1)
                .filter_map(move |b| u16::try_from(i * 64 + b).ok().map(Vnode))
        })
    }

    /// The little-endian bit string, for the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// The set of a little-endian bit string; bits past vnode 65,535 and bytes
    /// past the last whole word are ignored, no vnode has them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        Self {
            words: words.iter().take(1024).map(|w| u64::from_le_bytes(*w)).collect(),
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
