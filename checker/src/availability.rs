//! How available the clients found the system: how many calls of each kind were
//! served, the longest time without one that was, and how long they took.

use serde::Serialize;
use std::fmt;

use crate::record::{Kind, Outcome, Record, Records};

/// What became of the calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The kind; of the sums, `writes` and `reads`.
    pub kind: &'static str,
    /// Calls.
    pub calls: usize,
    /// Those served, also with "it is not there" and the like.
    pub served: usize,
    /// Those that certainly had no effect.
    pub refused: usize,
    /// Those of unknown outcome.
    pub unknown: usize,
    /// The longest time in which no call was served, in milliseconds.
    pub longest_gap_ms: f64,
    /// How long calls that were served took, in milliseconds: half of them.
    pub p50_ms: f64,
    /// All but a tenth.
    pub p90_ms: f64,
    /// All but a hundredth.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// All kinds that there were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Availability {
    /// How long clients were at work, in seconds.
    pub seconds: f64,
    /// Each kind, and the sums.
    pub rows: Vec<Row>,
}

/// Sums up the calls of the clients, without what is read after their end.
#[must_use]
pub fn availability(records: &Records) -> Availability {
    let calls = records.calls.iter();
    let calls: Vec<&Record> = calls.filter(|r| r.client < records.plan.closer()).collect();
    let begun = calls.iter().map(|r| r.start).min().unwrap_or(0);
    let ended = calls.iter().map(|r| r.end).max().unwrap_or(0);
    let of = |name, is: &dyn Fn(Kind) -> bool| {
        let calls: Vec<&Record> = calls
            .iter()
            .copied()
            .filter(|r| is(r.call.kind()))
            .collect();
        (!calls.is_empty()).then(|| row(name, &calls, begun, ended))
    };
    let kinds = Kind::WORK.iter();
    let rows = kinds.map(|kind| of(kind.name(), &|k| k == *kind));
    let sums = [
        of("writes", &Kind::writes),
        of("reads", &|kind| !kind.writes()),
    ];
    Availability {
        seconds: ms(ended.saturating_sub(begun)) / 1e3,
        rows: rows.chain(sums).flatten().collect(),
    }
}

fn row(kind: &'static str, calls: &[&Record], begun: u64, ended: u64) -> Row {
    let count = |is: fn(&Outcome) -> bool| calls.iter().filter(|r| is(&r.outcome)).count();
    let served = calls
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Done(_)));
    let mut ends: Vec<u64> = served.clone().map(|r| r.end).collect();
    let mut times: Vec<u64> = served.map(|r| r.end - r.start).collect();
    times.sort_unstable();
    ends.extend([begun, ended]);
    ends.sort_unstable();
    let longest = ends.windows(2).map(|pair| pair[1] - pair[0]).max();
    let percentile = |share: usize| {
        let last = times.len().saturating_sub(1);
        ms(times.get(last * share / 100).copied().unwrap_or(0))
    };
    Row {
        kind,
        calls: calls.len(),
        served: times.len(),
        refused: count(|o| matches!(o, Outcome::Refused(_))),
        unknown: count(|o| matches!(o, Outcome::Unknown(_))),
        longest_gap_ms: ms(longest.unwrap_or(0)),
        p50_ms: percentile(50),
        p90_ms: percentile(90),
        p99_ms: percentile(99),
        max_ms: percentile(100),
    }
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn ms(nanoseconds: u64) -> f64 {
    (nanoseconds as f64 / 1e3).round() / 1e3
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:8} {:>9} {:>9} {:>8} {:>8} {:>11} {:>9} {:>9} {:>9} {:>9}",
            "", "calls", "served", "refused", "unknown", "longest gap", "p50", "p90", "p99", "max"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:8} {:>9} {:>9} {:>8} {:>8} {:>8.0} ms {:>6.1} ms {:>6.1} ms {:>6.1} ms {:>6.1} ms",
                row.kind,
                row.calls,
                row.served,
                row.refused,
                row.unknown,
                row.longest_gap_ms,
                row.p50_ms,
                row.p90_ms,
                row.p99_ms,
                row.max_ms
            )?;
        }
        Ok(())
    }
}
