//! Sets of internal ids that share what they have in common. A view keeps the
//! set of visible slots as it was; the writer changes its own copy, and only
//! the pages that differ are copied.

use roaring::RoaringBitmap;
use std::sync::Arc;

/// The internal id of one vector version: segment number × slots a segment,
/// plus the place in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The slots of one page, and of one segment file: they coincide, so that
/// "is anything of this segment visible" is one look.
pub const SLOTS_PER_SEGMENT: u32 = 8192;

const WORDS: usize = (SLOTS_PER_SEGMENT / 64) as usize;

#[derive(Clone)]
struct Page {
    words: [u64; WORDS],
    len: u32,
}

impl Page {
    /// What is in this page and not in the other; `None` for nothing.
    fn without(self: &Arc<Self>, other: &Arc<Self>) -> Option<Self> {
        if Arc::ptr_eq(self, other) {
            return None;
        }
        let mut words = self.words;
        for (word, less) in words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
        let len = words.iter().map(|w| w.count_ones()).sum();
        (len > 0).then_some(Self { words, len })
    }
}

/// A set of slots with cheap clones: a clone shares all pages.
#[derive(Clone, Default)]
pub struct SlotSet {
    pages: Vec<Option<Arc<Page>>>,
    len: u64,
}

impl SlotSet {
    /// Adds a slot; says whether it is new.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let (page, word, bit) = place(slot);
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
            Arc::new(Page {
                words: [0; WORDS],
                len: 0,
            })
        });
        if page.words[word] & bit != 0 {
            return false;
        }
        let page = Arc::make_mut(page);
        page.words[word] |= bit;
        page.len += 1;
        self.len += 1;
        true
    }

    /// Adds some slots.
    pub fn extend(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.insert(*slot);
        }
    }

    /// Takes a slot out; says whether it was there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        if !self.contains(slot) {
            return false;
        }
        let (index, word, bit) = place(slot);
        let Some(Some(page)) = self.pages.get_mut(index) else {
            return false;
        };
        let page = Arc::make_mut(page);
        page.words[word] &= !bit;
        page.len -= 1;
        self.len -= 1;
        if page.len == 0 {
            self.pages[index] = None;
        }
        true
    }

    /// Whether a slot is in the set.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        let (page, word, bit) = place(slot);
        matches!(self.pages.get(page), Some(Some(p)) if p.words[word] & bit != 0)
    }

    /// How many slots are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The number of the last segment that may have a slot in the set, plus one.
    #[must_use]
    pub fn segments(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    /// How many slots of one segment are in the set.
    #[must_use]
    pub fn len_of_segment(&self, segment: u32) -> u32 {
        match self.pages.get(segment as usize) {
            Some(Some(p)) => p.len,
            _ => 0,
        }
    }

    /// The first slot of each segment that has one.
    #[must_use]
    pub fn first_of_each_segment(&self) -> Vec<Slot> {
        let pages = (0_u32..).zip(&self.pages);
        let first = |(number, page): (u32, &Option<Arc<Page>>)| {
            let words = (0_u32..).zip(&page.as_ref()?.words);
            let (i, word) = words.into_iter().find(|(_, word)| **word != 0)?;
            let start = number * SLOTS_PER_SEGMENT + i * 64;
            Some(Slot(start + word.trailing_zeros()))
        };
        pages.filter_map(first).collect()
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.iter_after(0)
    }

    /// The slots in ascending order, without the first so many.
    pub fn iter_after(&self, skipped: u64) -> impl Iterator<Item = Slot> + '_ {
        let len = |page: &Option<Arc<Page>>| page.as_ref().map_or(0, |p| p.len);
        let mut within = skipped;
        let before = self.pages.iter().take_while(|page| {
            let is_before = within >= u64::from(len(page));
            if is_before {
                within -= u64::from(len(page));
            }
            is_before
        });
        let first = before.count();
        let slots = self.iter_from_page(first);
        // Fewer than a page has.
        slots.skip(usize::try_from(within).unwrap_or(usize::MAX))
    }

    fn iter_from_page(&self, first: usize) -> impl Iterator<Item = Slot> + '_ {
        let pages = (0_u32..).zip(&self.pages).skip(first);
        pages.flat_map(|(number, page)| {
            let words: &[u64] = page.as_ref().map_or(&[], |p| &p.words);
            (0_u32..).zip(words).flat_map(move |(i, word)| {
                let start = number * SLOTS_PER_SEGMENT + i * 64;
                BitIter(*word).map(move |bit| Slot(start + bit))
            })
        })
    }

    /// The same set in another form.
    #[must_use]
    pub fn to_bitmap(&self) -> RoaringBitmap {
        let mut bitmap = RoaringBitmap::new();
        for (number, page) in (0_u32..).zip(&self.pages) {
            if let Some(page) = page {
                let start = number * SLOTS_PER_SEGMENT;
                let words: Vec<u8> = page.words.iter().flat_map(|w| w.to_le_bytes()).collect();
                bitmap |= RoaringBitmap::from_lsb0_bytes(start, &words);
            }
        }
        bitmap
    }

    /// The slots of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (index, page) in self.pages.iter().enumerate() {
            let page = match (page, other.pages.get(index)) {
                (None, _) => None,
                (Some(page), None | Some(None)) => Some(page.clone()),
                (Some(page), Some(Some(less))) => page.without(less).map(Arc::new),
            };
            out.len += page.as_ref().map_or(0, |p| u64::from(p.len));
            out.pages.push(page);
        }
        out
    }

    /// The set as bytes: its slots in order, little-endian, four bytes each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|s| s.0.to_le_bytes()).collect()
    }

    /// The set of such bytes; `None` if they are cut or not in strict order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (slots, []) = bytes.as_chunks::<4>() else {
            return None;
        };
        let mut set = Self::default();
        let mut last = None;
        for slot in slots.iter().map(|s| u32::from_le_bytes(*s)) {
            if last.is_some_and(|l| l >= slot) {
                return None;
            }
            last = Some(slot);
            set.insert(Slot(slot));
        }
        Some(set)
    }
}

impl std::fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|s| s.0)).finish()
    }
}

struct BitIter(u64);

impl Iterator for BitIter {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

fn place(slot: Slot) -> (usize, usize, u64) {
    let within = slot.0 % SLOTS_PER_SEGMENT;
    (
        (slot.0 / SLOTS_PER_SEGMENT) as usize,
        (within / 64) as usize,
        1 << (within % 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_agrees_with_a_plain_one_and_its_clones_never_change(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..40_000), 1..400),
            pin_at in 0_usize..400,
        ) {
            let mut set = SlotSet::default();
            let mut plain = BTreeSet::new();
            let mut pinned = None;
            for (i, (add, slot)) in steps.iter().enumerate() {
                if i == pin_at {
                    pinned = Some((set.clone(), plain.clone()));
                }
                if *add {
                    prop_assert_eq!(set.insert(Slot(*slot)), plain.insert(*slot));
                } else {
                    prop_assert_eq!(set.remove(Slot(*slot)), plain.remove(slot));
                }
            }
            for (set, plain) in pinned.into_iter().chain([(set, plain)]) {
                prop_assert_eq!(set.len(), plain.len() as u64);
                prop_assert!(set.iter().map(|s| s.0).eq(plain.iter().copied()));
                let skipped = pin_at % (plain.len() + 2);
                let rest = set.iter_after(skipped as u64).map(|s| s.0);
                prop_assert!(rest.eq(plain.iter().copied().skip(skipped)));
                let in_first = plain.range(..SLOTS_PER_SEGMENT).count();
                prop_assert_eq!(set.len_of_segment(0) as usize, in_first);
                let back = SlotSet::from_bytes(&set.to_bytes()).unwrap();
                prop_assert!(back.iter().eq(set.iter()));
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_of_each_segment_is_the_least_of_it(
            slots in proptest::collection::btree_set(0_u32..60_000, 0..200),
        ) {
            let mut set = SlotSet::default();
            for slot in &slots {
                set.insert(Slot(*slot));
            }
            let mut firsts = std::collections::BTreeMap::new();
            for slot in slots {
                firsts.entry(slot / SLOTS_PER_SEGMENT).or_insert(Slot(slot));
            }
            let firsts: Vec<Slot> = firsts.into_values().collect();
            prop_assert_eq!(set.first_of_each_segment(), firsts);
        }

        #[test]
        fn a_difference_is_that_of_plain_sets(
            a in proptest::collection::btree_set(0_u32..30_000, 0..300),
            b in proptest::collection::btree_set(0_u32..30_000, 0..300),
            shared in proptest::collection::btree_set(0_u32..30_000, 0..100),
        ) {
            let mut base = SlotSet::default();
            for slot in &shared {
                base.insert(Slot(*slot));
            }
            let (mut left, mut right) = (base.clone(), base);
            for slot in &a {
                left.insert(Slot(*slot));
            }
            for slot in &b {
                right.insert(Slot(*slot));
            }
            let plain: Vec<u32> = a
                .iter()
                .copied()
                .filter(|s| !b.contains(s) && !shared.contains(s))
                .collect();
            let difference = left.difference(&right);
            prop_assert_eq!(difference.len(), plain.len() as u64);
            prop_assert!(difference.iter().map(|s| s.0).eq(plain));
        }
    }

    #[test]
    fn bytes_out_of_order_are_no_set() {
        assert!(SlotSet::from_bytes(&[2, 0, 0, 0, 1, 0, 0, 0]).is_none());
        assert!(SlotSet::from_bytes(&[2, 0, 0]).is_none());
    }
}
