//! Random entries and vectors, by seed.

use quoit_columns::{Kind, Schema};
use quoit_engine::{Change, Condition, Entry, Names, Operation, Params, Vector, VnodeWrite};
use quoit_filter::{Edit, Filter, Range, Scalar, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::collections::BTreeMap;

/// Vnodes that random writes go to; the rigs hold some of them.
pub const VNODES: u16 = 6;

pub fn id(rng: &mut StdRng, ids: u64) -> PointId {
    let n = rng.random_range(0..ids);
    if n % 3 == 0 {
        PointId::Uuid(uuid::Uuid::from_u128(u128::from(n) << 64 | 7))
    } else {
        PointId::Num(n)
    }
}

/// Few different values a component, so that equal distances come often.
pub fn coarse_vector(rng: &mut StdRng, dimension: usize) -> Vec<f32> {
    (0..dimension)
        .map(|_| f32::from(rng.random_range(-8_i8..8)) / 4.0)
        .collect()
}

/// Most of the collection's vectors.
fn vectors(rng: &mut StdRng, params: &Params) -> Vec<Vector> {
    let all = params.named();
    let mut some: Vec<_> = all.filter(|_| rng.random_bool(0.7)).collect();
    some.shuffle(rng);
    let vector = some.into_iter().map(|(name, params)| Vector {
        name,
        values: coarse_vector(rng, params.dimension),
    });
    vector.collect()
}

pub fn operation(rng: &mut StdRng, ids: u64, params: &Params) -> Operation {
    let change = match rng.random_range(0..12) {
        0..3 => Change::Delete,
        3..7 => Change::Upsert {
            vectors: vectors(rng, params),
            payload: payload(rng).into_bytes(),
        },
        7 | 8 => Change::SetVectors(vectors(rng, params)),
        9 => {
            let names = params.named().map(|(name, _)| name);
            let some: Names = names.filter(|_| rng.random_bool(0.3)).collect();
            Change::RemoveVectors(some)
        }
        _ => Change::EditPayload(edit(rng)),
    };
    let only_if = match rng.random_range(0..8) {
        6 => Condition::Meets(n_below(rng.random_range(0..5))),
        7 => Condition::Missing,
        0 => Condition::Unchanged {
            seq: rng.random_range(0..60),
        },
        1 => Condition::MeetsOrMissing(n_below(rng.random_range(0..5))),
        _ => Condition::Always,
    };
    Operation {
        id: id(rng, ids),
        only_if,
        change,
    }
}

fn payload(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => String::new(),
        1 => format!("{{\"s\":\"{}\"}}", " ".repeat(rng.random_range(0..3000))),
        _ => format!("{{\"n\":{}}}", rng.random_range(0..6)),
    }
}

fn edit(rng: &mut StdRng) -> Edit {
    match rng.random_range(0..4) {
        0 => Edit::Replace(payload(rng)),
        1 => Edit::Remove(vec!["n".parse().unwrap()]),
        2 => Edit::Set {
            at: Some("o.p".parse().unwrap()),
            values: "{\"q\":1}".into(),
        },
        _ => Edit::Set {
            at: None,
            values: format!("{{\"n\":{}}}", rng.random_range(0..6)),
        },
    }
}

/// Payload indexes of fields that payloads here have, with a number that may be
/// older than the last one's.
fn schema(rng: &mut StdRng) -> Schema {
    let kinds = [Kind::Integer, Kind::Float, Kind::Keyword];
    let mut fields = BTreeMap::new();
    for path in ["n", "s", "o.p.q", "o"] {
        if rng.random_bool(0.5) {
            fields.insert(path.parse().unwrap(), *kinds.choose(rng).unwrap());
        }
    }
    Schema {
        number: rng.random_range(0..20),
        fields,
    }
}

/// Filters of each sort on the fields that payloads here have.
pub fn filters(rng: &mut StdRng, ids: u64) -> Vec<Filter> {
    let field = |path: &str, test: Test| quoit_filter::Condition::Field {
        path: path.parse().unwrap(),
        test,
    };
    let must = |condition| Filter {
        must: vec![condition],
        ..Filter::default()
    };
    let n = rng.random_range(0..6);
    let some = (0..3).map(|_| id(rng, ids)).collect();
    let name = ["", "v0", "v1", "v2", "v3"][rng.random_range(0..5)];
    let one = field("n", Test::Value(Scalar::Integer(n)));
    let q = field("o.p.q", Test::Value(Scalar::Integer(1)));
    vec![
        n_below(rng.random_range(0..6)),
        must(one.clone()),
        must(field("s", Test::IsEmpty(rng.random_bool(0.5)))),
        must(quoit_filter::Condition::HasId(some)),
        must(quoit_filter::Condition::HasVector(name.to_owned())),
        Filter {
            should: vec![one.clone(), q.clone()],
            ..Filter::default()
        },
        Filter {
            must: vec![q],
            must_not: vec![one],
            ..Filter::default()
        },
    ]
}

fn n_below(bound: u32) -> Filter {
    let range = Range {
        lt: Some(f64::from(bound)),
        ..Range::default()
    };
    let condition = quoit_filter::Condition::Field {
        path: "n".parse().unwrap(),
        test: Test::Range(range),
    };
    Filter {
        must: vec![condition],
        ..Filter::default()
    }
}

/// An entry of some writes, to vnodes that are held and to others.
pub fn entry(rng: &mut StdRng, ids: u64, params: &Params) -> Entry {
    if rng.random_bool(0.05) {
        return Entry::Blank;
    }
    if rng.random_bool(0.1) {
        return Entry::SetSchema(schema(rng));
    }
    let writes = (0..rng.random_range(1..4)).map(|_| {
        VnodeWrite::once(
            Vnode(rng.random_range(0..VNODES)),
            (0..rng.random_range(1..8))
                .map(|_| operation(rng, ids, params))
                .collect(),
        )
    });
    Entry::Write(writes.collect())
}

/// Vectors in clusters, as embeddings are.
pub fn clustered(rng: &mut StdRng, count: usize, dimension: usize) -> Vec<Vec<f32>> {
    let centres: Vec<Vec<f32>> = (0..30)
        .map(|_| {
            (0..dimension)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect()
        })
        .collect();
    (0..count)
        .map(|_| {
            let centre = &centres[rng.random_range(0..centres.len())];
            centre
                .iter()
                .map(|x| x + rng.random_range(-0.4..0.4))
                .collect()
        })
        .collect()
}

/// One entry that brings vectors as points `first`, `first + 1` … of one vnode.
pub fn upserts(vnode: Vnode, first: u64, vectors: &[Vec<f32>]) -> Entry {
    let operations = (first..)
        .zip(vectors)
        .map(|(n, vector)| Operation::upsert(PointId::Num(n), vector.clone(), Vec::new()));
    Entry::Write(vec![VnodeWrite::once(vnode, operations.collect())])
}

pub fn deletes(vnode: Vnode, numbers: impl IntoIterator<Item = u64>) -> Entry {
    let delete = |n| Operation::delete(PointId::Num(n));
    Entry::Write(vec![VnodeWrite::once(
        vnode,
        numbers.into_iter().map(delete).collect(),
    )])
}
