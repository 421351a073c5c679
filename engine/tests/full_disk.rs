//! A disk without room refuses and changes nothing; with room again, the same
//! goes through.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::{SimDisk, sim::Op};
use quoit_engine::{Metric, SaveGraph};
use quoit_ring::Vnode;
use rand::prelude::*;
use std::io::ErrorKind;
use std::sync::Arc;
use support::{Rig, params, random, vnodes};

const SLOTS_PER_SEGMENT: usize = 8192;

fn rig() -> (Rig, SimDisk) {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    disk.leave_alone(&dir.path().join("replica/rows")).unwrap();
    let rig = Rig::on(
        Arc::new(disk.clone()),
        dir,
        params(Metric::Dot, 4),
        &vnodes([0, 1]),
    );
    (rig, disk)
}

fn fill(rig: &mut Rig, points: usize) {
    let mut rng = StdRng::seed_from_u64(3);
    let vectors = random::clustered(&mut rng, points, 4);
    for (first, part) in (0..).step_by(1000).zip(vectors.chunks(1000)) {
        rig.apply(random::upserts(Vnode(0), first, part));
    }
}

#[test]
fn a_write_that_finds_no_room_changes_nothing_and_succeeds_once_there_is_some() {
    let (mut rig, disk) = rig();
    fill(&mut rig, SLOTS_PER_SEGMENT - 3);
    let vectors = vec![vec![1.0, 2.0, 3.0, 4.0]; 10];
    // Across the end of the first segment: the second finds no room.
    let entries = vec![
        random::deletes(Vnode(0), 0..5),
        random::upserts(Vnode(1), 5_000_000, &vectors),
    ];
    disk.set_free(1000);
    for _ in 0..3 {
        let error = rig.try_apply(entries.clone()).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        rig.check();
    }
    // What is there can still be read after a restart, without any room.
    rig.reopen();
    rig.check();
    disk.set_free(u64::MAX);
    rig.apply_all(entries);
    rig.check();
    rig.reopen();
    rig.check();
    assert_eq!(rig.segment_files().len(), 2);
}

#[test]
fn a_batch_that_fails_behind_a_segments_end_leaves_no_segment_for_good() {
    let (mut rig, disk) = rig();
    fill(&mut rig, SLOTS_PER_SEGMENT - 3);
    // The second segment is created, the write of a later vector fails.
    let vectors = vec![vec![1.0, 2.0, 3.0, 4.0]; 5];
    let entry = random::upserts(Vnode(1), 5_000_000, &vectors);
    disk.fail_next(Op::SyncDir, ErrorKind::StorageFull);
    assert!(
        rig.try_apply(vec![entry.clone()])
            .unwrap_err()
            .is_disk_full()
    );
    rig.check();
    rig.apply(entry);
    rig.check();
    rig.index_all();
    for _ in 0..2 {
        rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
        rig.reclaim_all();
    }
    assert_eq!(rig.segment_files().len(), 2);
    rig.check();
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_the_former_one_good() {
    let (mut rig, disk) = rig();
    fill(&mut rig, 3000);
    rig.index_all();
    let good = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.apply(random::deletes(Vnode(0), 0..100));
    rig.apply(random::upserts(Vnode(0), 9000, &vec![vec![1.0; 4]; 300]));
    rig.index_all();
    for op in [Op::Open, Op::WriteAt, Op::SetLen, Op::Rename, Op::SyncDir] {
        disk.fail_next(op, ErrorKind::StorageFull);
        let made = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew);
        assert!(made.unwrap_err().is_disk_full(), "{op:?}");
        rig.check();
    }
    assert_eq!(rig.engine().replay_from(), good + 1);
    rig.reopen();
    rig.check();
    rig.index_all();
    let upto = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    assert_eq!(upto, rig.log.len() as u64);
    rig.reopen();
    assert_eq!(rig.view().tail(), 0);
    rig.check();
}

#[test]
fn a_checkpoint_without_room_for_the_graph_is_made_without_it_and_the_log_can_be_cut() {
    let (mut rig, disk) = rig();
    fill(&mut rig, 3000);
    rig.index_all();
    disk.set_free(1000);
    let upto = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    assert_eq!(upto, rig.log.len() as u64);
    disk.set_free(u64::MAX);
    rig.reopen();
    assert_eq!(rig.engine().replay_from(), upto + 1);
    assert_eq!(rig.view().tail(), 3000, "no graph was saved");
    rig.check();
}

#[test]
fn after_a_sync_that_failed_no_checkpoint_is_believed_until_the_log_is_replayed() {
    let (mut rig, disk) = rig();
    fill(&mut rig, 500);
    let good = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.apply(random::upserts(Vnode(0), 9000, &vec![vec![1.0; 4]; 300]));
    disk.fail_next(Op::Sync, ErrorKind::Other);
    for _ in 0..2 {
        assert!(rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).is_err());
        assert_eq!(rig.engine().replay_from(), good + 1);
    }
    assert!(rig.engine().reclaim_step().is_err());
    rig.close();
    disk.cut_power().unwrap();
    rig.open().unwrap();
    rig.check();
    let upto = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    assert_eq!(upto, rig.log.len() as u64);
    rig.close();
    disk.cut_power().unwrap();
    rig.open().unwrap();
    rig.check();
}
