//! What a replica tells of its vnodes, so that replicas can be compared.

use crate::support::{all_vnodes, options, upsert};
use quoit_disk::RealDisk;
use quoit_proto::{ShardClient, v1};
use quoit_shard::Shard;
use std::sync::Arc;

async fn digests(shard: &Shard) -> v1::ReplicaDigests {
    let answer = shard.digests(v1::DigestsRequest {}).await.unwrap();
    answer.replicas.into_iter().next().unwrap()
}

async fn shard(dir: &tempfile::TempDir) -> Shard {
    let options = options(Arc::new(RealDisk), dir.path());
    Shard::open(options).await.unwrap()
}

#[tokio::test]
async fn the_same_writes_give_the_same_digests_and_others_give_others() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut told = Vec::new();
    for (dir, last) in dirs.iter().zip([7, 7, 8]) {
        let shard = shard(dir).await;
        shard.write(upsert(&[(1, 1), (2, 2)])).await.unwrap();
        shard.write(upsert(&[(1, last)])).await.unwrap();
        told.push(digests(&shard).await);
    }
    assert_eq!(told[0], told[1]);
    assert_ne!(told[0].vnodes, told[2].vnodes);
    let same_but_for_digests = |mut told: v1::ReplicaDigests| {
        told.vnodes.iter_mut().for_each(|v| v.digest.clear());
        told
    };
    let [a, _, b]: [_; 3] = told.try_into().unwrap();
    assert_eq!(same_but_for_digests(a), same_but_for_digests(b));
}

#[tokio::test]
async fn all_vnodes_that_are_held_are_told_with_their_counts() {
    let dir = tempfile::tempdir().unwrap();
    let shard = shard(&dir).await;
    shard
        .write(upsert(&[(1, 1), (2, 2), (3, 3)]))
        .await
        .unwrap();
    let told = digests(&shard).await;
    let vnodes: Vec<u32> = told.vnodes.iter().map(|v| v.vnode).collect();
    let all: Vec<u32> = all_vnodes().iter().map(|v| u32::from(v.0)).collect();
    assert_eq!(vnodes, all);
    assert_eq!(told.vnodes.iter().map(|v| v.count).sum::<u64>(), 3);
    assert!(told.vnodes.iter().all(|v| v.c == 1 && v.digest.len() == 16));
    assert_eq!(told.applied, shard.status().await.unwrap().applied_index);
}
