use super::*;
use crate::record::{Answer, Call, Outcome, Seen, Stamp};

fn plan() -> Plan {
    Plan {
        seed: 7,
        dimension: 8,
        rest: 25,
        groups: 4,
        keys: 4,
        clients: 1,
        limit: 5,
        page: 10,
    }
}

fn some_calls() -> Vec<Record> {
    let stamp = |counter| Stamp { client: 3, counter };
    let seen = Seen {
        put: stamp(1),
        change: stamp(2),
        whole: Some(true),
        version: Some(9),
    };
    let done = Outcome::Done;
    let put_if = Call::PutIf {
        key: 1,
        stamp: stamp(4),
        expected: stamp(2),
        version: 9,
    };
    let calls = [
        (put_if, done(Answer::OtherVersion)),
        (Call::Delete { key: 1 }, Outcome::Refused("no".into())),
        (Call::Delete { key: 1 }, Outcome::Unknown("\"\n".into())),
        (Call::Look { key: 1 }, done(Answer::Point(Some(seen)))),
        (Call::Look { key: 1 }, done(Answer::Point(None))),
        (Call::Scan, done(Answer::Points(vec![(1, seen)]))),
        (Call::Count { group: None }, done(Answer::Counted(4))),
        (Call::Digests, done(Answer::Digests(Vec::new()))),
    ];
    let record = |(n, (call, outcome)): (usize, (Call, Outcome))| Record {
        client: 3,
        start: n as u64,
        end: n as u64 + 5,
        call,
        outcome,
    };
    calls.into_iter().enumerate().map(record).collect()
}

#[test]
fn what_is_recorded_is_read_back_and_what_breaks_off_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.jsonl");
    let recorder = Recorder::new(&plan(), Some(&path)).unwrap();
    for call in some_calls() {
        recorder.keep(call);
    }
    let records = recorder.finish(plan()).unwrap();
    assert_eq!(records.calls, some_calls());
    assert_eq!(read(&path).unwrap(), records);

    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let refusal = |text: String| {
        std::fs::write(&path, text).unwrap();
        read(&path).unwrap_err()
    };
    let short = lines[..lines.len() - 1].join("\n");
    for text in [short.clone(), short[..short.len() - 9].to_owned()] {
        let error = refusal(text);
        assert!(matches!(error, FileError::BreaksOff { .. }), "{error}");
    }
    let without_one = whole.replacen(&format!("{}\n", lines[2]), "", 1);
    assert!(matches!(refusal(without_one), FileError::BreaksOff { .. }));
    let damaged = whole.replacen("\"start\":2", "\"start\":?", 1);
    assert!(matches!(refusal(damaged), FileError::Parse { line: 4, .. }));
    assert!(matches!(
        refusal(String::new()),
        FileError::Parse { line: 1, .. }
    ));
}
