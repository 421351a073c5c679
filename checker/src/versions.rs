//! Versions of a point: each change has its own, and one that began after
//! another had ended has a higher one. Conditional upserts rest on that.

use std::collections::BTreeMap;

use crate::record::{Answer, Call, Outcome, Record, Stamp};

/// Two calls whose versions contradict each other, and how.
pub struct Wrong {
    /// The calls.
    pub calls: Vec<usize>,
    /// What is wrong.
    pub what: String,
}

/// Goes through the calls about one point.
#[must_use]
pub fn wrong(calls: &[(usize, &Record)]) -> Option<Wrong> {
    of_the_same_change(calls).or_else(|| falling(calls))
}

/// A change that was told with two versions.
fn of_the_same_change(calls: &[(usize, &Record)]) -> Option<Wrong> {
    let mut told: BTreeMap<Stamp, (u64, usize)> = BTreeMap::new();
    for (call, record) in calls {
        let (stamp, version) = match (&record.outcome, record.call.stamp()) {
            (Outcome::Done(Answer::Changed { version }), Some(stamp)) => (stamp, *version),
            (Outcome::Done(Answer::Point(Some(seen))), _) => match seen.version {
                Some(version) => (seen.change, version),
                None => continue,
            },
            _ => continue,
        };
        let (first, by) = *told.entry(stamp).or_insert((version, *call));
        if first != version {
            let what = format!("the change {stamp} has the versions {first} and {version}");
            let calls = vec![by, *call];
            return Some(Wrong { calls, what });
        }
    }
    None
}

/// A change that was acknowledged.
#[derive(Clone, Copy)]
struct Change {
    call: usize,
    start: u64,
    end: u64,
    version: u64,
    deletes: bool,
}

/// A change whose version is not above that of one that had ended before it.
fn falling(calls: &[(usize, &Record)]) -> Option<Wrong> {
    let changed = |(call, record): &(usize, &Record)| match record.outcome {
        Outcome::Done(Answer::Changed { version }) => Some(Change {
            call: *call,
            start: record.start,
            end: record.end,
            version,
            deletes: matches!(record.call, Call::Delete { .. }),
        }),
        _ => None,
    };
    let mut by_start: Vec<Change> = calls.iter().filter_map(changed).collect();
    let mut by_end = by_start.clone();
    by_start.sort_unstable_by_key(|change| change.start);
    by_end.sort_unstable_by_key(|change| change.end);
    let mut ended = by_end.into_iter().peekable();
    let mut highest: Option<(u64, usize)> = None;
    for change in by_start {
        while let Some(before) = ended.next_if(|before| before.end < change.start) {
            highest = highest.max(Some((before.version, before.call)));
        }
        let Some((least, before)) = highest else {
            continue;
        };
        let version = change.version;
        // To delete what is not there changes nothing, and gives no version.
        if version < least || (version == least && !change.deletes) {
            let what = format!("a change got version {version} after one of {least} had ended");
            let calls = vec![before, change.call];
            return Some(Wrong { calls, what });
        }
    }
    None
}
