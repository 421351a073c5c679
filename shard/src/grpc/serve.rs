//! Puts the port together: the shard's service, the group's, what the replica shows of
//! its cluster, health and reflection.

use super::picture::{Picture, Showing};
use crate::keeper::Keeper;
use crate::raft::PeerError;
use quoit_proto::remote::{MAX_MESSAGE, to_status};
use quoit_proto::v1::cluster_server::ClusterServer;
use quoit_proto::v1::raft_server::{Raft, RaftServer};
use quoit_proto::v1::shard_server::{Shard, ShardServer};
use quoit_proto::{SHARD_DESCRIPTORS, ShardClient, v1};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The replica as a whole, and its services. What it shows of its cluster it shows
/// also when it is not ready.
const SERVICES: [&str; 3] = ["", "quoit.v1.Shard", "quoit.v1.Raft"];

/// How often it is looked whether the replica is ready.
const LOOK: Duration = Duration::from_millis(100);

/// Why the port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptions of the services do not fit together.
    #[error("the gRPC reflection service could not be built")]
    Reflect(#[from] tonic_reflection::server::Error),
    /// The port failed, or its certificate cannot be used.
    #[error("the shard's port failed")]
    Listen(#[from] tonic::transport::Error),
}

/// Serves until `stop` resolves, then lets open calls end. The picture is of the
/// replica's cluster, for who cannot ask etcd.
///
/// # Errors
/// Reflection cannot describe the services, or the port failed.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    keeper: Arc<Keeper>,
    picture: Picture,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(SHARD_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let shard = ShardServer::new(Service(keeper.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let raft = RaftServer::new(Service(keeper.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let cluster = ClusterServer::new(Showing(picture));
    let cluster = cluster.max_encoding_message_size(MAX_MESSAGE);
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        stop.await;
        // It ends when it is dropped.
        drop(stopping);
    };
    let mut builder = Server::builder();
    if let Some(tls) = tls {
        builder = builder.tls_config(tls)?;
    }
    let served = builder
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .add_service(health)
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?)
        .add_service(shard)
        .add_service(raft)
        .add_service(cluster)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop);
    let (served, ()) = tokio::join!(served, follow(keeper, reporter, stopped));
    Ok(served?)
}

/// Tells of readiness until `stop` resolves, and from then on of none.
async fn follow(
    keeper: Arc<Keeper>,
    reporter: HealthReporter,
    stop: tokio::sync::oneshot::Receiver<()>,
) {
    let mut told = None;
    let follow = async {
        loop {
            let ready = keeper.is_ready();
            if told != Some(ready) {
                tell(&reporter, ready).await;
                told = Some(ready);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = follow => {}
        // An error means that the sender is gone, which is how it ends.
        _ = stop => {}
    }
    tell(&reporter, false).await;
}

async fn tell(reporter: &HealthReporter, ready: bool) {
    let status = if ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

struct Service(Arc<Keeper>);

macro_rules! shard_service {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl Shard for Service {
            $(async fn $method(
                &self,
                request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                let answer = ShardClient::$method(&*self.0, request.into_inner()).await;
                answer.map(Response::new).map_err(|e| to_status(&e))
            })*

            async fn status(
                &self,
                _: Request<v1::StatusRequest>,
            ) -> Result<Response<v1::StatusResponse>, Status> {
                let answer = ShardClient::status(&*self.0).await;
                answer.map(Response::new).map_err(|e| to_status(&e))
            }
        }
    };
}

shard_service! {
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

fn refused(error: &PeerError) -> Status {
    match error {
        PeerError::Unreachable(_) => Status::unavailable(error.to_string()),
        PeerError::Refused(_) => Status::failed_precondition(error.to_string()),
    }
}

#[tonic::async_trait]
impl Raft for Service {
    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let member = self.0.member().map_err(|e| refused(&e))?;
        let answer = member.append(request.into_inner()).await;
        answer.map(Response::new).map_err(|e| refused(&e))
    }

    async fn request_vote(
        &self,
        request: Request<v1::BallotRequest>,
    ) -> Result<Response<v1::BallotResponse>, Status> {
        let member = self.0.member().map_err(|e| refused(&e))?;
        let answer = member.vote(request.into_inner()).await;
        answer.map(Response::new).map_err(|e| refused(&e))
    }

    async fn read_index(
        &self,
        request: Request<v1::ReadIndexRequest>,
    ) -> Result<Response<v1::ReadIndexResponse>, Status> {
        let member = self.0.member().map_err(|e| refused(&e))?;
        let answer = member.leader_read_index(request.into_inner()).await;
        answer.map(Response::new).map_err(|e| refused(&e))
    }

    async fn offer_snapshot(
        &self,
        request: Request<v1::SnapshotOffer>,
    ) -> Result<Response<v1::SnapshotAnswer>, Status> {
        let member = self.0.member().map_err(|e| refused(&e))?;
        let answer = member.offer_snapshot(request.into_inner()).await;
        answer.map(Response::new).map_err(|e| refused(&e))
    }

    async fn put_chunk(
        &self,
        request: Request<v1::SnapshotChunk>,
    ) -> Result<Response<v1::SnapshotAnswer>, Status> {
        let member = self.0.member().map_err(|e| refused(&e))?;
        let answer = member.put_chunk(request.into_inner()).await;
        answer.map(Response::new).map_err(|e| refused(&e))
    }
}
