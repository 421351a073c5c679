//! Changes of all points that meet a filter, and changes that have a condition.

use crate::disk::{Call, LOG, Watched};
use crate::support::{
    all_vnodes, count, number_of, options, seqs, until, upsert, vector, write_of,
};
use futures::FutureExt;
use quoit_disk::RealDisk;
use quoit_filter::{Condition, Filter, Scalar, Test};
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::v1::payload_edit::Kind as Edit;
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_ring::PointId;
use quoit_shard::{Shard, Watermark};
use std::path::Path;
use std::sync::Arc;

async fn shard(dir: &Path) -> Shard {
    let options = options(Arc::new(RealDisk), dir);
    Shard::open(options).await.unwrap()
}

/// Points whose `a` is this.
fn a_is(number: i64) -> v1::Filter {
    let condition = Condition::Field {
        path: "a".parse().unwrap(),
        test: Test::Value(Scalar::Integer(number)),
    };
    let filter = Filter {
        must: vec![condition],
        ..Filter::default()
    };
    (&filter).into()
}

fn payload(text: &str) -> Kind {
    Kind::EditPayload(v1::PayloadEdit {
        kind: Some(Edit::Replace(text.into())),
    })
}

fn matching(filter: v1::Filter, kind: Kind) -> v1::WriteMatchingRequest {
    v1::WriteMatchingRequest {
        vnodes: all_vnodes().to_bytes(),
        filter: Some(filter),
        change: Some(v1::Change { kind: Some(kind) }),
    }
}

async fn count_of(shard: &Shard, number: i64) -> u64 {
    let request = v1::CountRequest {
        vnodes: all_vnodes().to_bytes(),
        filter: Some(a_is(number)),
        ..Default::default()
    };
    shard.count(request).await.unwrap().count
}

#[tokio::test]
async fn all_points_that_meet_a_filter_are_changed_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let before = shard(dir.path()).await;
    // More than one entry of the log takes.
    let points: Vec<(u64, u16)> = (0..2500).map(|id| (id, 1)).collect();
    before.write(upsert(&points)).await.unwrap();
    let edits = (0..2500).filter(|id| id % 5 == 0);
    let writes = edits.map(|id| write_of(id, None, payload("{\"a\":2}")));
    let writes = writes.collect();
    before.write(v1::WriteRequest { writes }).await.unwrap();

    let request = matching(a_is(1), payload("{\"a\":3}"));
    let answer = before.write_matching(request).await.unwrap();
    assert_eq!(answer.changed, 2000);
    let request = matching(a_is(2), Kind::Delete(v1::Delete {}));
    assert_eq!(before.write_matching(request).await.unwrap().changed, 500);
    let none = matching(a_is(2), Kind::Delete(v1::Delete {}));
    assert_eq!(before.write_matching(none).await.unwrap().changed, 0);

    drop(before);
    let after = shard(dir.path()).await;
    assert_eq!(count(&after).await.unwrap(), 2000);
    assert_eq!(count_of(&after, 3).await, 2000);
    assert_eq!(number_of(&after, 5).await, None);
    assert_eq!(number_of(&after, 6).await, Some(1.0));
}

#[tokio::test]
async fn a_point_that_is_changed_meanwhile_is_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched::new(Arc::new(RealDisk));
    let shard = Shard::open(options(Arc::new(disk.clone()), dir.path()))
        .await
        .unwrap();
    shard
        .write(upsert(&[(1, 1), (2, 1), (3, 1)]))
        .await
        .unwrap();
    disk.hold(Call::Sync, LOG);
    // Under way and not seen: one point will meet the filter no more, another
    // one still does and has another version.
    let writes = vec![
        write_of(1, None, payload("{\"a\":2}")),
        write_of(2, None, payload("{\"a\":1,\"b\":1}")),
    ];
    let mut write = shard.write(v1::WriteRequest { writes });
    assert!((&mut write).now_or_never().is_none());
    let mut delete = shard.write_matching(matching(a_is(1), Kind::Delete(v1::Delete {})));
    assert!((&mut delete).now_or_never().is_none());
    disk.release();
    write.await.unwrap();
    assert_eq!(delete.await.unwrap().changed, 2);
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(count(&shard).await.unwrap(), 1);
}

#[tokio::test]
async fn a_change_that_breaks_off_says_what_is_done_and_not_that_nothing_is() {
    const MIB: u64 = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched::new(Arc::new(RealDisk));
    disk.set_free(1024 * MIB);
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.upkeep.watermark = Watermark::above(100 * MIB);
    let shard = Arc::new(Shard::open(options).await.unwrap());
    let points: Vec<_> = (0..1500).map(|id| (id, 1)).collect();
    shard.write(upsert(&points)).await.unwrap();
    // The first of two parts is on its way when the disk fills up.
    let before = disk.log_syncs();
    disk.hold(Call::Sync, LOG);
    let changer = shard.clone();
    let request = matching(a_is(1), payload("{\"a\":2}"));
    let change = tokio::spawn(async move { changer.write_matching(request).await });
    until("the first part to be written", async || {
        (disk.log_syncs() > before).then_some(())
    })
    .await;
    disk.set_free(MIB);
    until("the full disk to be noticed", async || {
        let status = shard.status().await.unwrap();
        status.writes_stopped.contains("disk is full").then_some(())
    })
    .await;
    disk.release();
    let error = change.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown);
    for part in ["1000 points are changed", "disk is full"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(count_of(&shard, 2).await, 1000);
    // One that is refused before it begins has done nothing.
    let all = matching(v1::Filter::default(), payload("{\"a\":3}"));
    let error = shard.write_matching(all).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DiskFull);
    assert_eq!(count_of(&shard, 3).await, 0);
}

#[tokio::test]
async fn vnodes_that_are_not_here_are_named_and_no_point_of_them_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(Arc::new(RealDisk), dir.path());
    let gone = u32::from(
        crate::support::vnodes()
            .vnode_of(&PointId::Num(1).to_key())
            .0,
    );
    let all = all_vnodes();
    let held = all.iter().filter(|v| u32::from(v.0) != gone);
    options.birth = Some(held.collect());
    let shard = Shard::open(options).await.unwrap();
    let request = matching(v1::Filter::default(), payload("{\"a\":3}"));
    let answer = shard.write_matching(request).await.unwrap();
    assert_eq!(answer.not_here, [v1::NotHere { vnode: gone }]);
}

#[tokio::test]
async fn a_change_that_no_point_can_take_is_refused_before_any_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let shard = shard(dir.path()).await;
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    let upsert = v1::Upsert {
        vectors: vec![vector(vec![1.0; 4])],
        payload: Vec::new().into(),
    };
    let vectors = vec![vector(vec![1.0; 3])];
    let names = vec!["b".to_owned()];
    for (kind, part) in [
        (Kind::Upsert(upsert), "anew as a whole"),
        (Kind::SetVectors(v1::Vectors { vectors }), "3 dimensions"),
        (
            Kind::RemoveVectors(v1::VectorNames { names }),
            "no vector named \"b\"",
        ),
        (payload("[1]"), "no JSON object"),
    ] {
        let request = matching(v1::Filter::default(), kind);
        let error = shard.write_matching(request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(count_of(&shard, 1).await, 1);
}

#[tokio::test]
async fn a_write_names_the_operations_that_left_their_point_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let shard = shard(dir.path()).await;
    let version = seqs(&shard.write(upsert(&[(1, 1)])).await.unwrap())[0];
    let mut write = write_of(1, None, payload("{\"a\":2}"));
    let more = [
        (Some(OnlyIf::UnchangedSince(version)), payload("{\"a\":3}")),
        (Some(OnlyIf::MeetsOrMissing(a_is(3))), payload("{\"a\":4}")),
        (Some(OnlyIf::MeetsOrMissing(a_is(2))), payload("{\"a\":5}")),
        (None, Kind::Delete(v1::Delete {})),
        (None, payload("{\"a\":6}")),
        (None, Kind::Delete(v1::Delete {})),
    ];
    for (only_if, kind) in more {
        write
            .operations
            .extend(write_of(1, only_if, kind).operations);
    }
    let request = v1::WriteRequest {
        writes: vec![write],
    };
    let answer = shard.write(request).await.unwrap();
    let Some(v1::vnode_outcome::Kind::Done(done)) = &answer.outcomes[0].kind else {
        panic!("{answer:?}");
    };
    assert_eq!(done.left, [1, 2, 5]);
    assert_eq!(done.seq, version + 3);
}
