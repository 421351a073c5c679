//! Plans: what is moved, what is given up, and that a plan half carried out stays the
//! same one. What comes of the steps, the model explores.

use super::*;
use crate::claim::{first_table, least_moves};
use crate::custody::Custody;
use crate::handoff::Handoff;
use crate::key::VnodeCount;
use crate::ring::Stage;
use proptest::prelude::*;
use uuid::Uuid;

const NO_LIMITS: Limits = Limits {
    bytes: u64::MAX,
    of_a_shard: usize::MAX,
    of_all: usize::MAX,
};

fn goal(shards: u32) -> Goal {
    Goal {
        generation: 1,
        shards,
        weights: BTreeMap::new(),
        is_paused: false,
    }
}

/// A ring of so many vnodes on so many shards, at rest.
fn ring(vnodes: u32, shards: u32) -> Ring {
    let ids = (0..shards).map(ShardId);
    let members: Vec<_> = ids.clone().map(Member::equal).collect();
    let table = first_table(VnodeCount::new(vnodes).unwrap(), &members).unwrap();
    Ring::first(Uuid::from_u128(1), table, ids).unwrap()
}

/// Shards that have what the ring says, each vnode of so many bytes.
fn reports(ring: &Ring, shards: u32, bytes: u64) -> BTreeMap<ShardId, Report> {
    let report = |id| {
        let own = ring.vnodes_of(id);
        let holding = |vnode| {
            let custody = Custody::Owned;
            let c = ring.owner(vnode).unwrap().1;
            let rest = Holding::default();
            (vnode, Holding { custody, c, ..rest })
        };
        let report = Report {
            holdings: own.iter().map(holding).collect(),
            bytes: own.iter().map(|vnode| (vnode, bytes)).collect(),
            ..Report::default()
        };
        (id, report)
    };
    (0..shards).map(ShardId).map(report).collect()
}

fn next(ring: &Ring, goal: &Goal, limits: Limits) -> Option<Ring> {
    let reports = reports(ring, 10, 10);
    next_ring(ring, goal, &reports, limits, 7).unwrap()
}

/// The same ring after some of its moves were recorded as done.
fn done(ring: &Ring, which: impl Fn(&Handoff) -> bool) -> Ring {
    let mut parts = ring.clone().into_parts();
    let moves = std::mem::take(&mut parts.moves);
    for (id, it) in moves {
        if which(&it.handoff) {
            for vnode in it.handoff.vnodes.keys() {
                parts.table.assign([(*vnode, it.handoff.to)]);
                parts.custody_numbers[usize::from(vnode.0)] += 1;
            }
        } else {
            parts.moves.insert(id, it);
        }
    }
    Ring::from_parts(parts).unwrap()
}

fn vnodes_under_way(ring: &Ring) -> usize {
    let copied = ring.moves().values().filter(|it| it.stage == Stage::Copy);
    copied.map(|it| it.handoff.vnodes.len()).sum()
}

#[test]
fn a_shard_that_joins_is_given_its_share_and_nothing_else_moves() {
    let first = ring(64, 3);
    let next = next(&first, &goal(4), NO_LIMITS).unwrap();
    assert_eq!(next.epoch(), 2);
    assert_eq!(next.state(ShardId(3)), Some(ShardState::Joining));
    assert_eq!(vnodes_under_way(&next), 16);
    assert!(next.moves().values().all(|it| it.handoff.to == ShardId(3)));
    assert_eq!(
        next.table(),
        first.table(),
        "nothing is recorded before it is so"
    );
}

#[test]
fn what_is_moved_at_a_time_is_bounded_in_bytes_by_shard_and_in_all() {
    let first = ring(64, 2);
    let limits = Limits {
        bytes: 35,
        of_a_shard: 2,
        of_all: 3,
    };
    let next = next(&first, &goal(4), limits).unwrap();
    let moves = next.moves();
    assert_eq!(moves.len(), 3);
    // Of ten bytes each.
    assert!(moves.values().all(|it| it.handoff.vnodes.len() == 3));
    for shard in (0..4).map(ShardId) {
        let of = |side: fn(&Handoff) -> ShardId| {
            moves
                .values()
                .filter(|it| side(&it.handoff) == shard)
                .count()
        };
        assert!(of(|it| it.from) <= 2 && of(|it| it.to) <= 2, "{shard}");
    }
}

#[test]
fn a_vnode_that_is_larger_than_a_handoff_may_be_goes_alone() {
    let limits = Limits {
        bytes: 3,
        ..NO_LIMITS
    };
    let next = next(&ring(8, 1), &goal(2), limits).unwrap();
    assert_eq!(next.moves().len(), 4);
    assert!(next.moves().values().all(|it| it.handoff.vnodes.len() == 1));
}

#[test]
fn while_it_is_paused_nothing_is_begun_and_what_is_unwanted_is_given_up() {
    let begun = next(&ring(64, 3), &goal(4), NO_LIMITS).unwrap();
    let paused = |shards| Goal {
        is_paused: true,
        generation: 2,
        ..goal(shards)
    };
    let still = next(&begun, &paused(5), NO_LIMITS).unwrap();
    assert_eq!(still.moves(), begun.moves());
    let back = next(&begun, &paused(3), NO_LIMITS).unwrap();
    assert!(back.moves().values().all(|it| it.stage == Stage::Cancel));
}

#[test]
fn an_old_wish_is_not_acted_on() {
    let begun = next(&ring(64, 3), &goal(4), NO_LIMITS).unwrap();
    let old = Goal {
        generation: 0,
        ..goal(3)
    };
    let answer = next_ring(&begun, &old, &reports(&begun, 4, 1), NO_LIMITS, 7);
    let (wished, acted_on) = (0, 1);
    assert_eq!(answer, Err(StepError::OldWish { wished, acted_on }));
}

#[test]
fn a_shard_that_does_not_answer_is_neither_given_nor_relieved_of_anything() {
    let first = ring(64, 3);
    let mut some = reports(&first, 4, 1);
    some.remove(&ShardId(1));
    let next = next_ring(&first, &goal(4), &some, NO_LIMITS, 7)
        .unwrap()
        .unwrap();
    assert!(!next.moves().is_empty());
    assert!(
        next.moves()
            .values()
            .all(|it| it.handoff.from != ShardId(1))
    );
    some.remove(&ShardId(3));
    let next = next_ring(&first, &goal(4), &some, NO_LIMITS, 7)
        .unwrap()
        .unwrap();
    assert!(
        next.moves().is_empty(),
        "the one that joins is not there yet"
    );
}

#[test]
fn new_shards_get_numbers_that_no_shard_ever_had() {
    let mut parts = ring(64, 3).into_parts();
    parts.shards.insert(ShardId(3), ShardState::Retired);
    let ring = Ring::from_parts(parts).unwrap();
    let ids = |shards| {
        let members = goal(shards).members(&ring).into_iter();
        members.map(|member| member.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(2), [0, 1]);
    assert_eq!(ids(3), [0, 1, 2]);
    assert_eq!(ids(5), [0, 1, 2, 4, 5]);
}

proptest! {
    #[test]
    fn a_plan_that_is_half_carried_out_leads_to_the_same_table(
        (before, after) in (1_u32..7, 1_u32..7),
        mask: u64,
    ) {
        let first = ring(64, before);
        let limits = Limits { bytes: 40, ..NO_LIMITS };
        let Some(begun) = next(&first, &goal(after), limits) else {
            return Ok(());
        };
        let members = goal(after).members(&begun);
        let planned = settle(&begun, &members).unwrap();
        prop_assert!(planned.unwanted.is_empty());
        let least = least_moves(first.table(), &members).unwrap();
        prop_assert_eq!(vnodes_under_way(&begun) as u64, least);

        let later = done(&begun, |it| mask >> (it.id.number % 64) & 1 == 1);
        let settled = settle(&later, &members).unwrap();
        prop_assert_eq!(settled.target, planned.target);
        prop_assert!(settled.unwanted.is_empty());
    }

    #[test]
    fn what_is_given_up_when_the_wish_changes_is_never_what_has_arrived(
        (before, after, then) in (1_u32..6, 1_u32..6, 1_u32..6),
        mask: u64,
    ) {
        let limits = Limits { bytes: 40, ..NO_LIMITS };
        let Some(begun) = next(&ring(64, before), &goal(after), limits) else {
            return Ok(());
        };
        let begun = done(&begun, |it| mask >> (it.id.number % 64) & 1 == 1);
        let wish = Goal { generation: 2, ..goal(then) };
        let settled = settle(&begun, &wish.members(&begun)).unwrap();
        // As many are left to be moved as from where the copies that go on have ended.
        let kept = done(&begun, |it| !settled.unwanted.contains(&it.id));
        let mut parts = kept.into_parts();
        parts.moves.clear();
        let kept = Ring::from_parts(parts).unwrap();
        let least = least_moves(kept.table(), &wish.members(&begun)).unwrap();
        let moved = kept.table().reassigned(&settled.target).count() as u64;
        prop_assert_eq!(moved, least);
        // And a second look finds nothing more to be given up, nor more to be moved.
        let next = next(&begun, &wish, NO_LIMITS).unwrap();
        let again = settle(&next, &wish.members(&next)).unwrap();
        prop_assert!(again.unwanted.is_empty());
        let moved = kept.table().reassigned(&again.target).count() as u64;
        prop_assert_eq!(moved, least);
    }
}

#[test]
fn a_shard_that_leaves_gives_all_it_has_and_is_asked_to_retire_when_it_has_nothing() {
    let first = ring(64, 3);
    let begun = next(&first, &goal(2), NO_LIMITS).unwrap();
    assert_eq!(begun.state(ShardId(2)), Some(ShardState::Leaving));
    let all_it_has = first.vnodes_of(ShardId(2)).len();
    assert_eq!(vnodes_under_way(&begun), all_it_has);
    let ended = done(&begun, |_| true);
    let all = reports(&ended, 3, 1);
    let retire = Send {
        to: ShardId(2),
        command: Command::Retire,
    };
    assert_eq!(sends(&ended, &all), [retire]);
    let mut unknown = all.clone();
    unknown.remove(&ShardId(2));
    assert_eq!(sends(&ended, &unknown), []);
    let is_at_rest = |ring: &Ring| super::is_at_rest(ring, &goal(2));
    assert!(!is_at_rest(&ended));

    let mut proved = all;
    proved.get_mut(&ShardId(2)).unwrap().is_retired = true;
    let last = next_ring(&ended, &goal(2), &proved, NO_LIMITS, 7)
        .unwrap()
        .unwrap();
    assert_eq!(last.state(ShardId(2)), Some(ShardState::Retired));
    assert!(is_at_rest(&last));
    // It is wished for again too late: another one comes.
    let more = Goal {
        generation: 2,
        ..goal(3)
    };
    let next = next_ring(&last, &more, &proved, NO_LIMITS, 7)
        .unwrap()
        .unwrap();
    assert_eq!(next.state(ShardId(3)), Some(ShardState::Joining));
}

#[test]
fn a_ring_that_was_set_back_learns_what_shards_own_and_gives_no_number_twice() {
    let first = ring(8, 2);
    let mut all = reports(&first, 2, 1);
    let moved = Vnode(0);
    let (owner, c) = first.owner(moved).unwrap();
    let other = ShardId(1 - owner.0);
    let id = HandoffId {
        number: 41,
        nonce: 1,
    };
    let holding = |custody, c| Holding {
        custody,
        c,
        fence: id.number,
        went: None,
    };
    let gone = holding(Custody::None, c);
    all.get_mut(&owner).unwrap().holdings.insert(moved, gone);
    let had = holding(Custody::Owned, c + 1);
    all.get_mut(&other).unwrap().holdings.insert(moved, had);
    let next = next_ring(&first, &goal(2), &all, NO_LIMITS, 7)
        .unwrap()
        .unwrap();
    assert_eq!(next.owner(moved), Some((other, c + 1)));
    assert!(next.next_handoff() > id.number);
    let mut planned = next.moves().keys();
    assert!(planned.all(|later| later.number > id.number));
}
