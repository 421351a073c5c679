//! Random entries and vectors, by seed.

use quoit_engine::{Change, Condition, Entry, Operation, VnodeWrite};
use quoit_filter::{Edit, Filter, Range, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;

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

pub fn operation(rng: &mut StdRng, ids: u64, dimension: usize) -> Operation {
    let change = match rng.random_range(0..10) {
        0..3 => Change::Delete,
        3..7 => Change::Upsert {
            vector: coarse_vector(rng, dimension),
            payload: payload(rng).into_bytes(),
        },
        7 => Change::SetVector(coarse_vector(rng, dimension)),
        _ => Change::EditPayload(edit(rng)),
    };
    let only_if = match rng.random_range(0..6) {
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
pub fn entry(rng: &mut StdRng, ids: u64, dimension: usize) -> Entry {
    if rng.random_bool(0.05) {
        return Entry::Blank;
    }
    let writes = (0..rng.random_range(1..4)).map(|_| VnodeWrite {
        vnode: Vnode(rng.random_range(0..VNODES)),
        operations: (0..rng.random_range(1..8))
            .map(|_| operation(rng, ids, dimension))
            .collect(),
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
    Entry::Write(vec![VnodeWrite {
        vnode,
        operations: operations.collect(),
    }])
}

pub fn deletes(vnode: Vnode, numbers: impl IntoIterator<Item = u64>) -> Entry {
    let delete = |n| Operation::delete(PointId::Num(n));
    Entry::Write(vec![VnodeWrite {
        vnode,
        operations: numbers.into_iter().map(delete).collect(),
    }])
}
