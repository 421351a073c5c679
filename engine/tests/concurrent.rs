//! Readers beside a writer and the steps: what one view shows is whole.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_engine::Metric;
use quoit_engine::{Query, SaveGraph, View};
use quoit_ring::{PointId, Vnode, VnodeSet};
use rand::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use support::{Rig, ids, params, random, scroll_all, vnodes};

/// Points of vnode 0 rest, those of vnode 1 change all the time.
fn check_view(view: &View, all: &VnodeSet, resting: &[Vec<f32>], rng: &mut StdRng) {
    let records = scroll_all(view, all, 211);
    let count = view.count(all);
    assert!(count.not_here.is_empty());
    assert_eq!(records.len() as u64, count.found);
    assert_eq!(view.points(), count.found);
    let different: BTreeSet<_> = records.iter().map(|r| r.id).collect();
    assert_eq!(different.len(), records.len());
    let number = rng.random_range(0..resting.len());
    for exact in [true, false] {
        let query = Query {
            vector: resting[number].clone(),
            limit: 8,
            ef: Some(128),
            exact,
            ..Query::default()
        };
        let found = ids(view, all, query);
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], PointId::Num(number as u64), "exact: {exact}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 8);
    }
}

#[test]
fn every_view_is_whole_while_points_are_written_indexed_saved_and_reclaimed() {
    let mut rig = Rig::new(params(Metric::Euclid, 6), &vnodes([0, 1]));
    let all = vnodes([0, 1]);
    let mut rng = StdRng::seed_from_u64(3);
    let resting = random::clustered(&mut rng, 1200, 6);
    rig.apply(random::upserts(Vnode(0), 0, &resting));
    let entries: Vec<_> = (0..90)
        .map(|round: u64| {
            let first = 10_000 + rng.random_range(0..900);
            if round % 4 == 3 {
                random::deletes(Vnode(1), first..first + 100)
            } else {
                random::upserts(Vnode(1), first, &random::clustered(&mut rng, 100, 6))
            }
        })
        .collect();
    let (stop, views) = (AtomicBool::new(false), AtomicU32::new(0));
    let engine = rig.engine();
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (stop, views, all, resting) = (&stop, &views, &all, &resting);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(reader);
                while !stop.load(Ordering::Relaxed) {
                    check_view(&engine.view(), all, resting, &mut rng);
                    views.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let writer = scope.spawn(|| {
            for (index, entry) in (engine.applied() + 1..).zip(entries.clone()) {
                engine.apply(vec![(index, entry)]).unwrap();
            }
        });
        let mut rounds = 0;
        while !writer.is_finished() || views.load(Ordering::Relaxed) < 20 {
            engine.index_step().unwrap();
            engine.reclaim_step().unwrap();
            if rounds % 8 == 0 {
                engine.checkpoint(SaveGraph::IfMuchIsNew).unwrap();
            }
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    for entry in entries {
        rig.model.apply(&entry);
        rig.log.push(entry);
    }
    rig.check();
    rig.reopen();
    rig.check();
}
