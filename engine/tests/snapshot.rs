//! A replica copied by an export and an install is the one that was exported, and
//! goes on from there as the one that it was copied from.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_columns::{Kind, Schema};
use quoit_engine::{
    Change, Entry, Export, FillStep, IndexStep, Metric, Operation, Params, SaveGraph, VnodeWrite,
};
use quoit_filter::Edit;
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::snapshot::{assert_alike, begin, copied, step};
use support::{Rig, files, params, random, several, vnodes};

/// A payload index of one field.
fn integers() -> Schema {
    Schema {
        number: 1,
        fields: [("n".parse().unwrap(), Kind::Integer)].into(),
    }
}

fn checkpoint(rig: &Rig) {
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
}

fn export(rig: &Rig) -> Export {
    rig.engine().export(1, 0).unwrap()
}

fn write(rig: &mut Rig, rng: &mut StdRng, first: u64, count: usize) {
    let vectors = random::clustered(rng, count, 4);
    for (first, part) in (first..).step_by(1000).zip(vectors.chunks(1000)) {
        rig.apply(random::upserts(Vnode(0), first, part));
    }
}

/// The copy, which has applied what was exported, applies what came since. Then it
/// knows as well as its source what came of the last writes.
fn catch_up(copy: &mut Rig, source: &mut Rig) {
    copy.check();
    let since = source.log[copy.log.len()..].to_vec();
    for entry in since {
        copy.apply(entry);
    }
    copy.check();
    let again = source.model.all_again();
    source.apply(again.clone());
    copy.apply(again);
    copy.check();
    assert_alike(copy, source);
}

fn random_step(rig: &mut Rig, rng: &mut StdRng) {
    match rng.random_range(0..16) {
        0..=7 => {
            let count = rng.random_range(1..4);
            let entries = rig.random(rng, 60, count);
            rig.apply_all(entries);
        }
        8 | 9 => drop(rig.engine().index_step().unwrap()),
        10 | 11 => drop(rig.engine().fill_step().unwrap()),
        12 => drop(rig.engine().checkpoint(SaveGraph::IfMuchIsNew).unwrap()),
        13 => checkpoint(rig),
        14 => rig.reopen(),
        _ => drop(rig.engine().reclaim_step().unwrap()),
    }
}

/// Random entries and steps, and an export somewhere, which is read while others go on.
fn run(params: &Params, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new(params.clone(), &vnodes([0, 1, 2, 4, 9]));
    rig.tuning.index_batch = 16;
    for _ in 0..rng.random_range(0..80) {
        random_step(&mut rig, &mut rng);
    }
    let export = export(&rig);
    assert_eq!(export.applied(), rig.log.len() as u64);
    for _ in 0..30 {
        random_step(&mut rig, &mut rng);
    }
    let mut copy = copied(&export, params, &rig.log, &mut rng);
    assert!(copy.view().tail() <= copy.view().vectors());
    drop(export);
    for filter in random::filters(&mut rng, 60) {
        copy.model.check_filtered(&copy.view(), &filter);
    }
    catch_up(&mut copy, &mut rig);
    copy.index_all();
    while copy.engine().fill_step().unwrap() != FillStep::Idle {}
    copy.reopen();
    for filter in random::filters(&mut rng, 60) {
        copy.model.check_filtered(&copy.view(), &filter);
    }
    // A copy is as good a source.
    checkpoint(&copy);
    let export = copy.engine().export(2, 0).unwrap();
    catch_up(&mut copied(&export, params, &rig.log, &mut rng), &mut rig);
}

#[test]
fn a_copy_is_what_was_exported_whatever_is_done_meanwhile_and_goes_on_from_there() {
    for seed in 0..8 {
        run(&params(Metric::Cosine, 5), seed);
    }
}

#[test]
fn a_copy_has_all_of_the_several_vectors_of_a_point() {
    let three = [(Metric::Cosine, 3), (Metric::Euclid, 5), (Metric::Dot, 1)];
    for seed in 20..28 {
        run(&several(&three), seed);
    }
}

#[test]
fn an_empty_replica_is_copied_too() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    let export = export(&rig);
    write(&mut rig, &mut rng, 0, 100);
    let mut copy = copied(&export, &rig.params, &rig.log, &mut rng);
    assert_eq!(copy.view().points(), 0);
    catch_up(&mut copy, &mut rig);
}

#[test]
fn a_copy_indexes_only_what_the_saved_graph_lacks() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0]));
    write(&mut rig, &mut rng, 0, 3000);
    rig.index_all();
    checkpoint(&rig);
    write(&mut rig, &mut rng, 3000, 500);
    // In the graph, and not in the saved one.
    rig.index_all();
    rig.apply(random::deletes(Vnode(0), 0..10));
    let copy = copied(&export(&rig), &rig.params, &rig.log, &mut rng);
    assert_eq!(copy.view().tail(), 500);
    copy.check();
    checkpoint(&rig);
    let copy = copied(&export(&rig), &rig.params, &rig.log, &mut rng);
    assert_eq!(copy.view().tail(), 0);
    copy.check();
}

#[test]
fn payload_indexes_are_copied_as_the_last_checkpoint_has_them() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.apply(Entry::SetSchema(integers()));
    write(&mut rig, &mut rng, 0, 2000);
    while rig.engine().fill_step().unwrap() != FillStep::Idle {}
    checkpoint(&rig);
    let numbered = (0..100).map(|n| {
        let edit = Edit::Replace(format!("{{\"n\": {}}}", n % 6));
        Operation::always(PointId::Num(n), Change::EditPayload(edit))
    });
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        numbered.collect(),
    )]));
    let copy = copied(&export(&rig), &rig.params, &rig.log, &mut rng);
    let index = &copy.view().payload_indexes()[0];
    assert_eq!((index.points, index.is_complete), (1900, false));
    for _ in 0..2 {
        for filter in random::filters(&mut rng, 2000) {
            copy.model.check_filtered(&copy.view(), &filter);
        }
        while copy.engine().fill_step().unwrap() != FillStep::Idle {}
    }
    assert!(copy.view().payload_indexes()[0].is_complete);
}

#[test]
fn what_is_exported_stays_when_its_segments_are_emptied_removed_and_used_again() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.params.vectors[0].index = None;
    rig.reopen();
    write(&mut rig, &mut rng, 0, 20_000);
    checkpoint(&rig);
    let export = export(&rig);
    let before = rig.segment_files();
    for round in 0..3 {
        write(&mut rig, &mut rng, 0, 20_000);
        checkpoint(&rig);
        rig.reclaim_all();
        checkpoint(&rig);
        assert!(rig.reclaim_all() > 0, "round {round}");
    }
    assert!(
        rig.segment_files()
            .iter()
            .all(|path| !before.contains(path))
    );
    let mut copy = copied(&export, &rig.params, &rig.log, &mut rng);
    assert_eq!(copy.segment_files().len(), 3);
    drop(export);
    // Nothing rests any more.
    write(&mut rig, &mut rng, 0, 40_000);
    checkpoint(&rig);
    assert!(rig.segment_files().contains(&before[0]));
    catch_up(&mut copy, &mut rig);
}

#[test]
fn a_closed_engine_does_not_end_its_exports() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    write(&mut rig, &mut rng, 0, 500);
    rig.index_all();
    checkpoint(&rig);
    let names = files(&rig.path());
    let export = export(&rig);
    assert_eq!(files(&rig.path()), names, "a crash would leave a file");
    rig.close();
    std::fs::remove_dir_all(rig.path()).unwrap();
    copied(&export, &rig.params, &rig.log, &mut rng).check();
}

#[test]
fn an_engine_that_is_opened_anew_leaves_what_it_exported_as_it_was() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    write(&mut rig, &mut rng, 0, 10);
    let export = export(&rig);
    // In the slots that are exported; and the replay comes by them.
    let edits = (0..10).map(|n| {
        let edit = Edit::Replace("{\"n\": 1}".into());
        Operation::always(PointId::Num(n), Change::EditPayload(edit))
    });
    rig.apply(Entry::Write(vec![VnodeWrite::once(
        Vnode(0),
        edits.collect(),
    )]));
    rig.reopen();
    rig.check();
    let mut copy = copied(&export, &rig.params, &rig.log, &mut rng);
    catch_up(&mut copy, &mut rig);
}

#[test]
fn segments_without_visible_slots_are_left_out_unless_the_graph_uses_their_numbers() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    rig.tuning.index_batch = 4096;
    rig.tuning.index_threads = 2;
    rig.reopen();
    write(&mut rig, &mut rng, 0, 9000);
    rig.index_all();
    checkpoint(&rig);
    // Then all vectors are replaced until nothing is visible of the two segments that
    // the graph has, nor of a third one.
    for _ in 0..3 {
        write(&mut rig, &mut rng, 0, 9000);
    }
    let mut copy = copied(&export(&rig), &rig.params, &rig.log, &mut rng);
    let segments = |rig: &Rig| rig.segment_files().len();
    assert_eq!((segments(&rig), segments(&copy)), (5, 4));
    copy.check();
    // Into the one that was left out, first.
    write(&mut rig, &mut rng, 50_000, 18_000);
    catch_up(&mut copy, &mut rig);
    // No vector has come into a slot that the graph knows as another's.
    let view = copy.view();
    assert_eq!(view.tail(), view.vectors());
    copy.index_all();
    copy.check();
}

#[test]
fn segments_of_which_only_the_payload_indexes_know_slots_keep_their_numbers() {
    for is_indexed in [false, true] {
        let mut rng = StdRng::seed_from_u64(3);
        let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
        rig.params.vectors[0].index = None;
        rig.reopen();
        if is_indexed {
            rig.apply(Entry::SetSchema(integers()));
        }
        write(&mut rig, &mut rng, 0, 8192);
        while rig.engine().fill_step().unwrap() != FillStep::Idle {}
        checkpoint(&rig);
        write(&mut rig, &mut rng, 0, 8192);
        let copy = copied(&export(&rig), &rig.params, &rig.log, &mut rng);
        assert_eq!(copy.segment_files().len(), 1 + usize::from(is_indexed));
        copy.check();
        // And no longer than they must.
        while copy.engine().fill_step().unwrap() != FillStep::Idle {}
        copy.reclaim_all();
        checkpoint(&copy);
        assert_eq!(copy.reclaim_all(), usize::from(is_indexed));
        copy.check();
    }
}

#[test]
fn slots_behind_the_exported_ones_are_not_shown_and_are_given_out_by_the_copy() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0]));
    write(&mut rig, &mut rng, 0, 8190);
    let export = export(&rig);
    write(&mut rig, &mut rng, 20_000, 100);
    let mut copy = copied(&export, &rig.params, &rig.log, &mut rng);
    assert_eq!(copy.segment_files().len(), 1);
    assert_eq!(copy.view().points(), 8190);
    catch_up(&mut copy, &mut rig);
    assert_eq!(copy.segment_files().len(), 2);
    copy.reopen();
    copy.check();
}

#[test]
fn an_export_beside_writes_and_upkeep_in_other_threads_is_of_one_moment() {
    let mut rng = StdRng::seed_from_u64(9);
    let params = params(Metric::Cosine, 4);
    let mut rig = Rig::new(params.clone(), &vnodes([0, 1, 2, 4, 9]));
    let entries = rig.random(&mut rng, 400, 200);
    rig.apply_all(entries);
    checkpoint(&rig);
    let from = rig.log.len() as u64 + 1;
    let entries = rig.random(&mut rng, 400, 1500);
    let engine = rig.engine();
    let (done, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut exports = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (index, entry) in (from..).zip(&entries) {
                engine.apply(vec![(index, entry.clone())]).unwrap();
                // However fast this thread is, one comes in the middle.
                while index == from + 500 && made.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                while engine.index_step().unwrap() != IndexStep::Idle {}
                engine.fill_step().unwrap();
                engine.checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
                engine.reclaim_step().unwrap();
            }
        });
        while !done.load(Ordering::SeqCst) && exports.len() < 5 {
            let at = engine.applied();
            let export = engine.export(exports.len() as u64, 0).unwrap();
            assert!(export.applied() >= at);
            exports.push(export);
            made.store(exports.len(), Ordering::SeqCst);
            // Until something else is applied.
            while engine.applied() < at + 100 && !done.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
    });
    for entry in &entries {
        rig.model.apply(entry);
    }
    rig.log.extend(entries);
    rig.check();
    let indexes: Vec<u64> = exports.iter().map(Export::applied).collect();
    assert!(
        indexes
            .iter()
            .any(|i| *i > from && *i < rig.log.len() as u64),
        "{indexes:?}"
    );
    for export in exports {
        catch_up(&mut copied(&export, &params, &rig.log, &mut rng), &mut rig);
    }
}

#[test]
fn a_chunk_asked_for_again_is_the_same_and_a_lost_answer_costs_one_chunk() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    write(&mut rig, &mut rng, 0, 1000);
    let export = export(&rig);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica");
    let mut install = begin(&rig.disk, &path, &rig.params, export.manifest()).unwrap();
    while let Some(at) = install.wants() {
        let chunk = export.read(at, 500).unwrap();
        rig.apply(random::deletes(Vnode(0), [at.offset]));
        assert_eq!(export.read(at, 500).unwrap(), chunk);
        let larger = export.read(at, 5000).unwrap();
        assert_eq!(larger.bytes[..chunk.bytes.len()], chunk.bytes);
        assert!(step(&export, &mut install, &mut rng));
    }
    install.finish().unwrap();
}
