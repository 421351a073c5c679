//! What the group keeps, as bytes: the entries of the log, the vote, and the
//! note beside the applied index. Pure.

use super::{Batch, GroupEntry, LogId, Member, Membership, StoredMembership, Types, Vote};
use crate::log::{Entry as Stored, Position};
use bytes::Bytes;
use openraft::{CommittedLeaderId, EntryPayload, LeaderId};
use prost::Message;
use quoit_proto::v1;
use std::collections::{BTreeMap, BTreeSet};

/// Why bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// They are no message of the kind.
    #[error("{what} does not decode")]
    Decode {
        /// Of what they should be.
        what: &'static str,
        /// Why not.
        source: prost::DecodeError,
    },
    /// The message lacks a part.
    #[error("{what} lacks {part}")]
    Lacks {
        /// The message.
        what: &'static str,
        /// The part.
        part: &'static str,
    },
}

/// openraft counts from 0 and the log from 1.
pub fn stored_index(index: u64) -> u64 {
    index + 1
}

/// What the log's number is to openraft.
pub fn index(stored: u64) -> u64 {
    stored.saturating_sub(1)
}

/// The id of an entry of the log; `None` for the place before the first.
pub fn log_id(position: Position) -> Option<LogId> {
    let index = position.index.checked_sub(1)?;
    Some(id(position.term, index))
}

/// Where an id is in the log; the place before the first for none.
pub fn position(id: Option<LogId>) -> Position {
    id.map_or(Position::default(), |id| Position {
        index: stored_index(id.index),
        term: id.leader_id.term,
    })
}

pub fn id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 0), index)
}

/// A batch's bytes.
pub fn encode_commands(commands: Vec<Bytes>) -> Bytes {
    let kind = v1::group_entry::Kind::Commands(v1::Commands { commands });
    v1::GroupEntry { kind: Some(kind) }.encode_to_vec().into()
}

/// The commands of a batch, each encoded.
pub fn decode_commands(bytes: Bytes) -> Result<Vec<Bytes>, CodecError> {
    let what = "a batch of the log";
    let entry = v1::GroupEntry::decode(bytes);
    let entry = entry.map_err(|source| CodecError::Decode { what, source })?;
    match entry.kind {
        Some(v1::group_entry::Kind::Commands(commands)) => Ok(commands.commands),
        _ => Err(CodecError::Lacks {
            what,
            part: "its commands",
        }),
    }
}

/// The commands of an entry of the log, each encoded; none, if it is the group's own.
pub fn commands_of(payload: Bytes) -> Result<Vec<Bytes>, CodecError> {
    match decode_payload(payload)? {
        EntryPayload::Normal(batch) => decode_commands(batch.bytes),
        EntryPayload::Blank | EntryPayload::Membership(_) => Ok(Vec::new()),
    }
}

/// An entry's payload as the log keeps it.
pub fn encode_payload(payload: &EntryPayload<Types>) -> Bytes {
    match payload {
        EntryPayload::Blank => Bytes::new(),
        EntryPayload::Normal(batch) => batch.bytes.clone(),
        EntryPayload::Membership(membership) => {
            let kind = v1::group_entry::Kind::Membership(encode_membership(membership));
            v1::GroupEntry { kind: Some(kind) }.encode_to_vec().into()
        }
    }
}

/// The entry that the log keeps as this.
pub fn decode_entry(stored: Stored) -> Result<GroupEntry, CodecError> {
    let what = "an entry of the log";
    let Stored {
        index,
        term,
        payload,
    } = stored;
    let position = Position { index, term };
    let log_id = log_id(position).ok_or(CodecError::Lacks {
        what,
        part: "an index",
    })?;
    Ok(GroupEntry {
        log_id,
        payload: decode_payload(payload)?,
    })
}

/// The payload of an entry.
pub fn decode_payload(bytes: Bytes) -> Result<EntryPayload<Types>, CodecError> {
    let what = "an entry of the log";
    let decoded = v1::GroupEntry::decode(bytes.clone());
    let decoded = decoded.map_err(|source| CodecError::Decode { what, source })?;
    Ok(match decoded.kind {
        None => EntryPayload::Blank,
        Some(v1::group_entry::Kind::Commands(_)) => EntryPayload::Normal(Batch::read(bytes)),
        Some(v1::group_entry::Kind::Membership(membership)) => {
            EntryPayload::Membership(decode_membership(membership))
        }
    })
}

fn encode_membership(membership: &Membership) -> v1::Membership {
    let voters = |nodes: &BTreeSet<u64>| v1::Voters {
        nodes: nodes.iter().copied().collect(),
    };
    let member = |(node, member): (&u64, &Member)| v1::Member {
        node: *node,
        address: member.address.clone(),
        ordinal: member.ordinal,
        zone: member.zone.clone(),
        wish: member.wish,
    };
    v1::Membership {
        voters: membership.get_joint_config().iter().map(voters).collect(),
        members: membership.nodes().map(member).collect(),
    }
}

fn decode_membership(membership: v1::Membership) -> Membership {
    let v1::Membership { voters, members } = membership;
    let voters = voters.into_iter().map(|v| v.nodes.into_iter().collect());
    let member = |member: v1::Member| {
        let v1::Member {
            node,
            address,
            ordinal,
            zone,
            wish,
        } = member;
        let member = Member {
            address,
            ordinal,
            zone,
            wish,
        };
        (node, member)
    };
    let members: BTreeMap<u64, Member> = members.into_iter().map(member).collect();
    Membership::new(voters.collect(), members)
}

/// What is kept with the applied index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The entry applied last.
    pub applied: Option<LogId>,
    /// The membership as of then.
    pub membership: StoredMembership,
}

/// A note's bytes. The index is not among them: the engine keeps it.
pub fn encode_note(note: &Note) -> Vec<u8> {
    let place = note.membership.log_id().map(|id| v1::LogPosition {
        index: stored_index(id.index),
        term: id.leader_id.term,
    });
    v1::AppliedNote {
        term: note.applied.map_or(0, |id| id.leader_id.term),
        membership_position: place,
        membership: Some(encode_membership(note.membership.membership())),
    }
    .encode_to_vec()
}

/// The note of these bytes, at this applied index; none where nothing was noted.
pub fn decode_note(bytes: &[u8], applied: u64) -> Result<Note, CodecError> {
    if bytes.is_empty() {
        return Ok(Note::default());
    }
    let what = "the note beside the applied index";
    let note = v1::AppliedNote::decode(bytes);
    let note = note.map_err(|source| CodecError::Decode { what, source })?;
    let place = note.membership_position.and_then(|p| {
        log_id(Position {
            index: p.index,
            term: p.term,
        })
    });
    let membership = note.membership.map(decode_membership).unwrap_or_default();
    Ok(Note {
        applied: Some(id(note.term, applied)),
        membership: StoredMembership::new(place, membership),
    })
}

/// A vote as a message.
pub fn vote_message(vote: &Vote) -> v1::Vote {
    v1::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

/// The vote of a message.
pub fn vote_of(vote: &v1::Vote) -> Vote {
    Vote {
        leader_id: LeaderId {
            term: vote.term,
            voted_for: vote.node,
        },
        committed: vote.committed,
    }
}

/// The vote of these bytes.
pub fn decode_vote(bytes: &[u8]) -> Result<Vote, CodecError> {
    let what = "the vote";
    let vote = v1::Vote::decode(bytes).map_err(|source| CodecError::Decode { what, source })?;
    Ok(vote_of(&vote))
}
