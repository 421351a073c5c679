//! A call in words, for the story of a contradiction.

use std::fmt::Write;

use crate::record::{Answer, Call, Outcome, Record, Seen};

/// Letters of an answer that are told.
const TOLD: usize = 160;

/// One line: when, who, what was asked and what came.
#[must_use]
pub fn tell(record: &Record) -> String {
    line(record, None)
}

/// The same of a list of points with no more than one of these.
#[must_use]
pub fn tell_of(key: u64, record: &Record) -> String {
    line(record, Some(key))
}

fn line(record: &Record, only: Option<u64>) -> String {
    let asked = match &record.call {
        Call::Put { key, stamp } => format!("put {stamp} into point {key}"),
        Call::PutIf {
            key,
            stamp,
            expected,
            version,
        } => format!("put {stamp} into point {key} if it is {expected}, version {version}"),
        Call::Edit { key, stamp } => format!("edit {stamp} into point {key}"),
        Call::Delete { key } => format!("delete point {key}"),
        Call::Get { key } => format!("get point {key}"),
        Call::Look { key } => format!("look for point {key}"),
        Call::Scan => "list the points that change".to_owned(),
        Call::Search { near, exact } => {
            let how = if *exact { " exactly" } else { "" };
            format!("search near {near}{how}")
        }
        Call::Page { from } => format!("list the points at rest from {}", from.unwrap_or(1)),
        Call::Count { group: None } => "count the points at rest".to_owned(),
        Call::Count { group: Some(group) } => format!("count group {group}"),
        Call::Digests => "tell digests".to_owned(),
    };
    let mut came = match &record.outcome {
        Outcome::Refused(why) => format!("REFUSED ({why})"),
        Outcome::Unknown(why) => format!("UNKNOWN ({why})"),
        Outcome::Done(answer) => match answer {
            Answer::Changed { version } => format!("done, version {version}"),
            Answer::NotThere => "it is not there".to_owned(),
            Answer::OtherVersion => "it is of another version".to_owned(),
            Answer::Point(None) => "nothing".to_owned(),
            Answer::Point(Some(seen)) => told(seen),
            Answer::Points(points) => {
                let mut text = String::new();
                let wanted = |key: u64| only.is_none_or(|only| only == key);
                for (key, seen) in points.iter().filter(|(key, _)| wanted(*key)) {
                    // Writing into a text does not fail.
                    let _ = write!(text, "{key}: {}; ", told(seen));
                }
                if text.is_empty() {
                    text.push_str("it is not among them");
                }
                text
            }
            Answer::Found(ids) => format!("{ids:?}"),
            Answer::Page { ids, next } => format!("{ids:?}, then {next:?}"),
            Answer::Counted(count) => count.to_string(),
            Answer::Digests(shards) => format!("of {} shards", shards.len()),
            Answer::Nonsense(what) => what.clone(),
        },
    };
    if let Some((at, _)) = came.char_indices().nth(TOLD) {
        came.truncate(at);
        came.push('…');
    }
    let seconds = |time: u64| {
        let micros = time / 1000;
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    };
    format!(
        "{:>12} … {:>12} s  client {:<3} {asked}: {came}",
        seconds(record.start),
        seconds(record.end),
        record.client
    )
}

fn told(seen: &Seen) -> String {
    let mut text = format!("put {}", seen.put);
    if seen.change != seen.put {
        let _ = write!(text, ", edited {}", seen.change);
    }
    if let Some(version) = seen.version {
        let _ = write!(text, ", version {version}");
    }
    text
}
