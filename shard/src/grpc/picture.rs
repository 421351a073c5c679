//! What a replica shows of its cluster, as it was told: it looks at nothing of it.

use quoit_proto::remote::to_status;
use quoit_proto::v1::cluster_server::Cluster;
use quoit_proto::{ErrorKind, ShardError, v1};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// What is shown now; nothing, as long as nothing was seen.
pub type Picture = watch::Receiver<Option<v1::PictureResponse>>;

pub(super) struct Showing(pub(super) Picture);

#[tonic::async_trait]
impl Cluster for Showing {
    async fn picture(
        &self,
        _: Request<v1::PictureRequest>,
    ) -> Result<Response<v1::PictureResponse>, Status> {
        let picture = self.0.borrow().clone();
        let seen = picture.ok_or_else(|| {
            let why = "this replica has not seen its cluster in etcd itself yet";
            to_status(&ShardError::new(ErrorKind::Unavailable, why))
        });
        seen.map(Response::new)
    }
}
