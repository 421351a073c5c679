//! What `quoit ring simulate` shows: how a ring spreads vnodes and keys over its
//! members, and what a change moves, for Quoit's table and for a classic
//! consistent-hash ring. Numbers only; how they are printed is the command's.
//!
//! Members are `node-0`, `node-1` …, and newcomers go on from there. Keys are
//! the numbers from 0: for Quoit, key i is the canonical id of the point i; for
//! the classic ring it is the text of that number.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::claim::{ClaimError, Member, claim, first_table, least_moves};
use crate::classic::ClassicRing;
use crate::key::{PointId, ShardId, VnodeCount};
use crate::table::Table;

#[cfg(test)]
mod tests;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The number of members before the change.
    pub members: u32,
    /// The number of vnodes of Quoit's table.
    pub vnodes: VnodeCount,
    /// The number of keys.
    pub keys: u32,
    /// The points of each member on the classic ring; `None` leaves that ring
    /// out.
    pub classic_points: Option<u32>,
    /// What happens.
    pub change: Change,
}

/// What happens to the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// So many newcomers join at once.
    Join(u32),
    /// These members leave at once. An id that no member has changes nothing.
    Leave(BTreeSet<String>),
}

/// The outcome, in the shape of the command's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Quoit's table.
    pub quoit: Side,
    /// The classic ring, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classic: Option<Side>,
}

/// One of the two rings, after the change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The members, by ascending number.
    pub members: Vec<Load>,
    /// The most vnodes of a member over the mean.
    pub vnodes_max_over_mean: f64,
    /// The most keys of a member over the mean.
    pub keys_max_over_mean: f64,
    /// What the change moved, as a fraction: for Quoit of the vnodes, for the
    /// classic ring of the keys.
    pub moved: f64,
    /// The least that any ring must move for this change to be balanced after
    /// it, as the same fraction. Whoever leaves gives up what it had. Whoever
    /// joins gets an equal share, in whole vnodes or keys and rounded down.
    pub least: f64,
}

/// A member with what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Load {
    /// The member: `node-0`, `node-1` …
    pub id: String,
    /// Its vnodes; on the classic ring its points.
    pub vnodes: u64,
    /// Its keys.
    pub keys: u64,
}

/// How a quantity is spread over the members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    /// What the member with the least has.
    pub min: u64,
    /// The mean over the members.
    pub mean: f64,
    /// What the member with the most has.
    pub max: u64,
}

impl Distribution {
    /// The distribution of these values; all zero where there are none.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let (mut min, mut max, mut sum, mut n) = (u64::MAX, 0, 0, 0);
        for value in values {
            min = min.min(value);
            max = max.max(value);
            sum += value;
            n += 1;
        }
        if n == 0 {
            min = 0;
        }
        Self {
            min,
            mean: ratio(sum, n.max(1)),
            max,
        }
    }

    /// The most over the mean; 1 where there is nothing at all, as nobody then
    /// has more than another.
    #[must_use]
    pub fn max_over_mean(&self) -> f64 {
        if self.max == 0 {
            1.0
        } else {
            ratio(self.max, 1) / self.mean
        }
    }
}

impl Setting {
    /// The ids that leave and that no member has, in order.
    #[must_use]
    pub fn absent(&self) -> Vec<&str> {
        let Change::Leave(ids) = &self.change else {
            return Vec::new();
        };
        let present: BTreeSet<String> = (0..self.members).map(name).collect();
        let absent = ids.iter().filter(|id| !present.contains(*id));
        absent.map(String::as_str).collect()
    }

    /// The members before and after the change.
    fn members(&self) -> (Vec<u32>, Vec<u32>) {
        let before: Vec<u32> = (0..self.members).collect();
        let after = match &self.change {
            Change::Nothing => before.clone(),
            Change::Join(newcomers) => (0..self.members.saturating_add(*newcomers)).collect(),
            Change::Leave(ids) => {
                let stays = |i: &u32| !ids.contains(&name(*i));
                before.iter().copied().filter(stays).collect()
            }
        };
        (before, after)
    }
}

/// Builds the rings, makes the change and counts.
///
/// # Errors
/// There are no members, before the change or after it.
pub fn simulate(setting: &Setting) -> Result<Report, ClaimError> {
    let (before, after) = setting.members();
    let classic = |points| classic(setting, points, &before, &after);
    Ok(Report {
        quoit: quoit(setting, &before, &after)?,
        classic: setting.classic_points.map(classic),
    })
}

fn quoit(setting: &Setting, before: &[u32], after: &[u32]) -> Result<Side, ClaimError> {
    let members =
        |ids: &[u32]| -> Vec<Member> { ids.iter().map(|i| Member::equal(ShardId(*i))).collect() };
    let table = first_table(setting.vnodes, &members(before))?;
    let next = claim(&table, &members(after))?;
    let least = least_moves(&table, &members(after))?;
    let moved = table.reassigned(&next).count() as u64;

    let vnodes = next.counts();
    let keys = keys_of_shards(&next, setting.keys);
    let of = |counts: &BTreeMap<ShardId, u64>, i| counts.get(&ShardId(i)).copied().unwrap_or(0);
    let loads = after.iter().map(|i| Load {
        id: name(*i),
        vnodes: of(&vnodes, *i),
        keys: of(&keys, *i),
    });
    let total = u64::from(setting.vnodes.get());
    Ok(side(
        loads.collect(),
        ratio(moved, total),
        ratio(least, total),
    ))
}

fn keys_of_shards(table: &Table, keys: u32) -> BTreeMap<ShardId, u64> {
    let mut counts = BTreeMap::new();
    for key in 0..u64::from(keys) {
        let vnode = table.vnodes().vnode_of(&PointId::Num(key).to_key());
        if let Some(owner) = table.owner(vnode) {
            *counts.entry(owner).or_default() += 1;
        }
    }
    counts
}

fn classic(setting: &Setting, points: u32, before: &[u32], after: &[u32]) -> Side {
    let mut ring = ClassicRing::new(points);
    for i in before {
        ring.add(&name(*i));
    }
    let mut next = ring.clone();
    let (old, new): (BTreeSet<u32>, BTreeSet<u32>) = (
        before.iter().copied().collect(),
        after.iter().copied().collect(),
    );
    for leaver in old.difference(&new) {
        next.remove(&name(*leaver));
    }
    for newcomer in new.difference(&old) {
        next.add(&name(*newcomer));
    }

    let leavers: BTreeSet<String> = old.difference(&new).map(|i| name(*i)).collect();
    let mut keys: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut moved, mut must_leave) = (0, 0);
    for key in 0..setting.keys {
        let key = key.to_string();
        let (from, to) = (ring.owner(&key), next.owner(&key));
        moved += u64::from(from != to);
        must_leave += u64::from(from.is_some_and(|from| leavers.contains(from)));
        if let Some(to) = to {
            *keys.entry(to).or_default() += 1;
        }
    }
    let total = u64::from(setting.keys);
    let newcomers = new.difference(&old).count() as u64;
    let share = total / (new.len() as u64).max(1);
    let least = must_leave + newcomers * share;

    let loads = after.iter().map(|i| {
        let id = name(*i);
        Load {
            vnodes: u64::from(points),
            keys: keys.get(id.as_str()).copied().unwrap_or(0),
            id,
        }
    });
    let total = total.max(1);
    side(loads.collect(), ratio(moved, total), ratio(least, total))
}

fn side(members: Vec<Load>, moved: f64, least: f64) -> Side {
    let vnodes = Distribution::of(members.iter().map(|member| member.vnodes));
    let keys = Distribution::of(members.iter().map(|member| member.keys));
    Side {
        vnodes_max_over_mean: vnodes.max_over_mean(),
        keys_max_over_mean: keys.max_over_mean(),
        members,
        moved,
        least,
    }
}

fn name(member: u32) -> String {
    format!("node-{member}")
}

/// A quotient of counts. They are far below 2^53, where f64 is exact.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
