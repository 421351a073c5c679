//! gRPC over shards in memory: what it answers, what it refuses, how an import
//! flows, and what it does when shards fail.

// Clippy excuses functions that are tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bad_input;
mod failures;
mod import;
mod reading;

use quoit_proto::v1::collections_client::CollectionsClient;
use quoit_proto::v1::points_client::PointsClient;
use quoit_proto::v1::{
    PointId, PointInput, PointOutput, PointSearch, SearchPointsRequest, UpsertPointsRequest,
    point_id,
};
use support::Server;

type Points = PointsClient<axum::Router>;

fn points(server: &Server) -> Points {
    PointsClient::new(server.grpc.clone())
}

fn collections(server: &Server) -> CollectionsClient<axum::Router> {
    CollectionsClient::new(server.grpc.clone())
}

fn number(n: u64) -> PointId {
    PointId {
        kind: Some(point_id::Kind::Num(n)),
    }
}

/// The numbers of points.
fn numbers<'a>(points: impl IntoIterator<Item = &'a PointOutput>) -> Vec<u64> {
    let number = |point: &PointOutput| match point.id.as_ref().unwrap().kind {
        Some(point_id::Kind::Num(n)) => n,
        ref other => panic!("no number: {other:?}"),
    };
    points.into_iter().map(number).collect()
}

fn point(id: u64, vector: &[f32], payload: &str) -> PointInput {
    PointInput {
        id: Some(number(id)),
        vector: vector.to_vec(),
        payload: payload.to_owned(),
        ..PointInput::default()
    }
}

fn upsert(points: Vec<PointInput>) -> UpsertPointsRequest {
    UpsertPointsRequest {
        collection: "docs".to_owned(),
        points,
        update_filter: None,
    }
}

fn search(vector: &[f32]) -> SearchPointsRequest {
    SearchPointsRequest {
        collection: "docs".to_owned(),
        search: Some(PointSearch {
            vector: vector.to_vec(),
            ..PointSearch::default()
        }),
    }
}

/// Points 0 to `count` with vectors `[id, 1, 1]` and payloads `{"n": id}`.
async fn filled(server: &Server, count: u16) {
    let point = |i: u16| {
        let payload = format!("{{\"n\": {i}, \"deep\": {{\"a\": 1, \"b\": 2}}}}");
        point(u64::from(i), &[f32::from(i), 1.0, 1.0], &payload)
    };
    let all: Vec<_> = (0..count).map(point).collect();
    for batch in all.chunks(50) {
        points(server).upsert(upsert(batch.to_vec())).await.unwrap();
    }
}
