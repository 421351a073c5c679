//! What a power cut leaves, with the log replayed, is all that was ever
//! acknowledged; and the test that shows it can fail.
//!
//! The log, in memory, is the durable truth. The simulated disk loses what was
//! not synced of vectors, graphs and manifests; of the row store, an image with
//! a cut journal takes its place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::SimDisk;
use quoit_engine::{
    Change, Engine, Entry, Error, Metric, Name, Operation, Params, Query, SaveGraph, Vector,
    VnodeWrite,
};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use support::journal::{self, Mark};
use support::{Rig, params, random, several, vnodes};

struct Powered {
    rig: Rig,
    disk: SimDisk,
    rng: StdRng,
    /// The row store is durable up to here.
    synced: Mark,
    /// The last checkpoint's answer: the log may be cut up to there.
    checkpointed: u64,
}

impl Powered {
    fn new(seed: u64, params: Params) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
        disk.leave_alone(&dir.path().join("replica/rows")).unwrap();
        let life = Arc::new(disk.until_cut());
        let rig = Rig::on(life, dir, params, &vnodes([0, 1, 2, 3]));
        let synced = journal::end(&rig.path().join("rows"));
        Self {
            rig,
            disk,
            rng: StdRng::seed_from_u64(seed),
            synced,
            checkpointed: 0,
        }
    }

    /// A random step; `false` once the power has failed.
    fn step(&mut self) -> bool {
        match self.rng.random_range(0..13) {
            0..=5 => {
                let count = self.rng.random_range(1..4);
                let entries = self.rig.random(&mut self.rng, 200, count);
                self.try_apply(entries)
            }
            6 | 7 => self.rig.engine().index_step().is_ok(),
            8 => self.rig.engine().reclaim_step().is_ok(),
            9 => self.checkpoint(SaveGraph::IfMuchIsNew),
            // A process that dies alone; what it wrote is not on the platter yet.
            10 => {
                self.rig.close();
                self.rig.open().is_ok()
            }
            _ => self.checkpoint(SaveGraph::IfAnythingIsNew),
        }
    }

    fn try_apply(&mut self, entries: Vec<Entry>) -> bool {
        let from = self.rig.log.len() as u64 + 1;
        let applied = self
            .rig
            .engine()
            .apply((from..).zip(entries.clone()).collect());
        // Durable in the log all the same.
        for entry in &entries {
            self.rig.model.apply(entry);
        }
        self.rig.log.extend(entries);
        applied.is_ok()
    }

    fn checkpoint(&mut self, save: SaveGraph) -> bool {
        let done = self.rig.engine().checkpoint(save);
        // One that failed may have come as far as to sync the rows.
        self.synced = journal::end(&self.rig.path().join("rows"));
        if let Ok(upto) = &done {
            self.checkpointed = *upto;
        }
        done.is_ok()
    }

    /// The rows are on the platter before the vectors that they name, as a store
    /// may choose to write them, or the kernel.
    fn rows_come_first(&mut self) {
        self.rig.engine().check_rows().unwrap();
        self.synced = journal::end(&self.rig.path().join("rows"));
    }

    fn cut_power(&mut self) {
        let rows = self.rig.path().join("rows");
        // Not below the simulated disk, which would lose it.
        let elsewhere = tempfile::tempdir().unwrap();
        let image = elsewhere.path().join("rows");
        journal::image(&rows, &image, &self.synced, &mut self.rng);
        self.rig.close();
        self.disk.cut_power().unwrap();
        std::fs::remove_dir_all(&rows).unwrap();
        std::fs::rename(&image, &rows).unwrap();
        self.rig.disk = Arc::new(self.disk.until_cut());
        self.rig.open().unwrap();
        self.synced = journal::end(&rows);
        let replay_from = self.rig.engine().replay_from();
        assert!(replay_from > self.checkpointed, "the log may be cut there");
    }
}

fn run(params: Params, seed: u64, lives: usize, forget_sync: bool) {
    let mut powered = Powered::new(seed, params);
    powered.disk.forget_sync(forget_sync);
    for _ in 0..lives {
        let steps = powered.rng.random_range(1..25);
        let mid_step = powered.rng.random_bool(0.5);
        if mid_step {
            let changes = powered.rng.random_range(1..40);
            powered.disk.lose_power_after(changes);
        }
        for _ in 0..steps {
            if !powered.step() {
                break;
            }
        }
        if powered.rig.is_open() && powered.rng.random_bool(0.5) {
            powered.rows_come_first();
        }
        powered.cut_power();
        powered.rig.check();
        powered.rig.check_ops();
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_the_log_has() {
    for seed in 0..12 {
        run(params(Metric::Euclid, 4), seed, 5, false);
    }
}

#[test]
fn a_power_cut_loses_none_of_the_several_vectors_of_a_point() {
    for seed in 20..32 {
        run(
            several(&[(Metric::Euclid, 3), (Metric::Cosine, 2)]),
            seed,
            5,
            false,
        );
    }
}

#[test]
fn vectors_copied_for_a_change_of_others_are_there_if_the_rows_that_name_them_are() {
    for seed in 0..8 {
        let mut powered = Powered::new(seed, several(&[(Metric::Euclid, 2), (Metric::Dot, 2)]));
        let vector = |name, x| Vector {
            name: Name(name),
            values: vec![x, 1.0],
        };
        let write = |n, change| {
            let operation = Operation::always(PointId::Num(n), change);
            Entry::Write(vec![VnodeWrite::once(Vnode(0), vec![operation])])
        };
        for n in 0..20 {
            let vectors = vec![vector(0, 2.0), vector(1, 3.0)];
            let payload = Vec::new();
            powered
                .rig
                .apply(write(n, Change::Upsert { vectors, payload }));
        }
        assert!(powered.checkpoint(SaveGraph::IfAnythingIsNew));
        for n in 0..20 {
            let set = Change::SetVectors(vec![vector(1, 4.0)]);
            powered.rig.apply(write(n, set));
        }
        powered.rows_come_first();
        powered.cut_power();
        powered.rig.check();
    }
}

#[test]
fn without_syncs_the_power_cut_test_finds_a_loss() {
    let loses = |seed| {
        catch_unwind(AssertUnwindSafe(|| {
            run(params(Metric::Euclid, 4), seed, 5, true);
        }))
        .is_err()
    };
    assert!((0..12).any(loses), "a disk that syncs nothing lost nothing");
}

/// Each of these points is found by its own vector, through the graph.
fn found_through_the_graph(engine: &Engine, vectors: &[Vec<f32>], numbers: &[u64]) {
    let view = engine.view();
    for number in numbers {
        let vector = vectors[usize::try_from(*number).unwrap()].clone();
        let query = Query {
            vector,
            limit: 1,
            ef: Some(200),
            ..Query::default()
        };
        let found = support::ids(&view, &vnodes([1]), query);
        assert_eq!(found, [PointId::Num(*number)]);
    }
}

#[test]
fn a_graph_that_survives_a_power_cut_means_the_same_points_after_the_replay() {
    for seed in 100..104 {
        let mut powered = Powered::new(seed, params(Metric::Euclid, 4));
        let vectors = random::clustered(&mut powered.rng, 2400, 4);
        for (first, part) in (0..).step_by(200).zip(vectors.chunks(200)) {
            powered.rig.apply(random::upserts(Vnode(1), first, part));
            powered.rig.engine().index_step().unwrap();
            if powered.rng.random_bool(0.3) {
                assert!(powered.checkpoint(SaveGraph::IfAnythingIsNew));
            }
        }
        powered.cut_power();
        powered.rig.check();
        let all: Vec<u64> = (0..2400).step_by(17).collect();
        found_through_the_graph(powered.rig.engine(), &vectors, &all);
        powered.rig.index_all();
        found_through_the_graph(powered.rig.engine(), &vectors, &all);
    }
}

#[test]
fn a_process_that_dies_with_small_memtables_comes_back_by_the_replay() {
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0, 1, 2, 3]));
        rig.tuning.memtable_bytes = 32 << 10;
        rig.reopen();
        for life in 0..4 {
            for _ in 0..rng.random_range(5..40) {
                for entry in rig.random(&mut rng, 300, 1) {
                    rig.apply(entry);
                }
            }
            if life % 2 == 0 {
                rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
            }
            for _ in 0..rng.random_range(5..40) {
                for entry in rig.random(&mut rng, 300, 1) {
                    rig.apply(entry);
                }
            }
            // A folder as a killed process leaves it, while its threads write.
            let (rows, image) = (rig.path().join("rows"), rig.dir.path().join("image"));
            let now = journal::end(&rows);
            journal::image(&rows, &image, &now, &mut rng);
            rig.close();
            std::fs::remove_dir_all(&rows).unwrap();
            std::fs::rename(&image, &rows).unwrap();
            rig.open().unwrap();
            rig.check_ops();
        }
    }
}

/// Points with payloads of several pages that no compression makes smaller.
fn bulky(rng: &mut StdRng, first: u64) -> Entry {
    let operations = (first..first + 3).map(|n| {
        let vector = random::coarse_vector(rng, 4);
        let payload = (0..20_000).map(|_| rng.random()).collect();
        Operation::upsert(PointId::Num(n), vector, payload)
    });
    Entry::Write(vec![VnodeWrite::once(Vnode(0), operations.collect())])
}

#[test]
fn a_page_lost_from_the_middle_of_the_row_stores_journal_is_replayed() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
    let rows = rig.path().join("rows");
    for round in 0..8 {
        rig.apply(bulky(&mut rng, round));
        rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
        let synced = journal::end(&rows);
        for first in 0..4 {
            rig.apply(bulky(&mut rng, first * 2));
        }
        rig.close();
        let pages = synced.pages_until(&journal::end(&rows));
        journal::lose_page(&rows, rng.random_range(pages));
        rig.open().unwrap();
        rig.check();
    }
}

#[test]
fn a_page_lost_from_what_was_synced_is_damage() {
    let mut rng = StdRng::seed_from_u64(6);
    for _ in 0..4 {
        let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0]));
        let rows = rig.path().join("rows");
        let empty = journal::end(&rows);
        for first in 0..4 {
            rig.apply(bulky(&mut rng, first * 2));
        }
        rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
        let pages = empty.pages_until(&journal::end(&rows));
        rig.close();
        journal::lose_page(&rows, rng.random_range(pages));
        let opened = rig.open();
        assert!(matches!(opened, Err(Error::Damaged { .. })), "{opened:?}");
    }
}
