//! openraft's view of the other members: each message in an envelope that says
//! whose it is and whom it is for.

use super::giving_way::GivingWay;
use super::handing::{Exports, Handing, hand_over};
use super::log_thread::chain;
use super::peer::{Peer, PeerError, Ways};
use super::reached::Reached;
use super::removed::Removed;
use super::{Member, Types, Vote, wire};
use crate::stamp::MemberId;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot};
use quoit_proto::v1;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How the messages between members are to be understood. A member that
/// understands another version refuses them.
pub const VERSION: u32 = 1;

/// The pause before a member that could not be reached is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The same, for one that does not take a copy in: all of it is tried again.
const COPY_PAUSE: Duration = Duration::from_secs(1);

/// What is wrong with a message that a member received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misdirected {
    /// It has no envelope.
    #[error("it does not say whom it is for: is it from a Quoit?")]
    Unaddressed,
    /// It is of another version.
    #[error(
        "it speaks version {theirs} of the protocol between members, and this one {VERSION}: run one version of Quoit on all members"
    )]
    OtherVersion {
        /// Its version.
        theirs: u32,
    },
    /// It is for another.
    #[error("it is for member {node} of group {group} of collection {collection}, and this is member {} of group {} of {}", me.node, me.group, me.collection)]
    NotForMe {
        /// Its collection.
        collection: Uuid,
        /// Its group.
        group: u64,
        /// Its addressee.
        node: u64,
        /// Who received it.
        me: Box<MemberId>,
    },
    /// It is from this one itself.
    #[error(
        "it is from member {node}, which is this one: does another replica run on a copy of its data directory? Stop one of them, and remove its directory"
    )]
    FromMe {
        /// This one.
        node: u64,
    },
    /// It shows a vote that is not its sender's.
    #[error(
        "it is from member {from}, and shows the vote of {}: only who stands for election or leads by a vote shows it", voted.map_or("nobody".to_owned(), |node| format!("member {node}"))
    )]
    AnothersVote {
        /// Its sender.
        from: u64,
        /// Whose vote it is.
        voted: Option<u64>,
    },
}

impl MemberId {
    /// The envelope of a message to another member.
    #[must_use]
    pub fn to(&self, node: u64) -> v1::Envelope {
        v1::Envelope {
            version: VERSION,
            collection: self.collection.as_bytes().to_vec(),
            group: self.group,
            from: self.node,
            to: node,
        }
    }

    /// Whether a message is for this member, and from who shows this vote, if it shows
    /// one. openraft believes the vote alone: by its own, in a message that is not its
    /// own, this one would take itself for elected; and who asks for votes as another
    /// might be told that the other is removed, and be quiet.
    ///
    /// # Errors
    /// It is not.
    pub fn check(
        &self,
        envelope: Option<&v1::Envelope>,
        vote: Option<&v1::Vote>,
    ) -> Result<(), Misdirected> {
        let envelope = envelope.ok_or(Misdirected::Unaddressed)?;
        if envelope.version != VERSION {
            let theirs = envelope.version;
            return Err(Misdirected::OtherVersion { theirs });
        }
        let collection = Uuid::from_slice(&envelope.collection);
        let collection = collection.map_err(|_| Misdirected::Unaddressed)?;
        let (group, node) = (envelope.group, envelope.to);
        if (collection, group, node) != (self.collection, self.group, self.node) {
            return Err(Misdirected::NotForMe {
                collection,
                group,
                node,
                me: Box::new(*self),
            });
        }
        let from = envelope.from;
        if from == self.node {
            return Err(Misdirected::FromMe { node: from });
        }
        match vote.map(|vote| vote.node) {
            Some(voted) if voted != Some(from) => Err(Misdirected::AnothersVote { from, voted }),
            _ => Ok(()),
        }
    }
}

/// The way to all other members.
pub struct Network {
    me: MemberId,
    ways: Arc<Ways>,
    exports: Arc<Exports>,
    giving_way: Arc<GivingWay>,
    removed: Removed,
    reached: Reached,
}

impl Network {
    /// Of this member.
    pub fn new(
        me: MemberId,
        ways: Arc<Ways>,
        exports: Arc<Exports>,
        giving_way: Arc<GivingWay>,
        removed: Removed,
    ) -> Self {
        Self {
            me,
            ways,
            exports,
            giving_way,
            removed,
            reached: Reached::default(),
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Line;

    async fn new_client(&mut self, node: u64, member: &Member) -> Line {
        Line {
            me: self.me,
            node,
            peer: self.ways.to(node, member),
            exports: self.exports.clone(),
            giving_way: self.giving_way.clone(),
            removed: self.removed.clone(),
            reached: self.reached.clone(),
            told: String::new(),
        }
    }
}

/// The way to one other member.
pub struct Line {
    me: MemberId,
    node: u64,
    peer: Arc<dyn Peer>,
    exports: Arc<Exports>,
    giving_way: Arc<GivingWay>,
    removed: Removed,
    reached: Reached,
    /// Why a copy did not arrive, as it was told last.
    told: String,
}

type Failed<E> = RPCError<u64, Member, E>;

/// openraft pauses before it tries a member again that it cannot reach.
fn unanswered<E: std::error::Error>(error: &PeerError) -> Failed<E> {
    Failed::Unreachable(Unreachable::new(error))
}

impl RaftNetwork<Types> for Line {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed<RaftError<u64>>> {
        let stand = self.giving_way.is_chosen(self.node);
        let request = wire::append_request(self.me.to(self.node), request, stand);
        let response = self.peer.append(request).await;
        let response = self.reached.note(self.node, response);
        let response = response.map_err(|e| unanswered(&e))?;
        let takes_writes = response.takes_writes;
        self.giving_way
            .heard(self.node, takes_writes, Instant::now());
        wire::read_append_response(response).map_err(|e| NetworkError::new(&e).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed<RaftError<u64>>> {
        let request = wire::ballot_request(self.me.to(self.node), &request);
        let response = self.peer.vote(request).await;
        let response = self.reached.note(self.node, response);
        let response = response.map_err(|e| unanswered(&e))?;
        if response.removed {
            self.removed.set(true);
        }
        wire::read_ballot_response(&response).map_err(|e| NetworkError::new(&e).into())
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let Self {
            me,
            node,
            peer,
            exports,
            told,
            ..
        } = self;
        let handing = async {
            let handed = hand_over(exports, *me, *node, &**peer, vote, &snapshot.snapshot).await;
            if let Err(error) = &handed {
                let why = chain(error);
                // Once for each reason: it may last as long as a disk is full.
                if *told != why {
                    tracing::warn!(node, error = why, "a copy of the data is on its way still");
                    *told = why;
                }
                tokio::time::sleep(COPY_PAUSE).await;
            }
            handed
        };
        let handed = tokio::select! {
            handed = handing => handed,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match handed {
            Ok(Handing::Taken) => Ok(SnapshotResponse::new(vote)),
            Ok(Handing::HigherVote(vote)) => Ok(SnapshotResponse::new(vote)),
            Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(PAUSE))
    }
}
