//! Whether a replica is asked at all. After several failures in a row it is left alone
//! for a while; then one call may find out whether it is back, and the pause grows as
//! long as it is not. Pure: the caller says what time it is, and throws the dice.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open a circuit: more than a restart of a connection costs.
const FAILURES: u32 = 5;

/// The pause before a replica is tried again, at first and at most: when all were gone
/// and are back, the first that is asked has all calls to itself for so long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The calls to one replica, as one thing that goes well or badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circuit {
    /// Calls go through; so many failed since the last that did not.
    Closed { failures: u32 },
    /// None does, until then.
    Open { until: Instant, pause: Duration },
    /// One is on its way, to find out.
    Probed { pause: Duration },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// From half as long to one and a half times: those who wait for the same must not come
/// back all at once.
pub(super) fn spread(pause: Duration, dice: u32) -> Duration {
    pause / 2 + pause.mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

impl Circuit {
    /// Whether a call should go through.
    pub(super) fn allows(&self, now: Instant) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { until, .. } => *until <= now,
            Self::Probed { .. } => false,
        }
    }

    /// Whether calls were kept from it when last something was known.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// A call goes through; says whether it is the one that finds out. Also one that is
    /// not allowed may go, where there is nobody else to ask.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        match *self {
            Self::Open { until, pause } if until <= now => {
                *self = Self::Probed { pause };
                true
            }
            _ => false,
        }
    }

    /// A call went well.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// A call failed.
    pub(super) fn fail(&mut self, is_probe: bool, now: Instant, dice: u32) {
        let open = |pause| Self::Open {
            until: now + spread(pause, dice),
            pause,
        };
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed {
                failures: failures + 1,
            },
            Self::Closed { .. } => open(FIRST_PAUSE),
            Self::Probed { pause } if is_probe => open((pause * 2).min(LONGEST_PAUSE)),
            // Of many that were on their way when it opened, each tells the same.
            as_it_is => as_it_is,
        };
    }

    /// A call was given up before it said anything. If it was to find out, the next one is.
    pub(super) fn give_up(&mut self, is_probe: bool, now: Instant) {
        if let (true, Self::Probed { pause }) = (is_probe, *self) {
            *self = Self::Open { until: now, pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u32 = u32::MAX / 2;

    fn opened(now: Instant) -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 0..FAILURES {
            assert!(circuit.allows(now));
            circuit.fail(false, now, MIDDLE);
        }
        circuit
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_after_as_many_with_a_success_between() {
        let now = Instant::now();
        assert!(!opened(now).allows(now));
        let mut circuit = Circuit::default();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                circuit.fail(false, now, MIDDLE);
            }
            circuit.succeed();
        }
        assert!(circuit.allows(now));
    }

    #[test]
    fn after_the_pause_one_call_finds_out_and_the_others_wait_for_it() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let later = now + FIRST_PAUSE * 3 / 2;
        assert!(!circuit.allows(now + FIRST_PAUSE / 4));
        assert!(circuit.allows(later));
        assert!(circuit.begin(later));
        assert!(!circuit.allows(later));
        assert!(!circuit.begin(later), "one is enough");
        circuit.succeed();
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn the_pause_doubles_with_each_try_in_vain_up_to_a_bound() {
        let mut now = Instant::now();
        let mut circuit = opened(now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let Circuit::Open { until, pause } = circuit else {
                panic!("{circuit:?}");
            };
            pauses.push(pause.as_secs());
            now = until;
            assert!(circuit.begin(now));
            circuit.fail(true, now, MIDDLE);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 10, 10]);
    }

    #[test]
    fn failures_of_calls_that_were_on_their_way_do_not_make_the_pause_longer() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let before = circuit;
        for _ in 0..100 {
            circuit.fail(false, now + FIRST_PAUSE / 4, MIDDLE);
        }
        assert_eq!(circuit, before);
    }

    #[test]
    fn a_call_that_was_to_find_out_and_is_given_up_leaves_it_to_the_next() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let later = now + FIRST_PAUSE * 2;
        assert!(circuit.begin(later));
        circuit.give_up(true, later);
        assert!(circuit.allows(later) && circuit.begin(later));
    }

    #[test]
    fn pauses_are_spread() {
        let (least, most) = (spread(FIRST_PAUSE, 0), spread(FIRST_PAUSE, u32::MAX));
        assert_eq!((least, most), (FIRST_PAUSE / 2, FIRST_PAUSE * 3 / 2));
    }
}
