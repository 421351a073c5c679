use super::*;
use crate::plan::Plan;
use crate::record::{ReplicaDigests, Seen, ShardDigests, VnodeDigest};

fn plan() -> Plan {
    Plan {
        seed: 7,
        dimension: 8,
        rest: 25,
        groups: 4,
        keys: 2,
        clients: 2,
        limit: 5,
        page: 10,
    }
}

fn stamp(counter: u64) -> Stamp {
    Stamp { client: 0, counter }
}

fn seen(counter: u64) -> Answer {
    Answer::Point(Some(Seen {
        put: stamp(counter),
        change: stamp(counter),
        whole: Some(true),
        version: None,
    }))
}

fn put(counter: u64) -> Call {
    Call::Put {
        key: 0,
        stamp: stamp(counter),
    }
}

const GET: Call = Call::Get { key: 0 };

fn version(version: u64) -> Outcome {
    Outcome::Done(Answer::Changed { version })
}

fn digests(of: &[&str]) -> Outcome {
    let replica = |(node, digest): (u64, &&str)| ReplicaDigests {
        node,
        applied: 4,
        vnodes: vec![VnodeDigest {
            vnode: 1,
            c: 1,
            seq: 3,
            count: 2,
            digest: (*digest).to_owned(),
        }],
    };
    let replicas = (1..).zip(of).map(replica).collect();
    Outcome::Done(Answer::Digests(vec![ShardDigests { id: 0, replicas }]))
}

/// These calls one after the other, with a count and digests that are right.
fn report(calls: Vec<(Call, Outcome)>) -> Report {
    let mut all = calls;
    all.push((
        Call::Count { group: None },
        Outcome::Done(Answer::Counted(25)),
    ));
    all.push((Call::Digests, digests(&["ab", "ab"])));
    bare(all)
}

fn bare(calls: Vec<(Call, Outcome)>) -> Report {
    let record = |(at, (call, outcome)): (u64, (Call, Outcome))| Record {
        client: 0,
        start: at * 10,
        end: at * 10 + 5,
        call,
        outcome,
    };
    prove(&Records {
        plan: plan(),
        calls: (1..).zip(calls).map(record).collect(),
    })
}

#[track_caller]
fn breaks(promise: Promise, report: &Report) -> &Violation {
    assert_eq!(report.verdict, Verdict::Violated);
    let promises: Vec<_> = report.violations.iter().map(|v| v.promise).collect();
    assert_eq!(promises, [promise], "{report}");
    &report.violations[0]
}

#[test]
fn what_is_as_promised_is_proved() {
    let report = report(vec![
        (put(1), version(4)),
        (GET, Outcome::Done(seen(1))),
        (put(2), Outcome::Refused(String::new())),
        (put(3), Outcome::Unknown(String::new())),
        (GET, Outcome::Done(seen(3))),
    ]);
    assert_eq!(report.verdict, Verdict::Proved, "{report}");
    let Checked {
        acknowledged,
        unknown,
        refused,
        reads,
        replicas,
        ..
    } = report.checked;
    assert_eq!(
        [acknowledged, unknown, refused, reads, replicas],
        [1, 1, 1, 2, 2]
    );
}

#[test]
fn a_change_that_was_refused_and_shows_is_told_with_both_calls() {
    let report = report(vec![
        (put(1), version(4)),
        (put(2), Outcome::Refused("507".into())),
        (GET, Outcome::Done(seen(2))),
    ]);
    let story = &breaks(Promise::Refused, &report).story;
    assert_eq!(story.len(), 2);
    assert!(story[0].contains("put 0-2 into point 0: REFUSED (507)"));
}

#[test]
fn a_lost_change_is_told_with_the_calls_that_show_it() {
    let report = report(vec![
        (put(1), version(4)),
        (GET, Outcome::Done(seen(1))),
        (put(2), version(5)),
        (GET, Outcome::Done(seen(1))),
    ]);
    let story = breaks(Promise::Order, &report).story.join("\n");
    assert_eq!(story.lines().count(), 3, "{story}");
    assert!(
        story.contains("put 0-2 into point 0: done, version 5"),
        "{story}"
    );
    assert!(report.to_string().contains("VIOLATED point 0"));
}

#[test]
fn a_refused_delete_that_was_done_is_told() {
    let report = report(vec![
        (put(1), version(4)),
        (Call::Delete { key: 0 }, Outcome::Refused("503".into())),
        (GET, Outcome::Done(Answer::Point(None))),
    ]);
    let story = breaks(Promise::Order, &report).story.join("\n");
    assert!(story.contains("delete point 0: REFUSED (503)"), "{story}");
}

#[test]
fn versions_must_rise_and_be_of_one_change() {
    for second in [4, 3] {
        let falling = report(vec![
            (put(1), version(4)),
            (put(2), version(second)),
            (GET, Outcome::Done(seen(2))),
        ]);
        breaks(Promise::Version, &falling);
    }
    let looked = |version| {
        Answer::Point(Some(Seen {
            put: stamp(1),
            change: stamp(1),
            whole: None,
            version: Some(version),
        }))
    };
    let look = Call::Look { key: 0 };
    let of_two = |told| {
        report(vec![
            (put(1), version(4)),
            (look, Outcome::Done(looked(told))),
        ])
    };
    breaks(Promise::Version, &of_two(5));
    assert_eq!(of_two(4).verdict, Verdict::Proved);
    let delete_of_nothing = report(vec![
        (put(1), version(4)),
        (Call::Delete { key: 0 }, version(5)),
        (Call::Delete { key: 0 }, version(5)),
        (GET, Outcome::Done(Answer::Point(None))),
    ]);
    assert_eq!(delete_of_nothing.verdict, Verdict::Proved);
}

#[test]
fn a_torn_point_and_an_answer_without_sense_are_told() {
    let torn = Answer::Point(Some(Seen {
        put: stamp(1),
        change: stamp(1),
        whole: Some(false),
        version: None,
    }));
    let torn = report(vec![(put(1), version(4)), (GET, Outcome::Done(torn))]);
    breaks(Promise::Whole, &torn);
    let nonsense = Outcome::Done(Answer::Nonsense("?".into()));
    let nonsense = report(vec![
        (put(1), version(4)),
        (GET, Outcome::Done(seen(1))),
        (GET, nonsense),
    ]);
    breaks(Promise::Sense, &nonsense);
}

#[test]
fn replicas_that_differ_at_any_time_are_told() {
    let report = report(vec![
        (put(1), version(4)),
        (GET, Outcome::Done(seen(1))),
        (Call::Digests, digests(&["ab", "ac"])),
    ]);
    let what = &breaks(Promise::Replicas, &report).what;
    assert!(what.contains("nodes 1 and 2 differ in vnode 1"), "{what}");
}

#[test]
fn records_that_are_not_whole_prove_nothing() {
    let count = || {
        (
            Call::Count { group: None },
            Outcome::Done(Answer::Counted(25)),
        )
    };
    let told = || (Call::Digests, digests(&["ab", "ab"]));
    let change = || (put(1), version(4));
    let get = || (GET, Outcome::Done(seen(1)));
    for (calls, part) in [
        (vec![change(), count(), told()], "was not read after"),
        (vec![change(), get(), told()], "no search, page or count"),
        (vec![change(), get(), count()], "the record has no end"),
        (
            vec![
                change(),
                get(),
                count(),
                (Call::Digests, Outcome::Refused(String::new())),
            ],
            "no digests were told",
        ),
        (
            vec![(put(1), Outcome::Refused(String::new())), count(), told()],
            "nothing to lose",
        ),
    ] {
        let report = bare(calls);
        assert_eq!(report.verdict, Verdict::Unproved, "{report}");
        assert!(report.unproved[0].contains(part), "{report}");
    }
}
