//! The other members of the group, over gRPC: each way to one is a connection, which is
//! made when it is first needed, and anew when it was lost.

use crate::raft::{Member, Peer, PeerError, Peers};
use quoit_proto::reach::Reach;
use quoit_proto::remote::MAX_MESSAGE;
use quoit_proto::v1;
use quoit_proto::v1::raft_client::RaftClient;
use std::error::Error;
use std::sync::Arc;
use tonic::Code;
use tonic::transport::Channel;

/// Connections to members.
#[derive(Default)]
pub struct GrpcPeers {
    reach: Reach,
}

impl GrpcPeers {
    /// Those that are reached like this.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self { reach }
    }
}

impl Peers for GrpcPeers {
    fn peer(&self, _: u64, member: &Member) -> Arc<dyn Peer> {
        let channel = self.reach.channel(&member.address);
        let channel = channel.map_err(|e| PeerError::Unreachable(e.to_string()));
        Arc::new(Remote(channel))
    }
}

struct Remote(Result<Channel, PeerError>);

impl Remote {
    fn stub(&self) -> Result<RaftClient<Channel>, PeerError> {
        let stub = RaftClient::new(self.0.clone()?);
        let stub = stub.max_decoding_message_size(MAX_MESSAGE);
        Ok(stub.max_encoding_message_size(MAX_MESSAGE))
    }
}

/// What follows where a certificate was not accepted, by one side or the other.
const CHECK_FILES: &str = "; are --tls-ca, --tls-cert and --tls-key of all programs of the cluster of one authority, and valid now? Restart those whose files were renewed";

fn failed(status: &tonic::Status) -> PeerError {
    let why = status.message().to_owned();
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented => {
            PeerError::Refused(why)
        }
        _ => {
            let causes = std::iter::successors(status.source(), |&cause| cause.source());
            let mut why = causes.fold(why, |why, cause| format!("{why}: {cause}"));
            if why.contains("certificate") || why.contains("fatal alert") {
                why += CHECK_FILES;
            }
            PeerError::Unreachable(why)
        }
    }
}

#[async_trait::async_trait]
impl Peer for Remote {
    async fn append(&self, request: v1::AppendRequest) -> Result<v1::AppendResponse, PeerError> {
        let answer = self.stub()?.append(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| failed(&e))
    }

    async fn vote(&self, request: v1::BallotRequest) -> Result<v1::BallotResponse, PeerError> {
        let answer = self.stub()?.request_vote(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| failed(&e))
    }

    async fn leader_read_index(
        &self,
        request: v1::ReadIndexRequest,
    ) -> Result<v1::ReadIndexResponse, PeerError> {
        let answer = self.stub()?.read_index(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| failed(&e))
    }

    async fn offer_snapshot(
        &self,
        offer: v1::SnapshotOffer,
    ) -> Result<v1::SnapshotAnswer, PeerError> {
        let answer = self.stub()?.offer_snapshot(offer).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| failed(&e))
    }

    async fn put_chunk(&self, chunk: v1::SnapshotChunk) -> Result<v1::SnapshotAnswer, PeerError> {
        let answer = self.stub()?.put_chunk(chunk).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| failed(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// A group that is opened anew has a runtime of its own, and that of the one before
    /// has ended.
    #[test]
    fn a_way_that_is_made_after_a_runtime_has_ended_does_not_need_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let member = Member {
            address: listener.local_addr().unwrap().to_string(),
            ..Member::default()
        };
        let connected = Arc::new(AtomicUsize::new(0));
        let counted = connected.clone();
        thread::spawn(move || {
            // Who connects is not answered.
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        let peers = GrpcPeers::default();
        for _ in 0..2 {
            let before = connected.load(Ordering::SeqCst);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let asked = runtime.block_on(async {
                let way = peers.peer(2, &member);
                way.append(v1::AppendRequest::default()).await
            });
            assert!(matches!(asked, Err(PeerError::Unreachable(_))), "{asked:?}");
            assert!(connected.load(Ordering::SeqCst) > before, "{asked:?}");
        }
    }
}
