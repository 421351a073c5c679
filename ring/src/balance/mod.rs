//! The ring's steps: from the ring as it is, what the shards say of themselves, and
//! what is wished, the next ring and what is to be sent to whom. Nothing is kept
//! between two looks: who decides may stop anywhere, run twice, or go on with what
//! another began.
//!
//! Every condition on what a shard says is one that, once true, stays true, so that an
//! old answer is as good as a new one; and a shard that does not answer is unknown,
//! which is never taken for empty.
//!
//! ```text
//! plan      a vnode is to be elsewhere                    a move in `Copy`
//! record    a shard owns a vnode with a higher number     owner and number follow
//!           its target has activated a move               → `Release`
//! cancel    a move is unwanted, or can never be           `Copy` → `Cancel`
//! end       nothing is held by it any more, nor can be    the move is gone
//! ```

mod plan;
mod steps;
#[cfg(test)]
mod tests;

pub use plan::{Limits, Settled, is_at_rest, plan, settle};
pub use steps::{Command, Send, StepError, next_ring, sends};

use crate::claim::Member;
use crate::custody::Holding;
use crate::handoff::{HandoffId, Kept};
use crate::key::{ShardId, Vnode};
use crate::ring::{Ring, ShardState};
use std::collections::BTreeMap;

/// What is wished of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Which wish it is: an older one than the ring's is not acted on.
    pub generation: u64,
    /// How many shards there are to be.
    pub shards: u32,
    /// Weights of some; of the others 1.
    pub weights: BTreeMap<ShardId, u32>,
    /// Whether nothing new is to be begun. What is under way goes on to its end.
    pub is_paused: bool,
}

impl Goal {
    /// Who is to be a shard of a ring: of those that live the first, and where there are
    /// too few of them, new ones with numbers that no shard ever had.
    #[must_use]
    pub fn members(&self, ring: &Ring) -> Vec<Member> {
        let live = ring
            .shards()
            .filter(|(_, state)| *state != ShardState::Retired);
        let last = ring.shards().last().map_or(0, |(shard, _)| shard.0 + 1);
        let ids = live.map(|(shard, _)| shard).chain((last..).map(ShardId));
        let member = |id| Member {
            id,
            weight: self.weights.get(&id).copied().unwrap_or(1),
        };
        ids.take(self.shards as usize).map(member).collect()
    }
}

/// What a shard says of itself, after a majority of it has agreed that it may: all
/// that it had applied when it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// What it is to the vnodes; to those that are not named it never was anything.
    pub holdings: BTreeMap<Vnode, Holding>,
    /// The handoffs that it has not done with.
    pub kept: BTreeMap<HandoffId, Kept>,
    /// Whether it is retired.
    pub is_retired: bool,
    /// Handoffs to it that may be finished.
    pub ready: Vec<HandoffId>,
    /// What its vnodes take on its disks, as it estimates, in bytes.
    pub bytes: BTreeMap<Vnode, u64>,
}

impl Report {
    fn holding(&self, vnode: Vnode) -> Holding {
        self.holdings.get(&vnode).copied().unwrap_or_default()
    }
}
