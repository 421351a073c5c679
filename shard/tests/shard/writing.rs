//! Many writers at once, and the end of writing.

use crate::disk::{Call, LOG, Watched};
use crate::support::{count, number_of, options, seqs, until, upsert};
use futures::FutureExt;
use futures::future::join_all;
use quoit_disk::RealDisk;
use quoit_proto::{ErrorKind, ShardClient};
use quoit_shard::Shard;
use std::sync::Arc;
use std::time::Duration;

fn watched() -> Watched {
    Watched::new(Arc::new(RealDisk))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_share_syncs_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let shard = Arc::new(
        Shard::open(options(Arc::new(disk.clone()), dir.path()))
            .await
            .unwrap(),
    );
    disk.slow_down(Duration::from_millis(3));
    let before = disk.log_syncs();
    let writers = (0..64_u64).map(|writer| {
        let shard = shard.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                shard.write(upsert(&[(writer * 10 + n, 1)])).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|w| w.unwrap());
    let syncs = disk.log_syncs() - before;
    println!("640 writes, {syncs} syncs");
    assert!(
        syncs >= 10,
        "a writer's next write was durable before it was written"
    );
    assert!(syncs <= 160, "640 writes took {syncs} syncs");
    assert_eq!(count(&shard).await.unwrap(), 640);
}

#[tokio::test]
async fn one_writer_gets_a_sync_for_each_write() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let shard = Shard::open(options(Arc::new(disk.clone()), dir.path()))
        .await
        .unwrap();
    for n in 0..20 {
        let before = disk.log_syncs();
        shard.write(upsert(&[(n, 1)])).await.unwrap();
        assert_eq!(
            disk.log_syncs(),
            before + 1,
            "acknowledged without a sync, or with too many"
        );
    }
}

#[tokio::test]
async fn writes_are_applied_in_the_order_in_which_they_came() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(Arc::new(RealDisk), dir.path()))
        .await
        .unwrap();
    // Proposed one after the other, and not one waited for.
    let writes = (0..600).map(|n| shard.write(upsert(&[(5, n)])));
    let answers = join_all(writes).await;
    let seqs: Vec<u64> = answers
        .iter()
        .flat_map(|a| seqs(a.as_ref().unwrap()))
        .collect();
    assert_eq!(seqs, (1..=600).collect::<Vec<u64>>());
    assert_eq!(number_of(&shard, 5).await, Some(599.0));
    drop(shard);
    let mut again = options(Arc::new(RealDisk), dir.path());
    again.birth = None;
    let shard = Shard::open(again).await.unwrap();
    assert_eq!(number_of(&shard, 5).await, Some(599.0));
}

#[tokio::test]
async fn a_write_is_not_answered_or_seen_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let shard = Shard::open(options(Arc::new(disk.clone()), dir.path()))
        .await
        .unwrap();
    let before = disk.log_syncs();
    disk.hold(Call::Sync, LOG);
    let mut write = shard.write(upsert(&[(1, 1)]));
    assert!((&mut write).now_or_never().is_none());
    until("the sync", async || {
        (disk.log_syncs() > before).then_some(())
    })
    .await;
    assert!(
        (&mut write).now_or_never().is_none(),
        "answered before the log was durable"
    );
    assert_eq!(
        number_of(&shard, 1).await,
        None,
        "seen before the log was durable"
    );
    disk.release();
    write.await.unwrap();
    assert_eq!(number_of(&shard, 1).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_the_writes_that_wait_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let shard = Arc::new(
        Shard::open(options(Arc::new(disk.clone()), dir.path()))
            .await
            .unwrap(),
    );
    disk.hold(Call::Sync, LOG);
    let mut waiting: Vec<_> = (0..100).map(|n| shard.write(upsert(&[(n, 1)]))).collect();
    for write in &mut waiting {
        assert!(write.now_or_never().is_none());
    }
    let stopping = tokio::task::spawn_blocking({
        let shard = shard.clone();
        move || shard.stop()
    });
    let refused = until("a refusal", async || {
        // Before it is told to stop it takes a write, which waits with the others.
        shard.write(upsert(&[(1000, 1)])).now_or_never()?.err()
    });
    let refused = refused.await;
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(
        refused.message.contains("shutting down"),
        "{}",
        refused.message
    );
    disk.release();
    for answer in join_all(waiting).await {
        answer.unwrap();
    }
    stopping.await.unwrap();
    let refused = shard.write(upsert(&[(1000, 1)])).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    drop(shard);

    let mut again = options(Arc::new(RealDisk), dir.path());
    again.birth = None;
    let shard = Shard::open(again).await.unwrap();
    for n in 0..100 {
        assert_eq!(
            number_of(&shard, n).await,
            Some(1.0),
            "point {n} was acknowledged"
        );
    }
}

#[tokio::test]
async fn writes_wait_while_too_many_vectors_are_not_in_the_graph() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.max_tail = 10;
    // Upkeep, which brings vectors into the graph, looks at the disk first.
    disk.hold(Call::FreeSpace, "");
    let shard = Shard::open(options).await.unwrap();
    for n in 0..11 {
        shard.write(upsert(&[(n, 1)])).await.unwrap();
    }
    let mut write = shard.write(upsert(&[(100, 1)]));
    assert!((&mut write).now_or_never().is_none(), "it was taken");
    let status = shard.status().await.unwrap();
    assert_eq!((status.tail, status.points), (11, 11));
    disk.release();
    write.await.unwrap();
    until("the index", async || {
        (shard.status().await.unwrap().tail == 0).then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_waits_too_long_for_the_graph_is_refused_and_has_no_effect() {
    let dir = tempfile::tempdir().unwrap();
    let disk = watched();
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.max_tail = 0;
    disk.hold(Call::FreeSpace, "");
    let shard = Shard::open(options).await.unwrap();
    shard.write(upsert(&[(1, 1)])).await.unwrap();
    let refused = shard.write(upsert(&[(2, 1)])).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy);
    assert!(refused.message.contains("try again"), "{}", refused.message);
    assert_eq!(number_of(&shard, 2).await, None);
    disk.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_of_replaced_vectors_comes_back_under_a_load_that_never_rests() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(Arc::new(RealDisk), dir.path());
    options.params.vectors[0].index = Some(quoit_engine::HnswParams {
        m: 4,
        ef_construction: 32,
        ..quoit_engine::HnswParams::default()
    });
    options.upkeep.checkpoint_bytes = 100_000;
    let shard = Arc::new(Shard::open(options).await.unwrap());
    // The graph is always behind: there is more to write than to index, also
    // while one of the writers waits for its turn on a busy machine.
    let load: Vec<_> = (0..4)
        .map(|quarter| {
            let loaded = shard.clone();
            let all = quarter * 5000..(quarter + 1) * 5000;
            tokio::spawn(async move {
                for round in (1..u16::MAX).cycle() {
                    for first in all.clone().step_by(500) {
                        let points: Vec<_> = (first..first + 500).map(|n| (n, round)).collect();
                        loaded.write(upsert(&points)).await.unwrap();
                    }
                }
            })
        })
        .collect();
    let mut most = 0;
    let mut least_tail = u64::MAX;
    until("a segment to be removed", async || {
        let status = shard.status().await.unwrap();
        if status.points == 20_000 {
            least_tail = least_tail.min(status.tail);
        }
        most = most.max(status.segments);
        (status.segments < most).then_some(())
    })
    .await;
    assert!(least_tail > 0, "the load rested, so this shows nothing");
    for writer in load {
        writer.abort();
        assert!(writer.await.unwrap_err().is_cancelled());
    }
}
