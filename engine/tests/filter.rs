//! Filtered reads: what is found is what meets the filter, wherever the points
//! lie, and of a search the nearest of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Change, Entry, FillStep, Metric, Operation, PayloadIndex, Query, VnodeWrite, Want,
};
use quoit_filter::{Analyzer, Condition, Edit, Filter, Range, Scalar, Test, Tokenizer};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use support::{Rig, ids, params, random, vnodes};

/// Point `n` is in vnode `n % 2`, and says its number and whether it is a tenth.
fn upserts(numbers: std::ops::Range<u64>, vectors: &[Vec<f32>]) -> Entry {
    let upsert = |n: u64| {
        VnodeWrite::once(
            Vnode(u16::try_from(n % 2).unwrap()),
            vec![Operation::upsert(
                PointId::Num(n),
                vectors[usize::try_from(n).unwrap()].clone(),
                format!(r#"{{"n": {n}, "tenth": {}}}"#, n.is_multiple_of(10)).into_bytes(),
            )],
        )
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

/// Indexes of both fields.
fn schema() -> Entry {
    let fields = [("n", Kind::Integer), ("tenth", Kind::Bool)];
    Entry::SetSchema(Schema {
        number: 1,
        fields: fields
            .map(|(path, kind)| (path.parse().unwrap(), kind))
            .into(),
    })
}

fn fill(rig: &Rig) {
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    assert!(rig.view().payload_indexes().iter().all(|i| i.is_complete));
}

#[test]
fn a_filtered_read_finds_what_meets_the_filter_in_the_graph_in_the_tail_and_after_deletes() {
    check_filtered_reads(|_| ());
}

#[test]
fn a_filtered_read_finds_the_same_while_indexes_are_built() {
    check_filtered_reads(|rig| {
        rig.apply(schema());
        rig.engine().fill_step().unwrap();
        rig.engine().fill_step().unwrap();
        let is_begun = |i: &PayloadIndex| i.points > 0 && !i.is_complete;
        assert!(rig.view().payload_indexes().iter().all(is_begun));
    });
}

#[test]
fn a_filtered_read_finds_the_same_by_indexes() {
    check_filtered_reads(|rig| {
        rig.apply(schema());
        fill(rig);
    });
}

/// Reads with filters after something is done to a replica with points in the
/// graph.
fn check_filtered_reads(index: impl FnOnce(&mut Rig)) {
    let mut rng = StdRng::seed_from_u64(3);
    let vectors = random::clustered(&mut rng, 3000, 8);
    let mut rig = Rig::new(params(Metric::Euclid, 8), &vnodes([0, 1]));
    rig.apply(upserts(0..2500, &vectors));
    rig.index_all();
    index(&mut rig);
    rig.apply(upserts(2500..3000, &vectors));
    // These are tenths no longer, or points no longer.
    let deleted = [0_u64, 10, 2990];
    rig.apply(random::deletes(Vnode(0), deleted));
    let view = rig.view();
    assert!(view.tail() > 0 && view.points() - view.tail() > 0);

    let filters: [(Filter, Meets); 5] = [
        (tenths(), is_tenth),
        (below(2700.0), |n| n < 2700),
        (below(1500.0), |n| n < 1500),
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
            let found = ids(&view, &wanted, query);
            let right = found.iter().filter(|id| nearest.contains(id)).count();
            // The graph is asked where much is left, and it may miss one.
            assert!(
                right + 1 >= nearest.len() && found.len() == nearest.len(),
                "{found:?} {nearest:?}"
            );
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

#[test]
fn indexes_follow_every_change_and_are_built_anew_after_a_restart() {
    let mut rng = StdRng::seed_from_u64(5);
    let vectors = random::clustered(&mut rng, 1000, 4);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0, 1]));
    rig.apply(schema());
    fill(&rig);
    rig.apply(upserts(0..1000, &vectors));
    let edit = |n: u64, text: &str| {
        VnodeWrite::once(
            Vnode(u16::try_from(n % 2).unwrap()),
            vec![Operation::always(
                PointId::Num(n),
                Change::EditPayload(Edit::Replace(text.into())),
            )],
        )
    };
    rig.apply(Entry::Write(vec![
        edit(900, r#"{"n": -5}"#),
        edit(3, r#"{"tenth": true}"#),
    ]));
    rig.apply(random::deletes(Vnode(0), [4]));
    for _ in 0..2 {
        let check = |filter: &Filter, points: u64| {
            let found = rig.view().count_matching(&vnodes([0, 1]), filter).unwrap();
            assert_eq!(found.found, points);
        };
        check(&below(5.0), 4);
        check(&tenths(), 100);
        rig.reopen();
        assert_eq!(rig.view().schema(), 1);
        fill(&rig);
    }
}

#[test]
fn an_index_answers_without_a_look_at_payloads() {
    let mut rng = StdRng::seed_from_u64(6);
    let vectors = random::clustered(&mut rng, 1000, 4);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0, 1]));
    rig.apply(upserts(0..1000, &vectors));
    let before = rig.view().comparisons_to_filter(&below(7.0));
    rig.apply(schema());
    fill(&rig);
    let after = rig.view().comparisons_to_filter(&below(7.0));
    assert!(after * 100 <= before, "{after} {before}");
}

#[test]
fn an_index_that_comes_while_another_is_built_has_all_points_too() {
    let mut rng = StdRng::seed_from_u64(7);
    let vectors = random::clustered(&mut rng, 1000, 4);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0, 1]));
    rig.apply(upserts(0..1000, &vectors));
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: [("n".parse().unwrap(), Kind::Float)].into(),
    }));
    rig.engine().fill_step().unwrap();
    let Entry::SetSchema(both) = schema() else {
        unreachable!()
    };
    rig.apply(Entry::SetSchema(Schema { number: 2, ..both }));
    fill(&rig);
    let count = |filter: &Filter| {
        let found = rig.view().count_matching(&vnodes([0, 1]), filter);
        found.unwrap().found
    };
    assert_eq!((count(&tenths()), count(&below(700.0))), (100, 700));
}

#[test]
fn a_filter_that_few_points_meet_finds_them_also_where_a_sample_says_that_all_do() {
    let mut rng = StdRng::seed_from_u64(8);
    let vectors = random::clustered(&mut rng, 3000, 8);
    let mut rig = Rig::new(params(Metric::Euclid, 8), &vnodes([0]));
    // Just those that are looked at for an estimate.
    let meets = |n: usize| n.is_multiple_of(3000 / 64);
    let operations = vectors.iter().enumerate().map(|(n, vector)| {
        let payload = format!(r#"{{"tenth": {}}}"#, meets(n)).into_bytes();
        Operation::upsert(PointId::Num(n as u64), vector.clone(), payload)
    });
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        operations.collect(),
    )]));
    rig.index_all();
    let query = Query {
        vector: vectors[1].clone(),
        limit: 100,
        filter: tenths(),
        ..Query::default()
    };
    let mut found = ids(&rig.view(), &vnodes([0]), query);
    found.sort();
    let all = (0..3000)
        .filter(|n| meets(*n))
        .map(|n| PointId::Num(n as u64));
    assert!(found.into_iter().eq(all));
}

#[test]
fn words_are_taken_as_the_index_of_their_field_takes_them_built_or_not() {
    let mut rig = Rig::new(params(Metric::Euclid, 2), &vnodes([0]));
    let upsert = |n: u64, text: &str| {
        let payload = format!(r#"{{"text": "{text}"}}"#).into_bytes();
        Operation::upsert(PointId::Num(n), vec![1.0, 2.0], payload)
    };
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        vec![upsert(1, "Terminal player"), upsert(2, "player")],
    )]));
    let begun = || field("text", Test::Text("term".into()));
    let whole = || field("text", Test::Text("player".into()));
    let counts = |rig: &Rig| {
        let count = |filter| {
            rig.view()
                .count_matching(&vnodes([0]), &filter)
                .unwrap()
                .found
        };
        (count(begun()), count(whole()))
    };
    // A condition is decided where it is applied, by the same words.
    let delete_if_begun = || {
        let mut delete = Operation::delete(PointId::Num(1));
        delete.only_if = quoit_engine::Condition::Meets(begun());
        Entry::Write(vec![VnodeWrite::once(Vnode(0), vec![delete])])
    };
    rig.apply(delete_if_begun());
    assert_eq!(counts(&rig), (0, 2));

    let analyzer = Analyzer {
        tokenizer: Tokenizer::Prefix,
        ..Analyzer::default()
    };
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: [("text".parse().unwrap(), Kind::Text(analyzer))].into(),
    }));
    assert_eq!(counts(&rig), (1, 2), "while it is built");
    fill(&rig);
    assert_eq!(counts(&rig), (1, 2), "when it is built");

    // Where the model of the tests knows no beginnings of words it is asked no more.
    rig.try_apply(vec![delete_if_begun()]).unwrap();
    assert_eq!(counts(&rig), (0, 1));
}
