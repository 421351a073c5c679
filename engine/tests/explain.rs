//! What a search says of the way it went is what it did.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{Entry, Explanation, FillStep, Metric, Operation, Plan, Query, VnodeWrite, Why};
use quoit_filter::{Condition, Filter, Range, Scalar, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use support::{Rig, params, random, vnodes};

/// Point `n` says its number, and whether it is odd.
fn upserts(first: u64, vectors: &[Vec<f32>]) -> Entry {
    let operation = |(n, vector): (u64, &Vec<f32>)| {
        let payload = format!(r#"{{"n": {n}, "odd": {}}}"#, n % 2 == 1);
        Operation::upsert(PointId::Num(n), vector.clone(), payload.into_bytes())
    };
    Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        (first..).zip(vectors).map(operation).collect(),
    )])
}

fn where_field(path: &str, test: Test) -> Filter {
    Filter {
        must: vec![Condition::Field {
            path: path.parse().unwrap(),
            test,
        }],
        ..Filter::default()
    }
}

fn below(n: f64) -> Filter {
    let range = Range {
        lt: Some(n),
        ..Range::default()
    };
    where_field("n", Test::Range(range))
}

fn odd() -> Filter {
    where_field("odd", Test::Value(Scalar::Bool(true)))
}

/// The nearest to a vector that meet a filter, and how they were found.
fn asked(rig: &Rig, query: Query) -> (Vec<u64>, Explanation) {
    let query = Query {
        explain: true,
        limit: 10,
        ..query
    };
    let answer = rig.view().search(&vnodes([0]), &[query]).unwrap();
    let found = answer.found.into_iter().next().unwrap();
    let ids = found.hits.iter().map(|hit| match hit.record.id {
        PointId::Num(n) => n,
        PointId::Uuid(_) => panic!(),
    });
    (ids.collect(), found.explanation.unwrap())
}

fn index_of_n(rig: &mut Rig) {
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: [("n".parse().unwrap(), Kind::Integer)].into(),
    }));
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
}

#[test]
fn a_search_says_which_way_it_went_and_why() {
    let mut rng = StdRng::seed_from_u64(11);
    let vectors = random::clustered(&mut rng, 20_000, 8);
    let mut rig = Rig::new(params(Metric::Euclid, 8), &vnodes([0]));
    for (i, vectors) in vectors.chunks(1000).enumerate() {
        rig.apply(upserts(i as u64 * 1000, vectors));
    }
    let near = |filter: Filter| Query {
        vector: vectors[5000].clone(),
        filter,
        ..Query::default()
    };

    let (_, how) = asked(&rig, near(Filter::default()));
    assert_eq!((how.plan, how.why), (Plan::Scan, Why::NoGraph));
    assert_eq!((how.vectors, how.tail), (20_000, 20_000));
    assert_eq!((how.compared, how.filter), (20_000, None));

    rig.index_all();
    let (_, how) = asked(&rig, near(Filter::default()));
    assert_eq!((how.plan, how.why), (Plan::Graph, Why::Cheaper));
    assert_eq!(how.tail, 0);
    let cost = how.cost.unwrap();
    assert!(cost.graph < cost.scan && how.compared < 100, "{how:?}");
    assert_eq!(how.lists.len(), 1);

    let exact = Query {
        exact: true,
        ..near(Filter::default())
    };
    let (_, how) = asked(&rig, exact);
    assert_eq!((how.plan, how.why), (Plan::Scan, Why::Asked));

    // Without an index payloads are read, and the field is named.
    let (_, how) = asked(&rig, near(odd()));
    let filter = how.filter.unwrap();
    assert_eq!((filter.sure, filter.unsure), (0, 20_000));
    assert!((8_000..12_000).contains(&filter.estimate), "{filter:?}");
    assert_eq!(filter.unindexed, ["odd"]);
    assert!(how.payloads >= 64 + 10, "the sample, and the hits");

    index_of_n(&mut rig);
    let (ids, how) = asked(&rig, near(below(500.0)));
    assert!(ids.iter().all(|n| *n < 500));
    assert_eq!((how.plan, how.why), (Plan::Scan, Why::Few));
    assert_eq!((how.compared, how.payloads), (500, 0));
    let filter = how.filter.unwrap();
    assert_eq!((filter.sure, filter.unsure, filter.estimate), (500, 0, 500));
    assert!(filter.unindexed.is_empty());
}

#[test]
fn where_what_meets_a_filter_is_elsewhere_the_lists_that_were_too_short_are_told() {
    // Two clouds far from each other: the filter's points are all in the other.
    let mut rng = StdRng::seed_from_u64(5);
    let mut rig = Rig::new(params(Metric::Euclid, 8), &vnodes([0]));
    let cloud = |x: f32, rng: &mut StdRng| -> Vec<Vec<f32>> {
        let vector = |_| (0..8).map(|_| x + rng.random::<f32>()).collect();
        (0..10_000).map(vector).collect()
    };
    let (there, here) = (cloud(100.0, &mut rng), cloud(0.0, &mut rng));
    rig.apply(upserts(0, &there));
    rig.apply(upserts(10_000, &here));
    rig.index_all();
    index_of_n(&mut rig);
    let query = Query {
        vector: here[0].clone(),
        filter: below(10_000.0),
        ..Query::default()
    };
    let (ids, how) = asked(&rig, query);
    assert!(ids.len() == 10 && ids.iter().all(|n| *n < 10_000));
    assert_eq!((how.plan, how.why), (Plan::Walk, Why::ListsTooShort));
    let (walk, lists) = how.lists.split_last().unwrap();
    assert!(lists.iter().all(|list| list.passed == 0), "{how:?}");
    assert!(!lists.is_empty() && walk.passed >= 10, "{how:?}");
    assert!((10..4000).contains(&how.compared), "{how:?}");
}

#[test]
fn indexed_only_leaves_out_what_the_graph_lacks_unless_it_is_little() {
    let mut rng = StdRng::seed_from_u64(7);
    let vectors = random::clustered(&mut rng, 13_000, 4);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0]));
    let (indexed, rest) = vectors.split_at(2000);
    let (little, more) = rest.split_at(10_000);
    rig.apply(upserts(0, indexed));
    rig.index_all();
    rig.apply(upserts(2000, little));
    let near = |number: usize, exact| Query {
        vector: vectors[number].clone(),
        indexed_only: true,
        exact,
        ..Query::default()
    };
    for exact in [false, true] {
        assert_eq!(asked(&rig, near(5000, exact)).0[0], 5000);
    }
    rig.apply(upserts(12_000, more));
    for exact in [false, true] {
        let (ids, how) = asked(&rig, near(5000, exact));
        assert!(ids.len() == 10 && ids.iter().all(|n| *n < 2000), "{ids:?}");
        assert!(how.compared <= 2000, "{how:?}");
        assert_eq!(asked(&rig, near(1000, exact)).0[0], 1000);
    }
    let filtered = Query {
        filter: below(3000.0),
        ..near(2500, false)
    };
    let (ids, _) = asked(&rig, filtered);
    assert!(ids.len() == 10 && ids.iter().all(|n| *n < 2000), "{ids:?}");
}
