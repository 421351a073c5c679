//! A power cut at any step of an install, and of what puts it in the place of the live
//! replica, leaves one of the two whole.
//!
//! The folders of rows are left alone by the simulated disk: the row store does its own
//! input and output, and is closed after a sync.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_disk::SimDisk;
use quoit_engine::{Entry, Metric, SaveGraph};
use quoit_ring::Vnode;
use rand::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use support::model::Model;
use support::snapshot::install;
use support::{Rig, files, open, params, random, vnodes};

struct Powered {
    target: Rig,
    disk: SimDisk,
    path: PathBuf,
    old: (Vec<Entry>, Model),
}

impl Powered {
    /// A closed replica with a checkpoint.
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(dir.path().to_owned(), seed).unwrap();
        for suffix in ["", ".incoming", ".old"] {
            let rows = dir.path().join(format!("replica{suffix}/rows"));
            disk.leave_alone(&rows).unwrap();
        }
        let life = Arc::new(disk.until_cut());
        let mut target = Rig::on(life, dir, params(Metric::Dot, 4), &vnodes([0]));
        target.apply(random::upserts(Vnode(0), 5, &vec![vec![1.0; 4]; 300]));
        target.index_all();
        let engine = target.engine();
        engine.checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
        target.close();
        Self {
            path: target.path(),
            old: (target.log.clone(), target.model.clone()),
            target,
            disk,
        }
    }

    fn cut_power(&mut self) {
        self.disk.cut_power().unwrap();
        self.target.disk = Arc::new(self.disk.until_cut());
    }

    /// Opens what is there, whole; says whether it is the new one.
    fn open(&mut self, new: &Rig) -> bool {
        let Rig {
            disk,
            params,
            tuning,
            ..
        } = &self.target;
        let engine = open(disk, &self.path, params, *tuning).unwrap();
        let is_new = engine.applied() == new.log.len() as u64;
        let log = if is_new { &new.log } else { &self.old.0 };
        // What the log had before that is cut.
        assert_eq!(engine.replay_from(), log.len() as u64 + 1);
        drop(engine);
        (self.target.log, self.target.model) = if is_new {
            (new.log.clone(), new.model.clone())
        } else {
            self.old.clone()
        };
        self.target.open().unwrap();
        self.target.check_ops();
        assert_eq!(
            files(self.target.dir.path()),
            std::slice::from_ref(&self.path)
        );
        is_new
    }
}

/// A replica with all sorts of parts.
fn source() -> Rig {
    let mut rig = Rig::new(params(Metric::Dot, 4), &vnodes([0, 1]));
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..30 {
        for entry in rig.random(&mut rng, 60, 1) {
            rig.apply(entry);
        }
    }
    let vectors = random::clustered(&mut rng, 500, 4);
    rig.apply(random::upserts(Vnode(0), 1000, &vectors));
    rig.index_all();
    rig.engine().checkpoint(SaveGraph::IfAnythingIsNew).unwrap();
    rig
}

#[test]
fn a_power_cut_at_any_step_of_an_install_leaves_the_old_replica_or_the_new_one() {
    let rig = source();
    let export = rig.engine().export(17, 0).unwrap();
    let mut seen = [0; 2];
    for cut_at in 0.. {
        let mut powered = Powered::new(cut_at);
        powered.disk.lose_power_after(cut_at);
        let life = powered.target.disk.clone();
        let done = install(&export, &life, &powered.path, &rig.params);
        powered.cut_power();
        // And at any step of what goes on from there.
        powered.disk.lose_power_after(cut_at % 7);
        let Rig {
            disk,
            params,
            tuning,
            ..
        } = &powered.target;
        drop(open(disk, &powered.path, params, *tuning));
        powered.cut_power();
        let is_new = powered.open(&rig);
        seen[usize::from(is_new)] += 1;
        if done.is_ok() {
            assert!(is_new, "it was said to be there");
            break;
        }
    }
    assert!(seen[0] > 10 && seen[1] > 1, "{seen:?}");
}

#[test]
fn a_replica_that_was_said_to_be_there_is_there_after_a_power_cut() {
    let rig = source();
    let export = rig.engine().export(17, 0).unwrap();
    for seed in 100..110 {
        let mut powered = Powered::new(seed);
        let life = powered.target.disk.clone();
        install(&export, &life, &powered.path, &rig.params).unwrap();
        powered.cut_power();
        assert!(powered.open(&rig));
    }
}
