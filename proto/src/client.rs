//! How a shard is reached, over the network or in the same process: one trait,
//! so that a laptop pays for no network and a test can inject any fault.

use crate::v1::{
    CountRequest, CountResponse, DigestsRequest, DigestsResponse, FacetRequest, FacetResponse,
    OperationCountsRequest, OperationCountsResponse, RetrieveRequest, RetrieveResponse,
    ScrollRequest, ScrollResponse, SearchRequest, SearchResponse, SetSchemaRequest,
    SetSchemaResponse, StatusResponse, WriteMatchingRequest, WriteMatchingResponse, WriteRequest,
    WriteResponse,
};

/// One shard's operations.
///
/// Every read answers exactly for the vnodes that the shard holds and lists
/// the others in `not_here`. Dropping a future gives up the wait and not the
/// operation: a write may still take effect.
#[async_trait::async_trait]
pub trait ShardClient: Send + Sync + 'static {
    /// Applies operations; returns when they are durable and visible.
    async fn write(&self, request: WriteRequest) -> Result<WriteResponse, ShardError>;
    /// Changes all points of some vnodes that meet a filter; returns when that
    /// is durable and visible.
    async fn write_matching(
        &self,
        request: WriteMatchingRequest,
    ) -> Result<WriteMatchingResponse, ShardError>;
    /// The nearest points to each query, best first.
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, ShardError>;
    /// Points by id.
    async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse, ShardError>;
    /// Points in the order of their ids or of a field's values.
    async fn scroll(&self, request: ScrollRequest) -> Result<ScrollResponse, ShardError>;
    /// How many points are in some vnodes.
    async fn count(&self, request: CountRequest) -> Result<CountResponse, ShardError>;
    /// How many points have each value of an indexed field.
    async fn facet(&self, request: FacetRequest) -> Result<FacetResponse, ShardError>;
    /// Makes the payload indexes those of a schema, unless it has one of a higher
    /// number; returns when that is durable. They are built behind it.
    async fn set_schema(&self, request: SetSchemaRequest) -> Result<SetSchemaResponse, ShardError>;
    /// Counts and progress, for people and metrics.
    async fn status(&self) -> Result<StatusResponse, ShardError>;
    /// What each of the shard's replicas has of each vnode, with every write in
    /// it that was acknowledged before, so that replicas can be compared.
    async fn digests(&self, request: DigestsRequest) -> Result<DigestsResponse, ShardError>;
    /// How many writes each vnode has taken, as far as the replica that answers knows.
    async fn operation_counts(
        &self,
        request: OperationCountsRequest,
    ) -> Result<OperationCountsResponse, ShardError>;
}

/// What a caller may do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request can never succeed as it is.
    Invalid,
    /// Nothing was done; the same may succeed a little later.
    Busy,
    /// Nothing was done: the disk has no room. Reads go on.
    DiskFull,
    /// Nothing was done: another replica of the shard leads it, and may be named.
    NotLeader {
        /// The member of the shard's group that leads, as far as this one knows.
        leader: Option<u64>,
    },
    /// Nothing was done: the shard serves nothing, as it is shutting down, not yet
    /// ready, or stopped by a fault.
    Unavailable,
    /// Nothing was done: this replica is not as fresh as was asked for. Another may be.
    Behind,
    /// The operation may or may not have taken effect.
    Unknown,
}

/// Why a shard did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ShardError {
    /// What may be done about it.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
}

impl ShardError {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}
