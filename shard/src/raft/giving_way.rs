//! A leader that takes no writes, since its disk is full or it is about to stop, gives way
//! to a member that does. Each member says with each answer to its leader whether it takes writes. A
//! leader that takes none asks one that does, and has all that it has, to stand for
//! election, and votes for it as for any candidate; the others follow who is elected.
//! While nobody has room nothing changes: reads need a leader all the same.
//!
//! openraft votes for nobody as long as it has lately heard of a leader, and for that a
//! leader hears of itself. So the first request for votes does no more than depose it, by
//! its higher term, and who was asked stands again until it is elected
//! ([`super::asked`]). Of three members it then needs no other vote than the old leader's.
//! Of five it needs a third: it comes from the one that waits the shortest time for a
//! leader, the one at the lowest place. So one at a high place is asked.

use super::Types;
use crate::health::Health;
use openraft::{Raft, ServerState};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a leader looks at whether it takes writes: one that is asked to stand has
/// been elected by then, or could not be.
const LOOK: Duration = Duration::from_millis(500);

/// How long one that is asked to stand may take to be elected, where this one waits for it,
/// and how often it looks.
const ELECTED: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(10);

/// What a member said so long ago may be so no more. It says it with each heartbeat.
const FRESH: Duration = Duration::from_secs(1);

/// Who takes writes, and who of them is to stand.
#[derive(Default)]
pub struct GivingWay(Mutex<State>);

#[derive(Default)]
struct State {
    /// When each last said that it takes writes.
    takes_writes: HashMap<u64, Instant>,
    /// Who is to be asked with what is sent to it next.
    chosen: Option<u64>,
}

impl GivingWay {
    /// A member said whether it takes writes.
    pub fn heard(&self, node: u64, takes_writes: bool, now: Instant) {
        let mut state = self.0.lock();
        if takes_writes {
            state.takes_writes.insert(node, now);
        } else {
            state.takes_writes.remove(&node);
        }
    }

    /// One of these is to stand, if there is one that takes writes.
    fn choose(&self, candidates: impl IntoIterator<Item = u64>, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let said = &state.takes_writes;
        let takes_writes = |node: &u64| {
            let said = said.get(node);
            said.is_some_and(|at| now.saturating_duration_since(*at) <= FRESH)
        };
        let chosen = candidates.into_iter().find(takes_writes);
        state.chosen = chosen;
        chosen
    }

    /// Whether this member is to be asked to stand; it is asked once.
    pub fn is_chosen(&self, node: u64) -> bool {
        self.0.lock().chosen.take_if(|n| *n == node).is_some()
    }
}

/// Those who vote and have all that this one has, if this one leads: at the highest place first.
fn successors(raft: &Raft<Types>) -> Vec<u64> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    if metrics.state != ServerState::Leader {
        return Vec::new();
    }
    let has_all = |node: &u64| {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(node));
        let matched = matched.and_then(|id| id.map(|id| id.index));
        *node != metrics.id && matched == metrics.last_log_index
    };
    let membership = metrics.membership_config.membership();
    let mut successors: Vec<u64> = membership.voter_ids().filter(has_all).collect();
    let place = |node: &u64| membership.get_node(node).map(|member| member.ordinal);
    successors.sort_by_key(|node| Reverse(place(node)));
    successors
}

/// Whether anybody else votes, who could lead.
fn has_others(raft: &Raft<Types>) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let mut voters = metrics.membership_config.membership().voter_ids();
    voters.any(|node| node != metrics.id)
}

/// Lets another lead before this one stops, if it leads and one can: the others need not
/// find out that it is gone. It must take no proposals any more.
pub async fn leave(raft: &Raft<Types>, giving_way: &GivingWay, patience: Duration) {
    let metrics = raft.server_metrics();
    let leads = || metrics.borrow().state == ServerState::Leader;
    let begun = Instant::now();
    while leads() && has_others(raft) && begun.elapsed() < patience {
        let asked = Instant::now();
        if let Some(node) = giving_way.choose(successors(raft), asked) {
            tracing::info!(node, "this replica stops, and lets another lead");
            // It is told with what is sent to it next.
            if raft.trigger().heartbeat().await.is_err() {
                return;
            }
            // Asked again at once it would begin again.
            while leads() && asked.elapsed() < ELECTED {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    // Who was asked may need this one's vote.
    while metrics.borrow().current_leader.is_none() && begun.elapsed() < patience {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at it as long as the group runs.
pub async fn run(raft: Raft<Types>, health: Arc<Health>, giving_way: Arc<GivingWay>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Err(why) = health.may_write() else {
            continue;
        };
        if let Some(node) = giving_way.choose(successors(&raft), Instant::now()) {
            tracing::info!(node, %why, "this replica takes no writes, and lets another lead");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_writes_and_said_so_lately_is_asked_once() {
        let giving_way = GivingWay::default();
        let now = Instant::now();
        let later = now + FRESH + Duration::from_millis(1);
        giving_way.heard(2, true, now);
        giving_way.heard(3, true, later);
        giving_way.heard(4, true, later);
        giving_way.heard(4, false, later);
        assert_eq!(giving_way.choose([1, 2, 4], later), None);
        assert_eq!(giving_way.choose([1, 2, 3, 4], later), Some(3));
        assert!(!giving_way.is_chosen(2));
        assert!(giving_way.is_chosen(3));
        assert!(!giving_way.is_chosen(3));
    }

    #[test]
    fn who_was_chosen_is_not_asked_when_it_no_longer_can() {
        let giving_way = GivingWay::default();
        let now = Instant::now();
        giving_way.heard(2, true, now);
        assert_eq!(giving_way.choose([2], now), Some(2));
        giving_way.heard(2, false, now);
        assert_eq!(giving_way.choose([2], now), None);
        assert!(!giving_way.is_chosen(2));
    }
}
