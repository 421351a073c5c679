//! openraft's messages as they travel, and back. Pure.

use super::codec::{self, CodecError};
use super::{GroupEntry, LogId, Types, Vote};
use crate::log::Position;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use quoit_proto::v1;

fn place(id: Option<LogId>) -> Option<v1::LogPosition> {
    let Position { index, term } = codec::position(Some(id?));
    Some(v1::LogPosition { index, term })
}

fn id(place: Option<v1::LogPosition>) -> Option<LogId> {
    let v1::LogPosition { index, term } = place?;
    codec::log_id(Position { index, term })
}

fn lacks<T>(what: &'static str, part: &'static str, it: Option<T>) -> Result<T, CodecError> {
    it.ok_or(CodecError::Lacks { what, part })
}

/// Entries on their way to another member, and whether it is to stand for election.
pub fn append_request(
    envelope: v1::Envelope,
    request: AppendEntriesRequest<Types>,
    stand: bool,
) -> v1::AppendRequest {
    let record = |entry: GroupEntry| v1::LogRecord {
        position: place(Some(entry.log_id)),
        payload: codec::encode_payload(&entry.payload),
    };
    v1::AppendRequest {
        envelope: Some(envelope),
        vote: Some(codec::vote_message(&request.vote)),
        previous: place(request.prev_log_id),
        entries: request.entries.into_iter().map(record).collect(),
        committed: place(request.leader_commit),
        stand,
    }
}

/// Entries from a leader.
///
/// # Errors
/// The message is incomplete, or an entry is none.
pub fn read_append_request(
    request: v1::AppendRequest,
) -> Result<AppendEntriesRequest<Types>, CodecError> {
    let what = "a message with entries";
    let entry = |record: v1::LogRecord| {
        let log_id = lacks(what, "an entry's position", id(record.position))?;
        let payload = codec::decode_payload(record.payload)?;
        Ok(GroupEntry { log_id, payload })
    };
    let vote = lacks(what, "the leader's vote", request.vote)?;
    let entries = request.entries.into_iter().map(entry);
    Ok(AppendEntriesRequest {
        vote: codec::vote_of(&vote),
        prev_log_id: id(request.previous),
        entries: entries.collect::<Result<_, CodecError>>()?,
        leader_commit: id(request.committed),
    })
}

/// A member's answer to entries, with whether it takes writes.
pub fn append_response(
    response: &AppendEntriesResponse<u64>,
    takes_writes: bool,
) -> v1::AppendResponse {
    use v1::append_response::Kind;
    let kind = match response {
        AppendEntriesResponse::Success => Kind::Matched(v1::Matched { partly: None }),
        AppendEntriesResponse::PartialSuccess(upto) => Kind::Matched(v1::Matched {
            partly: place(*upto),
        }),
        AppendEntriesResponse::Conflict => Kind::Conflict(v1::Conflict {}),
        AppendEntriesResponse::HigherVote(vote) => Kind::HigherVote(codec::vote_message(vote)),
    };
    v1::AppendResponse {
        kind: Some(kind),
        takes_writes,
    }
}

/// The same, read.
///
/// # Errors
/// The message is empty.
pub fn read_append_response(
    response: v1::AppendResponse,
) -> Result<AppendEntriesResponse<u64>, CodecError> {
    use v1::append_response::Kind;
    Ok(
        match lacks("an answer to entries", "what came of them", response.kind)? {
            Kind::Matched(v1::Matched { partly: None }) => AppendEntriesResponse::Success,
            Kind::Matched(v1::Matched { partly }) => {
                AppendEntriesResponse::PartialSuccess(id(partly))
            }
            Kind::Conflict(_) => AppendEntriesResponse::Conflict,
            Kind::HigherVote(vote) => AppendEntriesResponse::HigherVote(codec::vote_of(&vote)),
        },
    )
}

/// A candidate's request.
pub fn ballot_request(envelope: v1::Envelope, request: &VoteRequest<u64>) -> v1::BallotRequest {
    v1::BallotRequest {
        envelope: Some(envelope),
        vote: Some(codec::vote_message(&request.vote)),
        last: place(request.last_log_id),
    }
}

/// The same, read.
///
/// # Errors
/// The message is incomplete.
pub fn read_ballot_request(request: &v1::BallotRequest) -> Result<VoteRequest<u64>, CodecError> {
    let vote = lacks("a candidate's request", "its vote", request.vote)?;
    Ok(VoteRequest {
        vote: codec::vote_of(&vote),
        last_log_id: id(request.last),
    })
}

/// A member's answer to a candidate, who may be no member any more.
pub fn ballot_response(response: &VoteResponse<u64>, removed: bool) -> v1::BallotResponse {
    v1::BallotResponse {
        vote: Some(codec::vote_message(&response.vote)),
        granted: response.vote_granted,
        last: place(response.last_log_id),
        removed,
    }
}

/// The same, read.
///
/// # Errors
/// The message is incomplete.
pub fn read_ballot_response(
    response: &v1::BallotResponse,
) -> Result<VoteResponse<u64>, CodecError> {
    let vote: Vote = codec::vote_of(&lacks("a vote", "the vote", response.vote)?);
    Ok(VoteResponse {
        vote,
        vote_granted: response.granted,
        last_log_id: id(response.last),
    })
}
