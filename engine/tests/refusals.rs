//! What the engine refuses, and that a refusal changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::{Disk, RealDisk};
use quoit_engine::{Entry, Error, Metric, Operation, Outcome, Query, VnodeWrite};
use quoit_ring::{PointId, Vnode, VnodeSet};
use std::sync::Arc;
use support::{Rig, params, random, vnodes};

fn rig() -> Rig {
    let mut rig = Rig::new(params(Metric::Cosine, 3), &vnodes([0, 1]));
    rig.apply(random::upserts(Vnode(0), 0, &[vec![1.0, 2.0, 3.0]]));
    rig
}

fn misfit(rig: &Rig, entries: Vec<Entry>) -> String {
    let refused = rig.try_apply(entries).unwrap_err();
    assert!(matches!(refused, Error::MisfitEntry { .. }), "{refused:?}");
    rig.check();
    refused.to_string()
}

#[test]
fn a_vector_of_another_dimension_or_not_finite_refuses_the_whole_batch() {
    let mut rig = rig();
    for vector in [
        vec![1.0, 2.0],
        vec![1.0, 2.0, 3.0, 4.0],
        vec![1.0, f32::NAN, 2.0],
        vec![f32::INFINITY, 0.0, 0.0],
        vec![0.0, 0.0, f32::NEG_INFINITY],
    ] {
        let good = random::upserts(Vnode(1), 7, &[vec![1.0, 1.0, 1.0]]);
        let bad = random::upserts(Vnode(0), 8, &[vector]);
        let message = misfit(
            &rig,
            vec![good.clone(), random::deletes(Vnode(0), [0]), bad],
        );
        assert!(message.contains("point 8"), "{message}");
        rig.apply(good);
        rig.check();
    }
    rig.reopen();
    rig.check();
}

#[test]
fn entries_with_a_gap_or_from_the_past_are_refused() {
    let rig = rig();
    let next = rig.log.len() as u64 + 1;
    for index in [0, 1, next - 1, next + 1] {
        let refused = rig.engine().apply(vec![(index, Entry::Blank)]);
        assert!(matches!(refused, Err(Error::MisfitEntry { .. })), "{index}");
    }
    let gap = vec![(next, Entry::Blank), (next + 2, Entry::Blank)];
    assert!(rig.engine().apply(gap).is_err());
    assert_eq!(rig.engine().applied(), next - 1);
    rig.check();
}

#[test]
fn a_shard_is_founded_once_also_after_entries_that_change_nothing() {
    let params = params(Metric::Dot, 3);
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let engine = support::open(&disk, dir.path(), &params, support::tuning()).unwrap();
    let early = random::upserts(Vnode(0), 0, &[vec![1.0; 3]]);
    let outcomes = engine.apply(vec![(1, Entry::Blank), (2, early)]).unwrap();
    assert_eq!(outcomes, [vec![], vec![Outcome::NotHere]]);
    let outside = Entry::Found(vnodes([16]));
    assert!(engine.apply(vec![(3, outside)]).is_err());
    let twice = vec![
        (3, Entry::Found(VnodeSet::new())),
        (4, Entry::Found(vnodes([0]))),
    ];
    assert!(engine.apply(twice).is_err());
    engine.apply(vec![(3, Entry::Found(vnodes([0])))]).unwrap();
    assert!(engine.apply(vec![(4, Entry::Found(vnodes([1])))]).is_err());
    drop(engine);
    let engine = support::open(&disk, dir.path(), &params, support::tuning()).unwrap();
    assert!(engine.apply(vec![(4, Entry::Found(vnodes([1])))]).is_err());
    assert!(engine.view().readable().iter().eq([Vnode(0)]));
}

#[test]
fn a_write_to_a_vnode_that_the_ring_does_not_have_is_not_here() {
    let mut rig = rig();
    let write = VnodeWrite::once(Vnode(60_000), vec![Operation::delete(PointId::Num(0))]);
    assert_eq!(rig.apply(Entry::Write(vec![write])), [Outcome::NotHere]);
    rig.check();
}

#[test]
fn a_query_that_does_not_fit_is_a_bad_query() {
    let rig = rig();
    for vector in [
        vec![1.0; 2],
        vec![],
        vec![f32::NAN, 1.0, 1.0],
        vec![f32::INFINITY; 3],
    ] {
        let query = Query {
            vector,
            limit: 1,
            ..Query::default()
        };
        let answer = rig.view().search(&vnodes([0]), &[query]);
        assert!(matches!(answer, Err(Error::BadQuery(_))));
    }
}

#[test]
fn a_threshold_cuts_the_answer_and_a_limit_of_zero_is_empty() {
    let mut rig = Rig::new(params(Metric::Euclid, 2), &vnodes([0]));
    let vectors: Vec<_> = (0..10_u8).map(|i| vec![f32::from(i), 0.0]).collect();
    rig.apply(random::upserts(Vnode(0), 0, &vectors));
    let query = Query {
        vector: vec![0.0, 0.0],
        limit: 10,
        threshold: Some(3.0),
        ..Query::default()
    };
    let view = rig.view();
    assert_eq!(support::ids(&view, &vnodes([0]), query.clone()).len(), 4);
    let none = Query { limit: 0, ..query };
    assert!(support::ids(&view, &vnodes([0]), none).is_empty());
}
