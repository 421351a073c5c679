//! Damaged or missing files are a clear error, when opened or when read, and
//! never a wrong answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::SimDisk;
use quoit_engine::{Engine, Error, Metric, Name, Query, SaveGraph};
use quoit_filter::Filter;
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::faulty::Faulty;
use support::{Rig, params, random, vnodes, whole};

const STRIDE: usize = 4 * 4 + 36;

/// A closed replica of 3,000 points, all durable and in the graph.
fn closed() -> Rig {
    let mut rig = Rig::new(params(Metric::Euclid, 4), &vnodes([0]));
    let vectors = random::clustered(&mut StdRng::seed_from_u64(5), 3000, 4);
    rig.apply(random::upserts(Vnode(0), 0, &vectors));
    rig.index_all();
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig.close();
    rig
}

fn open(rig: &Rig) -> quoit_engine::Result<Engine> {
    support::open(&rig.disk, &rig.path(), &rig.params, rig.tuning)
}

fn refused(rig: &Rig) -> String {
    match open(rig) {
        Ok(_) => panic!("a damaged replica was opened"),
        Err(error @ Error::Damaged { .. }) => error.to_string(),
        Err(other) => panic!("not called damage: {other:?}"),
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn file_with(rig: &Rig, extension: &str) -> PathBuf {
    let files = support::files(&rig.path());
    let is_it = |p: &PathBuf| p.extension().is_some_and(|e| e == extension);
    files.into_iter().find(is_it).unwrap()
}

#[test]
fn a_flipped_bit_anywhere_in_a_slot_is_found_when_it_is_read() {
    for byte in [0, 7, 15, 16, 24, 26, 27, 35, 43, 44, 51] {
        let rig = closed();
        let number = 17;
        flip(&rig.segment_files()[0], number * STRIDE + byte);
        let engine = open(&rig).unwrap();
        let view = engine.view();
        let id = (PointId::Num(number as u64), Vnode(0));
        let others = (PointId::Num(18), Vnode(0));
        assert_eq!(view.retrieve(&[others], whole()).unwrap().found.len(), 1);
        let reads = [
            view.retrieve(&[id], whole()).map(drop),
            view.scroll(&vnodes([0]), &Filter::default(), None, 100, whole())
                .map(drop),
            view.search(&vnodes([0]), &[query(&rig, number, true)])
                .map(drop),
            view.search(&vnodes([0]), &[query(&rig, number, false)])
                .map(drop),
        ];
        for read in reads {
            assert!(
                matches!(read, Err(Error::Damaged { .. })),
                "byte {byte}: {read:?}"
            );
        }
    }
}

fn query(rig: &Rig, number: usize, exact: bool) -> Query {
    let key = (PointId::Num(number as u64), Vnode(0));
    Query {
        vector: rig.model.points[&key].vectors[&Name(0)].clone(),
        limit: 5,
        exact,
        ..Query::default()
    }
}

#[test]
fn a_flipped_bit_in_the_graph_its_slots_or_the_manifest_is_found_at_open() {
    let mut rng = StdRng::seed_from_u64(9);
    for extension in ["graph", "slots"] {
        for _ in 0..4 {
            let rig = closed();
            let path = file_with(&rig, extension);
            let len = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
            flip(&path, rng.random_range(0..len));
            let message = refused(&rig);
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
    }
    let rig = closed();
    let path = rig.path().join("manifest");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len() - 1).step_by(7) {
        fs::write(&path, &whole).unwrap();
        flip(&path, at);
        refused(&rig);
        fs::write(&path, &whole[..at]).unwrap();
        refused(&rig);
    }
    fs::write(&path, whole).unwrap();
    open(&rig).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let rig = closed();
    for path in [
        rig.segment_files()[0].clone(),
        file_with(&rig, "graph"),
        file_with(&rig, "slots"),
    ] {
        let elsewhere = rig.dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        let message = refused(&rig);
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        assert!(message.contains("missing"), "{message}");
        assert!(!path.exists(), "nothing was created in its place");
        fs::rename(&elsewhere, &path).unwrap();
    }
    open(&rig).unwrap();
}

#[test]
fn missing_rows_are_found_by_the_manifest() {
    let rig = closed();
    fs::remove_dir_all(rig.path().join("rows")).unwrap();
    for _ in 0..2 {
        let message = refused(&rig);
        assert!(message.contains("the rows end at entry 0"), "{message}");
    }
}

#[test]
fn a_segment_of_another_dimension_and_a_foreign_file_are_refused() {
    let rig = closed();
    let narrow = params(Metric::Euclid, 3);
    let opened = support::open(&rig.disk, &rig.path(), &narrow, rig.tuning);
    assert!(matches!(opened.map(drop), Err(Error::Damaged { .. })));
    fs::write(rig.path().join("vectors/notes.txt"), "mine").unwrap();
    assert!(refused(&rig).contains("notes.txt"));
}

#[test]
fn a_segment_that_was_cut_is_found_when_it_is_read() {
    let rig = closed();
    let file = fs::File::options()
        .write(true)
        .open(&rig.segment_files()[0])
        .unwrap();
    file.set_len(100 * STRIDE as u64).unwrap();
    let engine = open(&rig).unwrap();
    let read = engine.view().search(&vnodes([0]), &[query(&rig, 50, true)]);
    assert!(matches!(read, Err(Error::Damaged { .. })));
}

#[test]
fn a_checkpoint_that_failed_at_its_very_end_is_not_overwritten_by_the_next_try() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    sim.leave_alone(&dir.path().join("replica/rows")).unwrap();
    let disk = Arc::new(Faulty::new(sim));
    let mut rig = Rig::on(disk.clone(), dir, params(Metric::Dot, 4), &vnodes([0]));
    let mut rng = StdRng::seed_from_u64(2);
    for (first, failing) in [(0, None), (1000, Some(1)), (2000, Some(0))] {
        let vectors = random::clustered(&mut rng, 500, 4);
        rig.apply(random::upserts(Vnode(0), first, &vectors));
        rig.index_all();
        if let Some(nth) = failing {
            disk.fail_sync_dir(nth);
        }
        let made = rig.engine().checkpoint(SaveGraph::IfAnythingIsNew);
        assert_eq!(made.is_err(), failing.is_some());
    }
    rig.reopen();
    rig.check();
    assert_eq!(
        rig.view().tail(),
        500,
        "the graph of the second try is there"
    );
}
