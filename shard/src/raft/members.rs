//! Carries out what [`crate::members`] decides.

use super::group::Group;
use super::log_thread::chain;
use super::{Member, Types};
use crate::members::{self, Present, Step, Wished};
use crate::replication::ProposeError;
use openraft::error::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Raft, RaftMetrics, ServerState};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a change may take to be agreed on. What is not agreed on by then may be
/// yet; the next look at the members shows it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a member is in its group, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No member yet.
    New,
    /// It has no vote yet.
    Learner,
    /// It votes.
    Voter,
    /// A change of the voters is on its way.
    Changing,
    /// No member any more.
    Removed,
}

/// A member that has all but so many entries of a log is not behind.
const NEAR: u64 = 64;

fn present(metrics: &RaftMetrics<u64, Member>) -> Present {
    let membership = metrics.membership_config.membership();
    let last = metrics.last_log_index.unwrap_or(0);
    let is_near =
        |matched: &Option<openraft::LogId<u64>>| matched.is_some_and(|id| id.index + NEAR >= last);
    let followers = metrics.replication.iter().flatten();
    let near = followers.filter(|(_, matched)| is_near(matched));
    Present {
        voters: membership.voter_ids().collect(),
        members: membership.nodes().map(|(n, m)| (*n, m.clone())).collect(),
        near: near.map(|(node, _)| *node).chain([metrics.id]).collect(),
        is_changing: membership.get_joint_config().len() > 1,
    }
}

async fn take(raft: &Raft<Types>, step: Step) -> Result<(), ProposeError> {
    let done = match step {
        Step::Learn(node, member) => raft.add_learner(node, member, false).await,
        Step::Describe(members) => {
            let change = ChangeMembers::SetNodes(members);
            raft.change_membership(change, true).await
        }
        Step::Vote(voters) => raft.change_membership(voters, false).await,
        Step::Forget(nodes) => {
            let change = ChangeMembers::RemoveNodes(nodes);
            raft.change_membership(change, true).await
        }
    };
    done.map(drop).map_err(|error| match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => ProposeError::NotLeader {
            leader: to.leader_id,
        },
        // Another change is on its way, or a learner is not there: looked at again.
        RaftError::APIError(error) => ProposeError::Unknown(chain(&error)),
        RaftError::Fatal(error) => ProposeError::Stopped(error.to_string()),
    })
}

impl Group {
    /// What this one is in its group.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.removed.get() {
            return Standing::Removed;
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        if membership.nodes().next().is_none() {
            return Standing::New;
        }
        if membership.get_node(&metrics.id).is_none() {
            // A new one is sent the log from before it was taken in.
            let is_sent = self.heard.lock().elapsed() < self.lease;
            return if is_sent {
                Standing::New
            } else {
                Standing::Removed
            };
        }
        if membership.get_joint_config().len() > 1 {
            return Standing::Changing;
        }
        if membership.voter_ids().any(|node| node == metrics.id) {
            Standing::Voter
        } else {
            Standing::Learner
        }
    }

    /// All members, with those that only learn.
    #[must_use]
    pub fn members(&self) -> BTreeSet<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let members = metrics.membership_config.membership().nodes();
        members.map(|(node, _)| *node).collect()
    }

    /// Takes the next step towards the members that are wished for, if this one
    /// leads; says whether one was taken.
    ///
    /// # Errors
    /// It does not lead any more, or the step was not agreed on in time.
    pub async fn settle(&self, wished: &Wished) -> Result<bool, ProposeError> {
        let step = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            if metrics.state != ServerState::Leader {
                return Ok(false);
            }
            members::next(&present(&metrics), wished)
        };
        let Some(step) = step else {
            return Ok(false);
        };
        tracing::info!(?step, "the members of the shard change");
        let taken = tokio::time::timeout(PATIENCE, take(&self.raft, step)).await;
        let late = |_| ProposeError::Unknown("the members did not agree on it yet".to_owned());
        taken.map_err(late)?.map(|()| true)
    }
}
