//! When a second replica is asked for the same, and how often that may be: when a read
//! takes longer than nearly all did lately, and for a small share of all reads, so that
//! slowness of all replicas is not answered by more work for all. Pure: the caller says
//! what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// Reads that are remembered: the last ones.
const REMEMBERED: usize = 128;

/// Fewer say nothing of the slow ones among them.
const FEWEST: usize = 20;

/// How long is waited while too little is known.
const UNKNOWN: Duration = Duration::from_millis(100);

/// How long is waited at least: less is noise. And at most: what all reads take so long
/// for, another replica does not do sooner, but one may be silent for good.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// How often, in reads, the wait is worked out anew.
const EVERY: usize = 16;

/// How long reads of one kind took lately.
#[derive(Debug)]
pub(super) struct Latencies {
    last: Vec<Duration>,
    /// Where the next one goes.
    next: usize,
    wait: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            last: Vec::new(),
            next: 0,
            wait: UNKNOWN,
        }
    }
}

impl Latencies {
    /// One was answered after this time.
    pub(super) fn note(&mut self, took: Duration) {
        if self.last.len() < REMEMBERED {
            self.last.push(took);
        } else {
            self.last[self.next % REMEMBERED] = took;
        }
        self.next = (self.next + 1) % (REMEMBERED * EVERY);
        if self.last.len() >= FEWEST && self.next.is_multiple_of(EVERY) {
            let mut sorted = self.last.clone();
            let slow = sorted.len() * 95 / 100;
            let (_, slow, _) = sorted.select_nth_unstable(slow);
            // A little more: where all take the same time there is none to be gained.
            self.wait = (*slow + *slow / 8).clamp(SHORTEST, LONGEST);
        }
    }

    /// How long is waited for an answer before another replica is asked too.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }
}

/// Each read earns so much, and a second question costs so much: one in sixteen.
const EARNED: u32 = 1;
const COST: u32 = 16;

/// So much time earns as much as a read: where there are few reads each may be asked
/// twice, and those that wait for a replica that fell silent are freed one after another.
/// Ten questions a second are no burden.
const TIME: Duration = Duration::from_micros(6250);

/// What can be saved: enough for the reads that are on their way to a replica when it
/// falls silent.
const MOST: u32 = 16 * COST;

/// How many more questions there may be.
#[derive(Debug)]
pub(super) struct Budget {
    saved: u32,
    /// The time that has been counted.
    until: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            saved: MOST,
            until: None,
        }
    }
}

impl Budget {
    /// A read came.
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + EARNED).min(MOST);
    }

    /// Whether one more question may be asked; then it is paid for.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let until = *self.until.get_or_insert(now);
        let passed = now.saturating_duration_since(until);
        let times = passed.as_micros() / TIME.as_micros();
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.until = Some(until + TIME * times);
        self.saved = self.saved.saturating_add(times).min(MOST);
        let left = self.saved.checked_sub(COST);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
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
    fn the_wait_is_what_nearly_all_reads_took_less_than() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.wait(), UNKNOWN);
        for n in 0..1000 {
            latencies.note(ms(if n % 50 == 0 { 400 } else { 20 + n % 10 }));
        }
        assert_eq!(latencies.wait(), ms(29) + ms(29) / 8);
    }

    #[test]
    fn the_wait_is_bounded_and_follows_a_change() {
        let mut latencies = Latencies::default();
        for _ in 0..REMEMBERED {
            latencies.note(Duration::ZERO);
        }
        assert_eq!(latencies.wait(), SHORTEST);
        for _ in 0..REMEMBERED {
            latencies.note(ms(70_000));
        }
        assert_eq!(latencies.wait(), LONGEST);
    }

    proptest! {
        #[test]
        fn no_more_is_spent_than_a_share_of_the_reads_and_of_the_time_and_what_was_saved(
            steps in prop::collection::vec((0_u64..30, any::<bool>()), 0..3000),
        ) {
            let begun = Instant::now();
            let mut budget = Budget::default();
            let (mut now, mut reads, mut hedges) = (begun, 0, 0);
            for (passed, is_read) in steps {
                now += ms(passed);
                if is_read {
                    budget.earn();
                    reads += 1;
                } else if budget.spend(now) {
                    hedges += 1;
                }
                let tenths = u32::try_from((now - begun).as_millis() / 100).unwrap();
                prop_assert!(hedges <= MOST / COST + reads / COST + tenths + 2);
            }
        }
    }

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let mut now = Instant::now();
        let mut budget = Budget::default();
        while budget.spend(now) {}
        let mut hedges = 0;
        for _ in 0..1000 {
            now += ms(7);
            hedges += u32::from(budget.spend(now));
        }
        assert_eq!(hedges, 70);
    }
}
