//! Histories made by hand, histories of a true register, and a search that
//! tries every order of small ones.

use super::*;
use crate::story::shortest;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

fn stamp(counter: u64) -> Stamp {
    Stamp { client: 0, counter }
}

fn put(n: u64) -> What {
    What::Put(stamp(n))
}

fn put_if(n: u64, expected: u64) -> What {
    What::PutIf {
        stamp: stamp(n),
        expected: stamp(expected),
    }
}

fn edit(n: u64) -> What {
    What::Edit(stamp(n))
}

fn saw(put: u64, change: u64) -> What {
    What::Saw {
        put: stamp(put),
        change: stamp(change),
    }
}

fn other(n: u64) -> What {
    What::Other(stamp(n))
}

const DELETE: What = What::Delete;
const MISSING: What = What::Missing;

/// Operations with their starts and ends; an end of 0 is an unknown outcome.
fn history(ops: &[(u64, u64, What)]) -> Vec<Op> {
    let op = |(call, (start, end, what)): (usize, &(u64, u64, What))| Op {
        call,
        start: *start,
        end: (*end != 0).then_some(*end),
        what: *what,
    };
    ops.iter().enumerate().map(op).collect()
}

#[track_caller]
fn right(ops: &[(u64, u64, What)]) {
    assert_eq!(check(&history(ops)), Verdict::Explained);
    assert!(by_force(&history(ops)), "trying every order says otherwise");
}

/// Says which operations the story is made of.
#[track_caller]
fn wrong(ops: &[(u64, u64, What)]) -> Vec<usize> {
    let ops = history(ops);
    assert_eq!(check(&ops), Verdict::Contradicted);
    assert!(!by_force(&ops), "trying every order says otherwise");
    let story = shortest(&ops);
    assert_eq!(check(&story), Verdict::Contradicted, "{story:?}");
    story.iter().map(|op| op.call).collect()
}

#[test]
fn changes_and_reads_one_after_the_other() {
    right(&[
        (1, 2, MISSING),
        (3, 4, put(1)),
        (5, 6, saw(1, 1)),
        (7, 8, edit(2)),
        (9, 10, saw(1, 2)),
        (11, 12, put_if(3, 2)),
        (13, 14, saw(3, 3)),
        (15, 16, DELETE),
        (17, 18, MISSING),
    ]);
}

#[test]
fn a_write_that_is_lost_is_caught() {
    let story = wrong(&[
        (1, 2, put(1)),
        (3, 4, saw(1, 1)),
        (5, 6, put(2)),
        (7, 8, saw(1, 1)),
    ]);
    assert_eq!(story, [0, 2, 3]);
    assert_eq!(wrong(&[(1, 2, put(1)), (3, 4, MISSING)]), [0, 1]);
}

#[test]
fn a_write_that_is_overwritten_is_not_lost() {
    right(&[(1, 2, put(1)), (3, 4, put(2)), (5, 6, saw(2, 2))]);
    right(&[(1, 2, put(1)), (3, 4, DELETE), (5, 6, MISSING)]);
}

#[test]
fn a_stale_read_is_caught_and_one_at_the_same_time_is_not() {
    let told = wrong(&[
        (1, 2, put(1)),
        (3, 4, put(2)),
        (5, 6, saw(2, 2)),
        (7, 8, saw(1, 1)),
    ]);
    assert_eq!(told, [0, 1, 3]);
    right(&[
        (1, 2, put(1)),
        (3, 9, put(2)),
        (5, 6, saw(1, 1)),
        (7, 8, saw(2, 2)),
    ]);
    // The second was seen, so that the first is over, while both still run.
    wrong(&[
        (1, 2, put(1)),
        (3, 20, put(2)),
        (5, 6, saw(2, 2)),
        (7, 8, saw(1, 1)),
    ]);
}

#[test]
fn what_ends_in_the_moment_in_which_another_begins_may_be_after_it() {
    right(&[(1, 5, put(1)), (5, 6, MISSING)]);
    wrong(&[(1, 5, put(1)), (6, 7, MISSING)]);
}

#[test]
fn a_deleted_point_that_comes_back_is_caught() {
    let story = wrong(&[
        (1, 2, put(1)),
        (3, 4, DELETE),
        (5, 6, MISSING),
        (7, 8, saw(1, 1)),
    ]);
    assert_eq!(story, [0, 1, 3]);
    right(&[
        (1, 2, put(1)),
        (3, 4, DELETE),
        (5, 6, put(2)),
        (7, 8, saw(2, 2)),
    ]);
}

#[test]
fn a_point_that_nobody_wrote_is_caught() {
    assert_eq!(wrong(&[(1, 2, put(1)), (3, 4, saw(9, 9))]), [1]);
    // Written, but later.
    assert_eq!(wrong(&[(1, 2, saw(1, 1)), (3, 4, put(1))]), [0]);
}

#[test]
fn a_write_of_unknown_outcome_may_show_late_or_never() {
    right(&[(1, 0, put(1)), (3, 4, MISSING), (50, 51, saw(1, 1))]);
    right(&[(1, 0, put(1)), (3, 4, MISSING)]);
    right(&[
        (1, 0, put(1)),
        (2, 3, put(2)),
        (4, 5, saw(2, 2)),
        (6, 7, saw(1, 1)),
    ]);
    // But not before it was asked for.
    wrong(&[(1, 2, saw(1, 1)), (3, 0, put(1))]);
}

#[test]
fn a_write_of_unknown_outcome_that_shows_and_is_gone_again_is_caught() {
    let story = wrong(&[
        (1, 2, put(1)),
        (3, 0, put(2)),
        (5, 6, saw(2, 2)),
        (7, 8, saw(1, 1)),
    ]);
    assert_eq!(story, [0, 1, 2, 3]);
    assert_eq!(
        wrong(&[(3, 0, put(2)), (5, 6, saw(2, 2)), (7, 8, MISSING)]),
        [0, 1, 2]
    );
    // Unless something took it away.
    right(&[
        (3, 0, put(2)),
        (4, 0, DELETE),
        (5, 6, saw(2, 2)),
        (7, 8, MISSING),
    ]);
    // That has its effect once.
    wrong(&[
        (1, 0, DELETE),
        (3, 4, put(2)),
        (5, 6, MISSING),
        (7, 8, put(3)),
        (9, 10, MISSING),
    ]);
}

#[test]
fn a_condition_is_met_only_by_the_change_it_names() {
    right(&[(1, 2, put(1)), (3, 4, put_if(2, 1)), (5, 6, other(1))]);
    right(&[(1, 2, put(1)), (3, 9, put_if(2, 1)), (3, 9, other(1))]);
    // Both of two: one has lost the other's change.
    let both = wrong(&[(1, 2, put(1)), (3, 9, put_if(2, 1)), (3, 8, put_if(3, 1))]);
    assert_eq!(both, [0, 1, 2]);
    // Neither, and nothing else changed it.
    wrong(&[(1, 2, put(1)), (3, 4, other(1))]);
    // Something of unknown outcome may have.
    right(&[(1, 2, put(1)), (2, 0, put(7)), (3, 4, other(1))]);
    right(&[(1, 2, put(1)), (2, 0, edit(7)), (3, 4, other(1))]);
    right(&[(1, 2, put(1)), (2, 0, DELETE), (3, 4, other(1))]);
    // Each of them once, and it is seen what came of it.
    wrong(&[
        (1, 2, put(1)),
        (2, 0, put(7)),
        (3, 4, other(1)),
        (5, 6, saw(1, 1)),
    ]);
}

#[test]
fn an_edit_needs_a_point_and_keeps_what_it_does_not_name() {
    wrong(&[(1, 2, edit(1))]);
    right(&[(1, 2, put(1)), (3, 4, edit(2)), (5, 6, saw(1, 2))]);
    wrong(&[(1, 2, put(1)), (3, 4, edit(2)), (5, 6, saw(1, 1))]);
    wrong(&[
        (1, 2, put(1)),
        (3, 4, put(2)),
        (5, 6, edit(3)),
        (7, 8, saw(1, 3)),
    ]);
    // An edit of unknown outcome without a point to edit does nothing.
    right(&[(1, 0, edit(1)), (2, 3, MISSING)]);
}

#[test]
fn a_change_of_unknown_outcome_that_was_seen_and_is_over_explains_nothing_more() {
    wrong(&[
        (1, 0, put(1)),
        (3, 4, saw(1, 1)),
        (5, 6, put(2)),
        (7, 8, other(2)),
    ]);
}

#[test]
fn a_story_has_no_contradiction_of_its_own() {
    // Without the first two, of which one or the other is needed, the edit would
    // contradict by itself, and the change that was lost would not be told.
    let story = wrong(&[
        (1, 2, put(7)),
        (1, 2, put(9)),
        (5, 6, put(1)),
        (7, 8, put(2)),
        (3, 4, edit(8)),
        (9, 10, saw(1, 1)),
    ]);
    assert_eq!(story, [2, 3, 5]);
}

/// Whether there is an order, by trying all.
fn by_force(ops: &[Op]) -> bool {
    fn goes_on(ops: &[Op], steps: &[Step], done: &mut Vec<bool>, state: State) -> bool {
        let left = || (0..ops.len()).filter(|i| !done[*i]);
        let Some(first_end) = left().filter_map(|i| ops[i].end).min() else {
            // What is left is of unknown outcome, and may never happen.
            return true;
        };
        for i in left().collect::<Vec<_>>() {
            if ops[i].start > first_end {
                continue;
            }
            if let Some(next) = steps[i].after(state) {
                done[i] = true;
                let found = goes_on(ops, steps, done, next);
                done[i] = false;
                if found {
                    return true;
                }
            }
        }
        false
    }
    let all: Vec<Op> = ops.to_vec();
    // Every stamp by itself: as if each were referred to.
    let mut marks: HashMap<Stamp, Mark> = HashMap::new();
    let mut mark = |stamp: Stamp| {
        let next = number(marks.len()) + 1;
        *marks.entry(stamp).or_insert(next)
    };
    let steps: Vec<Step> = all
        .iter()
        .map(|op| match op.what {
            What::Put(s) => Step::Put(mark(s)),
            What::PutIf { stamp, expected } => Step::PutIf {
                mark: mark(stamp),
                expected: mark(expected),
            },
            What::Edit(s) => Step::Edit(mark(s)),
            What::Delete => Step::Delete,
            What::Missing => Step::Saw(State::Absent),
            What::Other(s) => Step::Other(mark(s)),
            What::Saw { put, change } => Step::Saw(State::There {
                put: mark(put),
                change: mark(change),
            }),
        })
        .collect();
    goes_on(&all, &steps, &mut vec![false; all.len()], State::Absent)
}

/// What a call to a true register is to do.
#[derive(Clone, Copy)]
struct Task {
    start: u64,
    effect: u64,
    end: u64,
    is_lost: bool,
    what: What,
}

/// What clients of a register that is what it should be would record: each call
/// has its effect at one moment, some answers are lost, and then the effect may
/// come late or never.
fn recorded(seed: u64, clients: u64, calls: u64) -> Vec<Op> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut tasks, mut next) = (Vec::new(), 1);
    for client in 0..clients {
        let mut time = random.random_range(0..20);
        for _ in 0..calls.div_ceil(clients) {
            let length = random.random_range(2..40);
            let is_lost = random.random_ratio(1, 6);
            let late = match random.random_range(0..3) {
                0 if is_lost => u64::MAX,
                1 if is_lost => random.random_range(0..400),
                _ => 0,
            };
            let inside = time + random.random_range(1..length);
            let what = match random.random_range(0..10) {
                0..3 => put(next),
                3 => edit(next),
                // By what it knows then; filled in below.
                4 | 5 => put_if(next, 0),
                6 => DELETE,
                _ => MISSING,
            };
            next += 1;
            tasks.push(Task {
                start: time * 64 + client,
                effect: inside.saturating_add(late).saturating_mul(64),
                end: (time + length) * 64 + 32 + client,
                is_lost,
                what,
            });
            time += length + random.random_range(0..10);
        }
    }
    tasks.sort_by_key(|task| task.effect);
    let mut state: Option<(Stamp, Stamp)> = None;
    let mut known: Vec<Stamp> = vec![stamp(0)];
    let mut ops = Vec::new();
    for (call, task) in tasks.into_iter().enumerate() {
        let mut asked = task.what;
        if let What::PutIf { expected, .. } = &mut asked {
            // Often the present one, so that it is met.
            let present = state.map(|(_, change)| change);
            let present = present.filter(|change| known.contains(change));
            let any = known.choose(&mut random).copied();
            // A client knows only what it was told.
            *expected = present.filter(|_| random.random()).or(any).unwrap();
        }
        let happens = task.effect < u64::MAX / 2;
        let change = state.map(|(_, change)| change);
        let answer = match asked {
            What::Put(s) => {
                state = if happens { Some((s, s)) } else { state };
                asked
            }
            What::PutIf { stamp, expected } if change == Some(expected) => {
                state = if happens { Some((stamp, stamp)) } else { state };
                asked
            }
            What::PutIf { expected, .. } => What::Other(expected),
            What::Edit(s) => match state {
                Some((put, _)) => {
                    state = if happens { Some((put, s)) } else { state };
                    asked
                }
                None => What::Missing,
            },
            What::Delete => {
                state = if happens { None } else { state };
                asked
            }
            _ => state.map_or(What::Missing, |(put, change)| What::Saw { put, change }),
        };
        if !task.is_lost {
            known.extend(state.map(|(_, change)| change));
        }
        let op = |end, what| Op {
            call,
            start: task.start,
            end,
            what,
        };
        match (task.is_lost, asked.is_seen()) {
            (false, _) => ops.push(op(Some(task.end), answer)),
            (true, false) => ops.push(op(None, asked)),
            (true, true) => {}
        }
    }
    ops
}

/// The history with another answer to one of its reads.
fn with_another_answer(ops: &[Op], random: &mut StdRng) -> Option<Vec<Op>> {
    let reads: Vec<usize> = (0..ops.len())
        .filter(|i| matches!(ops[*i].what, What::Saw { .. } | What::Missing))
        .collect();
    let changed = *reads.choose(random)?;
    let mut answers: Vec<What> = reads.iter().map(|i| ops[*i].what).collect();
    answers.push(MISSING);
    answers.extend(ops.iter().filter_map(|op| match op.what {
        What::Put(s) => Some(What::Saw { put: s, change: s }),
        _ => None,
    }));
    answers.retain(|answer| *answer != ops[changed].what);
    let mut ops = ops.to_vec();
    ops[changed].what = *answers.choose(random)?;
    Some(ops)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_a_true_register_answers_is_explained(seed: u64, clients in 1..8_u64, calls in 1..200_u64) {
        let ops = recorded(seed, clients, calls);
        prop_assert_eq!(check(&ops), Verdict::Explained, "{:#?}", ops);
    }

    #[test]
    fn the_search_says_what_trying_every_order_says(seed: u64, clients in 1..5_u64, calls in 1..9_u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let ops = recorded(seed, clients, calls);
        prop_assert!(by_force(&ops));
        for _ in 0..8 {
            let Some(ops) = with_another_answer(&ops, &mut random) else { break };
            let expected = if by_force(&ops) { Verdict::Explained } else { Verdict::Contradicted };
            prop_assert_eq!(check(&ops), expected, "{:#?}", ops);
            if expected == Verdict::Contradicted {
                let story = shortest(&ops);
                prop_assert!(!by_force(&story), "{:#?}\nof\n{:#?}", story, ops);
            }
        }
    }
}

#[test]
fn most_wrong_answers_are_caught() {
    let (mut caught, mut all) = (0, 0);
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let ops = recorded(seed, 4, 100);
        if let Some(ops) = with_another_answer(&ops, &mut random) {
            all += 1;
            caught += usize::from(check(&ops) == Verdict::Contradicted);
        }
    }
    assert!(caught * 4 > all * 3, "{caught} of {all}");
}

#[test]
fn a_long_history_with_many_unknown_outcomes_is_gone_through() {
    let ops = recorded(5, 8, 20_000);
    let unknown = ops.iter().filter(|op| op.end.is_none()).count();
    assert!(unknown > 2000, "{unknown}");
    assert_eq!(check(&ops), Verdict::Explained);
}

#[test]
fn the_story_of_a_long_history_is_short() {
    let ops = recorded(6, 8, 2000);
    let time = |op: &Op| op.start;
    let begun = ops.iter().map(time).max().unwrap() + 1_000_000;
    let mut told = ops.clone();
    let more = [
        (begun, put(1_000_001)),
        (begun + 20, saw(1_000_001, 1_000_001)),
        (begun + 40, put(1_000_002)),
        (begun + 60, saw(1_000_001, 1_000_001)),
    ];
    told.extend(more.iter().enumerate().map(|(n, (start, what))| Op {
        call: 100_000 + n,
        start: *start,
        end: Some(start + 10),
        what: *what,
    }));
    let story = shortest(&told);
    let calls: Vec<usize> = story.iter().map(|op| op.call).collect();
    assert_eq!(calls, [100_000, 100_002, 100_003]);
}
