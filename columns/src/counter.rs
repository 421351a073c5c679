//! In how many of some sets each slot is: one bitmap for each binary digit, so
//! that thousands of sets are counted in a dozen steps each.

use roaring::RoaringBitmap;

/// Counts sets by slot.
#[derive(Default)]
pub struct Counter {
    /// The slots whose count has the digit, the lowest first.
    digits: Vec<RoaringBitmap>,
}

impl Counter {
    /// Counts one more set.
    pub fn add(&mut self, mut carry: RoaringBitmap) {
        for digit in &mut self.digits {
            if carry.is_empty() {
                return;
            }
            let next = &*digit & &carry;
            *digit ^= carry;
            carry = next;
        }
        if !carry.is_empty() {
            self.digits.push(carry);
        }
    }

    /// The slots of the universe that were in so many sets or more.
    pub fn at_least(&self, count: usize, universe: &RoaringBitmap) -> RoaringBitmap {
        if usize::BITS - count.leading_zeros()
            > u32::try_from(self.digits.len()).unwrap_or(u32::MAX)
        {
            return RoaringBitmap::new();
        }
        let (mut more, mut equal) = (RoaringBitmap::new(), universe.clone());
        for (place, digit) in self.digits.iter().enumerate().rev() {
            if count >> place & 1 == 1 {
                equal &= digit;
            } else {
                more |= &equal & digit;
                equal -= digit;
            }
        }
        more | equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_slot_is_counted_once_for_each_set_that_has_it(
            sets in prop::collection::vec(prop::collection::btree_set(0_u32..20, 0..20), 0..12),
            count in 0_usize..14,
        ) {
            let mut counter = Counter::default();
            for set in &sets {
                counter.add(set.iter().collect());
            }
            let universe: RoaringBitmap = (0..15).collect();
            let has = |slot: &u32| sets.iter().filter(|set| set.contains(slot)).count();
            let expected: BTreeSet<u32> = (0..15).filter(|slot| has(slot) >= count).collect();
            prop_assert!(counter.at_least(count, &universe).iter().eq(expected));
        }
    }
}
