//! The service `quoit.v1.Points`: which call is done by what.

use std::sync::Arc;

use quoit_proto::v1::points_server::Points;
use quoit_proto::v1::{
    ChangePointsResponse, CountPointsRequest, CountPointsResponse, DeletePointsRequest,
    EditPayloadRequest, GetPointsRequest, GetPointsResponse, ImportPointsRequest,
    ImportPointsResponse, ScrollPointsRequest, SearchPointsBatchRequest, SearchPointsBatchResponse,
    SearchPointsRequest, SearchPointsResponse, SetVectorsRequest, UpsertPointsRequest,
};
use tonic::{Request, Response, Status, Streaming};

use super::call::{reading, reads, writes};
use super::scroll::Pages;
use super::{import, scroll, search, write};
use crate::server::App;

/// The service.
pub(crate) struct Service(pub(crate) Arc<App>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Points for Service {
    type ScrollStream = Pages;

    async fn upsert(&self, request: Request<UpsertPointsRequest>) -> Answer<ChangePointsResponse> {
        writes(&self.0, request, |m| write::upsert(&self.0, m)).await
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportPointsRequest>>,
    ) -> Answer<ImportPointsResponse> {
        import::import(&self.0, request).await
    }

    async fn delete(&self, request: Request<DeletePointsRequest>) -> Answer<ChangePointsResponse> {
        writes(&self.0, request, |m| write::delete(&self.0, m)).await
    }

    async fn edit_payload(
        &self,
        request: Request<EditPayloadRequest>,
    ) -> Answer<ChangePointsResponse> {
        writes(&self.0, request, |m| write::edit_payload(&self.0, m)).await
    }

    async fn set_vectors(
        &self,
        request: Request<SetVectorsRequest>,
    ) -> Answer<ChangePointsResponse> {
        writes(&self.0, request, |m| write::set_vectors(&self.0, m)).await
    }

    async fn search(&self, request: Request<SearchPointsRequest>) -> Answer<SearchPointsResponse> {
        let reading = reading(request.metadata())?;
        reads(&self.0, request, |m| search::one(&self.0, m, &reading)).await
    }

    async fn search_batch(
        &self,
        request: Request<SearchPointsBatchRequest>,
    ) -> Answer<SearchPointsBatchResponse> {
        let reading = reading(request.metadata())?;
        reads(&self.0, request, |m| search::batch(&self.0, m, &reading)).await
    }

    async fn get(&self, request: Request<GetPointsRequest>) -> Answer<GetPointsResponse> {
        let reading = reading(request.metadata())?;
        reads(&self.0, request, |m| search::get(&self.0, m, &reading)).await
    }

    async fn scroll(&self, request: Request<ScrollPointsRequest>) -> Answer<Pages> {
        scroll::scroll(&self.0, request)
    }

    async fn count(&self, request: Request<CountPointsRequest>) -> Answer<CountPointsResponse> {
        let reading = reading(request.metadata())?;
        reads(&self.0, request, |m| search::count(&self.0, m, &reading)).await
    }
}
