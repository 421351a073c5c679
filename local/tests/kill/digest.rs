//! What a shard's rows and vectors are after a kill, without the server and
//! without its log: each vnode's count and digest are those of its points.
//! The digest is computed here a second time, from its definition: the sum of
//! xxh3-128 over id, seq and xxh3-128 of vector and payload.

use crate::support::{collection_dir, copy_dir};
use quoit_disk::RealDisk;
use quoit_engine::{Engine, HnswParams, Metric, Names, Params, Tuning, Want};
use quoit_filter::Filter;
use quoit_ring::{PointId, VnodeCount, VnodeSet};
use quoit_shard::Stamp;
use std::path::Path;
use std::sync::Arc;

/// Checks one shard.
pub fn check(data: &Path, shard: u32) {
    // A copy: opening changes files, and the server is to find what it left.
    let copy = tempfile::tempdir().unwrap();
    let from = collection_dir(data, "docs").join(format!("shards/{shard}/data"));
    copy_dir(&from, copy.path()).unwrap();
    let vnodes = VnodeCount::new(64).unwrap();
    let index = Some(HnswParams::default());
    let params = Params::unnamed(crate::model::DIMENSION, Metric::Euclid, index, vnodes);
    let stamp = std::fs::read(from.with_file_name("stamp.json")).unwrap();
    let stamp: Stamp = serde_json::from_slice(&stamp).unwrap();
    let engine = Engine::open(
        Arc::new(RealDisk),
        copy.path(),
        stamp.identity(),
        params,
        Tuning::default(),
    )
    .unwrap();
    let view = engine.view();
    for vnode in view.readable().iter() {
        let only: VnodeSet = [vnode].into_iter().collect();
        let want = Want {
            payload: true,
            vectors: Names::first(1),
        };
        let records = view
            .scroll(&only, &Filter::default(), None, usize::MAX, want)
            .unwrap()
            .found;
        let state = engine.vnode_state(vnode);
        assert_eq!(
            records.len() as u64,
            state.count,
            "the count of vnode {}",
            vnode.0
        );
        let sum = records.iter().fold(0_u128, |sum, record| {
            assert!(
                record.version <= state.seq,
                "point {} of vnode {} is from later than the vnode",
                record.id,
                vnode.0
            );
            assert_eq!(vnodes.vnode_of(&record.id.to_key()), vnode);
            sum.wrapping_add(point_hash(
                record.id,
                record.version,
                &record.vectors[0].values,
                &record.payload,
            ))
        });
        assert_eq!(sum, state.digest, "the digest of vnode {}", vnode.0);
    }
}

/// Checks all shards.
pub fn check_all(data: &Path) {
    for shard in 0..3 {
        check(data, shard);
    }
}

fn point_hash(id: PointId, seq: u64, vector: &[f32], payload: &[u8]) -> u128 {
    // The first of the names alone.
    let mut content = 1_u16.to_le_bytes().to_vec();
    content.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    content.extend_from_slice(payload);
    let mut bytes = id.to_key().to_vec();
    bytes.extend(seq.to_le_bytes());
    bytes.extend(xxhash_rust::xxh3::xxh3_128(&content).to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}
