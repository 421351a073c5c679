//! What the other members ask of this one, and what it answers before openraft is asked:
//! whether it is meant at all, and whether it may stand for election.

use super::group::Group;
use super::log_thread::chain;
use super::peer::{Peer, PeerError};
use super::removed::was_removed;
use super::{Member, wire};
use crate::replication::{ProposeError, Replication};
use openraft::ServerState;
use openraft::metrics::RaftServerMetrics;
use openraft::raft::AppendEntriesResponse;
use quoit_proto::v1;
use std::time::Instant;

/// How often one that is asked to stand does so at least.
const MIN_TIMES: u32 = 10;

fn refused(error: &dyn std::error::Error) -> PeerError {
    PeerError::Refused(chain(error))
}

impl Group {
    /// Stands for election at once, since one asks for votes whose log is shorter than
    /// this one's and which cannot be elected. Left to itself this one might wait longer
    /// than that one does each time, and be outbid each time: openraft does not take up
    /// the term of a candidate that it refuses.
    fn stand(&self) {
        if self.is_leaving() || self.heard.lock().elapsed() < self.lease {
            // It leads no more, or a leader is there whom the one who asks does not hear.
            return;
        }
        // The first time it may learn no more than the term that is to be outbid.
        self.stand_until(2, |metrics| metrics.state == ServerState::Leader);
    }

    /// Stands for election since its leader, of this term, gives way to it: again and
    /// again until it leads or votes for another, and not for longer than a member takes
    /// to miss a leader.
    fn follow_on(&self, term: u64) {
        let times = self.lease.as_millis() / self.pause.as_millis().max(1);
        let times = u32::try_from(times).unwrap_or(u32::MAX).max(MIN_TIMES);
        self.stand_until(times, move |metrics| {
            let chosen = metrics.vote.leader_id;
            let is_later = chosen.term > term;
            is_later && (metrics.current_leader.is_some() || chosen.voted_for != Some(metrics.id))
        });
    }

    /// Stands for election so many times, if it votes, until it is done.
    fn stand_until(
        &self,
        times: u32,
        is_done: impl Fn(&RaftServerMetrics<u64, Member>) -> bool + Send + Sync + 'static,
    ) {
        let raft = self.raft.clone();
        let pause = self.pause;
        let standing = async move {
            let mut metrics = raft.server_metrics();
            let is_done = |metrics: &RaftServerMetrics<u64, Member>| {
                let mut votes = metrics.membership_config.membership().voter_ids();
                is_done(metrics) || !votes.any(|v| v == metrics.id)
            };
            for _ in 0..times {
                let is_done_before = is_done(&metrics.borrow());
                if is_done_before || raft.trigger().elect().await.is_err() {
                    return;
                }
                // Seen when it comes: who leads then may soon give way itself, and must
                // not be outbid for what was asked before.
                let done = tokio::time::timeout(pause, metrics.wait_for(&is_done)).await;
                if done.is_ok() {
                    return;
                }
            }
        };
        self.spawn(standing);
    }

    fn check(
        &self,
        envelope: Option<&v1::Envelope>,
        vote: Option<&v1::Vote>,
    ) -> Result<(), PeerError> {
        self.me.check(envelope, vote).map_err(|error| {
            let from = envelope.map(|envelope| envelope.from).unwrap_or_default();
            let why = chain(&error);
            // Once, and not with each sign that a leader is alive.
            let mut told = self.misdirected.lock();
            let text = format!("{from}: {why}");
            if *told != text {
                tracing::warn!(from, error = why, "a message of another member is refused");
                *told = text;
            }
            refused(&error)
        })
    }

    /// What this member promised, if it is more than what a leader shows.
    fn higher_vote(
        &self,
        vote: Option<&v1::Vote>,
    ) -> Result<Option<v1::SnapshotAnswer>, PeerError> {
        // Who sends it would take any vote that is not above its own for success.
        let shown = vote.ok_or_else(|| PeerError::Refused("it shows no vote".to_owned()))?;
        let mine = self.raft.metrics().borrow().vote;
        if super::codec::vote_of(shown) >= mine {
            return Ok(None);
        }
        let higher = v1::snapshot_answer::Kind::HigherVote(super::codec::vote_message(&mine));
        Ok(Some(v1::SnapshotAnswer { kind: Some(higher) }))
    }
}

/// What the other members ask of this one.
#[async_trait::async_trait]
impl Peer for Group {
    async fn append(&self, request: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError> {
        self.check(request.envelope.as_ref(), request.vote.as_ref())?;
        if self.taking.is_whole() {
            // Its log is not what its leader now takes it for.
            let why = "it is being opened anew on a copy of the leader's data";
            return Err(PeerError::Unreachable(why.to_owned()));
        }
        let is_to_stand = request.stand;
        let request = wire::read_append_request(request).map_err(|e| refused(&e))?;
        let term = request.vote.leader_id.term;
        let has_entries = !request.entries.is_empty();
        let response = self.raft.append_entries(request).await;
        let response = response.map_err(|e| refused(&e))?;
        let takes_writes = self.health.may_write().is_ok() && !self.is_leaving();
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            *self.heard.lock() = Instant::now();
            if !self.is_leaving() {
                self.removed.set(false);
            }
            if is_to_stand && takes_writes {
                self.follow_on(term);
            }
        }
        if has_entries && matches!(response, AppendEntriesResponse::Success) {
            self.taking.is_not_needed();
        }
        Ok(wire::append_response(&response, takes_writes))
    }

    async fn vote(&self, request: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError> {
        self.check(request.envelope.as_ref(), request.vote.as_ref())?;
        let from = request.envelope.as_ref().map(|envelope| envelope.from);
        let request = wire::read_ballot_request(&request).map_err(|e| refused(&e))?;
        let last = request.last_log_id;
        let response = self.raft.vote(request).await;
        let response = response.map_err(|e| refused(&e))?;
        let removed = !response.vote_granted
            && from.is_some_and(|from| was_removed(&self.note.borrow().membership, from, last));
        if !response.vote_granted && !removed && response.last_log_id > last {
            self.stand();
        }
        Ok(wire::ballot_response(&response, removed))
    }

    async fn leader_read_index(
        &self,
        request: v1::ReadIndexRequest,
    ) -> Result<v1::ReadIndexResponse, PeerError> {
        self.check(request.envelope.as_ref(), None)?;
        if !self.leadership().is_me {
            return Err(refused(&ProposeError::NotLeader { leader: None }));
        }
        let index = self.read_index().await;
        let index = index.map_err(|e| refused(&e))?;
        Ok(v1::ReadIndexResponse { index })
    }

    async fn offer_snapshot(
        &self,
        offer: v1::SnapshotOffer,
    ) -> Result<v1::SnapshotAnswer, PeerError> {
        self.check(offer.envelope.as_ref(), offer.vote.as_ref())?;
        match self.higher_vote(offer.vote.as_ref())? {
            Some(higher) => Ok(higher),
            None => self.taking.offered(offer).await,
        }
    }

    async fn put_chunk(&self, chunk: v1::SnapshotChunk) -> Result<v1::SnapshotAnswer, PeerError> {
        self.check(chunk.envelope.as_ref(), chunk.vote.as_ref())?;
        match self.higher_vote(chunk.vote.as_ref())? {
            Some(higher) => Ok(higher),
            None => self.taking.put(chunk).await,
        }
    }
}
