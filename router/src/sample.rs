//! Points by chance: which vnodes are looked at, and which of the points there
//! are taken, all from one number. Pure: the same number makes the same choice.

use quoit_ring::{VnodeCount, VnodeSet};

/// Numbers that follow from a first one as if by chance (the generator known
/// as splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below another; 0 below 0.
    fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// So many of some items, in any order; all of them if there are fewer.
    pub(crate) fn take<T>(&mut self, mut items: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(items.len());
        for at in 0..count {
            let other = at + self.below(items.len() - at);
            items.swap(at, other);
        }
        items.truncate(count);
        items
    }

    /// So many of the ring's vnodes.
    pub(crate) fn vnodes(&mut self, ring: VnodeCount, count: usize) -> VnodeSet {
        let all: Vec<_> = ring.iter().collect();
        self.take(all, count).into_iter().collect()
    }
}

/// In how many vnodes of a ring about `wanted` of `points` points are. Points
/// are spread over them by a hash, and so evenly.
pub(crate) fn enough_vnodes(ring: VnodeCount, points: u64, wanted: usize) -> usize {
    let vnodes = u64::from(ring.get());
    let enough = vnodes
        .saturating_mul(wanted as u64)
        .div_ceil(points.max(1))
        .clamp(1, vnodes);
    usize::try_from(enough).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_choice_has_each_item_at_most_once_and_all_if_all_are_wanted() {
        for seed in 0..100 {
            let some = Random::new(seed).take((0..10).collect(), 4);
            let different: BTreeSet<i32> = some.iter().copied().collect();
            assert_eq!((some.len(), different.len()), (4, 4), "{seed}: {some:?}");
            let mut all = Random::new(seed).take((0..10).collect(), 11);
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        assert!(Random::new(1).take(Vec::<u8>::new(), 3).is_empty());
    }

    #[test]
    fn every_item_comes_about_as_often_at_every_place() {
        let mut counts = [[0_u32; 5]; 3];
        for seed in 0..10_000 {
            let some = Random::new(seed).take((0..5).collect::<Vec<usize>>(), 3);
            for (place, item) in some.into_iter().enumerate() {
                counts[place][item] += 1;
            }
        }
        let all = counts.iter().flatten();
        assert!(
            all.clone().all(|c| (1_800..2_200).contains(c)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_same_seed_makes_the_same_choice_and_another_another() {
        let take = |seed| Random::new(seed).take((0..100).collect::<Vec<_>>(), 10);
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
    }

    #[test]
    fn as_many_vnodes_are_looked_at_as_hold_enough_points() {
        let ring = VnodeCount::new(64).unwrap();
        for (points, wanted, want) in [
            (0, 10, 64),
            (10, 10, 64),
            (640, 10, 1),
            (640, 11, 2),
            (1_000_000, 10, 1),
        ] {
            assert_eq!(
                enough_vnodes(ring, points, wanted),
                want,
                "{points} {wanted}"
            );
        }
        assert_eq!(Random::new(3).vnodes(ring, 5).iter().count(), 5);
        assert_eq!(Random::new(3).vnodes(ring, 64).iter().count(), 64);
    }
}
