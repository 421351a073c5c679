//! A shard's replica over the network: [`ShardClient`] in its gRPC form, and what
//! a [`ShardError`] is on the wire, for both ends.
//!
//! A kind of error travels as a word in the metadata, since several kinds share a
//! code of gRPC. Whatever has no such word did not come from a replica: whether the
//! request reached one is then not known, unless there was no connection to send it on.

use crate::client::{ErrorKind, ShardClient, ShardError};
use crate::v1;
use crate::v1::shard_client::ShardClient as Stub;
use std::error::Error;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Status};

/// The names of what is in the metadata.
const KIND: &str = "quoit-error";
const LEADER: &str = "quoit-leader";

/// Bytes of one message at most, either way.
pub const MAX_MESSAGE: usize = 64 << 20;

fn word(kind: ErrorKind) -> (&'static str, Code) {
    match kind {
        ErrorKind::Invalid => ("invalid", Code::InvalidArgument),
        ErrorKind::Busy => ("busy", Code::ResourceExhausted),
        ErrorKind::DiskFull => ("disk-full", Code::ResourceExhausted),
        ErrorKind::NotLeader { .. } => ("not-leader", Code::FailedPrecondition),
        ErrorKind::Unavailable => ("unavailable", Code::Unavailable),
        ErrorKind::Behind => ("behind", Code::FailedPrecondition),
        ErrorKind::Unknown => ("unknown", Code::Unknown),
    }
}

/// An error as gRPC carries it.
#[must_use]
pub fn to_status(error: &ShardError) -> Status {
    let (word, code) = word(error.kind);
    let mut status = Status::new(code, &error.message);
    let metadata = status.metadata_mut();
    metadata.insert(KIND, MetadataValue::from_static(word));
    if let ErrorKind::NotLeader { leader: Some(node) } = error.kind {
        metadata.insert(LEADER, MetadataValue::from(node));
    }
    status
}

/// The error that a status carries.
#[must_use]
pub fn of_status(status: &Status) -> ShardError {
    let said = |name| status.metadata().get(name).and_then(|v| v.to_str().ok());
    let leader = said(LEADER).and_then(|node| node.parse().ok());
    let kind = match said(KIND) {
        Some("invalid") => ErrorKind::Invalid,
        Some("busy") => ErrorKind::Busy,
        Some("disk-full") => ErrorKind::DiskFull,
        Some("not-leader") => ErrorKind::NotLeader { leader },
        Some("behind") => ErrorKind::Behind,
        Some("unavailable") => ErrorKind::Unavailable,
        None if was_never_sent(status) => ErrorKind::Unavailable,
        _ => ErrorKind::Unknown,
    };
    let text = match said(KIND) {
        Some(_) => status.message().to_owned(),
        None => unreached(status),
    };
    ShardError::new(kind, text)
}

/// What is behind a status.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&cause| cause.source())
}

/// Whether no connection could be made: then nothing was done.
fn was_never_sent(status: &Status) -> bool {
    causes(status).any(<dyn Error>::is::<ConnectError>)
}

/// What gRPC itself says when a call did not come to a replica, or its answer not back.
fn unreached(status: &Status) -> String {
    let text = format!("the replica did not answer ({}", status.message());
    let text = causes(status).fold(text, |text, cause| format!("{text}: {cause}"));
    text + ")"
}

/// One replica, behind a connection.
#[derive(Clone)]
pub struct RemoteShard(Stub<Channel>);

impl RemoteShard {
    /// Over this connection, which may yet have to be made.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let stub = Stub::new(channel);
        let stub = stub.max_decoding_message_size(MAX_MESSAGE);
        Self(stub.max_encoding_message_size(MAX_MESSAGE))
    }
}

macro_rules! remote {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        #[async_trait::async_trait]
        impl ShardClient for RemoteShard {
            $(async fn $method(&self, request: v1::$request) -> Result<v1::$response, ShardError> {
                let answer = self.0.clone().$method(Request::new(request)).await;
                answer.map(tonic::Response::into_inner).map_err(|status| of_status(&status))
            })*

            async fn status(&self) -> Result<v1::StatusResponse, ShardError> {
                let request = Request::new(v1::StatusRequest {});
                let answer = self.0.clone().status(request).await;
                answer.map(tonic::Response::into_inner).map_err(|status| of_status(&status))
            }
        }
    };
}

remote! {
    write(WriteRequest) -> WriteResponse;
    write_matching(WriteMatchingRequest) -> WriteMatchingResponse;
    search(SearchRequest) -> SearchResponse;
    retrieve(RetrieveRequest) -> RetrieveResponse;
    scroll(ScrollRequest) -> ScrollResponse;
    count(CountRequest) -> CountResponse;
    facet(FacetRequest) -> FacetResponse;
    digests(DigestsRequest) -> DigestsResponse;
    set_schema(SetSchemaRequest) -> SetSchemaResponse;
    operation_counts(OperationCountsRequest) -> OperationCountsResponse;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_at_the_other_end() {
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::Busy,
            ErrorKind::DiskFull,
            ErrorKind::NotLeader { leader: None },
            ErrorKind::NotLeader { leader: Some(12) },
            ErrorKind::Unavailable,
            ErrorKind::Behind,
            ErrorKind::Unknown,
        ] {
            let error = ShardError::new(kind, "why: é");
            let back = of_status(&to_status(&error));
            assert_eq!((back.kind, back.message), (kind, "why: é".to_owned()));
        }
    }

    #[test]
    fn of_what_no_replica_said_the_outcome_is_unknown() {
        let status = Status::unavailable("tcp connect error");
        let error = of_status(&status);
        assert_eq!(error.kind, ErrorKind::Unknown);
        assert!(error.message.contains("tcp connect error"));
    }

    #[tokio::test]
    async fn where_nobody_listens_nothing_is_sent_and_nothing_done() {
        // A port that was free a moment ago.
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", bound.local_addr().unwrap());
        drop(bound);
        let channel = Channel::from_shared(address).unwrap().connect_lazy();
        let shard = RemoteShard::new(channel);
        let error = shard.write(v1::WriteRequest::default()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{}", error.message);
        assert!(error.message.contains("refused"), "{}", error.message);
    }
}
