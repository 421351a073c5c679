//! Which vnodes are to go where: the table that is wished for, what of that is under
//! way already, and the next handoffs within what may be moved at a time.

use super::{Goal, Report};
use crate::claim::{ClaimError, Member, claim};
use crate::handoff::{Handoff, HandoffId};
use crate::key::{ShardId, Vnode};
use crate::ring::{Move, Ring, ShardState, Stage};
use crate::table::Table;
use std::collections::{BTreeMap, BTreeSet};

/// What may be moved at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one handoff, unless it is of a single vnode.
    pub bytes: u64,
    /// Handoffs of one shard, each way.
    pub of_a_shard: usize,
    /// Handoffs of all.
    pub of_all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            of_a_shard: 2,
            of_all: 16,
        }
    }
}

/// Where the vnodes are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The table when all is done.
    pub target: Table,
    /// Copies under way that do not lead there.
    pub unwanted: BTreeSet<HandoffId>,
}

/// The table that is wished for. What is under way counts as done, so that a plan
/// that is half carried out leads to the same table; but where a shard would get
/// more than its share, copies to it are given up before anything is moved that has
/// arrived, the newest first.
///
/// # Errors
/// The members cannot own a ring.
pub fn settle(ring: &Ring, members: &[Member]) -> Result<Settled, ClaimError> {
    let mut done = ring.table().clone();
    for Move { handoff, stage } in ring.moves().values() {
        if *stage != Stage::Cancel {
            done.assign(handoff.vnodes.keys().map(|v| (*v, handoff.to)));
        }
    }
    let quotas = claim(&done, members)?.counts();
    let mut counts = done.counts();
    let mut unwanted = BTreeSet::new();
    for Move { handoff, stage } in ring.moves().values().rev() {
        let Handoff { id, to, vnodes, .. } = handoff;
        let has = counts.get(to).copied().unwrap_or_default();
        let quota = quotas.get(to).copied().unwrap_or_default();
        let fewer = has.saturating_sub(vnodes.len() as u64);
        if *stage == Stage::Copy && fewer >= quota {
            unwanted.insert(*id);
            counts.insert(*to, fewer);
            let back = vnodes
                .keys()
                .filter_map(|v| Some((*v, ring.table().owner(*v)?)));
            done.assign(back);
        }
    }
    let target = claim(&done, members)?;
    Ok(Settled { target, unwanted })
}

/// The next handoffs, without names yet. Those that give a shard without vnodes its
/// first ones come first, then each source has its turn.
#[must_use]
pub fn plan(
    ring: &Ring,
    settled: &Settled,
    reports: &BTreeMap<ShardId, Report>,
    limits: Limits,
) -> Vec<(ShardId, ShardId, BTreeMap<Vnode, u64>)> {
    let moving: BTreeSet<Vnode> = ring
        .moves()
        .values()
        .flat_map(|it| it.handoff.vnodes.keys().copied())
        .collect();
    let mut pairs: BTreeMap<(ShardId, ShardId), Vec<Vnode>> = BTreeMap::new();
    for change in ring.table().reassigned(&settled.target) {
        if !moving.contains(&change.vnode) {
            let pair = pairs.entry((change.from, change.to)).or_default();
            pair.push(change.vnode);
        }
    }
    let mut room = Room::new(ring, limits);
    let mut planned = Vec::new();
    loop {
        let before = planned.len();
        for ((from, to), vnodes) in &mut pairs {
            let (Some(source), Some(target)) = (reports.get(from), reports.get(to)) else {
                // What does not answer is not begun with.
                continue;
            };
            let takes = matches!(
                ring.state(*to),
                Some(ShardState::Active | ShardState::Joining)
            );
            if vnodes.is_empty() || target.is_retired || !takes || !room.take(*from, *to) {
                continue;
            }
            let mut bytes = 0_u64;
            let mut batch = BTreeMap::new();
            vnodes.retain(|vnode| {
                let size = source.bytes.get(vnode).copied().unwrap_or_default();
                let fits = batch.is_empty() || bytes.saturating_add(size) <= limits.bytes;
                let c = ring.owner(*vnode).map(|(_, c)| c).filter(|_| fits);
                if let Some(c) = c {
                    bytes = bytes.saturating_add(size);
                    batch.insert(*vnode, c);
                }
                c.is_none()
            });
            planned.push((*from, *to, batch));
        }
        if planned.len() == before {
            return planned;
        }
    }
}

/// How many more handoffs there may be.
struct Room {
    all: usize,
    out: BTreeMap<ShardId, usize>,
    into: BTreeMap<ShardId, usize>,
    limits: Limits,
}

impl Room {
    fn new(ring: &Ring, limits: Limits) -> Self {
        let mut room = Self {
            all: 0,
            out: BTreeMap::new(),
            into: BTreeMap::new(),
            limits,
        };
        for it in ring.moves().values() {
            room.add(it.handoff.from, it.handoff.to);
        }
        room
    }

    fn add(&mut self, from: ShardId, to: ShardId) {
        self.all += 1;
        *self.out.entry(from).or_default() += 1;
        *self.into.entry(to).or_default() += 1;
    }

    fn take(&mut self, from: ShardId, to: ShardId) -> bool {
        let of = |counts: &BTreeMap<ShardId, usize>, shard| {
            counts.get(&shard).copied().unwrap_or_default()
        };
        let most = self.limits.of_a_shard;
        let has_room = self.all < self.limits.of_all
            && of(&self.out, from) < most
            && of(&self.into, to) < most;
        if has_room {
            self.add(from, to);
        }
        has_room
    }
}

/// Whether the ring is as it is wished to be, and nothing is under way.
#[must_use]
pub fn is_at_rest(ring: &Ring, goal: &Goal) -> bool {
    let members = goal.members(ring);
    let rests = settle(ring, &members).is_ok_and(|settled| settled.target == *ring.table());
    let is_one = |(shard, state)| match state {
        ShardState::Joining | ShardState::Active => members.iter().any(|it| it.id == shard),
        ShardState::Leaving => false,
        ShardState::Retired => true,
    };
    rests && ring.moves().is_empty() && ring.wish() >= goal.generation && ring.shards().all(is_one)
}
