//! The other members, as one of them reaches them: a trait with two forms, over
//! gRPC and, for tests and simulations, in the same process.

use super::Member;
use parking_lot::Mutex;
use quoit_proto::v1;
use std::collections::HashMap;
use std::sync::Arc;

/// What is wrong with a member that did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// It cannot be reached, or did not answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It was reached and refuses.
    #[error("it refuses: {0}")]
    Refused(String),
}

/// One other member.
#[async_trait::async_trait]
pub trait Peer: Send + Sync + 'static {
    /// Sends it entries, or the sign that its leader is alive.
    ///
    /// # Errors
    /// It did not answer; it may have taken them.
    async fn append(&self, request: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError>;

    /// Asks for its vote.
    ///
    /// # Errors
    /// It did not answer; it may have given it.
    async fn vote(&self, request: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError>;

    /// Asks a leader from which index on a view is fresh.
    ///
    /// # Errors
    /// It did not answer, or does not lead.
    async fn leader_read_index(
        &self,
        request: v1::ReadIndexRequest,
    ) -> Result<v1::ReadIndexResponse, PeerError>;

    /// Offers it a copy of a leader's data.
    ///
    /// # Errors
    /// It did not answer, or cannot take it in.
    async fn offer_snapshot(
        &self,
        offer: v1::SnapshotOffer,
    ) -> Result<v1::SnapshotAnswer, PeerError>;

    /// Sends it a part of the copy.
    ///
    /// # Errors
    /// It did not answer, or does not take it.
    async fn put_chunk(&self, chunk: v1::SnapshotChunk) -> Result<v1::SnapshotAnswer, PeerError>;
}

/// How members are reached.
pub trait Peers: Send + Sync + 'static {
    /// A way to a member. It may need the runtime that it is made on as long as it is
    /// used.
    fn peer(&self, node: u64, member: &Member) -> Arc<dyn Peer>;
}

/// The ways that one running group has used. They end with it: what keeps a connection
/// runs where the group does, and a group that is started in its place would be mute on
/// the connections of the one before.
pub struct Ways {
    peers: Arc<dyn Peers>,
    known: Mutex<HashMap<(u64, String), Arc<dyn Peer>>>,
}

impl Ways {
    /// None yet.
    pub fn new(peers: Arc<dyn Peers>) -> Self {
        Self {
            peers,
            known: Mutex::default(),
        }
    }

    /// The way to a member. Costs nothing; what is connected is kept.
    pub fn to(&self, node: u64, member: &Member) -> Arc<dyn Peer> {
        let mut known = self.known.lock();
        let way = known.entry((node, member.address.clone()));
        way.or_insert_with(|| self.peers.peer(node, member)).clone()
    }
}

/// A group of one reaches nobody.
pub struct Alone;

impl Peers for Alone {
    fn peer(&self, node: u64, _member: &Member) -> Arc<dyn Peer> {
        Arc::new(Nobody { node })
    }
}

struct Nobody {
    node: u64,
}

impl Nobody {
    fn unreachable<T>(&self) -> Result<T, PeerError> {
        let node = self.node;
        let why = format!("this shard was started without other members, and {node} is one");
        Err(PeerError::Unreachable(why))
    }
}

#[async_trait::async_trait]
impl Peer for Nobody {
    async fn append(&self, _: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError> {
        self.unreachable()
    }

    async fn vote(&self, _: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError> {
        self.unreachable()
    }

    async fn leader_read_index(
        &self,
        _: v1::ReadIndexRequest,
    ) -> Result<v1::ReadIndexResponse, PeerError> {
        self.unreachable()
    }

    async fn offer_snapshot(&self, _: v1::SnapshotOffer) -> Result<v1::SnapshotAnswer, PeerError> {
        self.unreachable()
    }

    async fn put_chunk(&self, _: v1::SnapshotChunk) -> Result<v1::SnapshotAnswer, PeerError> {
        self.unreachable()
    }
}
