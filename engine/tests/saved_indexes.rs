//! Payload indexes over a restart: what a checkpoint has of them is not built
//! again, and what changed after it is right all the same. And in little memory:
//! what has no room is given up, and answers are right all the same.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Change, Entry, FillStep, Metric, Operation, PayloadIndex, ReclaimStep, SaveGraph, VnodeWrite,
};
use quoit_filter::{Condition, Edit, Filter, Scalar, Test};
use quoit_ring::{PointId, Vnode};
use support::{Rig, params, vnodes};

fn write(operations: Vec<Operation>) -> Entry {
    Entry::Write(vec![VnodeWrite::once(Vnode(0), operations)])
}

fn upsert(n: u16, kind: &str) -> Operation {
    let payload = format!(r#"{{"kind": "{kind}"}}"#).into_bytes();
    Operation::upsert(PointId::Num(n.into()), vec![f32::from(n), 1.0], payload)
}

fn of(kind: &str) -> Filter {
    Filter {
        must: vec![Condition::Field {
            path: "kind".parse().unwrap(),
            test: Test::Value(Scalar::Keyword(kind.into())),
        }],
        ..Filter::default()
    }
}

fn schema(number: u64, kind: Kind) -> Entry {
    Entry::SetSchema(Schema {
        number,
        fields: [("kind".parse().unwrap(), kind)].into(),
    })
}

fn fill(rig: &Rig) {
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
}

fn index(rig: &Rig) -> PayloadIndex {
    rig.view().payload_indexes().remove(0)
}

fn count(rig: &Rig, kind: &str) -> u64 {
    let view = rig.view();
    view.count_matching(&vnodes([0]), &of(kind)).unwrap().found
}

/// A replica of 20,000 points of two kinds, with a checkpoint that has their index.
fn saved() -> Rig {
    let mut rig = Rig::new(params(Metric::Euclid, 2), &vnodes([0]));
    for from in (0..20_000).step_by(1000) {
        let kind = |n: u16| {
            if n.is_multiple_of(4) {
                "fourth"
            } else {
                "other"
            }
        };
        rig.apply(write(
            (from..from + 1000).map(|n| upsert(n, kind(n))).collect(),
        ));
    }
    rig.apply(schema(1, Kind::Keyword));
    fill(&rig);
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig
}

#[test]
fn an_index_of_a_checkpoint_answers_at_once_after_a_restart() {
    let mut rig = saved();
    for _ in 0..2 {
        rig.reopen();
        assert!(index(&rig).is_complete && index(&rig).points == 20_000);
        assert_eq!(count(&rig, "fourth"), 5000);
        assert_eq!(rig.engine().fill_step().unwrap(), FillStep::Idle);
        // One that has nothing new to save keeps what is saved.
        rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    }
}

#[test]
fn what_changed_after_the_checkpoint_is_indexed_again_and_only_that() {
    let mut rig = saved();
    let edit = |n: u64, kind: &str| Operation {
        id: PointId::Num(n),
        only_if: quoit_engine::Condition::Always,
        change: Change::EditPayload(Edit::Replace(format!(r#"{{"kind": "{kind}"}}"#))),
    };
    let mut changes = vec![edit(1, "fourth"), edit(3, "third"), upsert(2, "fourth")];
    changes.extend([upsert(30_000, "fourth"), upsert(30_001, "other")]);
    changes.extend([8, 9].map(|n| Operation::delete(PointId::Num(n))));
    // One goes and comes again.
    changes.extend([Operation::delete(PointId::Num(12)), upsert(12, "other")]);
    rig.apply(write(changes));
    // Of the first segment so much goes that the rest is moved away.
    let gone = (100..8000).map(|n| Operation::delete(PointId::Num(n)));
    rig.apply(write(gone.collect()));
    let mut is_moved = false;
    loop {
        match rig.engine().reclaim_step().unwrap() {
            ReclaimStep::Moved(_) => is_moved = true,
            ReclaimStep::Idle => break,
            ReclaimStep::Removed(_) => {}
        }
    }
    assert!(is_moved);
    // 1, 2 and 30000 came; 8 and 12 went, and of the others each fourth.
    let left = 5000 - 7900 / 4 + 3 - 2;
    assert_eq!(count(&rig, "fourth"), left);

    rig.reopen();
    assert!(!index(&rig).is_complete);
    assert!(index(&rig).points > 11_000, "{:?}", index(&rig));
    assert_eq!(count(&rig, "fourth"), left, "while it is filled");
    let mut steps = 0;
    while rig.engine().fill_step().unwrap() != FillStep::Idle {
        steps += 1;
    }
    assert!(index(&rig).is_complete && steps < 12, "{steps} steps");
    assert_eq!((count(&rig, "fourth"), count(&rig, "third")), (left, 1));
    rig.check();
}

#[test]
fn an_index_of_another_kind_than_the_saved_one_is_built_from_nothing() {
    let mut rig = saved();
    rig.apply(schema(2, Kind::Uuid));
    rig.reopen();
    assert_eq!(index(&rig).points, 0);
    fill(&rig);
    assert_eq!(index(&rig).points, 20_000);
    assert_eq!(count(&rig, "fourth"), 5000);
    rig.apply(Entry::SetSchema(Schema {
        number: 3,
        ..Schema::default()
    }));
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    let files = support::files(&rig.path());
    assert!(
        files
            .iter()
            .all(|f| f.extension().is_none_or(|e| e != "columns"))
    );
}

#[test]
fn the_largest_index_is_given_up_where_all_take_too_much_and_comes_back_when_there_is_room() {
    let mut rig = Rig::new(params(Metric::Euclid, 2), &vnodes([0]));
    rig.tuning.payload_index_bytes = 400_000;
    rig.reopen();
    let both = |number, fields: &[&str]| {
        let field = |path: &&str| (path.parse().unwrap(), Kind::Keyword);
        Entry::SetSchema(Schema {
            number,
            fields: fields.iter().map(field).collect(),
        })
    };
    let upsert = |n: u16| {
        let payload = format!(r#"{{"kind": "{}", "own": "{n}", "also": "{n}"}}"#, n % 4);
        Operation::upsert(
            PointId::Num(n.into()),
            vec![f32::from(n), 1.0],
            payload.into_bytes(),
        )
    };
    let state = |rig: &Rig| {
        let state = |i: PayloadIndex| (i.path.to_string(), i.is_complete, i.is_given_up);
        rig.view()
            .payload_indexes()
            .into_iter()
            .map(state)
            .collect::<Vec<_>>()
    };
    let known = |name: &str, is_complete, is_given_up| (name.to_owned(), is_complete, is_given_up);
    rig.apply(both(1, &["kind", "own"]));
    fill(&rig);
    rig.apply(write((0..2000).map(upsert).collect()));
    assert_eq!(
        state(&rig),
        [known("kind", true, false), known("own", true, false)]
    );
    // A write makes it too large, and so does the build of another.
    rig.apply(write((2000..4000).map(upsert).collect()));
    assert_eq!(
        state(&rig),
        [known("kind", true, false), known("own", false, true)]
    );
    assert_eq!(rig.engine().fill_step().unwrap(), FillStep::Idle);
    rig.apply(both(2, &["kind", "also"]));
    fill(&rig);
    assert_eq!(
        state(&rig),
        [known("also", false, true), known("kind", true, false)]
    );
    assert_eq!(count(&rig, "3"), 1000);

    // So it is after a restart; with more room it is built.
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.reopen();
    fill(&rig);
    assert_eq!(
        state(&rig),
        [known("also", false, true), known("kind", true, false)]
    );
    rig.tuning.payload_index_bytes = 4_000_000;
    rig.reopen();
    fill(&rig);
    assert_eq!(
        state(&rig),
        [known("also", true, false), known("kind", true, false)]
    );
    rig.check();
}
