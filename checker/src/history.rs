//! The history of one point: what its changes and reads have to say about each
//! other, taken out of the records of a whole run.

use std::collections::BTreeMap;

use crate::record::{Answer, Call, Outcome, Records, Seen, Stamp};

/// One operation of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// The call among those of the run.
    pub call: usize,
    /// When it began.
    pub start: u64,
    /// When it was known to be done; `None` if it may take effect at any time
    /// from its start on, or never.
    pub end: Option<u64>,
    /// What it does, or saw.
    pub what: What,
}

/// What an operation does to its point or saw of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Puts the point in.
    Put(Stamp),
    /// Puts the point in, if its last change is this one.
    PutIf {
        /// What is put in.
        stamp: Stamp,
        /// The last change.
        expected: Stamp,
    },
    /// Changes the payload of a point that is there.
    Edit(Stamp),
    /// Deletes the point.
    Delete,
    /// Saw that the point was not there.
    Missing,
    /// Saw that the point's last change was not this one.
    Other(Stamp),
    /// Saw the point, by its upsert and its last change.
    Saw {
        /// The upsert.
        put: Stamp,
        /// The last change.
        change: Stamp,
    },
}

impl What {
    /// Whether it only saw something.
    #[must_use]
    pub fn is_seen(self) -> bool {
        matches!(self, Self::Missing | Self::Other(_) | Self::Saw { .. })
    }

    /// What it writes into the point.
    #[must_use]
    pub fn stamp(self) -> Option<Stamp> {
        match self {
            Self::Put(stamp) | Self::PutIf { stamp, .. } | Self::Edit(stamp) => Some(stamp),
            _ => None,
        }
    }
}

/// The history of each point that was changed or read.
#[must_use]
pub fn histories(records: &Records) -> BTreeMap<u64, Vec<Op>> {
    let mut all: BTreeMap<u64, Vec<Op>> = BTreeMap::new();
    for (call, record) in records.calls.iter().enumerate() {
        let op = |end, what| Op {
            call,
            start: record.start,
            end,
            what,
        };
        let done = Some(record.end);
        match (&record.outcome, record.call.key()) {
            (Outcome::Done(Answer::Points(points)), None) => {
                let there: BTreeMap<u64, Seen> = points.iter().copied().collect();
                for key in 0..records.plan.keys {
                    let what = saw(there.get(&key));
                    all.entry(key).or_default().push(op(done, what));
                }
            }
            (outcome, Some(key)) => {
                let found = match outcome {
                    Outcome::Done(answer) => {
                        answered(&record.call, answer).map(|what| op(done, what))
                    }
                    // An answer that makes no sense says nothing of its effect.
                    Outcome::Unknown(_) => change(&record.call).map(|what| op(None, what)),
                    Outcome::Refused(_) => None,
                };
                let lost = || match outcome {
                    Outcome::Done(Answer::Nonsense(_)) => {
                        change(&record.call).map(|what| op(None, what))
                    }
                    _ => None,
                };
                if let Some(op) = found.or_else(lost) {
                    all.entry(key).or_default().push(op);
                }
            }
            _ => {}
        }
    }
    all
}

fn saw(seen: Option<&Seen>) -> What {
    seen.map_or(What::Missing, |seen| What::Saw {
        put: seen.put,
        change: seen.change,
    })
}

/// What a call does if it takes effect.
fn change(call: &Call) -> Option<What> {
    Some(match *call {
        Call::Put { stamp, .. } => What::Put(stamp),
        Call::PutIf {
            stamp, expected, ..
        } => What::PutIf { stamp, expected },
        Call::Edit { stamp, .. } => What::Edit(stamp),
        Call::Delete { .. } => What::Delete,
        _ => return None,
    })
}

/// What an answer says; `None` if it says nothing.
fn answered(call: &Call, answer: &Answer) -> Option<What> {
    match (answer, call) {
        (Answer::Changed { .. }, call) => change(call),
        (Answer::NotThere, Call::Edit { .. }) => Some(What::Missing),
        (Answer::OtherVersion, Call::PutIf { expected, .. }) => Some(What::Other(*expected)),
        (Answer::Point(seen), _) => Some(saw(seen.as_ref())),
        _ => None,
    }
}
