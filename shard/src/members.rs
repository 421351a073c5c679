//! How a group comes to have the members that are wished for: one step at a time,
//! each a function of the members that it has and of the wish, so that whoever
//! leads next goes on. Decisions only; [`crate::raft`] carries them out.
//!
//! - A node that is new at a place learns first and votes when it has caught up. In
//!   the same change the one before it at that place goes: its disk is another's
//!   now, or empty, and it must never vote again.
//! - Of several nodes at one place the newest is meant, since a node that lost its
//!   disk comes back with a higher number, also if the store of registrations has
//!   forgotten that.
//! - A wish that is older than one that was acted on is not acted on.

use crate::raft::Member;
use std::collections::{BTreeMap, BTreeSet};

/// The members that a group is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wished {
    /// The generation of the wish.
    pub generation: u64,
    /// How many: one at each place, 0, 1, 2 …
    pub replicas: u32,
    /// The nodes that have said where they are.
    pub nodes: BTreeMap<u64, Member>,
}

/// The members that a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Who votes.
    pub voters: BTreeSet<u64>,
    /// All, with those that learn.
    pub members: BTreeMap<u64, Member>,
    /// Those that have all of the log but its end.
    pub near: BTreeSet<u64>,
    /// Whether a change of the voters was begun and not ended.
    pub is_changing: bool,
}

/// One change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A node learns.
    Learn(u64, Member),
    /// What is known of members changes.
    Describe(BTreeMap<u64, Member>),
    /// These vote, and who voted and is not among them is no member any more.
    Vote(BTreeSet<u64>),
    /// These learn no longer.
    Forget(BTreeSet<u64>),
}

/// The next step; `None` where there is none, now.
pub fn next(present: &Present, wished: &Wished) -> Option<Step> {
    let Present {
        voters,
        members,
        near,
        is_changing,
    } = present;
    let acted_on = members
        .values()
        .map(|member| member.wish)
        .max()
        .unwrap_or(0);
    if wished.generation < acted_on || wished.replicas == 0 {
        return None;
    }
    let registered = |node: &u64| wished.nodes.get(node);
    let changed: BTreeMap<u64, Member> = members
        .iter()
        .filter_map(|(node, member)| {
            let described = Member {
                wish: member.wish,
                ..registered(node)?.clone()
            };
            (described != *member).then_some((*node, described))
        })
        .collect();
    if !changed.is_empty() {
        return Some(Step::Describe(changed));
    }
    let newest = newest(present, wished);
    let stamped = |member: &Member| Member {
        wish: wished.generation,
        ..member.clone()
    };
    for (ordinal, node) in &newest {
        if *ordinal < wished.replicas
            && !members.contains_key(node)
            && let Some(member) = registered(node)
        {
            return Some(Step::Learn(*node, stamped(member)));
        }
    }
    let at = |node: &u64| members.get(node).map(|member| member.ordinal);
    let voting: BTreeMap<u32, u64> = voters.iter().filter_map(|v| Some((at(v)?, *v))).collect();
    let wanted: BTreeMap<u32, u64> = (0..wished.replicas)
        .filter_map(|ordinal| {
            let ready = newest.get(&ordinal);
            let ready = ready.filter(|node| near.contains(node) || voters.contains(node));
            Some((ordinal, *ready.or_else(|| voting.get(&ordinal))?))
        })
        .collect();
    // Fewer are wished for, or a place lost its node: those above go when all that
    // stay are there, so that none is missed that has what others lack.
    let complete = wanted.len() == wished.replicas as usize;
    let stay = voters.iter().filter(|v| {
        let place = at(v).unwrap_or(u32::MAX);
        place >= wished.replicas && !complete
    });
    let target: BTreeSet<u64> = wanted.values().chain(stay).copied().collect();
    if !target.is_empty() && (target != *voters || *is_changing) {
        let is_stamped = |node| {
            members
                .get(node)
                .is_some_and(|m| m.wish == wished.generation)
        };
        if !target.iter().any(is_stamped)
            && let Some((node, member)) = target.iter().find_map(|n| members.get_key_value(n))
        {
            // Before the change: it is what an older wish must not undo.
            return Some(Step::Describe([(*node, stamped(member))].into()));
        }
        return Some(Step::Vote(target));
    }
    let idle: BTreeSet<u64> = members
        .keys()
        .filter(|node| !voters.contains(node) && !newest.values().any(|n| n == *node))
        .copied()
        .collect();
    (!idle.is_empty()).then_some(Step::Forget(idle))
}

/// The newest node of each place.
fn newest(present: &Present, wished: &Wished) -> BTreeMap<u32, u64> {
    let mut newest = BTreeMap::new();
    // Nodes come in the order of their numbers in each.
    for (node, member) in present.members.iter().chain(&wished.nodes) {
        let known = newest.entry(member.ordinal).or_insert(*node);
        *known = (*known).max(*node);
    }
    newest
}

#[cfg(test)]
mod tests;
