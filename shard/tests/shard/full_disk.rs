//! A disk that fills up: writes are refused with the reason, reads go on, and
//! writes come back by themselves with the space.

use crate::support::{count, number_of, options, until, upsert};
use futures::FutureExt;
use quoit_disk::SimDisk;
use quoit_proto::{ErrorKind, ShardClient};
use quoit_shard::{Shard, ShardOptions, Watermark};
use std::path::Path;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

fn on(disk: &SimDisk, dir: &Path) -> ShardOptions {
    let mut options = options(Arc::new(disk.clone()), dir);
    options.log.preallocate_bytes = 4096;
    options
}

fn disk(dir: &Path) -> SimDisk {
    let disk = SimDisk::new(dir.to_owned(), 1).unwrap();
    disk.set_free(1024 * MIB);
    disk
}

#[tokio::test]
async fn below_the_watermark_writes_are_refused_and_above_it_they_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let mut options = on(&disk, dir.path());
    options.upkeep.watermark = Watermark {
        stop_below: 100 * MIB,
        start_above: 200 * MIB,
    };
    let shard = Shard::open(options).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();

    disk.set_free(90 * MIB);
    let refused = until("a refusal", async || {
        shard.write(upsert(&[(2, 2)])).await.err()
    })
    .await;
    assert_eq!(refused.kind, ErrorKind::DiskFull);
    for part in [
        "disk is full",
        "MiB are free",
        "writes need 200 MiB",
        "free some space",
    ] {
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
    let status = shard.status().await.unwrap();
    assert!(
        status.writes_stopped.contains("disk is full"),
        "{}",
        status.writes_stopped
    );

    // Between the two marks they stay away, so that they do not flutter.
    disk.set_free(150 * MIB);
    until("the new free space", async || {
        let why = shard.write(upsert(&[(3, 3)])).await.unwrap_err().message;
        why.contains("150 MiB are free").then_some(())
    })
    .await;
    assert_eq!(number_of(&shard, 3).await, None);

    disk.set_free(1024 * MIB);
    until("writes", async || shard.write(upsert(&[(4, 4)])).await.ok()).await;
    assert_eq!(number_of(&shard, 4).await, Some(4.0));
    assert_eq!(shard.status().await.unwrap().writes_stopped, "");
}

#[tokio::test]
async fn a_log_that_cannot_grow_refuses_the_write_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let shard = Shard::open(on(&disk, dir.path())).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    disk.set_free(0);
    // What is allocated is used up first.
    let mut taken = 0;
    let refused = until("a refusal", async || {
        let answer = shard.write(upsert(&[(10 + taken, 1)])).await;
        taken += u64::from(answer.is_ok());
        answer.err()
    });
    let refused = refused.await;
    assert_eq!(refused.kind, ErrorKind::DiskFull);
    assert!(
        refused.message.contains("disk is full"),
        "{}",
        refused.message
    );
    assert_eq!(count(&shard).await.unwrap(), 1 + taken);
    assert_eq!(number_of(&shard, 1).await, Some(1.0));

    disk.set_free(1024 * MIB);
    until("writes", async || shard.write(upsert(&[(2, 2)])).await.ok()).await;
    assert_eq!(count(&shard).await.unwrap(), 2 + taken);
    drop(shard);
    let mut again = on(&disk, dir.path());
    again.birth = None;
    let shard = Shard::open(again).await.unwrap();
    assert_eq!(
        count(&shard).await.unwrap(),
        2 + taken,
        "a refused write came back"
    );
}

#[tokio::test]
async fn a_write_that_is_durable_and_finds_no_room_for_its_vector_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let mut options = on(&disk, dir.path());
    options.log.preallocate_bytes = MIB;
    let shard = Shard::open(options).await.unwrap();
    // The log has room; the first file of vectors is not there yet.
    disk.set_free(1000);
    let mut write = shard.write(upsert(&[(1, 1)]));
    assert!((&mut write).now_or_never().is_none());
    until("the full disk to be noticed", async || {
        let status = shard.status().await.unwrap();
        status.writes_stopped.contains("disk is full").then_some(())
    })
    .await;
    assert!(
        (&mut write).now_or_never().is_none(),
        "acknowledged, and nothing can show it"
    );
    assert_eq!(count(&shard).await.unwrap(), 0);
    disk.set_free(1024 * MIB);
    write.await.unwrap();
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
}
