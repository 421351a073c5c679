//! What was tried and why it failed, to be told when nothing is left to try. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use quoit_proto::{ErrorKind, ShardError};

/// A replica as it is named to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) ordinal: u32,
    pub(super) node: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {} (node {})", self.ordinal, self.node)
    }
}

/// Failures of one replica.
#[derive(Debug)]
struct Failed {
    times: u32,
    last: ShardError,
}

/// The failures of one call.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<Name, Failed>);

impl Failures {
    /// One more.
    pub(super) fn note(&mut self, name: Name, error: ShardError) {
        let times = self.0.get(&name).map_or(0, |failed| failed.times) + 1;
        let last = error;
        self.0.insert(name, Failed { times, last });
    }

    /// Whether a replica had too much to do: it is not asked again by this router, but by
    /// a client that was told to wait.
    pub(super) fn is_any_busy(&self) -> bool {
        self.any_is(|kind| kind == ErrorKind::Busy)
    }

    fn any_is(&self, is: impl Fn(ErrorKind) -> bool) -> bool {
        self.0.values().any(|failed| is(failed.last.kind))
    }

    /// The end of a read.
    pub(super) fn read_failed(&self, after: Duration) -> ShardError {
        let kind = if self.is_any_busy() {
            ErrorKind::Busy
        } else if self.any_is(|kind| kind != ErrorKind::Behind) || self.0.is_empty() {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Behind
        };
        let text = format!("no replica answered within {}: {self}", seconds(after));
        ShardError::new(kind, text)
    }

    /// The end of a change that nobody was ever sent, or all refused.
    pub(super) fn change_refused(&self, after: Duration) -> ShardError {
        let text = format!(
            "no replica took the write within {}, and nothing was done: {self}",
            seconds(after)
        );
        ShardError::new(ErrorKind::Unavailable, text)
    }

    /// The end of a change that may have had an effect, or may have yet.
    pub(super) fn change_unknown(&self, after: Duration) -> ShardError {
        let text = format!(
            "the outcome of the write is unknown after {}: {self}",
            seconds(after)
        );
        ShardError::new(ErrorKind::Unknown, text)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none is known");
        }
        for (at, (name, Failed { times, last })) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{name}")?;
            if *times > 1 {
                write!(f, ", tried {times} times, last")?;
            }
            write!(f, ": {last}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(failed: &[(u64, ErrorKind, &str)]) -> Failures {
        let mut failures = Failures::default();
        for (node, kind, text) in failed {
            let ordinal = u32::try_from(*node).unwrap() - 10;
            let name = Name {
                ordinal,
                node: *node,
            };
            failures.note(name, ShardError::new(*kind, *text));
        }
        failures
    }

    #[test]
    fn each_replica_is_named_with_its_last_reason() {
        let failures = all(&[
            (11, ErrorKind::Unknown, "connection refused"),
            (10, ErrorKind::Behind, "no leader"),
            (11, ErrorKind::Unavailable, "shutting down"),
        ]);
        let error = failures.read_failed(Duration::from_millis(10_040));
        assert_eq!(
            error.message,
            "no replica answered within 10.0 s: replica 0 (node 10): no leader; \
             replica 1 (node 11), tried 2 times, last: shutting down"
        );
        let none = Failures::default().change_refused(Duration::from_secs(10));
        assert!(none.message.contains("nothing was done: none is known"));
    }

    #[test]
    fn a_read_that_failed_is_never_unknown_and_says_what_a_client_can_do() {
        use ErrorKind::{Behind, Busy, Unavailable, Unknown};
        for (kinds, kind) in [
            (vec![Unknown, Unknown], Unavailable),
            (vec![Behind, Behind], Behind),
            (vec![Behind, Unavailable], Unavailable),
            (vec![Behind, Unknown, Busy], Busy),
            (vec![], Unavailable),
        ] {
            let failures: Vec<_> = (10..).zip(&kinds).map(|(n, k)| (n, *k, "why")).collect();
            let error = all(&failures).read_failed(Duration::ZERO);
            assert_eq!(error.kind, kind, "{kinds:?}");
        }
    }
}
