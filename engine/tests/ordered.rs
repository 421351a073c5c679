//! Points in the order of a field: those and in the order that a look at all
//! payloads finds, page by page, while the index is built and after.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Direction, Entry, Error, FillStep, Metric, Operation, OrderBy, OrderValue, StartFrom, View,
    VnodeWrite, Want,
};
use quoit_filter::{Condition, Filter, Range, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Rig, params, random, vnodes};

const POINTS: u64 = 400;

/// Few values, so that many points have the same; several of a point, and some
/// that are none.
fn payload(rng: &mut StdRng, n: u64) -> Value {
    let rank = |rng: &mut StdRng| rng.random_range(-3..9_i64);
    let ranks: Value = match rng.random_range(0..6) {
        0 => json!([rank(rng), rank(rng), rank(rng)]),
        1 => json!(["first", null, rank(rng)]),
        2 => Value::Null,
        _ => json!(rank(rng)),
    };
    let day = rng.random_range(1..9);
    let mut payload = json!({"n": n, "rank": ranks, "price": f64::from(rng.random_range(0..8_i32)) / 4.0,
        "day": format!("2024-06-0{day}T00:00:00.00000{}Z", rng.random_range(0..3))});
    if n.is_multiple_of(7) {
        payload.as_object_mut().unwrap().remove("rank");
    }
    payload
}

fn schema() -> Entry {
    let kinds = [
        ("rank", Kind::Integer),
        ("price", Kind::Float),
        ("day", Kind::Datetime),
        ("n", Kind::Keyword),
    ];
    let fields = kinds.map(|(path, kind)| (path.parse().unwrap(), kind));
    Entry::SetSchema(Schema {
        number: 1,
        fields: fields.into(),
    })
}

/// A replica of some points, and their payloads.
fn filled() -> (Rig, BTreeMap<u64, Value>) {
    let mut rng = StdRng::seed_from_u64(5);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0, 1, 2]));
    let mut payloads = BTreeMap::new();
    // Twice, so that many slots are dead; in random order, so that ids and
    // slots are not in the same.
    for _ in 0..2 {
        let mut numbers: Vec<u64> = (0..POINTS).collect();
        numbers.shuffle(&mut rng);
        let upsert = |n: u64| {
            let payload = payload(&mut rng, n);
            let bytes = payload.to_string().into_bytes();
            payloads.insert(n, payload);
            VnodeWrite::once(
                Vnode(u16::try_from(n % 3).unwrap()),
                vec![Operation::upsert(PointId::Num(n), vec![1.0; 4], bytes)],
            )
        };
        rig.apply(Entry::Write(numbers.into_iter().map(upsert).collect()));
    }
    rig.apply(random::deletes(Vnode(0), [0, 3, 99]));
    payloads.retain(|n, _| ![0, 3, 99].contains(n));
    (rig, payloads)
}

fn moment(text: &str) -> i64 {
    quoit_filter::timestamp(text).unwrap().as_microsecond()
}

/// The numbers of a field's values.
fn values(payload: &Value, path: &str) -> Vec<f64> {
    let value = &payload[path];
    let all = value.as_array().cloned().unwrap_or(vec![value.clone()]);
    let number = |v: &Value| match path {
        // Exact: they are less than 2^53.
        #[allow(clippy::cast_precision_loss)]
        "day" => Some(moment(v.as_str()?) as f64),
        "rank" => v.as_i64().map(|_| v.as_f64().unwrap()),
        _ => v.as_f64(),
    };
    all.iter().filter_map(number).collect()
}

/// What a look at all payloads finds.
fn expected(
    payloads: &BTreeMap<u64, Value>,
    order: &OrderBy,
    from: Option<f64>,
    meets: impl Fn(u64) -> bool,
) -> Vec<(f64, u64)> {
    let path = order.path.to_string();
    let points = payloads.iter().filter(|(n, _)| meets(**n));
    let mut all: Vec<(f64, u64)> = points
        .flat_map(|(n, payload)| values(payload, &path).into_iter().map(|v| (v, *n)))
        .collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all.dedup();
    if order.direction == Direction::Descending {
        all.reverse();
    }
    all.retain(|(v, _)| {
        from.is_none_or(|from| match order.direction {
            Direction::Ascending => *v >= from,
            Direction::Descending => *v <= from,
        })
    });
    all
}

fn found(
    view: &View,
    held: &[u16],
    filter: &Filter,
    order: &OrderBy,
    limit: usize,
) -> Vec<(f64, u64)> {
    let held = vnodes(held.iter().copied());
    let want = Want {
        payload: true,
        ..Want::default()
    };
    let answer = view.scroll_by(&held, filter, order, limit, want).unwrap();
    let rows = answer.found.into_iter().map(|(value, record)| {
        assert!(!record.payload.is_empty());
        let PointId::Num(n) = record.id else { panic!() };
        // Exact: they are less than 2^53.
        #[allow(clippy::cast_precision_loss)]
        let value = match value {
            OrderValue::Integer(n) => n as f64,
            OrderValue::Float(x) => x,
        };
        (value, n)
    });
    rows.collect()
}

fn below(n: u64) -> Filter {
    Filter {
        must: vec![Condition::Field {
            path: "n".parse().unwrap(),
            test: Test::Range(Range {
                // Exact.
                #[allow(clippy::cast_precision_loss)]
                lt: Some(n as f64),
                ..Range::default()
            }),
        }],
        ..Filter::default()
    }
}

fn check(view: &View, payloads: &BTreeMap<u64, Value>) {
    let starts: [(&str, Option<(StartFrom, f64)>); 9] = [
        ("rank", None),
        ("price", None),
        ("day", None),
        ("rank", Some((StartFrom::Integer(2), 2.0))),
        ("rank", Some((StartFrom::Float(1.5), 1.5))),
        ("price", Some((StartFrom::Float(0.75), 0.75))),
        ("price", Some((StartFrom::Integer(1), 1.0))),
        ("day", {
            let text = "2024-06-04T00:00:00.000001Z";
            // Exact.
            #[allow(clippy::cast_precision_loss)]
            let micros = moment(text) as f64;
            Some((
                StartFrom::Moment(quoit_filter::timestamp(text).unwrap()),
                micros,
            ))
        }),
        ("day", {
            let micros = moment("2024-06-04T00:00:00.000001Z");
            // Exact.
            #[allow(clippy::cast_precision_loss)]
            let number = micros as f64;
            Some((StartFrom::Integer(micros), number))
        }),
    ];
    for (path, start) in starts {
        for direction in [Direction::Ascending, Direction::Descending] {
            let order = OrderBy {
                path: path.parse().unwrap(),
                direction,
                start_from: start.map(|s| s.0),
            };
            let from = start.map(|s| s.1);
            for limit in [0, 1, 5, 37, 2000] {
                let mut all = expected(payloads, &order, from, |_| true);
                all.truncate(limit);
                let got = found(view, &[0, 1, 2], &Filter::default(), &order, limit);
                assert_eq!(got, all, "{order:?} {limit}");

                let mut some = expected(payloads, &order, from, |n| n < 60 && n % 3 != 2);
                some.truncate(limit);
                let got = found(view, &[0, 1], &below(60), &order, limit);
                assert_eq!(got, some, "{order:?} {limit} below 60");
            }
        }
    }
}

#[test]
fn points_come_in_the_order_of_a_field_by_its_index_and_while_that_is_built() {
    let (mut rig, payloads) = filled();
    rig.apply(schema());
    rig.engine().fill_step().unwrap();
    assert!(rig.view().payload_indexes().iter().any(|i| !i.is_complete));
    check(&rig.view(), &payloads);
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    assert!(rig.view().payload_indexes().iter().all(|i| i.is_complete));
    check(&rig.view(), &payloads);
}

#[test]
fn a_start_beyond_all_values_finds_all_or_nothing() {
    let (mut rig, _) = filled();
    rig.apply(schema());
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    let view = rig.view();
    for (path, start) in [
        ("day", StartFrom::Integer(i64::MAX)),
        ("day", StartFrom::Float(1e300)),
        ("rank", StartFrom::Float(1e300)),
        ("price", StartFrom::Integer(i64::MAX)),
    ] {
        let order = |direction, start| OrderBy {
            path: path.parse().unwrap(),
            direction,
            start_from: Some(start),
        };
        let count = |order: OrderBy| found(&view, &[0, 1, 2], &Filter::default(), &order, 5).len();
        let least = match start {
            StartFrom::Integer(_) => StartFrom::Integer(i64::MIN),
            _ => StartFrom::Float(-1e300),
        };
        assert_eq!(
            count(order(Direction::Ascending, start)),
            0,
            "{path} {start:?}"
        );
        assert_eq!(
            count(order(Direction::Descending, start)),
            5,
            "{path} {start:?}"
        );
        assert_eq!(
            count(order(Direction::Ascending, least)),
            5,
            "{path} {start:?}"
        );
        assert_eq!(
            count(order(Direction::Descending, least)),
            0,
            "{path} {start:?}"
        );
    }
}

#[test]
fn an_order_by_a_field_without_such_an_index_says_which_to_make() {
    let (mut rig, _) = filled();
    rig.apply(schema());
    let view = rig.view();
    for path in ["missing", "n"] {
        let order = OrderBy {
            path: path.parse().unwrap(),
            direction: Direction::Ascending,
            start_from: None,
        };
        let refused = view.scroll_by(&vnodes([0]), &Filter::default(), &order, 5, Want::default());
        let Err(Error::BadQuery(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(
            why.contains(path) && why.contains("integer, float or datetime"),
            "{why}"
        );
    }
}
