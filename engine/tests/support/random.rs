//! Random entries and vectors, by seed.

use quoit_engine::{Entry, Operation, VnodeWrite};
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
    let id = id(rng, ids);
    if rng.random_bool(0.3) {
        return Operation::Delete { id };
    }
    let payload = match rng.random_range(0..4) {
        0 => Vec::new(),
        1 => vec![b' '; rng.random_range(0..3000)],
        _ => format!("{{\"n\":{}}}", rng.random::<u32>()).into_bytes(),
    };
    Operation::Upsert {
        id,
        vector: coarse_vector(rng, dimension),
        payload,
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
    let operations = (first..).zip(vectors).map(|(n, vector)| Operation::Upsert {
        id: PointId::Num(n),
        vector: vector.clone(),
        payload: Vec::new(),
    });
    Entry::Write(vec![VnodeWrite {
        vnode,
        operations: operations.collect(),
    }])
}

pub fn deletes(vnode: Vnode, numbers: impl IntoIterator<Item = u64>) -> Entry {
    let delete = |n| Operation::Delete {
        id: PointId::Num(n),
    };
    Entry::Write(vec![VnodeWrite {
        vnode,
        operations: numbers.into_iter().map(delete).collect(),
    }])
}
