//! Who leads, and what a leader answers for: from which index on a view is fresh.

use super::peer::Ways;
use super::{Member, Types, Vote};
use crate::replication::ProposeError;
use crate::stamp::MemberId;
use openraft::error::{CheckIsLeaderError, RaftError};
use openraft::{Raft, ServerState};
use quoit_proto::v1;
use std::time::{Duration, Instant};

/// How long a strong read waits for a leader, and how often it looks for one: an
/// election takes a little more than a second.
const LEADER_PATIENCE: Duration = Duration::from_secs(2);
const LEADER_PAUSE: Duration = Duration::from_millis(20);

/// How long a leader may take to answer: one that is silent must not hold up those who
/// ask when there is another.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Who leads, as a member knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader.
    pub leader: Option<(u64, Member)>,
    /// Whether that is this member.
    pub is_me: bool,
}

/// Why the group goes on without this member, if it does: after a failure of its disk
/// openraft has ended here.
pub(super) fn ended(raft: &Raft<Types>) -> Option<ProposeError> {
    let metrics = raft.metrics();
    let ended = metrics.borrow().running_state.clone().err();
    ended.map(|why| ProposeError::Stopped(why.to_string()))
}

pub(super) fn leadership(raft: &Raft<Types>) -> Leadership {
    if ended(raft).is_some() {
        // Its last word was said by one that may have led.
        return Leadership::default();
    }
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow();
    let member = |node: u64| {
        let member = metrics.membership_config.membership().get_node(&node);
        (node, member.cloned().unwrap_or_default())
    };
    Leadership {
        leader: metrics.current_leader.map(member),
        is_me: metrics.state == ServerState::Leader,
    }
}

/// From which index on a view is fresh, by the leader's word, whoever that is.
/// While there is none it is waited for.
pub(super) async fn fresh_index(
    raft: &Raft<Types>,
    me: MemberId,
    ways: &Ways,
) -> Result<u64, ProposeError> {
    let begun = Instant::now();
    loop {
        if let Some(ended) = ended(raft) {
            return Err(ended);
        }
        let asked = match leadership(raft) {
            Leadership { is_me: true, .. } => confirmed(raft).await,
            Leadership { leader: None, .. } => {
                Err(ProposeError::NoQuorum("nobody leads it at present".into()))
            }
            Leadership {
                leader: Some((node, member)),
                ..
            } => {
                let envelope = Some(me.to(node));
                let request = v1::ReadIndexRequest { envelope };
                let peer = ways.to(node, &member);
                let asked = peer.leader_read_index(request);
                match tokio::time::timeout(ANSWER_PATIENCE, asked).await {
                    Ok(Ok(response)) => Ok(response.index),
                    Ok(Err(e)) => Err(ProposeError::NoQuorum(format!("of its leader: {e}"))),
                    Err(_) => Err(ProposeError::NoQuorum("its leader is silent".into())),
                }
            }
        };
        match asked {
            Ok(index) => return Ok(index),
            Err(error @ ProposeError::Stopped(_)) => return Err(error),
            Err(error) if begun.elapsed() > LEADER_PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(LEADER_PAUSE).await,
        }
    }
}

/// A leader that is started anew stands for election as any other. openraft would have it
/// lead on in its term, with what it has applied for what is committed; but it may have
/// acknowledged more than that, and a read would not show it until the next write.
pub(super) fn as_follower(mut vote: Vote, me: u64) -> Vote {
    if vote.leader_id.voted_for == Some(me) {
        vote.committed = false;
    }
    vote
}

/// What a leader knows to be committed, after a majority has said that it leads.
pub(super) async fn confirmed(raft: &Raft<Types>) -> Result<u64, ProposeError> {
    match raft.get_read_log_id().await {
        Ok((Some(id), _)) => Ok(id.index),
        // Nothing was ever committed.
        Ok((None, _)) => Ok(0),
        Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
            let leader = to.leader_id;
            Err(ProposeError::NotLeader { leader })
        }
        Err(RaftError::APIError(error @ CheckIsLeaderError::QuorumNotEnough(_))) => {
            Err(ProposeError::NoQuorum(error.to_string()))
        }
        Err(RaftError::Fatal(fatal)) => Err(ProposeError::Stopped(fatal.to_string())),
    }
}
