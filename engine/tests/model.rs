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
use support::model::Model;
use support::{Rig, params, random, several, vnodes};

/// Random entries, steps and restarts; after each the engine is the model, and
/// so are old views with the model of their time.
fn run(params: &Params, seed: u64, steps: usize) {
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
                let entries = (0..count).map(|_| random::entry(&mut rng, 60, params));
                rig.apply_all(entries.collect());
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
}

fn checkpoint(rig: &Rig, save: SaveGraph) {
    let upto = rig.engine().checkpoint(save).unwrap();
    assert_eq!(upto, rig.log.len() as u64);
    assert_eq!(rig.engine().replay_from(), upto + 1);
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_cosine() {
    for seed in 0..3 {
        run(&params(Metric::Cosine, 5), seed, 120);
    }
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_dot_product() {
    for seed in 10..13 {
        run(&params(Metric::Dot, 5), seed, 120);
    }
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_euclidean_distance() {
    for seed in 20..23 {
        run(&params(Metric::Euclid, 5), seed, 120);
    }
}

#[test]
fn an_engine_under_random_steps_is_its_model_by_manhattan_distance() {
    for seed in 30..33 {
        run(&params(Metric::Manhattan, 5), seed, 120);
    }
}

#[test]
fn an_engine_whose_points_have_several_vectors_is_its_model() {
    let three = [(Metric::Cosine, 3), (Metric::Euclid, 5), (Metric::Dot, 1)];
    for seed in 40..46 {
        run(&several(&three), seed, 120);
    }
}
