//! What an objective scores best: that which the definitions say, exactly where
//! all points are compared, and by the graph nearly so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use quoit_engine::{
    Entry, Error, Examples, Metric, Objective, Operation, Pair, Plan, Query, VnodeWrite,
};
use quoit_filter::{Condition, Filter, Range, Test};
use quoit_ring::{PointId, Vnode};
use rand::prelude::*;
use support::{Rig, params, random, vnodes};

const SIZE: usize = 8;

fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let unit = |v: &[f32]| -> Vec<f64> {
        let v: Vec<f64> = v.iter().map(|x| f64::from(*x)).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = if metric == Metric::Cosine { norm } else { 1.0 };
        v.into_iter().map(|x| x / scale).collect()
    };
    let (a, b) = (unit(a), unit(b));
    let pairs = a.iter().zip(&b);
    match metric {
        Metric::Cosine | Metric::Dot => pairs.map(|(x, y)| x * y).sum(),
        Metric::Euclid => -pairs.map(|(x, y)| (x - y).powi(2)).sum::<f64>(),
        Metric::Manhattan => -pairs.map(|(x, y)| (x - y).abs()).sum::<f64>(),
    }
}

/// The definitions, as a textbook has them.
fn score(metric: Metric, objective: &Objective, point: &[f32]) -> f64 {
    let to = |v: &Vec<f32>| similarity(metric, v, point);
    let squash = |x: f64| x / (1.0 + x.abs());
    let share = |x: f64| f64::midpoint(squash(x), 1.0);
    match objective {
        Objective::BestScore(all) => {
            let best = |of: &[Vec<f32>]| of.iter().map(to).max_by(f64::total_cmp);
            match (best(&all.positive), best(&all.negative)) {
                (Some(p), Some(n)) if p > n => share(p),
                (Some(p), None) => share(p),
                (_, Some(n)) => -share(n),
                (None, None) => panic!(),
            }
        }
        Objective::SumScores(all) => {
            all.positive.iter().map(to).sum::<f64>() - all.negative.iter().map(to).sum::<f64>()
        }
        Objective::Discover { target, context } => {
            let side = |pair: &Pair| (to(&pair.positive) - to(&pair.negative)).signum();
            context.iter().map(side).sum::<f64>() + share(to(target))
        }
        Objective::Context(pairs) => {
            let loss = |pair: &Pair| {
                squash((to(&pair.positive) - to(&pair.negative) - f64::from(f32::EPSILON)).min(0.0))
            };
            pairs.iter().map(loss).sum()
        }
    }
}

/// Objectives of all kinds over some vectors.
fn objectives(rng: &mut StdRng, vectors: &[Vec<f32>]) -> Vec<Objective> {
    let mut some = |n: usize| -> Vec<Vec<f32>> {
        (0..n)
            .map(|_| vectors.choose(rng).unwrap().clone())
            .collect()
    };
    let mut examples = |p, n| Examples {
        positive: some(p),
        negative: some(n),
    };
    let mut all = vec![
        Objective::BestScore(examples(1, 0)),
        Objective::BestScore(examples(3, 2)),
        Objective::BestScore(examples(0, 2)),
        Objective::SumScores(examples(2, 0)),
        Objective::SumScores(examples(3, 1)),
        Objective::SumScores(examples(2, 2)),
        Objective::SumScores(examples(0, 1)),
    ];
    let mut pairs = |n: usize| -> Vec<Pair> {
        let pair = |_| Pair {
            positive: some(1).remove(0),
            negative: some(1).remove(0),
        };
        (0..n).map(pair).collect()
    };
    let contexts = [pairs(0), pairs(1), pairs(3)];
    let context = [pairs(1), pairs(4)];
    for context in contexts {
        let target = some(1).remove(0);
        all.push(Objective::Discover { target, context });
    }
    all.extend(context.map(Objective::Context));
    all
}

fn filled(metric: Metric, count: usize) -> (Rig, Vec<Vec<f32>>) {
    let mut rng = StdRng::seed_from_u64(11);
    let vectors = random::clustered(&mut rng, count, SIZE);
    let mut rig = Rig::new(params(metric, SIZE), &vnodes([0, 1]));
    let upsert = |(n, vector): (u64, &Vec<f32>)| {
        VnodeWrite::once(
            Vnode(u16::try_from(n % 2).unwrap()),
            vec![Operation::upsert(
                PointId::Num(n),
                vector.clone(),
                format!(r#"{{"n": {n}}}"#).into_bytes(),
            )],
        )
    };
    let (indexed, tail) = vectors.split_at(count - 100);
    rig.apply(Entry::Write((0..).zip(indexed).map(upsert).collect()));
    rig.index_all();
    let tail = (count as u64 - 100..).zip(tail);
    rig.apply(Entry::Write(tail.map(upsert).collect()));
    rig.apply(random::deletes(
        Vnode(0),
        (0..count as u64 / 4).filter(|n| n % 2 == 0),
    ));
    (rig, vectors)
}

fn is_there(n: u64, count: usize) -> bool {
    n >= count as u64 / 4 || !n.is_multiple_of(2)
}

fn below(n: f64) -> Filter {
    Filter {
        must: vec![Condition::Field {
            path: "n".parse().unwrap(),
            test: Test::Range(Range {
                lt: Some(n),
                ..Range::default()
            }),
        }],
        ..Filter::default()
    }
}

fn found(rig: &Rig, query: Query) -> Vec<(u64, f64)> {
    let answer = rig.view().search(&vnodes([0, 1]), &[query]).unwrap().found;
    let hits = answer[0].hits.iter().map(|hit| {
        let PointId::Num(n) = hit.record.id else {
            panic!()
        };
        (n, f64::from(hit.score))
    });
    hits.collect()
}

#[test]
fn the_scores_are_those_of_the_definitions_and_the_best_are_found() {
    for metric in [
        Metric::Cosine,
        Metric::Dot,
        Metric::Euclid,
        Metric::Manhattan,
    ] {
        let (rig, vectors) = filled(metric, 500);
        for objective in objectives(&mut StdRng::seed_from_u64(2), &vectors) {
            for limit in [3, 40] {
                let mut want: Vec<f64> = (0..300_u64)
                    .filter(|n| is_there(*n, 500))
                    .map(|n| score(metric, &objective, &vectors[usize::try_from(n).unwrap()]))
                    .collect();
                want.sort_by(|a, b| b.total_cmp(a));
                let got = found(
                    &rig,
                    Query {
                        objective: Some(objective.clone()),
                        limit,
                        filter: below(300.0),
                        ..Query::default()
                    },
                );
                assert_eq!(got.len(), limit);
                for ((n, got), want) in got.iter().zip(&want) {
                    let near = 1e-3 * want.abs().max(0.01);
                    let own = score(metric, &objective, &vectors[usize::try_from(*n).unwrap()]);
                    assert!(
                        (got - want).abs() < near,
                        "{metric:?} {objective:?}: {got} not {want}"
                    );
                    assert!(
                        (got - own).abs() < near,
                        "{metric:?} {objective:?}: {got} not {own}"
                    );
                }
                assert!(got.iter().all(|(n, _)| *n < 300 && is_there(*n, 500)));
            }
        }
    }
}

#[test]
fn by_the_graph_nearly_all_of_the_best_are_found() {
    for metric in [
        Metric::Cosine,
        Metric::Dot,
        Metric::Euclid,
        Metric::Manhattan,
    ] {
        let (rig, vectors) = filled(metric, 6000);
        let (mut found_of, mut all) = (0, 0);
        for (filter, plan) in [
            (Filter::default(), Plan::Graph),
            (below(4000.0), Plan::Graph),
        ] {
            for objective in objectives(&mut StdRng::seed_from_u64(3), &vectors) {
                let query = Query {
                    objective: Some(objective.clone()),
                    limit: 20,
                    plan: Some(plan),
                    filter: filter.clone(),
                    ..Query::default()
                };
                let exact = Query {
                    exact: true,
                    ..query.clone()
                };
                let (by_graph, exact) = (found(&rig, query), found(&rig, exact));
                assert_eq!(by_graph.len(), 20);
                // Of those with the same score any are as good.
                let least = exact[19].1 - 1e-6;
                let good = by_graph.iter().filter(|hit| hit.1 >= least).count();
                (found_of, all) = (found_of + good, all + 20);
            }
        }
        // A graph of products finds less, of a single vector too.
        let percent = if metric == Metric::Dot { 90 } else { 99 };
        assert!(
            found_of * 100 >= all * percent,
            "{metric:?}: {found_of} of {all}"
        );
    }
}

#[test]
fn a_threshold_leaves_what_scores_less_whatever_the_metric() {
    let (rig, vectors) = filled(Metric::Euclid, 500);
    let objective = Objective::BestScore(Examples {
        positive: vec![vectors[401].clone()],
        negative: Vec::new(),
    });
    let query = Query {
        objective: Some(objective),
        limit: 100,
        ..Query::default()
    };
    let all = found(&rig, query.clone());
    assert!((all[0].1 - 0.5).abs() < 1e-6 && all[0].0 == 401);
    #[allow(clippy::cast_possible_truncation)]
    let threshold = Some(all[10].1 as f32);
    let some = found(&rig, Query { threshold, ..query });
    assert_eq!(some[..], all[..11]);
}

#[test]
fn an_objective_that_does_not_fit_is_refused() {
    let (rig, vectors) = filled(Metric::Euclid, 500);
    let with = |positive| {
        Objective::SumScores(Examples {
            positive,
            negative: vec![vectors[0].clone()],
        })
    };
    for (objective, part) in [
        (with(vec![vec![1.0; SIZE - 1]]), "7 dimensions"),
        (with(vec![vec![f32::NAN; SIZE]]), "not finite"),
        (Objective::Context(Vec::new()), "at least one example"),
    ] {
        let query = Query {
            objective: Some(objective),
            limit: 5,
            ..Query::default()
        };
        let refused = rig.view().search(&vnodes([0]), &[query]);
        let Err(Error::BadQuery(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains(part), "{why}");
    }
}
