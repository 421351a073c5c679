//! The next ring, and what is sent to the shards.

use super::plan::{Limits, plan, settle};
use super::{Goal, Report};
use crate::claim::{ClaimError, Member};
use crate::custody::{Custody, Holding};
use crate::handoff::{Handoff, HandoffId, Kept, Outcome};
use crate::key::{ShardId, Vnode};
use crate::ring::{Move, Ring, RingError, RingParts, ShardState, Stage};
use std::collections::BTreeMap;

/// What a shard is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// The source: vnodes begin to leave.
    Open(Handoff),
    /// The target: they begin to arrive.
    Prepare(Handoff),
    /// The target: it may seal, and own them.
    Finish(Handoff),
    /// The target: it never owns them by this handoff.
    Decline(Handoff),
    /// The source: it has them back, by the target's word where they are sealed.
    Abort(Handoff, Option<Outcome>),
    /// The source: it lets go of them, by the target's word.
    Release(Handoff, Outcome),
    /// The target: nobody will ask what came of it.
    Forget(Handoff),
    /// It will never own anything again.
    Retire,
}

/// A command on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Send {
    /// To which shard.
    pub to: ShardId,
    /// What.
    pub command: Command,
}

/// Why there is no next ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The wish is older than one that was acted on.
    #[error("wish {wished} is older than {acted_on}, which was acted on")]
    OldWish {
        /// The wish.
        wished: u64,
        /// The ring's.
        acted_on: u64,
    },
    /// What is wished for cannot be.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// What follows is no ring.
    #[error("the next ring is inconsistent")]
    Ring(#[from] RingError),
}

/// The ring that follows, if anything is to be changed. `nonce` names new handoffs.
///
/// # Errors
/// The wish is an old one, or cannot be.
pub fn next_ring(
    ring: &Ring,
    goal: &Goal,
    reports: &BTreeMap<ShardId, Report>,
    limits: Limits,
    nonce: u64,
) -> Result<Option<Ring>, StepError> {
    let mut parts = ring.clone().into_parts();
    record(&mut parts, reports);
    end(&mut parts, reports);
    raise(&mut parts, reports);
    if goal.generation < ring.wish() {
        let (wished, acted_on) = (goal.generation, ring.wish());
        return match changed(ring, parts)? {
            // What is so is recorded whatever is wished.
            Some(next) => Ok(Some(next)),
            None => Err(StepError::OldWish { wished, acted_on }),
        };
    }
    parts.wish = goal.generation;
    retire(&mut parts, reports);
    let mut next = Ring::from_parts(parts)?;
    let members = goal.members(&next);
    next = follow(next.into_parts(), &members)?;
    let settled = settle(&next, &members)?;
    let mut parts = next.into_parts();
    for Move { handoff, stage } in parts.moves.values_mut() {
        let is_unwanted = settled.unwanted.contains(&handoff.id);
        if *stage == Stage::Copy && (is_unwanted || never(handoff, reports)) {
            *stage = Stage::Cancel;
        }
    }
    next = Ring::from_parts(parts)?;
    if !goal.is_paused {
        // Again: what was given up just now is not under way any more.
        let settled = settle(&next, &members)?;
        let planned = plan(&next, &settled, reports, limits);
        let mut parts = next.into_parts();
        for (from, to, vnodes) in planned {
            let number = parts.next_handoff;
            parts.next_handoff += 1;
            let id = HandoffId { number, nonce };
            let handoff = Handoff {
                id,
                from,
                to,
                vnodes,
            };
            let stage = Stage::Copy;
            parts.moves.insert(id, Move { handoff, stage });
        }
        next = Ring::from_parts(parts)?;
    }
    changed(ring, next.into_parts())
}

/// A ring of the parts with the next epoch, if they are not those of this one.
fn changed(ring: &Ring, mut parts: RingParts) -> Result<Option<Ring>, StepError> {
    let next = Ring::from_parts(parts.clone())?;
    if next == *ring {
        return Ok(None);
    }
    parts.epoch = ring.epoch() + 1;
    Ok(Some(Ring::from_parts(parts)?))
}

/// What shards own by their own logs, and what targets have decided.
fn record(parts: &mut RingParts, reports: &BTreeMap<ShardId, Report>) {
    for (shard, report) in reports {
        for (vnode, holding) in &report.holdings {
            let Some(c) = parts.custody_numbers.get_mut(usize::from(vnode.0)) else {
                continue;
            };
            let owns = matches!(holding.custody, Custody::Owned | Custody::Leaving(_));
            if owns && holding.c > *c {
                *c = holding.c;
                parts.table.assign([(*vnode, *shard)]);
                // A ring that was set back may not list it.
                let state = parts.shards.entry(*shard).or_insert(ShardState::Joining);
                if *state == ShardState::Retired {
                    *state = ShardState::Leaving;
                }
            }
        }
    }
    for Move { handoff, stage } in parts.moves.values_mut() {
        if outcome(handoff, reports) == Some(Outcome::Activated) {
            *stage = Stage::Release;
        }
    }
}

/// The word of a handoff's target, if it answers and has decided.
fn outcome(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>) -> Option<Outcome> {
    let kept = reports.get(&handoff.to)?.kept.get(&handoff.id)?;
    kept.outcome.filter(|_| kept.handoff == *handoff)
}

/// Whether a shard has seen so late a handoff of all the vnodes that this one can never
/// begin there.
fn is_fenced(handoff: &Handoff, report: &Report) -> bool {
    let mut vnodes = handoff.vnodes.keys();
    vnodes.all(|vnode| report.holding(*vnode).fence >= handoff.id.number)
}

/// Whether a handoff is over at its source: it holds nothing by it and never will.
fn is_over_at_source(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>) -> bool {
    let report = reports.get(&handoff.from);
    report.is_some_and(|it| !it.kept.contains_key(&handoff.id) && is_fenced(handoff, it))
}

/// Whether its target never owns anything by it.
fn is_declined(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>) -> bool {
    let Some(report) = reports.get(&handoff.to) else {
        return false;
    };
    match report.kept.get(&handoff.id) {
        Some(kept) => kept.outcome == Some(Outcome::Declined),
        // It was over before the ring knew of it.
        None => is_fenced(handoff, report) && is_over_at_source(handoff, reports),
    }
}

/// Whether a handoff that is to be copied can never be: one side refuses it for good.
fn never(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>) -> bool {
    let id = handoff.id;
    let refuses = |shard: ShardId, has: &dyn Fn(Vnode, Holding) -> bool| {
        reports.get(&shard).is_some_and(|report| {
            !report.kept.contains_key(&id)
                && handoff.vnodes.keys().any(|vnode| {
                    let holding = report.holding(*vnode);
                    holding.fence >= id.number || !has(*vnode, holding)
                })
        })
    };
    let at_source = |vnode: Vnode, holding: Holding| {
        holding.custody == Custody::Owned && handoff.vnodes.get(&vnode) == Some(&holding.c)
    };
    let at_target = |_: Vnode, holding: Holding| holding.custody == Custody::None;
    let is_retired = reports.get(&handoff.to).is_some_and(|it| it.is_retired);
    is_retired
        || is_declined(handoff, reports)
        || refuses(handoff.from, &at_source)
        || refuses(handoff.to, &at_target)
}

/// Moves by which nothing is held any more, nor can be.
fn end(parts: &mut RingParts, reports: &BTreeMap<ShardId, Report>) {
    parts.moves.retain(|_, Move { handoff, stage }| {
        let is_over = is_over_at_source(handoff, reports);
        let is_ended = match stage {
            Stage::Copy => false,
            Stage::Cancel => is_over && is_declined(handoff, reports),
            Stage::Release => is_over,
        };
        !is_ended
    });
}

/// A ring that was set back gives no number out a second time.
fn raise(parts: &mut RingParts, reports: &BTreeMap<ShardId, Report>) {
    let seen = reports.values().flat_map(|report| {
        let fences = report.holdings.values().map(|holding| holding.fence);
        fences.chain(report.kept.keys().map(|id| id.number))
    });
    let least = seen.max().unwrap_or_default().saturating_add(1);
    parts.next_handoff = parts.next_handoff.max(least);
}

/// Whether the ring shows nothing of a shard.
fn is_empty(parts: &RingParts, shard: ShardId) -> bool {
    let mut moves = parts.moves.values().map(|it| &it.handoff);
    !parts.table.owners().contains(&shard) && !moves.any(|it| it.from == shard || it.to == shard)
}

/// Shards that are retired by their own word are so for the ring.
fn retire(parts: &mut RingParts, reports: &BTreeMap<ShardId, Report>) {
    for (shard, report) in reports {
        if report.is_retired && is_empty(parts, *shard) {
            parts.shards.insert(*shard, ShardState::Retired);
        }
    }
}

/// The shards become what they are wished to be.
fn follow(mut parts: RingParts, members: &[Member]) -> Result<Ring, RingError> {
    for Member { id, .. } in members {
        let has = parts.table.owners().contains(id);
        let state = parts.shards.entry(*id).or_insert(ShardState::Joining);
        if *state == ShardState::Leaving || *state == ShardState::Joining && has {
            *state = ShardState::Active;
        }
    }
    for (shard, state) in &mut parts.shards {
        let is_member = members.iter().any(|member| member.id == *shard);
        if !is_member && *state != ShardState::Retired {
            *state = ShardState::Leaving;
        }
    }
    Ring::from_parts(parts)
}

/// What the shards are to be told, as the ring is and as they are.
#[must_use]
pub fn sends(ring: &Ring, reports: &BTreeMap<ShardId, Report>) -> Vec<Send> {
    let mut sends = Vec::new();
    for Move { handoff, stage } in ring.moves().values() {
        match stage {
            Stage::Copy => copy(handoff, reports, &mut sends),
            Stage::Cancel | Stage::Release => finish_off(handoff, reports, &mut sends),
        }
    }
    // Of a handoff that the ring does not know nothing is to come.
    let kept = reports.values().flat_map(|report| report.kept.values());
    let mut strays: BTreeMap<HandoffId, &Handoff> = BTreeMap::new();
    for Kept { handoff, .. } in kept {
        if !ring.moves().contains_key(&handoff.id) {
            strays.insert(handoff.id, handoff);
        }
    }
    for handoff in strays.values() {
        finish_off(handoff, reports, &mut sends);
    }
    let parts = ring.clone().into_parts();
    for (shard, state) in ring.shards() {
        let lives = reports.get(&shard).is_some_and(|it| !it.is_retired);
        if state == ShardState::Leaving && lives && is_empty(&parts, shard) {
            let command = Command::Retire;
            sends.push(Send { to: shard, command });
        }
    }
    sends
}

fn copy(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>, sends: &mut Vec<Send>) {
    let lacks = |shard: ShardId| {
        let report = reports.get(&shard);
        report.is_some_and(|it| !it.kept.contains_key(&handoff.id))
    };
    let mut send = |to, command| sends.push(Send { to, command });
    if lacks(handoff.from) {
        send(handoff.from, Command::Open(handoff.clone()));
    }
    if lacks(handoff.to) {
        send(handoff.to, Command::Prepare(handoff.clone()));
    }
    let target = reports.get(&handoff.to);
    if target.is_some_and(|it| it.ready.contains(&handoff.id)) {
        send(handoff.to, Command::Finish(handoff.clone()));
    }
}

/// What ends a handoff, one way or the other.
fn finish_off(handoff: &Handoff, reports: &BTreeMap<ShardId, Report>, sends: &mut Vec<Send>) {
    let mut send = |to, command| sends.push(Send { to, command });
    let is_over = is_over_at_source(handoff, reports);
    match outcome(handoff, reports) {
        Some(Outcome::Activated) if !is_over => {
            let command = Command::Release(handoff.clone(), Outcome::Activated);
            send(handoff.from, command);
        }
        Some(_) if is_over => send(handoff.to, Command::Forget(handoff.clone())),
        word => {
            if !is_declined(handoff, reports) {
                send(handoff.to, Command::Decline(handoff.clone()));
            }
            if !is_over {
                send(handoff.from, Command::Abort(handoff.clone(), word));
            }
        }
    }
}
