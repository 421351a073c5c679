//! What holds in every state, and what must be reached for the exploration to mean
//! anything.

use super::{Action, Breach, Broken, Explored, Fault, Shard, State, Step};
use quoit_ring::balance::{Command, Send, is_at_rest, sends};
use quoit_ring::handoff::{Handoff, Ledger, Outcome};
use quoit_ring::{Answers, Custody, Vnode};
use stateright::{Model, Property};
use std::collections::BTreeMap;

/// The rounds in which all comes to rest, if nothing more goes wrong. In one of them
/// each shard answers, the ring makes a step, and all that is sent arrives.
const ROUNDS: usize = 24;

/// All of them.
pub fn all() -> Vec<Property<Explored>> {
    vec![
        Property::always("a vnode has one owner, or one that froze it", one_owner),
        Property::always("custody numbers rise with every change of owner", numbers),
        Property::always("who owns a vnode has all writes accepted, once", whole),
        Property::always("who answers all reads has all writes accepted", fresh),
        Property::always("what was decided stays", |_, state: &State| {
            !state.breaches.contains(&Breach::Undone)
        }),
        Property::always(
            "nobody lets go of what nobody else owns",
            |_, state: &State| !state.breaches.contains(&Breach::LetGo),
        ),
        Property::always("no write is accepted twice", |_, state: &State| {
            !state.breaches.contains(&Breach::Twice)
        }),
        Property::always("all comes to rest where it is wished to be", rests),
        Property::sometimes("a vnode moves", |_, state: &State| {
            state.ring.custody_numbers().contains(&2)
        }),
        Property::sometimes("a frozen vnode goes back", |_, state: &State| {
            state.ring.custody_numbers().contains(&3)
        }),
    ]
}

fn vnodes(state: &State) -> impl Iterator<Item = Vnode> {
    state.ring.vnodes().iter()
}

/// Who owns a vnode, and who froze it for a target that has not activated it.
fn holders(state: &State, vnode: Vnode) -> (Vec<&Shard>, Vec<&Shard>) {
    let (mut owners, mut frozen) = (Vec::new(), Vec::new());
    for shard in state.shards.values() {
        match shard.holding(vnode).custody {
            Custody::Owned | Custody::Leaving(_) => owners.push(shard),
            Custody::Sealed(id) if !state.has_said(id, Outcome::Activated) => {
                frozen.push(shard);
            }
            Custody::Sealed(_) | Custody::None | Custody::Arriving { .. } => {}
        }
    }
    (owners, frozen)
}

fn one_owner(_: &Explored, state: &State) -> bool {
    vnodes(state).all(|vnode| {
        let (owners, frozen) = holders(state, vnode);
        owners.len() + frozen.len() == 1
    })
}

fn numbers(_: &Explored, state: &State) -> bool {
    let hints_are_newer = state.shards.values().all(|shard| {
        let mut holdings = shard.holdings.values();
        holdings.all(|it| it.went.is_none_or(|hint| hint.c > it.c))
    });
    let ring_is_not_ahead = vnodes(state).all(|vnode| {
        let held = state.shards.values().map(|it| it.holding(vnode));
        let held = held.filter(|it| it.custody.answers() > Answers::Nothing);
        let newest = held.map(|it| it.c).max();
        state.ring.owner(vnode).map(|(_, c)| c) <= newest
    });
    hints_are_newer && ring_is_not_ahead
}

/// Whether a shard has what the writes that were accepted amount to.
fn has_all(state: &State, shard: &Shard, vnode: Vnode) -> bool {
    let mut live = BTreeMap::new();
    let mut ops = Vec::new();
    for write in state.accepted.iter().filter(|write| write.vnode == vnode) {
        ops.push(write.number);
        if write.is_put {
            live.insert(write.point, write.number);
        } else {
            live.remove(&write.point);
        }
    }
    let data = shard.data(vnode);
    data.live() == live && data.seq == ops.len() as u64 && data.ops == ops
}

fn whole(_: &Explored, state: &State) -> bool {
    vnodes(state).all(|vnode| {
        let (owners, frozen) = holders(state, vnode);
        let mut holders = owners.into_iter().chain(frozen);
        holders.all(|shard| has_all(state, shard, vnode))
    })
}

fn fresh(explored: &Explored, state: &State) -> bool {
    vnodes(state).all(|vnode| {
        state.shards.values().all(|shard| {
            let custody = shard.holding(vnode).custody;
            let is_frozen = matches!(custody, Custody::Sealed(_));
            let answers = custody.answers() == Answers::All
                || is_frozen && explored.broken == Broken::FrozenAnswersStrong;
            !answers || has_all(state, shard, vnode)
        })
    })
}

fn rests(explored: &Explored, state: &State) -> bool {
    if !explored.looks_for_rest {
        return true;
    }
    let mut kind = explored.clone();
    kind.faults.remove(&Fault::OldAnswers);
    let mut state = state.clone();
    for _ in 0..ROUNDS {
        if is_at_rest(&state.ring, &kind.goals[state.goal])
            && state.shards.values().all(|shard| shard.kept.is_empty())
        {
            return true;
        }
        round(&kind, &mut state);
    }
    false
}

/// A round in which nothing goes wrong: what is sent arrives, pages are made and arrive,
/// and the two leaders of a handoff that may be finished ask each other.
fn round(explored: &Explored, state: &mut State) {
    act(explored, state, Action::NextRing);
    let reports = explored.reports(state);
    for Send { to, command } in sends(&state.ring, &reports) {
        let (handoff, step) = match command {
            Command::Open(handoff) => (handoff, Step::Open),
            Command::Prepare(handoff) => (handoff, Step::Prepare),
            Command::Decline(handoff) => (handoff, Step::Decline),
            Command::Abort(handoff, word) => (handoff, Step::Abort(word)),
            Command::Release(handoff, _) => (handoff, Step::Release),
            Command::Forget(handoff) => (handoff, Step::Forget),
            Command::Finish(handoff) => {
                act(explored, state, Action::Apply(handoff.clone(), Step::Seal));
                feed(explored, state, &handoff);
                (handoff, Step::Activate)
            }
            Command::Retire => {
                act(explored, state, Action::Retire(to));
                continue;
            }
        };
        act(explored, state, Action::Apply(handoff, step));
    }
    let copying: Vec<_> = Explored::copying(state)
        .map(|(_, handoff)| handoff.clone())
        .collect();
    for handoff in copying {
        feed(explored, state, &handoff);
        // A leader that finds its vnodes frozen goes on without being told.
        let is_frozen = state.frozen.contains_key(&handoff.id);
        if is_frozen {
            act(explored, state, Action::Apply(handoff, Step::Activate));
        }
    }
}

fn feed(explored: &Explored, state: &mut State, handoff: &Handoff) {
    for vnode in handoff.vnodes.keys() {
        act(explored, state, Action::Feed(handoff.clone(), *vnode));
    }
    for (id, vnode, page) in state.pages.clone() {
        act(explored, state, Action::Ingest(id, vnode, page));
    }
}

fn act(explored: &Explored, state: &mut State, action: Action) {
    if let Some(next) = explored.next_state(state, action) {
        *state = next;
    }
}
