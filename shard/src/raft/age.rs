//! How old what a member has applied can be, by its own monotonic clock: it has every
//! write that was acknowledged before it sent the newest request for a read index whose
//! answer it has applied. Pure: the caller says what time it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Answers that are remembered until they are applied, at most.
const AWAITED: usize = 64;

/// What a member was told of how far it must be, and since when it is.
#[derive(Default)]
pub struct Age {
    /// It has all that was acknowledged before.
    fresh_at: Option<Instant>,
    /// What will be so when an index is applied: later ones have higher indexes.
    awaited: VecDeque<(Instant, u64)>,
}

impl Age {
    /// A request that was sent at a time was answered. The time is that before it was
    /// sent: what was acknowledged while it was on its way, its answer may lack.
    pub fn answered(&mut self, sent: Instant, index: u64) {
        if self.awaited.back().is_some_and(|(last, _)| *last > sent) {
            return;
        }
        // A later request that asks for no more says all that those before it say.
        while self.awaited.back().is_some_and(|(_, last)| *last >= index) {
            self.awaited.pop_back();
        }
        // Of many that wait the last one gives way: to forget one only makes what is
        // there look older than it is.
        if self.awaited.len() == AWAITED {
            self.awaited.pop_back();
        }
        self.awaited.push_back((sent, index));
    }

    /// How old what is applied up to an index can be; `None` if it was never fresh.
    pub fn of(&mut self, applied: Option<u64>, now: Instant) -> Option<Duration> {
        let reached = |index: u64| applied.is_some_and(|applied| applied >= index);
        while let Some((sent, index)) = self.awaited.front().copied()
            && reached(index)
        {
            self.awaited.pop_front();
            self.fresh_at = self.fresh_at.max(Some(sent));
        }
        let fresh_at = self.fresh_at?;
        Some(now.saturating_duration_since(fresh_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_was_never_fresh_has_no_age() {
        let now = Instant::now();
        let mut age = Age::default();
        assert_eq!(age.of(Some(100), now), None);
        age.answered(now, 5);
        assert_eq!(age.of(None, now), None);
        assert_eq!(age.of(Some(4), now), None);
    }

    #[test]
    fn it_counts_from_when_the_request_was_sent_and_not_from_its_answer() {
        let begun = Instant::now();
        let mut age = Age::default();
        age.answered(begun, 5);
        assert_eq!(age.of(Some(5), begun + ms(70)), Some(ms(70)));
        // A later answer is of no use before it is applied.
        age.answered(begun + ms(80), 9);
        assert_eq!(age.of(Some(8), begun + ms(90)), Some(ms(90)));
        assert_eq!(age.of(Some(9), begun + ms(100)), Some(ms(20)));
    }

    #[test]
    fn a_request_that_asks_for_no_more_takes_the_place_of_those_before() {
        let begun = Instant::now();
        let mut age = Age::default();
        age.answered(begun, 5);
        age.answered(begun + ms(10), 4);
        assert_eq!(age.of(Some(4), begun + ms(30)), Some(ms(20)));
    }

    proptest! {
        /// Of all requests whose index is applied the newest counts, unless so many wait
        /// that some are forgotten: then it is never made out younger.
        #[test]
        fn it_is_never_made_out_younger_than_it_is(
            steps in prop::collection::vec((0_u64..50, 0_u64..40, 0_u64..40), 0..300),
        ) {
            let begun = Instant::now();
            let (mut age, mut now, mut applied) = (Age::default(), begun, 0);
            let mut all = Vec::new();
            for (passed, index, more) in steps {
                now += ms(passed);
                age.answered(now, applied + index);
                all.push((now, applied + index));
                applied += more.saturating_sub(30);
                let newest = all.iter().filter(|(_, index)| *index <= applied);
                let newest = newest.map(|(sent, _)| *sent).max();
                let right = newest.map(|sent| now - sent);
                let told = age.of(Some(applied), now);
                if all.len() <= AWAITED {
                    prop_assert_eq!(told, right);
                } else {
                    prop_assert!(told.is_none() || told >= right);
                }
            }
        }
    }
}
