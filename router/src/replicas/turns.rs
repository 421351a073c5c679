//! Whom a call asks next: each replica once in a round, and a pause after a round in
//! vain, which grows. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::circuit::spread;

/// The pause after a round, at first and at most: an election takes a second or two, and
/// who waits for its end should not add much to it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This replica is asked.
    Ask(u64),
    /// All were; so long nobody is.
    Pause(Duration),
}

/// One call's way among the replicas.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// In this round.
    asked: BTreeSet<u64>,
    rounds: u32,
}

impl Turns {
    /// Whether one was asked in this round.
    pub(super) fn was_asked(&self, node: u64) -> bool {
        self.asked.contains(&node)
    }

    /// The first in an order who was not asked in this round, if there is one.
    pub(super) fn ask(&mut self, order: &[u64]) -> Option<u64> {
        let next = order.iter().copied().find(|n| !self.was_asked(*n))?;
        self.asked.insert(next);
        Some(next)
    }

    /// The same, or the end of the round.
    pub(super) fn next(&mut self, order: &[u64], dice: u32) -> Next {
        if let Some(node) = self.ask(order) {
            return Next::Ask(node);
        }
        self.asked.clear();
        let longer = FIRST_PAUSE * 2_u32.saturating_pow(self.rounds.min(16));
        self.rounds += 1;
        Next::Pause(spread(longer.min(LONGEST_PAUSE), dice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_once_in_a_round_whatever_the_order_becomes() {
        let mut turns = Turns::default();
        for _ in 0..3 {
            assert_eq!(turns.next(&[1, 2, 3], 0), Next::Ask(1));
            assert_eq!(turns.next(&[3, 1, 2], 0), Next::Ask(3));
            // One has become known that was not there.
            assert_eq!(turns.next(&[1, 3, 4, 2], 0), Next::Ask(4));
            assert_eq!(turns.next(&[1, 2, 3], 0), Next::Ask(2));
            assert!(matches!(turns.next(&[4, 3, 2, 1], 0), Next::Pause(_)));
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_a_set_without_replicas_is_waited_for() {
        let mut turns = Turns::default();
        let middle = u32::MAX / 2;
        let pauses = (0..40).map(|_| match turns.next(&[], middle) {
            Next::Pause(pause) => pause.as_millis(),
            Next::Ask(node) => panic!("there is no {node}"),
        });
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses[..6], [20, 40, 80, 160, 320, 500]);
        assert!(pauses[6..].iter().all(|p| *p == 500));
    }
}
