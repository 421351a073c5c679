//! Where a write is looked for that was tried before, and what it means that it is
//! not found. Pure.
//!
//! A vnode numbers the writes that it accepts 1, 2, 3 …; `w` is the last number. Of
//! the last 256 it keeps which write each was and what came of it. A write comes
//! again, and its sender says that `w` was `k` or more before it was first tried.
//! If it was ever accepted, its number is one of k + 1 … w, since `w` never falls.
//!
//! - It is found: it was accepted, and the answer is what it was.
//! - It is not, and w − k ≤ 256: all of k + 1 … w are kept, since w − 255 ≤ k + 1.
//!   It has none of these numbers, so it was never accepted, and is done now.
//! - It is not, and w − k > 256: the number k + 1 is not kept any more and may have
//!   been its own. Nothing is done.
//!
//! Further tries that are still on their way do no harm: they come to one of these
//! answers. A try that says no `k`, as the first does, is done whenever it comes; if
//! a later one may overtake it, it must say `k` as well, which costs nothing while
//! `w` is still `k`. A sender may say less than it knows, and never more.

use std::ops::RangeInclusive;

/// So many numbers are kept: as many as the last byte of a number tells apart.
pub const KEPT: u64 = 256;

/// Where a write is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The numbers that it may have and that are kept. A write is mostly tried
    /// again at once: it is among the first.
    pub numbers: RangeInclusive<u64>,
    /// Whether these are all that it may have.
    pub is_whole: bool,
}

/// Where a write is looked for in a vnode of which `w` is the last number, and was
/// `since` or more before the write was first tried.
pub fn search(w: u64, since: u64) -> Search {
    let gone = w.saturating_sub(KEPT);
    Search {
        numbers: since.max(gone).saturating_add(1)..=w,
        is_whole: since >= gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_that_a_write_may_have_are_searched_as_long_as_they_are_kept() {
        for w in 0..600_u64 {
            for since in 0..w + 3 {
                let kept = w.saturating_sub(255).max(1)..=w;
                let possible: Vec<u64> = (since + 1..=w).collect();
                let Search { numbers, is_whole } = search(w, since);
                let searched: Vec<u64> = numbers.collect();
                assert!(searched.iter().all(|n| kept.contains(n)), "{w} {since}");
                assert_eq!(searched == possible, is_whole, "{w} {since}");
                let all_kept = possible.iter().all(|n| kept.contains(n));
                assert_eq!(is_whole, all_kept, "{w} {since}");
            }
        }
    }

    #[test]
    fn a_write_is_given_up_from_257_numbers_on() {
        assert!(search(256, 0).is_whole);
        assert!(!search(257, 0).is_whole);
        assert!(search(u64::MAX, u64::MAX).is_whole);
        assert_eq!(search(5, u64::MAX).numbers.count(), 0);
    }
}
