//! The service `quoit.v1.Collections`: what there is, and how it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use quoit_proto::v1::collections_server::Collections;
use quoit_proto::v1::{
    CollectionHealth, CollectionInfo, DistanceMetric, GetCollectionRequest, HnswInfo,
    ListCollectionsRequest, ListCollectionsResponse, PayloadIndex, PayloadIndexInfo, RequestLimits,
    VectorInfo,
};
use tonic::{Request, Response, Status};

use super::call::{self, reads};
use crate::catalog::{Collection, CollectionLimits, Metric, VectorParams};
use crate::condition::{Condition, Health};
use crate::server::App;

/// The service.
pub(crate) struct Service(pub(crate) Arc<App>);

#[tonic::async_trait]
impl Collections for Service {
    async fn list(
        &self,
        request: Request<ListCollectionsRequest>,
    ) -> Result<Response<ListCollectionsResponse>, Status> {
        reads(&self.0, request, async |_| {
            let names = self.0.catalog.names();
            Ok(ListCollectionsResponse { names })
        })
        .await
    }

    async fn get(
        &self,
        request: Request<GetCollectionRequest>,
    ) -> Result<Response<CollectionInfo>, Status> {
        reads(&self.0, request, async |request: GetCollectionRequest| {
            let collection = call::collection(&self.0, &request.collection)?;
            let condition = Condition::of(&collection).await;
            Ok(describe(&collection, condition))
        })
        .await
    }
}

fn describe(collection: &Collection, condition: Condition) -> CollectionInfo {
    let params = collection.params();
    let health = match condition.health() {
        Health::Green => CollectionHealth::Green,
        Health::Yellow => CollectionHealth::Yellow,
        Health::Red => CollectionHealth::Red,
    };
    CollectionInfo {
        name: collection.name().to_owned(),
        health: health.into(),
        troubles: condition.troubles,
        points: condition.points,
        indexed_vectors: condition.indexed,
        shards: u32::try_from(collection.targets().len()).unwrap_or(u32::MAX),
        replicas: params.replicas,
        vectors: params.vectors.iter().map(vector).collect(),
        payload_indexes: indexes(condition.payload_indexes),
        limits: Some(limits(&params.limits)),
    }
}

fn vector(params: &VectorParams) -> VectorInfo {
    let metric = match params.metric {
        Metric::Cosine => DistanceMetric::Cosine,
        Metric::Dot => DistanceMetric::Dot,
        Metric::Euclid => DistanceMetric::Euclid,
        Metric::Manhattan => DistanceMetric::Manhattan,
    };
    VectorInfo {
        name: params.name.clone(),
        dimension: u32::try_from(params.dimension).unwrap_or(u32::MAX),
        metric: metric.into(),
        hnsw: params.hnsw.map(|hnsw| HnswInfo {
            m: hnsw.m,
            ef_construct: hnsw.ef_construct,
        }),
    }
}

/// The indexes of all shards: each field once, with the points of all.
fn indexes(of_shards: Vec<PayloadIndex>) -> Vec<PayloadIndexInfo> {
    let mut fields: BTreeMap<String, PayloadIndexInfo> = BTreeMap::new();
    for index in of_shards {
        let Some(field) = index.field else {
            continue;
        };
        let path = field.path.clone();
        let all = fields.entry(path).or_insert_with(|| PayloadIndexInfo {
            field: Some(field),
            points: 0,
            is_complete: true,
            is_given_up: false,
        });
        all.points += index.points;
        all.is_complete &= index.is_complete;
        all.is_given_up |= index.is_given_up;
    }
    fields.into_values().collect()
}

fn limits(limits: &CollectionLimits) -> RequestLimits {
    RequestLimits {
        max_payload_bytes: limits.max_payload_bytes as u64,
        max_batch_points: limits.max_batch_points as u64,
        max_request_bytes: limits.max_request_bytes as u64,
        max_search_limit: limits.max_search_limit as u64,
        max_batch_searches: limits.max_batch_searches as u64,
        max_hnsw_ef: limits.max_hnsw_ef,
    }
}
