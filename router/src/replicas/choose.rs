//! Which replica a read is sent to first, and which ones after it. Pure.

use std::cmp::Reverse;
use std::time::Duration;

/// What is known of a replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) node: u64,
    /// It is in the zone of this router, or it is not known where one of them is.
    pub(super) is_near: bool,
    /// Its circuit lets calls through.
    pub(super) is_allowed: bool,
    /// Calls that it has not answered yet.
    pub(super) in_flight: usize,
    /// How long its answers took lately; zero if that is not known.
    pub(super) latency: Duration,
}

/// What a choice is made by: the order of the fields is that of their weight. The least
/// is asked first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_near: Reverse<bool>,
    in_flight: usize,
    slowness: u32,
    turn: usize,
}

/// Times are alike unless one is about twice the other: small differences are chance,
/// and would send everything to one replica.
fn slowness(latency: Duration) -> u32 {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    micros.checked_ilog2().map_or(0, |log| log + 1)
}

/// The order in which replicas are asked. Those whose circuit is open are not, unless
/// all are: then there is nothing to lose. Those that are alike take turns.
pub(super) fn order(candidates: &[Candidate], turn: usize) -> Vec<u64> {
    let any_allowed = candidates.iter().any(|c| c.is_allowed);
    let allowed = candidates.iter().filter(|c| c.is_allowed || !any_allowed);
    let allowed: Vec<_> = allowed.collect();
    let mut ranked: Vec<(Rank, u64)> = allowed
        .iter()
        .enumerate()
        .map(|(place, candidate)| {
            let rank = Rank {
                is_near: Reverse(candidate.is_near),
                in_flight: candidate.in_flight,
                slowness: slowness(candidate.latency),
                turn: (place + turn) % allowed.len(),
            };
            (rank, candidate.node)
        })
        .collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn idle(node: u64) -> Candidate {
        Candidate {
            node,
            is_near: false,
            is_allowed: true,
            in_flight: 0,
            latency: Duration::ZERO,
        }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn who_is_near_is_asked_before_who_is_idle_and_who_is_idle_before_who_is_quick() {
        let near_and_busy = Candidate {
            is_near: true,
            in_flight: 9,
            latency: ms(900),
            ..idle(1)
        };
        let near_and_slow = Candidate {
            is_near: true,
            latency: ms(900),
            ..idle(2)
        };
        let far_and_quick = Candidate {
            latency: ms(1),
            ..idle(3)
        };
        let all = [far_and_quick, near_and_busy, near_and_slow];
        for turn in 0..3 {
            assert_eq!(order(&all, turn), [2, 1, 3]);
        }
    }

    #[test]
    fn those_that_are_about_as_quick_take_turns_and_one_twice_as_slow_comes_last() {
        let quick = |node, micros| Candidate {
            latency: Duration::from_micros(micros),
            ..idle(node)
        };
        let all = [quick(1, 1100), quick(2, 1900), quick(3, 4100)];
        let first: BTreeSet<u64> = (0..3).map(|turn| order(&all, turn)[0]).collect();
        assert_eq!(first, BTreeSet::from([1, 2]));
        assert!((0..3).all(|turn| order(&all, turn)[2] == 3));
    }

    #[test]
    fn an_open_circuit_is_passed_over_unless_all_are_open() {
        let open = |node| Candidate {
            is_allowed: false,
            ..idle(node)
        };
        assert_eq!(order(&[open(1), idle(2), open(3)], 0), [2]);
        let mut all = order(&[open(1), open(2)], 0);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        assert!(order(&[], 7).is_empty());
    }

    proptest! {
        #[test]
        fn no_replica_is_left_out_or_comes_twice(
            all in prop::collection::vec((any::<bool>(), 0_usize..3, 0_u64..9), 1..6),
            turn in any::<usize>(),
        ) {
            let candidates = all.iter().zip(0..).map(|((is_near, in_flight, latency), node)| {
                Candidate {
                    is_near: *is_near,
                    in_flight: *in_flight,
                    latency: ms(*latency),
                    ..idle(node)
                }
            });
            let candidates: Vec<_> = candidates.collect();
            let mut order = order(&candidates, turn % 1000);
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..all.len() as u64));
        }
    }
}
