//! When a process that has died is started again: after a moment, and after ever
//! longer ones if it dies at once each time. Pure.

use std::time::Duration;

/// The pause before a start.
pub const PAUSE: Duration = Duration::from_secs(1);

/// The pause never grows beyond.
const LONGEST: Duration = Duration::from_secs(30);

/// A process that lived so long has not died at once.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// What is remembered of a process's deaths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    at_once: u32,
}

impl Restarts {
    /// It died by itself after it had lived so long: the pause.
    pub fn died(&mut self, lived: Duration) -> Duration {
        if lived >= LONG_ENOUGH {
            self.at_once = 0;
        }
        let pause = PAUSE.saturating_mul(1 << self.at_once.min(16)).min(LONGEST);
        self.at_once += 1;
        pause
    }

    /// It was killed on command, which says nothing about how it is: the pause.
    pub fn killed(&mut self) -> Duration {
        self.at_once = 0;
        PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_dies_at_once_again_and_again_waits_longer_each_time_up_to_a_bound() {
        let mut restarts = Restarts::default();
        let mut pauses: Vec<u64> = Vec::new();
        for _ in 0..7 {
            pauses.push(restarts.died(Duration::ZERO).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        for _ in 0..100 {
            assert_eq!(restarts.died(Duration::ZERO), LONGEST);
        }
    }

    #[test]
    fn who_lived_for_a_while_or_was_killed_on_command_waits_only_a_moment() {
        let mut restarts = Restarts::default();
        restarts.died(Duration::ZERO);
        assert_eq!(restarts.died(LONG_ENOUGH), PAUSE);
        assert_eq!(restarts.died(Duration::ZERO).as_secs(), 2);
        assert_eq!(restarts.killed(), PAUSE);
        assert_eq!(restarts.died(Duration::ZERO), PAUSE);
    }
}
