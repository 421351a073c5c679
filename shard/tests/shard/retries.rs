//! Writes that are tried again, and how many a vnode has taken.

use crate::support::{all_vnodes, number_of, options, upsert, vnodes};
use quoit_disk::RealDisk;
use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_ring::{PointId, Vnode, VnodeSet};
use quoit_shard::{Shard, ShardOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const OP_ID: [u8; 16] = [7; 16];

async fn open(dir: &Path, birth: Option<VnodeSet>) -> Shard {
    let options = ShardOptions {
        birth,
        ..options(Arc::new(RealDisk), dir)
    };
    Shard::open(options).await.unwrap()
}

fn vnode(point: u64) -> Vnode {
    vnodes().vnode_of(&PointId::Num(point).to_key())
}

/// An upsert of one point that may be tried again.
fn one(point: u64, number: u16, tried_since: Option<u64>) -> v1::VnodeWrite {
    v1::VnodeWrite {
        op_id: OP_ID.to_vec(),
        tried_since,
        ..upsert(&[(point, number)]).writes.remove(0)
    }
}

async fn write(shard: &Shard, write: v1::VnodeWrite) -> Outcome {
    let writes = vec![write];
    let answer = shard.write(v1::WriteRequest { writes }).await.unwrap();
    answer.outcomes[0].kind.clone().unwrap()
}

/// What vnodes have taken, of those that are asked for.
async fn counts(shard: &Shard, asked: &VnodeSet) -> BTreeMap<u32, u64> {
    let vnodes = asked.to_bytes();
    let request = v1::OperationCountsRequest { vnodes };
    let answer = shard.operation_counts(request).await.unwrap();
    let counts = answer.counts.into_iter();
    counts.map(|count| (count.vnode, count.w)).collect()
}

fn done(seq: u64, w: u64) -> Outcome {
    Outcome::Done(v1::Done {
        seq,
        left: vec![],
        w,
    })
}

#[tokio::test]
async fn a_write_that_is_tried_again_after_a_restart_is_answered_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for stop in [Shard::stop, Shard::discard] {
        let shard = open(dir.path(), Some(all_vnodes())).await;
        let since = counts(&shard, &all_vnodes()).await[&u32::from(vnode(5).0)];
        let first = write(&shard, one(5, 1, None)).await;
        shard.write(upsert(&[(5, 9)])).await.unwrap();
        stop(&shard);
        drop(shard);
        let shard = open(dir.path(), None).await;
        assert_eq!(write(&shard, one(5, 1, Some(since))).await, first);
        assert_eq!(number_of(&shard, 5).await, Some(9.0));
        drop(shard);
        std::fs::remove_dir_all(dir.path().join("shard")).unwrap();
    }
}

#[tokio::test]
async fn a_write_that_may_have_been_done_too_long_ago_is_not_done_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path(), Some(all_vnodes())).await;
    let others: Vec<(u64, u16)> = (0..257).map(|number| (5, number)).collect();
    shard.write(upsert(&others)).await.unwrap();
    let forgotten = Outcome::Forgotten(v1::Forgotten {});
    assert_eq!(write(&shard, one(5, 999, Some(0))).await, forgotten);
    assert_eq!(number_of(&shard, 5).await, Some(256.0));
    assert_eq!(write(&shard, one(5, 999, Some(1))).await, done(258, 258));
    assert_eq!(number_of(&shard, 5).await, Some(999.0));
}

#[tokio::test]
async fn writes_are_counted_of_the_vnodes_that_are_asked_for_and_held() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (vnode(1), vnode(2));
    assert_ne!(here, there);
    let mut held = all_vnodes();
    held.remove(there);
    let shard = open(dir.path(), Some(held.clone())).await;
    assert_eq!(write(&shard, one(1, 1, None)).await, done(1, 1));
    let elsewhere = write(&shard, one(2, 1, Some(0))).await;
    assert!(matches!(elsewhere, Outcome::NotHere(_)), "{elsewhere:?}");
    let all = counts(&shard, &all_vnodes()).await;
    let vnodes: Vec<u32> = held.iter().map(|vnode| u32::from(vnode.0)).collect();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), vnodes);
    assert_eq!(all.values().sum::<u64>(), 1);
    let two = [here, there].into_iter().collect();
    assert_eq!(counts(&shard, &two).await, [(u32::from(here.0), 1)].into());
    assert!(counts(&shard, &VnodeSet::new()).await.is_empty());
}

#[tokio::test]
async fn a_write_with_half_an_op_id_is_refused_and_never_logged() {
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path(), Some(all_vnodes())).await;
    let applied = shard.status().await.unwrap().applied_index;
    let half = v1::VnodeWrite {
        op_id: vec![7; 8],
        ..one(1, 1, None)
    };
    let none = v1::VnodeWrite {
        op_id: Vec::new(),
        ..one(1, 1, Some(0))
    };
    for (bad, why) in [(half, "has 8 bytes: send 16"), (none, "no op_id: send")] {
        let writes = vec![one(2, 1, None), bad];
        let refused = shard.write(v1::WriteRequest { writes }).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.message.contains(why), "{}", refused.message);
    }
    assert_eq!(shard.status().await.unwrap().applied_index, applied);
}
