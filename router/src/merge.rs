//! Puts the sorted answers of several shards into one sorted answer, by a
//! heap over the heads of the lists. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which scores come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Similarities.
    HigherFirst,
    /// Distances.
    LowerFirst,
}

impl Order {
    /// A number that sorts as the score ranks: the best score has the
    /// smallest. Equal scores have equal numbers, also 0 and -0; what is not a
    /// number ranks last.
    pub(crate) fn rank(self, score: f32) -> u32 {
        if score.is_nan() {
            return u32::MAX;
        }
        let score = match self {
            Self::HigherFirst => -score,
            Self::LowerFirst => score,
        };
        // Adding 0 makes -0 into 0.
        let bits = (score + 0.0).to_bits();
        if bits >> 31 == 1 {
            !bits
        } else {
            bits | 1 << 31
        }
    }
}

/// Merges lists that are sorted by `key`, and returns `take` items after the
/// first `skip`. A list that is not sorted is sorted first: shards leave the
/// order of equal scores open, and an answer that depends on it would change
/// from one call to the next.
pub(crate) fn merge<T, K: Ord>(
    lists: Vec<Vec<T>>,
    key: impl Fn(&T) -> K,
    skip: usize,
    take: usize,
) -> Vec<T> {
    let mut heads = Vec::with_capacity(lists.len());
    let mut heap = BinaryHeap::with_capacity(lists.len());
    let mut total = 0_usize;
    for mut list in lists {
        if !list.is_sorted_by_key(&key) {
            list.sort_by_key(&key);
        }
        total += list.len();
        let mut rest = list.into_iter();
        if let Some(head) = rest.next() {
            heap.push(Reverse((key(&head), heads.len())));
            heads.push((Some(head), rest));
        }
    }
    let mut merged = Vec::with_capacity(take.min(total.saturating_sub(skip)));
    let mut seen = 0_usize;
    while merged.len() < take {
        let Some(Reverse((_, list))) = heap.pop() else {
            break;
        };
        let (first, rest) = &mut heads[list];
        let next = rest.next();
        if let Some(next) = &next {
            heap.push(Reverse((key(next), list)));
        }
        if let Some(item) = std::mem::replace(first, next)
            && seen >= skip
        {
            merged.push(item);
        }
        seen += 1;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => (-4_i8..4).prop_map(f32::from),
            1 => any::<f32>(),
            1 => Just(-0.0),
            1 => Just(f32::NAN),
        ]
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![Just(Order::HigherFirst), Just(Order::LowerFirst)]
    }

    proptest! {
        #[test]
        fn merging_is_the_same_as_sorting_everything(
            lists in prop::collection::vec(prop::collection::vec((score(), any::<u64>()), 0..20), 0..6),
            order in order(),
            skip in 0_usize..30,
            take in 0_usize..30,
        ) {
            let key = |(s, id): &(f32, u64)| (order.rank(*s), *id);
            let mut all: Vec<_> = lists.iter().flatten().copied().collect();
            all.sort_by_key(key);
            let want: Vec<_> = all.iter().skip(skip).take(take).map(key).collect();
            let got: Vec<_> = merge(lists, key, skip, take).iter().map(key).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn ranks_are_in_the_order_of_scores(a in score(), b in score(), order in order()) {
            let (ra, rb) = (order.rank(a), order.rank(b));
            match a.partial_cmp(&b) {
                Some(cmp) => {
                    let cmp = if order == Order::HigherFirst { cmp.reverse() } else { cmp };
                    prop_assert_eq!(ra.cmp(&rb), cmp);
                }
                None if a.is_nan() => prop_assert!(ra >= rb),
                None => prop_assert!(ra <= rb),
            }
        }
    }

    #[test]
    fn equal_scores_come_in_the_order_of_their_ids() {
        let lists = vec![vec![(1.0, 9), (1.0, 2)], vec![(1.0, 5)]];
        let got = merge(lists, |(s, id)| (Order::HigherFirst.rank(*s), *id), 0, 9);
        assert_eq!(got.iter().map(|h| h.1).collect::<Vec<_>>(), [2, 5, 9]);
    }
}
