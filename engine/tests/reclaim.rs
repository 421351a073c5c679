//! The room of vectors that were replaced or deleted comes back, and nothing
//! else goes with it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_disk::SimDisk;
use quoit_engine::{Change, Entry, FillStep, Metric, Operation, SaveGraph, VnodeWrite};
use quoit_filter::{Condition, Edit, Filter, Scalar, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::sync::Arc;
use support::{Rig, journal, params, random, vnodes};

fn write(rig: &mut Rig, rng: &mut StdRng, first: u64, count: usize) {
    let vectors = random::clustered(rng, count, 4);
    for (first, part) in (first..).step_by(2000).zip(vectors.chunks(2000)) {
        rig.apply(random::upserts(Vnode(0), first, part));
    }
}

/// Index, checkpoint and reclaim until nothing is left to do.
fn settle(rig: &Rig) -> usize {
    let mut removed = 0;
    for _ in 0..4 {
        rig.index_all();
        rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
        removed += rig.reclaim_all();
    }
    removed
}

fn quick(rig: &mut Rig) {
    rig.tuning.index_batch = 4096;
    let vector = &mut rig.params.vectors[0];
    vector.index = vector.index.map(|p| quoit_engine::HnswParams {
        m: 4,
        ef_construction: 16,
        ..p
    });
    rig.reopen();
}

#[test]
fn overwritten_segments_disappear_and_their_numbers_are_used_again() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    quick(&mut rig);
    let mut rng = StdRng::seed_from_u64(1);
    write(&mut rig, &mut rng, 0, 26_000);
    assert_eq!(rig.segment_files().len(), 4);
    settle(&rig);
    let (old_view, old_model) = (rig.view(), rig.model.clone());
    // All but every fifth is written again.
    for first in (0..26_000).step_by(500) {
        write(&mut rig, &mut rng, first, 400);
    }
    assert_eq!(rig.segment_files().len(), 6);
    let before = rig.segment_files();
    assert!(settle(&rig) >= 3);
    rig.check();
    let after = rig.segment_files();
    assert!(after.len() <= 5, "{after:?}");
    assert!(before.iter().any(|p| !after.contains(p)));
    old_model.check(&old_view);
    // The old view still reads from the removed files: their numbers rest.
    write(&mut rig, &mut rng, 100_000, 9000);
    old_model.check(&old_view);
    drop(old_view);
    write(&mut rig, &mut rng, 200_000, 18_000);
    rig.check();
    assert!(
        rig.segment_files().contains(&before[0]),
        "number 0 is used again"
    );
    rig.index_all();
    rig.check();
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.reopen();
    rig.check();
}

#[test]
fn an_empty_segment_stays_until_a_checkpoint_holds_the_rows_that_emptied_it() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.params.vectors[0].index = None;
    rig.reopen();
    let mut rng = StdRng::seed_from_u64(1);
    write(&mut rig, &mut rng, 0, 9000);
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    write(&mut rig, &mut rng, 0, 8192);
    assert_eq!(rig.reclaim_all(), 0);
    assert_eq!(rig.segment_files().len(), 3);
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    assert_eq!(rig.reclaim_all(), 1);
    rig.check();
}

#[test]
fn an_empty_segment_stays_while_a_graph_in_use_or_saved_has_a_slot_of_it() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    quick(&mut rig);
    let mut rng = StdRng::seed_from_u64(1);
    write(&mut rig, &mut rng, 0, 9000);
    write(&mut rig, &mut rng, 0, 8000);
    rig.index_all();
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    // The last 192 live ones of the first segment: dead in both graphs.
    write(&mut rig, &mut rng, 8000, 192);
    assert_eq!(rig.reclaim_all(), 0);
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    assert_eq!(rig.reclaim_all(), 0, "the graph in use has slots of it");
    rig.index_all();
    assert_eq!(rig.reclaim_all(), 0, "the saved graph has slots of it");
    // Little is new in the graph, but a segment waits for its saving.
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    assert_eq!(rig.reclaim_all(), 1);
    rig.check();
    rig.reopen();
    rig.check();
}

#[test]
fn an_empty_segment_of_which_a_small_graph_has_slots_goes_once_it_is_built_anew() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    let mut rng = StdRng::seed_from_u64(1);
    write(&mut rig, &mut rng, 0, 8300);
    rig.apply(random::deletes(Vnode(0), 0..8000));
    rig.index_all();
    rig.apply(random::deletes(Vnode(0), 8000..8192));
    for _ in 0..2 {
        assert_eq!(rig.reclaim_all(), 0, "the graph in use has slots of it");
        rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    }
    rig.index_all();
    assert_eq!(rig.reclaim_all(), 1);
    rig.check();
    rig.reopen();
    rig.check();
}

#[test]
fn reclaim_at_any_moment_survives_a_power_cut() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
        let rows = dir.path().join("replica/rows");
        disk.leave_alone(&rows).unwrap();
        let life = Arc::new(disk.until_cut());
        let mut rig = Rig::on(life, dir, params(Metric::Euclid, 4), &vnodes([0]));
        quick(&mut rig);
        if seed > 0 {
            // Without a graph nothing but the rows keeps a segment.
            rig.params.vectors[0].index = None;
            rig.reopen();
        }
        let mut rng = StdRng::seed_from_u64(seed);
        write(&mut rig, &mut rng, 0, 9000);
        let mut synced = journal::end(&rows);
        for _ in 0..4 {
            let first = rng.random_range(0..3000);
            write(&mut rig, &mut rng, first, 6000);
            if rng.random_bool(0.7) {
                disk.lose_power_after(rng.random_range(1..120));
            }
            // Until the power fails, if it does.
            for _ in 0..rng.random_range(1..40) {
                let engine = rig.engine();
                let ok = match rng.random_range(0..4) {
                    0 => {
                        let made = engine.checkpoint(SaveGraph::IfAnythingIsNew);
                        synced = journal::end(&rows);
                        made.is_ok()
                    }
                    1 => engine.index_step().is_ok(),
                    _ => engine.reclaim_step().is_ok(),
                };
                if !ok {
                    break;
                }
            }
            let elsewhere = tempfile::tempdir().unwrap();
            let image = elsewhere.path().join("rows");
            journal::image(&rows, &image, &synced, &mut rng);
            rig.close();
            disk.cut_power().unwrap();
            std::fs::remove_dir_all(&rows).unwrap();
            std::fs::rename(&image, &rows).unwrap();
            rig.disk = Arc::new(disk.until_cut());
            rig.open().unwrap();
            synced = journal::end(&rows);
            rig.check();
        }
        settle(&rig);
        rig.check();
    }
}

#[test]
fn indexes_find_points_whose_vectors_were_moved() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.params.vectors[0].index = None;
    rig.reopen();
    let mut rng = StdRng::seed_from_u64(1);
    write(&mut rig, &mut rng, 0, 9000);
    let numbered = (0..100).map(|n| {
        let edit = Edit::Replace(format!("{{\"n\": {n}}}"));
        Operation::always(PointId::Num(8100 + n), Change::EditPayload(edit))
    });
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        numbered.collect(),
    )]));
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: [("n".parse().unwrap(), Kind::Integer)].into(),
    }));
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    // The last ones of the first segment, these among them, are to be moved.
    write(&mut rig, &mut rng, 0, 8050);
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    let before = rig.view().segment_count();
    rig.reclaim_all();
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    assert!(rig.reclaim_all() > 0 && rig.view().segment_count() < before);
    for filter in random::filters(&mut rng, 9000) {
        rig.model.check_filtered(&rig.view(), &filter);
    }
}

#[test]
fn a_slot_that_is_used_again_for_a_moved_vector_is_not_taken_for_the_saved_indexes_former_one() {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.params.vectors[0].index = None;
    rig.reopen();
    let mut rng = StdRng::seed_from_u64(1);
    rig.apply(Entry::SetSchema(Schema {
        number: 1,
        fields: [("n".parse().unwrap(), Kind::Integer)].into(),
    }));
    // The first slot of the first segment is the only live one there, and the last
    // segment lacks a few to be full.
    write(&mut rig, &mut rng, 0, 8192);
    write(&mut rig, &mut rng, 10_000, 8192);
    write(&mut rig, &mut rng, 1, 8191);
    write(&mut rig, &mut rng, 40_000, 3 * 8192);
    write(&mut rig, &mut rng, 20_000, 8187);
    let edit = Edit::Replace("{\"n\": 3}".into());
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        vec![Operation::always(
            PointId::Num(0),
            Change::EditPayload(edit),
        )],
    )]));
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.apply(random::deletes(Vnode(0), [0]));
    assert_eq!(rig.reclaim_all(), 0);
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    assert_eq!(rig.reclaim_all(), 1);
    // The second segment comes to be mostly dead, and the last one full.
    rig.apply(random::deletes(Vnode(0), 10_000..14_100));
    write(&mut rig, &mut rng, 30_000, 6);
    rig.engine().reclaim_step().unwrap();
    rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap();
    rig.reopen();
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    let is_three = Filter {
        must: vec![Condition::Field {
            path: "n".parse().unwrap(),
            test: Test::Value(Scalar::Integer(3)),
        }],
        ..Filter::default()
    };
    rig.model.check_filtered(&rig.view(), &is_three);
}
