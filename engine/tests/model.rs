//! The engine against a model, under random entries and steps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_engine::{Metric, Params, SaveGraph, View};
use rand::prelude::*;
use std::sync::Arc;
use support::model::{Again, Model};
use support::{Rig, params, random, several, vnodes};

/// Random entries, steps and restarts; after each the engine is the model, and
/// so are old views with the model of their time. Says how often writes were tried
/// again.
fn run(params: &Params, seed: u64, steps: usize) -> Again {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new(params.clone(), &vnodes([0, 1, 2, 4, 9]));
    rig.tuning.index_batch = 16;
    rig.tuning.memtable_bytes = 64 << 10;
    rig.reopen();
    let mut pinned: Vec<(Arc<View>, Model)> = Vec::new();
    for step in 0..steps {
        match rng.random_range(0..20) {
            0..=9 => {
                let count = rng.random_range(1..4);
                let entries = rig.random(&mut rng, 60, count);
                rig.apply_all(entries);
            }
            10 | 11 => drop(rig.engine().index_step().unwrap()),
            12 => drop(rig.engine().fill_step().unwrap()),
            13 => checkpoint(&rig, SaveGraph::IfMuchIsNew),
            14 => checkpoint(&rig, SaveGraph::IfAnythingIsNew),
            15 => drop(rig.engine().reclaim_step().unwrap()),
            16 | 17 => pinned.push((rig.view(), rig.model.clone())),
            18 => {
                if let Some((view, model)) = pinned.pop() {
                    model.check(&view);
                }
            }
            _ => {
                // A view keeps its engine's store open.
                for (view, model) in pinned.drain(..) {
                    model.check(&view);
                }
                rig.reopen();
                rig.check_ops();
            }
        }
        if step % 3 == 0 {
            rig.check();
            for filter in random::filters(&mut rng, 60) {
                rig.model.check_filtered(&rig.view(), &filter);
            }
        }
    }
    for (view, model) in pinned {
        model.check(&view);
    }
    rig.check();
    rig.reopen();
    rig.check();
    rig.check_ops();
    rig.model.again
}

fn checkpoint(rig: &Rig, save: SaveGraph) {
    let upto = rig.engine().checkpoint(save).unwrap();
    assert_eq!(upto, rig.log.len() as u64);
    assert_eq!(rig.engine().replay_from(), upto + 1);
}

/// As [`run`], for several seeds.
fn run_all(params: &Params, seeds: std::ops::Range<u64>) {
    let mut sum = Again::default();
    for seed in seeds {
        let Again {
            known,
            new,
            forgotten,
        } = run(params, seed, 120);
        sum.known += known;
        sum.new += new;
        sum.forgotten += forgotten;
    }
    let all = [sum.known, sum.new, sum.forgotten];
    assert!(all.iter().all(|count| *count > 5), "{sum:?}");
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_cosine() {
    run_all(&params(Metric::Cosine, 5), 0..3);
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_dot_product() {
    run_all(&params(Metric::Dot, 5), 10..13);
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_euclidean_distance() {
    run_all(&params(Metric::Euclid, 5), 20..23);
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_manhattan_distance() {
    run_all(&params(Metric::Manhattan, 5), 30..33);
}

#[test]
fn an_engine_whose_points_have_several_vectors_is_its_model() {
    let three = [(Metric::Cosine, 3), (Metric::Euclid, 5), (Metric::Dot, 1)];
    run_all(&several(&three), 40..46);
}
