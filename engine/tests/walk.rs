//! The walk over points that meet a filter: what it finds meets the filter and is
//! nearly all of what is truly nearest, wherever that lies, also beside writes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Entry, FillStep, Found, IndexStep, Metric, Operation, Plan, Query, VnodeWrite, Why,
};
use quoit_filter::{Condition, Filter, Range, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Rig, params, random, vnodes};

const POINTS: usize = 6000;

/// Of each point: a number that says nothing of its vector, and how far it is from
/// the first, in thousandths of all.
fn numbers(vectors: &[Vec<f32>]) -> Vec<[usize; 2]> {
    let distance = |row: &usize| Metric::Euclid.distance(&vectors[0], &vectors[*row]);
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let mut numbers = vec![[0; 2]; vectors.len()];
    for (place, row) in order.into_iter().enumerate() {
        numbers[row] = [row * 7919 % 1000, place * 1000 / vectors.len()];
    }
    numbers
}

fn upserts(from: usize, vectors: &[Vec<f32>], numbers: &[[usize; 2]]) -> Entry {
    let operation = |row: usize| {
        let [any, far] = numbers[row];
        let payload = format!(r#"{{"any": {any}, "near": {far}, "far": {}}}"#, 999 - far);
        let id = PointId::Num(row as u64);
        Operation::upsert(id, vectors[row].clone(), payload.into_bytes())
    };
    Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        (from..(from + 1000).min(vectors.len()))
            .map(operation)
            .collect(),
    )])
}

fn below(field: &str, thousandths: u32) -> Filter {
    let range = Range {
        lt: Some(f64::from(thousandths)),
        ..Range::default()
    };
    Filter {
        must: vec![Condition::Field {
            path: field.parse().unwrap(),
            test: Test::Range(range),
        }],
        ..Filter::default()
    }
}

fn rig(vectors: &[Vec<f32>]) -> Rig {
    let numbers = numbers(vectors);
    let mut rig = Rig::new(params(Metric::Euclid, 16), &vnodes([0]));
    let path = |name: &str| (name.parse().unwrap(), Kind::Integer);
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: ["any", "near", "far"].map(path).into(),
    }));
    for from in (0..vectors.len()).step_by(1000) {
        rig.apply(upserts(from, vectors, &numbers));
    }
    rig.index_all();
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    rig
}

fn search(rig: &Rig, vector: &[f32], filter: &Filter, plan: Option<Plan>, exact: bool) -> Found {
    let query = Query {
        vector: vector.to_vec(),
        limit: 10,
        filter: filter.clone(),
        plan,
        exact,
        explain: true,
        ..Query::default()
    };
    let answer = rig.view().search(&vnodes([0]), &[query]).unwrap();
    answer.found.into_iter().next().unwrap()
}

fn ids(found: &Found) -> Vec<PointId> {
    found.hits.iter().map(|hit| hit.record.id).collect()
}

#[test]
fn a_walk_finds_what_is_nearest_wherever_it_lies() {
    let vectors = random::clustered(&mut StdRng::seed_from_u64(3), POINTS, 16);
    let rig = rig(&vectors);
    for field in ["any", "near", "far"] {
        for thousandths in [30, 100, 300, 700] {
            let filter = below(field, thousandths);
            let (mut right, mut all) = (0, 0);
            for row in (0..POINTS).step_by(101) {
                let walked = search(&rig, &vectors[row], &filter, Some(Plan::Walk), false);
                let exact = search(&rig, &vectors[row], &filter, None, true);
                let how = walked.explanation.as_ref().unwrap();
                assert_eq!((how.plan, how.why), (Plan::Walk, Why::Asked), "{how:?}");
                assert_eq!(walked.hits.len(), exact.hits.len());
                let truth = ids(&exact);
                right += ids(&walked).iter().filter(|id| truth.contains(id)).count();
                all += truth.len();
            }
            assert!(
                right * 100 >= all * 95,
                "{field} {thousandths}: {right} of {all}"
            );
        }
    }
}

#[test]
fn a_walk_follows_a_list_that_lies_elsewhere_if_it_is_known_what_meets_the_filter() {
    let vectors = random::clustered(&mut StdRng::seed_from_u64(4), 30_000, 16);
    let mut rig = rig(&vectors);
    let how = |rig: &Rig, filter: &Filter| {
        let found = search(rig, &vectors[0], filter, None, false);
        assert_eq!(found.hits.len(), 10);
        found.explanation.unwrap()
    };
    let far = how(&rig, &below("far", 300));
    assert_eq!(
        (far.plan, far.why),
        (Plan::Walk, Why::ListsTooShort),
        "{far:?}"
    );
    assert!(far.compared < 9000 / 4, "as many as a scan: {far:?}");
    let near = how(&rig, &below("near", 300));
    assert_eq!(
        (near.plan, near.why),
        (Plan::Graph, Why::Cheaper),
        "{near:?}"
    );
    // Where payloads decide, each step would read some.
    rig.apply(Entry::SetSchema(Schema {
        number: 2,
        ..Schema::default()
    }));
    let far = how(&rig, &below("far", 300));
    assert!(
        far.plan != Plan::Walk && far.cost.unwrap().walk.is_none(),
        "{far:?}"
    );
}

#[test]
fn beside_writes_and_indexing_each_answer_meets_the_filter_and_is_whole() {
    let vectors = random::clustered(&mut StdRng::seed_from_u64(5), 2 * POINTS, 16);
    let mut rig = rig(&vectors[..POINTS]);
    let numbers = numbers(&vectors);
    let filter = below("any", 300);
    for from in (POINTS..2 * POINTS).step_by(1000) {
        rig.apply(upserts(from, &vectors, &numbers));
    }
    rig.tuning.index_batch = 64;
    let is_done = AtomicBool::new(false);
    let (mut walks, mut lists) = (0, 0);
    std::thread::scope(|scope| {
        let indexed = scope.spawn(|| {
            while rig.engine().index_step().unwrap() != IndexStep::Idle {}
            is_done.store(true, Ordering::Release);
        });
        let mut row = 0;
        while !is_done.load(Ordering::Acquire) {
            let found = search(&rig, &vectors[row], &filter, Some(Plan::Walk), false);
            assert_eq!(found.hits.len(), 10);
            match found.explanation.unwrap().plan {
                Plan::Walk => walks += 1,
                Plan::Graph => lists += 1,
                Plan::Scan => {}
            }
            for hit in found.hits {
                let PointId::Num(n) = hit.record.id else {
                    panic!()
                };
                assert!(n * 7919 % 1000 < 300, "{n} does not meet the filter");
            }
            row = (row + 97) % vectors.len();
        }
        indexed.join().unwrap();
    });
    assert!(walks > 0 && lists > 0, "{walks} walks, {lists} lists");
}
