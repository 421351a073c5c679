//! A disk that fails: nothing is acknowledged that may be lost, and what can
//! still be served is.

use crate::disk::{Call, Fault, LOG, Watched};
use crate::support::{count, number_of, options, until, upsert};
use futures::FutureExt;
use futures::future::join_all;
use quoit_disk::RealDisk;
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_shard::log::LogError;
use quoit_shard::{Keeper, OpenError, Shard, Watermark};
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A shard with point 1, on a disk to be broken.
async fn shard(dir: &Path) -> (Shard, Watched) {
    let disk = Watched::new(Arc::new(RealDisk));
    let shard = Shard::open(options(Arc::new(disk.clone()), dir))
        .await
        .unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    (shard, disk)
}

async fn reopened(dir: &Path) -> Shard {
    let mut again = options(Arc::new(RealDisk), dir);
    again.birth = None;
    Shard::open(again).await.unwrap()
}

#[tokio::test]
async fn a_failed_sync_of_the_log_acknowledges_nothing_and_stops_writes_but_not_reads() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, disk) = shard(dir.path()).await;
    disk.fail(Call::Sync, LOG, io::ErrorKind::Other);
    let error = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    assert_eq!(number_of(&shard, 2).await, None);
    for _ in 0..2 {
        let error = shard.write(upsert(&[(3, 1)])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        for part in ["takes no writes", "its log failed", "restart it"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
    }
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(count(&shard).await.unwrap(), 1);
    let status = shard.status().await.unwrap();
    assert!(
        status.writes_stopped.contains("its log failed"),
        "{}",
        status.writes_stopped
    );
    drop(shard);

    let shard = reopened(dir.path()).await;
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(number_of(&shard, 3).await, None, "it was refused for good");
    shard.write(upsert(&[(4, 1)])).await.unwrap();
}

#[tokio::test]
async fn writers_that_wait_behind_a_failed_sync_are_all_told() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, disk) = shard(dir.path()).await;
    disk.hold(Call::Sync, LOG);
    disk.fail(Call::Sync, LOG, io::ErrorKind::Other);
    let mut waiting: Vec<_> = (10..60).map(|n| shard.write(upsert(&[(n, 1)]))).collect();
    for write in &mut waiting {
        assert!(write.now_or_never().is_none());
    }
    disk.release();
    for answer in join_all(waiting).await {
        let error = answer.unwrap_err();
        assert!(
            [ErrorKind::Unknown, ErrorKind::Unavailable].contains(&error.kind),
            "{}",
            error.message
        );
    }
    assert_eq!(count(&shard).await.unwrap(), 1);
}

#[tokio::test]
async fn an_entry_that_cannot_be_applied_stops_writes_but_not_reads_and_is_applied_after_a_restart()
{
    let dir = tempfile::tempdir().unwrap();
    let (shard, disk) = shard(dir.path()).await;
    disk.fail(Call::Write, "/vectors/", io::ErrorKind::Other);
    let error = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    let error = shard.write(upsert(&[(3, 1)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    for part in [
        "an entry could not be applied",
        "restart it when the cause is mended",
    ] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(count(&shard).await.unwrap(), 1);
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(number_of(&shard, 2).await, None);
    assert!(shard.serves());
    shard.stop();
    drop(shard);

    let shard = reopened(dir.path()).await;
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(
        number_of(&shard, 2).await,
        Some(1.0),
        "it was durable in the log"
    );
    assert_eq!(number_of(&shard, 3).await, None);
}

#[tokio::test]
async fn a_read_only_disk_refuses_writes_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, disk) = shard(dir.path()).await;
    disk.fail(Call::Write, LOG, io::ErrorKind::ReadOnlyFilesystem);
    let mut error = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    if error.kind == ErrorKind::Unknown {
        // Of the first one nobody can tell.
        error = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    }
    assert_eq!(error.kind, ErrorKind::DiskFull, "{}", error.message);
    assert!(error.message.contains("read-only"), "{}", error.message);
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(number_of(&shard, 2).await, None);
    drop(shard);
    let shard = reopened(dir.path()).await;
    shard.write(upsert(&[(3, 1)])).await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_the_collection_is_refused_and_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, _disk) = shard(dir.path()).await;
    let applied = shard.status().await.unwrap().applied_index;
    let broken = |break_it: fn(&mut v1::Operation)| {
        let mut request = upsert(&[(2, 1)]);
        break_it(&mut request.writes[0].operations[0]);
        request
    };
    let misshapen = |break_it: fn(&mut Vec<f32>)| {
        let mut request = upsert(&[(2, 1)]);
        let change = request.writes[0].operations[0].change.as_mut().unwrap();
        match change.kind.as_mut().unwrap() {
            v1::change::Kind::Upsert(upsert) => break_it(&mut upsert.vectors[0].values),
            other => unreachable!("{other:?}"),
        }
        request
    };
    let mut elsewhere = upsert(&[(2, 1)]);
    elsewhere.writes[0].vnode = 64;
    for (request, part) in [
        (misshapen(|v| v.push(1.0)), "5 dimensions"),
        (misshapen(|v| v[2] = f32::NAN), "component 2"),
        (misshapen(|v| v[3] = f32::INFINITY), "component 3"),
        (broken(|o| o.id = None), "without an id"),
        (broken(|o| o.change = None), "a change of a kind"),
        (elsewhere, "64 is not one of them"),
    ] {
        let error = shard.write(request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(shard.status().await.unwrap().applied_index, applied);
    assert_eq!(count(&shard).await.unwrap(), 1);
}

#[tokio::test]
async fn a_shard_that_was_founded_and_whose_folder_is_empty_is_lost_and_not_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut founded = options(Arc::new(RealDisk), dir.path());
    founded.birth = None;
    let error = Shard::open(founded).await.err().unwrap();
    assert!(matches!(error, OpenError::Stamp(_)));
    let why = error.source().unwrap().to_string();
    assert!(why.contains("not empty but lost"), "{why}");
}

/// Opens a copy of the shard's log in which the last entry's bytes are not
/// those that were written.
fn open_a_damaged_copy(dir: &Path) -> Result<(), LogError> {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir.join("shard/log")).unwrap() {
        let file = file.unwrap();
        let mut bytes = fs::read(file.path()).unwrap();
        let payload = b"{\"a\":1}";
        let mut places = bytes.windows(payload.len());
        if let Some(at) = places.rposition(|window| window == payload) {
            bytes[at] = b'[';
        }
        fs::write(copy.path().join(file.file_name()), bytes).unwrap();
    }
    let options = options(Arc::new(RealDisk), dir).log;
    quoit_shard::log::open(Arc::new(RealDisk), copy.path(), options).map(drop)
}

#[tokio::test]
async fn damage_to_the_last_write_does_not_pass_for_a_torn_tail_once_the_log_rests() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, _disk) = shard(dir.path()).await;
    let error = until("a log that refuses the damage", async || {
        open_a_damaged_copy(dir.path()).err()
    });
    let error = error.await;
    assert!(matches!(error, LogError::Damaged { .. }), "{error:?}");
    drop(shard);
}

#[tokio::test]
async fn a_checkpoint_that_fails_stops_writes_but_not_reads() {
    for (kind, refused) in [
        (io::ErrorKind::Other, ErrorKind::Unavailable),
        (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::DiskFull),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Watched::new(Arc::new(RealDisk));
        let mut options = options(Arc::new(disk.clone()), dir.path());
        options.upkeep.checkpoint_bytes = 1;
        let shard = Shard::open(options).await.unwrap();
        disk.fail(Call::Write, "/manifest", kind);
        shard.write(upsert(&[(1, 1)])).await.unwrap();
        let error = until("writes to be refused", async || {
            shard.write(upsert(&[(1, 1)])).await.err()
        });
        let error = error.await;
        assert_eq!(error.kind, refused, "{}", error.message);
        assert_eq!(number_of(&shard, 1).await, Some(1.0));
        assert!(shard.serves());
        drop(shard);
        let shard = reopened(dir.path()).await;
        assert_eq!(number_of(&shard, 1).await, Some(1.0));
    }
}

#[tokio::test]
async fn a_shard_whose_making_was_cut_short_is_made_to_the_end() {
    // As a kill leaves the row store: its files come one after the other.
    for begun in [
        &["lock"][..],
        &["lock", "0.jnl"],
        &["lock", "0.jnl", "version"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let born = || options(Arc::new(RealDisk), dir.path());
        drop(Shard::open(born()).await.unwrap());
        let data = dir.path().join("shard/data");
        fs::remove_dir_all(&data).unwrap();
        fs::create_dir_all(data.join("rows")).unwrap();
        for file in begun {
            fs::write(data.join("rows").join(file), "").unwrap();
        }
        let shard = Shard::open(born()).await.unwrap();
        shard.write(upsert(&[(1, 1)])).await.unwrap();
        drop(shard);
        // With a write in its log it is begun no longer.
        assert_eq!(
            number_of(&Shard::open(born()).await.unwrap(), 1).await,
            Some(1.0)
        );
    }
}

#[tokio::test]
async fn with_too_many_files_open_a_checkpoint_is_made_later_and_writes_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched::new(Arc::new(RealDisk));
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.upkeep.checkpoint_bytes = 1;
    disk.fail(Call::Open, "/manifest", Fault::OutOfDescriptors);
    let shard = Shard::open(options).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    until("two checkpoints that fail", async || {
        (disk.failed() > 1).then_some(())
    })
    .await;
    shard.write(upsert(&[(2, 2)])).await.unwrap();
    assert_eq!(number_of(&shard, 2).await, Some(2.0));
    let manifest = dir.path().join("shard/data/manifest");
    assert!(!manifest.exists());
    disk.mend();
    until("a checkpoint", async || manifest.exists().then_some(())).await;
    shard.write(upsert(&[(3, 3)])).await.unwrap();
}

#[tokio::test]
async fn with_too_many_files_open_a_write_that_needs_a_new_one_is_refused_and_later_ones_are_taken()
{
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched::new(Arc::new(RealDisk));
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.log.segment_bytes = 100;
    let shard = Shard::open(options).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    disk.fail(Call::Open, LOG, Fault::OutOfDescriptors);
    let error = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{}", error.message);
    assert!(
        error.message.contains("too many files are open"),
        "{}",
        error.message
    );
    disk.mend();
    shard.write(upsert(&[(3, 3)])).await.unwrap();
    drop(shard);

    let shard = reopened(dir.path()).await;
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(number_of(&shard, 2).await, None, "it was refused for good");
    assert_eq!(number_of(&shard, 3).await, Some(3.0));
}

/// A kept shard whose log has failed while its disk was full: it takes no
/// writes, and point 2 is in its log or not.
async fn stopped_by_a_full_disk(dir: &Path) -> (Keeper, Watched) {
    let disk = Watched::new(Arc::new(RealDisk));
    let mut options = options(Arc::new(disk.clone()), dir);
    options.upkeep.watermark = Watermark::above(1000);
    disk.set_free(1 << 30);
    let shard = Keeper::open(options).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    disk.fail(Call::Sync, LOG, io::ErrorKind::Other);
    let error = shard.write(upsert(&[(2, 2)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    disk.mend();
    (shard, disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_a_full_disk_has_stopped_takes_writes_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, disk) = stopped_by_a_full_disk(dir.path()).await;
    disk.set_free(0);
    // Until its upkeep has seen that, and after that: reads go on.
    for _ in 0..20 {
        let error = shard.write(upsert(&[(3, 3)])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
        assert_eq!(number_of(&shard, 1).await, Some(1.0));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    disk.set_free(1 << 30);
    until("a write to be taken", async || {
        assert_eq!(number_of(&shard, 1).await, Some(1.0));
        shard.write(upsert(&[(3, 3)])).await.ok()
    })
    .await;
    assert_eq!(number_of(&shard, 3).await, Some(3.0));
    drop(shard);

    let shard = reopened(dir.path()).await;
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    assert_eq!(number_of(&shard, 3).await, Some(3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_failed_on_a_disk_with_room_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (shard, _disk) = stopped_by_a_full_disk(dir.path()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let error = shard.write(upsert(&[(3, 3)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
}
