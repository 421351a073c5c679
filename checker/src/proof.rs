//! The proof over the records of a run: which of the promises they contradict,
//! and what they are too few to tell of. No clock, no disk, no network.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::availability::{Availability, availability};
use crate::history::{Op, What, histories};
use crate::linear::{self, check};
use crate::record::{Answer, Call, Outcome, Record, Records, Stamp};
use crate::replicas::compare;
use crate::rest::AtRest;
use crate::story::shortest;
use crate::tell::{tell, tell_of};
use crate::versions;

/// What may be contradicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// An acknowledged change is there until another overwrites it, and a read
    /// shows what was there at one moment while it ran.
    Order,
    /// What was refused never shows.
    Refused,
    /// A point is read as one of its changes left it.
    Whole,
    /// Each change has a version, higher than those of all before it.
    Version,
    /// Answers about points at rest are neither short nor doubled.
    Rest,
    /// Replicas have the same.
    Replicas,
    /// An answer is one to what was asked.
    Sense,
}

/// One contradiction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What it contradicts.
    pub promise: Promise,
    /// The contradiction in words.
    pub what: String,
    /// The calls that show it, with their times.
    pub story: Vec<String>,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The records contradict nothing, and they are whole.
    Proved,
    /// They contradict a promise.
    Violated,
    /// They contradict nothing, and are too few to prove all.
    Unproved,
}

/// How much was gone through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Calls, of all kinds.
    pub calls: usize,
    /// Points that clients changed or read.
    pub points: usize,
    /// Changes that were acknowledged.
    pub acknowledged: usize,
    /// Changes of unknown outcome.
    pub unknown: usize,
    /// Changes that were refused.
    pub refused: usize,
    /// Reads of points that change; a list is one of each.
    pub reads: usize,
    /// Searches, pages and counts of points at rest.
    pub answers_at_rest: usize,
    /// Replicas that the last digests were of.
    pub replicas: usize,
}

/// All that the records tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// What they contradict.
    pub violations: Vec<Violation>,
    /// What they are too few to tell of.
    pub unproved: Vec<String>,
    /// How much was gone through.
    pub checked: Checked,
    /// How available the system was.
    pub availability: Availability,
}

/// Goes through all records.
#[must_use]
pub fn prove(records: &Records) -> Report {
    let mut findings = Findings::default();
    let histories = histories(records);
    findings.nonsense(records);
    findings.points(records, &histories);
    findings.at_rest(records);
    findings.replicas(records);
    let checked = checked(records, &histories);
    if checked.answers_at_rest == 0 {
        let what = "no search, page or count of points at rest was answered";
        findings.unproved.push(what.to_owned());
    }
    if checked.acknowledged == 0 && checked.unknown + checked.refused > 0 {
        let what = "no change was acknowledged: there was nothing to lose";
        findings.unproved.push(what.to_owned());
    }
    let Findings {
        violations,
        unproved,
    } = findings;
    Report {
        verdict: match (violations.is_empty(), unproved.is_empty()) {
            (false, _) => Verdict::Violated,
            (true, false) => Verdict::Unproved,
            (true, true) => Verdict::Proved,
        },
        violations,
        unproved,
        checked,
        availability: availability(records),
    }
}

fn checked(records: &Records, histories: &BTreeMap<u64, Vec<Op>>) -> Checked {
    let mut checked = Checked {
        calls: records.calls.len(),
        points: histories.len(),
        ..Checked::default()
    };
    let ops = histories.values().flatten();
    checked.reads = ops.filter(|op| op.what.is_seen()).count();
    for record in &records.calls {
        match &record.outcome {
            Outcome::Done(Answer::Digests(shards)) => {
                checked.replicas = shards.iter().map(|s| s.replicas.len()).sum();
            }
            Outcome::Done(Answer::Found(_) | Answer::Page { .. } | Answer::Counted(_)) => {
                checked.answers_at_rest += 1;
            }
            Outcome::Done(Answer::Changed { .. }) => checked.acknowledged += 1,
            Outcome::Unknown(_) if record.call.kind().writes() => checked.unknown += 1,
            Outcome::Refused(_) if record.call.kind().writes() => checked.refused += 1,
            _ => {}
        }
    }
    checked
}

#[derive(Default)]
struct Findings {
    violations: Vec<Violation>,
    unproved: Vec<String>,
}

impl Findings {
    fn add(&mut self, promise: Promise, what: String, story: Vec<String>) {
        self.violations.push(Violation {
            promise,
            what,
            story,
        });
    }

    fn nonsense(&mut self, records: &Records) {
        for record in &records.calls {
            if let Outcome::Done(Answer::Nonsense(what)) = &record.outcome {
                self.add(Promise::Sense, what.clone(), vec![tell(record)]);
            }
        }
    }

    fn points(&mut self, records: &Records, histories: &BTreeMap<u64, Vec<Op>>) {
        let mut calls: BTreeMap<u64, Vec<(usize, &Record)>> = BTreeMap::new();
        for (call, record) in records.calls.iter().enumerate() {
            if let Some(key) = record.call.key() {
                calls.entry(key).or_default().push((call, record));
            }
        }
        self.torn(records);
        for (key, ops) in histories {
            let calls = calls.get(key).map_or(&[][..], Vec::as_slice);
            if let Some(wrong) = versions::wrong(calls) {
                let story = wrong.calls.iter().map(|c| tell(&records.calls[*c]));
                let what = format!("point {key}: {}", wrong.what);
                self.add(Promise::Version, what, story.collect());
            }
            if !self.refused_shows(*key, calls, records, ops) {
                self.order(*key, calls, records, ops);
            }
            self.read_at_the_end(*key, calls, ops);
        }
    }

    /// Points whose vector is not that of the upsert that their payload names.
    fn torn(&mut self, records: &Records) {
        for record in &records.calls {
            let torn = match &record.outcome {
                Outcome::Done(Answer::Point(seen)) => {
                    seen.as_ref().filter(|seen| seen.whole == Some(false))
                }
                Outcome::Done(Answer::Points(points)) => {
                    let mut seen = points.iter().map(|(_, seen)| seen);
                    seen.find(|seen| seen.whole == Some(false))
                }
                _ => None,
            };
            if let Some(seen) = torn {
                let what = format!(
                    "a point has the payload of {} and not the vector that {} gave it",
                    seen.change, seen.put
                );
                self.add(Promise::Whole, what, vec![tell(record)]);
            }
        }
    }

    /// Whether something that was refused was seen.
    fn refused_shows(
        &mut self,
        key: u64,
        calls: &[(usize, &Record)],
        records: &Records,
        ops: &[Op],
    ) -> bool {
        let refused: BTreeMap<Stamp, &Record> = calls
            .iter()
            .filter(|(_, record)| matches!(record.outcome, Outcome::Refused(_)))
            .filter_map(|(_, record)| Some((record.call.stamp()?, *record)))
            .collect();
        let shown = ops.iter().find_map(|op| match op.what {
            What::Saw { put, change } => {
                let by = refused.get(&put).or_else(|| refused.get(&change))?;
                Some((op, *by))
            }
            _ => None,
        });
        let Some((op, by)) = shown else {
            return false;
        };
        let what = format!("point {key}: a change that was refused was seen");
        let story = vec![tell(by), tell_of(key, &records.calls[op.call])];
        self.add(Promise::Refused, what, story);
        true
    }

    fn order(&mut self, key: u64, calls: &[(usize, &Record)], records: &Records, ops: &[Op]) {
        match check(ops) {
            linear::Verdict::Explained => {}
            linear::Verdict::TooMuch => self.unproved.push(format!(
                "point {key}: more went on at once than can be gone through; run with more keys"
            )),
            linear::Verdict::Contradicted => {
                let story = shortest(ops);
                let last = story.iter().filter(|op| op.end.is_some());
                let last = last.max_by_key(|op| op.end).map(|op| op.call);
                let closer = records.plan.closer();
                let at_the_end = last.is_some_and(|call| records.calls[call].client == closer);
                let what = if at_the_end {
                    "what is there at the end is not what its changes have left"
                } else {
                    "no order of its operations explains the last of these"
                };
                let mut shown: BTreeSet<usize> = story.iter().map(|op| op.call).collect();
                shown.extend(refused_deletes(calls, &story));
                let mut shown: Vec<&Record> = shown.iter().map(|c| &records.calls[*c]).collect();
                shown.sort_by_key(|record| record.start);
                let story = shown.into_iter().map(|r| tell_of(key, r)).collect();
                self.add(Promise::Order, format!("point {key}: {what}"), story);
            }
        }
    }

    /// A point whose last change was followed by no read has proved nothing.
    fn read_at_the_end(&mut self, key: u64, calls: &[(usize, &Record)], ops: &[Op]) {
        let acknowledged = calls
            .iter()
            .filter(|(_, r)| matches!(r.outcome, Outcome::Done(Answer::Changed { .. })));
        let Some(last) = acknowledged.map(|(_, r)| r.end).max() else {
            return;
        };
        let reads = |op: &Op| matches!(op.what, What::Saw { .. } | What::Missing);
        if !ops.iter().any(|op| op.start > last && reads(op)) {
            self.unproved.push(format!(
                "point {key} was not read after its last acknowledged change"
            ));
        }
    }

    fn at_rest(&mut self, records: &Records) {
        let mut at_rest = AtRest::new(&records.plan);
        for record in &records.calls {
            if let Outcome::Done(answer) = &record.outcome
                && let Some(what) = at_rest.wrong(record, answer)
            {
                self.add(Promise::Rest, what, vec![tell(record)]);
            }
        }
    }

    fn replicas(&mut self, records: &Records) {
        let mut last = None;
        for record in &records.calls {
            if let Outcome::Done(Answer::Digests(shards)) = &record.outcome {
                let compared = compare(shards);
                for what in &compared.wrong {
                    self.add(Promise::Replicas, what.clone(), vec![tell(record)]);
                }
                last = Some(compared);
            }
        }
        let asked = records.calls.iter().any(|r| r.call == Call::Digests);
        match last {
            Some(compared) => self.unproved.extend(compared.behind),
            None if asked => {
                let what = "the replicas could not be compared: no digests were told";
                self.unproved.push(what.to_owned());
            }
            None => self
                .unproved
                .push("the replicas were not compared: the record has no end".to_owned()),
        }
    }
}

/// The deletes that were refused while a story went on: they have no stamp by
/// which they would show.
fn refused_deletes(calls: &[(usize, &Record)], story: &[Op]) -> Vec<usize> {
    let begun = story.iter().map(|op| op.start).min().unwrap_or(0);
    let ended = story.iter().filter_map(|op| op.end).max().unwrap_or(0);
    let refused = calls.iter().filter(|(_, record)| {
        matches!(record.outcome, Outcome::Refused(_))
            && matches!(record.call, Call::Delete { .. })
            && record.end >= begun
            && record.start <= ended
    });
    refused.map(|(call, _)| *call).collect()
}

/// Contradictions that are told in full; more only repeat them.
const TOLD: usize = 10;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checked = &self.checked;
        writeln!(
            f,
            "{} calls in {:.1} s; {} points with {} acknowledged changes, {} of unknown outcome, {} refused, \
             {} reads; {} answers about points at rest; replicas compared: {}\n",
            checked.calls,
            self.availability.seconds,
            checked.points,
            checked.acknowledged,
            checked.unknown,
            checked.refused,
            checked.reads,
            checked.answers_at_rest,
            checked.replicas
        )?;
        writeln!(f, "{}", self.availability)?;
        for violation in self.violations.iter().take(TOLD) {
            writeln!(f, "VIOLATED {}", violation.what)?;
            for line in &violation.story {
                writeln!(f, "  {line}")?;
            }
        }
        if self.violations.len() > TOLD {
            writeln!(f, "and {} more", self.violations.len() - TOLD)?;
        }
        for what in self.unproved.iter().take(TOLD) {
            writeln!(f, "UNPROVED {what}")?;
        }
        if self.unproved.len() > TOLD {
            writeln!(f, "and {} more", self.unproved.len() - TOLD)?;
        }
        f.write_str(match self.verdict {
            Verdict::Proved => {
                "PROVED: nothing acknowledged is lost, nothing refused showed, every read is explained, \
                 and no answer was short or doubled"
            }
            Verdict::Violated => "VIOLATED: see above",
            Verdict::Unproved => "UNPROVED: nothing is contradicted, and the records are not whole",
        })
    }
}

#[cfg(test)]
mod tests;
