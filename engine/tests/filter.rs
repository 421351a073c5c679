//! Filtered reads: what is found is what meets the filter, wherever the points
//! lie, and of a search the nearest of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_engine::{Entry, Metric, Operation, Query, VnodeWrite, Want};
use quoit_filter::{Condition, Filter, Range, Scalar, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use support::{Rig, ids, params, random, vnodes};

/// Point `n` is in vnode `n % 2`, and says its number and whether it is a tenth.
fn upserts(numbers: std::ops::Range<u64>, vectors: &[Vec<f32>]) -> Entry {
    let upsert = |n: u64| VnodeWrite {
        vnode: Vnode(u16::try_from(n % 2).unwrap()),
        operations: vec![Operation::upsert(
            PointId::Num(n),
            vectors[usize::try_from(n).unwrap()].clone(),
            format!(r#"{{"n": {n}, "tenth": {}}}"#, n.is_multiple_of(10)).into_bytes(),
        )],
    };
    Entry::Write(numbers.map(upsert).collect())
}

fn field(path: &str, test: Test) -> Filter {
    Filter {
        must: vec![Condition::Field {
            path: path.parse().unwrap(),
            test,
        }],
        ..Filter::default()
    }
}

fn below(n: f64) -> Filter {
    field(
        "n",
        Test::Range(Range {
            lt: Some(n),
            ..Range::default()
        }),
    )
}

fn tenths() -> Filter {
    field("tenth", Test::Value(Scalar::Bool(true)))
}

type Meets = fn(u64) -> bool;

fn is_tenth(n: u64) -> bool {
    n.is_multiple_of(10)
}

#[test]
fn a_filtered_read_finds_what_meets_the_filter_in_the_graph_in_the_tail_and_after_deletes() {
    let mut rng = StdRng::seed_from_u64(3);
    let vectors = random::clustered(&mut rng, 3000, 8);
    let mut rig = Rig::new(params(Metric::Euclid, 8), &vnodes([0, 1]));
    rig.apply(upserts(0..2500, &vectors));
    rig.index_all();
    rig.apply(upserts(2500..3000, &vectors));
    // These are tenths no longer, or points no longer.
    let deleted = [0_u64, 10, 2990];
    rig.apply(random::deletes(Vnode(0), deleted));
    let view = rig.view();
    assert!(view.tail() > 0 && view.points() - view.tail() > 0);

    let filters: [(Filter, Meets); 3] = [
        (tenths(), is_tenth),
        (below(7.0), |n| n < 7),
        (below(-1.0), |_| false),
    ];
    for (filter, meets) in filters {
        for asked in [vec![0, 1], vec![0], vec![1]] {
            let wanted = vnodes(asked.iter().copied());
            let holds = |n: &u64| {
                meets(*n) && !deleted.contains(n) && asked.contains(&u16::try_from(n % 2).unwrap())
            };
            let all: Vec<u64> = (0..3000).filter(holds).collect();
            let count = view.count_matching(&wanted, &filter).unwrap();
            assert_eq!(count.found, all.len() as u64);

            let page = |from: u64, limit| {
                let from = Some(PointId::Num(from));
                let page = view.scroll(&wanted, &filter, from, limit, Want::default());
                let ids = page.unwrap().found.into_iter().map(|r| r.id);
                ids.collect::<Vec<_>>()
            };
            let points: Vec<PointId> = all.iter().map(|n| PointId::Num(*n)).collect();
            assert_eq!(page(0, 5000), points);
            let five = points.iter().filter(|id| **id >= PointId::Num(100)).take(5);
            assert!(page(100, 5).iter().eq(five));

            let vector = &vectors[rng.random_range(0..3000)];
            let distance = |n: &u64| {
                let other = &vectors[usize::try_from(*n).unwrap()];
                let squares = vector.iter().zip(other).map(|(a, b)| (a - b).powi(2));
                squares.sum::<f32>()
            };
            let mut nearest = all.clone();
            nearest.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
            nearest.truncate(10);
            let nearest: Vec<_> = nearest.into_iter().map(PointId::Num).collect();
            let query = Query {
                vector: vector.clone(),
                limit: 10,
                filter: filter.clone(),
                ..Query::default()
            };
            assert_eq!(ids(&view, &wanted, query), nearest);
        }
    }
}

#[test]
fn a_point_without_a_payload_meets_what_a_payload_without_fields_meets() {
    let mut rig = Rig::new(params(Metric::Euclid, 2), &vnodes([0]));
    rig.apply(random::upserts(Vnode(0), 0, &[vec![1.0, 2.0]]));
    let view = rig.view();
    let missing = field("n", Test::IsEmpty(true));
    let found = |filter| view.count_matching(&vnodes([0]), &filter).unwrap().found;
    assert_eq!((found(missing), found(below(7.0))), (1, 0));
}
