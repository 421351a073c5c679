//! What is refused, in which words, and that nothing changes by it.

use axum::body::Body;
use axum::http::Request;
use quoit_proto::v1::{
    Condition, CountPointsRequest, DeletePointsRequest, EditPayloadRequest, FieldCondition, Filter,
    GetCollectionRequest, GetPointsRequest, Paths, PayloadEdit, PayloadSelector, PointId, PointIds,
    PointInput, PointSearch, PointSelection, PointVectors, ScrollPointsRequest,
    SearchPointsBatchRequest, SearchPointsRequest, SetKeys, SetVectorsRequest, UpsertPointsRequest,
    Vector, VectorNames, VectorSelector, condition, payload_edit, payload_selector, point_id,
    point_selection, vector_selector,
};
use tonic::{Code, Status};
use tower::ServiceExt;

use crate::support::Server;
use crate::{collections, filled, number, point, points, search, upsert};

enum Ask {
    Upsert(UpsertPointsRequest),
    Delete(DeletePointsRequest),
    Edit(EditPayloadRequest),
    SetVectors(SetVectorsRequest),
    Search(SearchPointsRequest),
    Batch(SearchPointsBatchRequest),
    Get(GetPointsRequest),
    Scroll(ScrollPointsRequest),
    Count(CountPointsRequest),
    Info(GetCollectionRequest),
}

async fn refused(server: &Server, ask: Ask) -> Status {
    let mut client = points(server);
    let refused = match ask {
        Ask::Upsert(m) => client.upsert(m).await.map(drop),
        Ask::Delete(m) => client.delete(m).await.map(drop),
        Ask::Edit(m) => client.edit_payload(m).await.map(drop),
        Ask::SetVectors(m) => client.set_vectors(m).await.map(drop),
        Ask::Search(m) => client.search(m).await.map(drop),
        Ask::Batch(m) => client.search_batch(m).await.map(drop),
        Ask::Get(m) => client.get(m).await.map(drop),
        Ask::Scroll(m) => client.scroll(m).await.map(drop),
        Ask::Count(m) => client.count(m).await.map(drop),
        Ask::Info(m) => collections(server).get(m).await.map(drop),
    };
    refused.unwrap_err()
}

fn docs() -> String {
    "docs".to_owned()
}

fn one(point: PointInput) -> Ask {
    Ask::Upsert(upsert(vec![point]))
}

fn uuid(bytes: usize) -> PointId {
    PointId {
        kind: Some(point_id::Kind::Uuid(vec![1; bytes])),
    }
}

fn named(name: &str, values: &[f32]) -> Vector {
    Vector {
        name: name.to_owned(),
        values: values.to_vec(),
    }
}

fn searching(change: impl FnOnce(&mut PointSearch)) -> Ask {
    let mut request = search(&[1.0, 1.0, 1.0]);
    change(request.search.as_mut().unwrap());
    Ask::Search(request)
}

fn bad_filter() -> Filter {
    let field = FieldCondition {
        path: "a..b".to_owned(),
        test: None,
    };
    Filter {
        must: vec![Condition {
            kind: Some(condition::Kind::Field(field)),
        }],
        ..Filter::default()
    }
}

fn ids(ids: Vec<PointId>) -> PointSelection {
    PointSelection {
        by: Some(point_selection::By::Ids(PointIds { ids })),
    }
}

fn edit(kind: Option<payload_edit::Kind>) -> Ask {
    Ask::Edit(EditPayloadRequest {
        collection: docs(),
        points: Some(ids(vec![number(1)])),
        edit: Some(PayloadEdit { kind }),
    })
}

/// What is asked, and what is said of it after "Wrong input: ".
#[allow(clippy::too_many_lines)] // it is a table
fn table() -> Vec<(Ask, &'static str)> {
    let good = [1.0, 1.0, 1.0];
    vec![
        (
            Ask::Upsert(UpsertPointsRequest::default()),
            "collection: name a collection: the call Collections/List has their names",
        ),
        (
            Ask::Upsert(upsert(Vec::new())),
            "points: Empty update request: name at least one point",
        ),
        (
            Ask::Upsert(upsert((0..51).map(|n| point(n, &good, "")).collect())),
            "points: 51 points are more than the 50 of one request: send several",
        ),
        (
            one(PointInput {
                id: None,
                ..point(0, &good, "")
            }),
            "points[0].id: it is missing: send `num`, an unsigned 64-bit integer, or `uuid`, 16 bytes",
        ),
        (
            one(PointInput {
                id: Some(uuid(15)),
                ..point(0, &good, "")
            }),
            "points[0].id.uuid: a UUID has 16 bytes, and not 15",
        ),
        (
            one(point(1, &[1.0, 1.0], "")),
            "points[0].vector: Vector dimension error: expected dim: 3, got 2",
        ),
        (
            one(point(1, &[], "")),
            "points[0].vector: Vector dimension error: expected dim: 3, got 0",
        ),
        (
            one(point(1, &[1.0, f32::INFINITY, 1.0], "")),
            "points[0].vector[1]: inf is not finite as a 32-bit number",
        ),
        (
            one(PointInput {
                named_vectors: vec![named("image", &good)],
                ..point(1, &good, "")
            }),
            "points[0].named_vectors.image: Not existing vector name error: image: \
             the collection's one vector has no name",
        ),
        (
            one(PointInput {
                named_vectors: vec![named("", &good)],
                ..point(1, &good, "")
            }),
            "points[0].vector: this vector is there twice: send it once",
        ),
        (
            one(point(1, &good, "[1]")),
            "points[0].payload: a payload is the text of a JSON object, or empty",
        ),
        (
            one(point(1, &good, "{\"a\": 1")),
            "points[0].payload: EOF while parsing an object",
        ),
        (
            one(point(1, &good, "{} {}")),
            "points[0].payload: trailing characters",
        ),
        (
            one(point(1, &good, "{\"a\": 1e999}")),
            "points[0].payload: number out of range",
        ),
        (
            one(point(
                1,
                &good,
                &format!("{{\"a\": \"{}\"}}", "x".repeat(400)),
            )),
            "points[0].payload: 409 bytes are more than the 400 of one payload",
        ),
        (
            Ask::Upsert(UpsertPointsRequest {
                update_filter: Some(bad_filter()),
                ..upsert(vec![point(1, &good, "")])
            }),
            "update_filter.must[0].path: ",
        ),
        (
            Ask::Delete(DeletePointsRequest {
                collection: docs(),
                points: None,
            }),
            "points: it is missing: name `ids`, or send a `filter`; an empty filter means all points",
        ),
        (
            Ask::Delete(DeletePointsRequest {
                collection: docs(),
                points: Some(ids(Vec::new())),
            }),
            "points.ids: Empty update request: name at least one point",
        ),
        (
            Ask::Delete(DeletePointsRequest {
                collection: docs(),
                points: Some(ids(vec![number(1), PointId::default()])),
            }),
            "points.ids[1]: it is missing: ",
        ),
        (
            Ask::Delete(DeletePointsRequest {
                collection: docs(),
                points: Some(PointSelection {
                    by: Some(point_selection::By::Filter(bad_filter())),
                }),
            }),
            "points.filter.must[0].path: ",
        ),
        (
            edit(None),
            "edit: it is missing: send one of `set`, `replace` and `remove`",
        ),
        (
            edit(Some(payload_edit::Kind::Replace("7".to_owned()))),
            "edit.replace: a payload is the text of a JSON object, or empty",
        ),
        (
            edit(Some(payload_edit::Kind::Set(SetKeys {
                at: "a..b".to_owned(),
                values: "{}".to_owned(),
            }))),
            "edit.set: ",
        ),
        (
            edit(Some(payload_edit::Kind::Set(SetKeys::default()))),
            "edit.set: ",
        ),
        (
            edit(Some(payload_edit::Kind::Remove(Paths {
                paths: vec!["[".to_owned()],
            }))),
            "edit.remove: ",
        ),
        (
            Ask::SetVectors(SetVectorsRequest {
                collection: docs(),
                points: vec![PointVectors {
                    id: Some(number(1)),
                    ..PointVectors::default()
                }],
                update_filter: None,
            }),
            "points[0].vector: Vector dimension error: expected dim: 3, got 0",
        ),
        (
            Ask::Search(SearchPointsRequest {
                collection: docs(),
                search: None,
            }),
            "search.vector: Vector dimension error: expected dim: 3, got 0",
        ),
        (
            searching(|s| s.vector[2] = f32::NAN),
            "search.vector[2]: NaN is not finite as a 32-bit number",
        ),
        (
            searching(|s| "image".clone_into(&mut s.vector_name)),
            "search.vector_name: Not existing vector name error: image: \
             the collection's one vector has no name",
        ),
        (
            searching(|s| s.limit = Some(0)),
            "search.limit: value 0 invalid, must be 1 or larger",
        ),
        (
            searching(|s| s.offset = 95),
            "search.offset: offset and limit together are 105 and may be 100 at most: \
             page through many points with scroll",
        ),
        (
            searching(|s| s.limit = Some(u64::MAX)),
            "search.limit: offset and limit together are 18446744073709551615 and may be 100 at most: \
             page through many points with scroll",
        ),
        (
            searching(|s| s.hnsw_ef = 1_001),
            "search.hnsw_ef: 1001 is more than 1000: `exact` searches everything",
        ),
        (
            searching(|s| s.score_threshold = Some(f32::NAN)),
            "search.score_threshold: NaN is not finite as a 32-bit number",
        ),
        (
            searching(|s| s.filter = Some(bad_filter())),
            "search.filter.must[0].path: ",
        ),
        (
            searching(|s| {
                let paths = vec!["a[".to_owned()];
                let kind = Some(payload_selector::Kind::Include(Paths { paths }));
                s.with_payload = Some(PayloadSelector { kind });
            }),
            "search.with_payload: ",
        ),
        (
            searching(|s| {
                let names = vec![String::new(), "image".to_owned()];
                let kind = Some(vector_selector::Kind::Names(VectorNames { names }));
                s.with_vectors = Some(VectorSelector { kind });
            }),
            "search.with_vectors: Not existing vector name error: image: \
             the collection's one vector has no name",
        ),
        (
            Ask::Batch(SearchPointsBatchRequest {
                collection: docs(),
                searches: Vec::new(),
            }),
            "searches: name at least one search",
        ),
        (
            Ask::Batch(SearchPointsBatchRequest {
                collection: docs(),
                searches: vec![search(&good).search.unwrap(); 4],
            }),
            "searches: 4 searches, prefetches among them, are more than the 3 of one request: send several",
        ),
        (
            Ask::Batch(SearchPointsBatchRequest {
                collection: docs(),
                searches: vec![search(&good).search.unwrap(), PointSearch::default()],
            }),
            "searches[1].vector: Vector dimension error: expected dim: 3, got 0",
        ),
        (
            Ask::Get(GetPointsRequest {
                collection: docs(),
                ids: vec![number(1); 51],
                ..GetPointsRequest::default()
            }),
            "ids: 51 points are more than the 50 of one request: send several",
        ),
        (
            Ask::Get(GetPointsRequest {
                collection: docs(),
                ids: vec![uuid(17)],
                ..GetPointsRequest::default()
            }),
            "ids[0]: a UUID has 16 bytes, and not 17",
        ),
        (
            Ask::Scroll(ScrollPointsRequest {
                collection: docs(),
                limit: Some(0),
                ..ScrollPointsRequest::default()
            }),
            "limit: value 0 invalid, must be 1 or larger; left out, all points are answered",
        ),
        (
            Ask::Scroll(ScrollPointsRequest {
                collection: docs(),
                from: Some(uuid(3)),
                ..ScrollPointsRequest::default()
            }),
            "from: a UUID has 16 bytes, and not 3",
        ),
        (
            Ask::Count(CountPointsRequest {
                collection: docs(),
                filter: Some(bad_filter()),
            }),
            "filter.must[0].path: ",
        ),
        (
            Ask::Info(GetCollectionRequest::default()),
            "collection: name a collection: ",
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_its_field_and_changes_nothing() {
    let server = Server::docs(2, "Dot").await;
    filled(&server, 3).await;
    let before = server.catalog.dump();
    for (ask, words) in table() {
        let status = refused(&server, ask).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{words}: {status}");
        let said = status.message().strip_prefix("Wrong input: ").unwrap();
        if words.ends_with(": ") {
            assert!(
                said.starts_with(words) && said.len() > words.len(),
                "{words}: {said}"
            );
        } else {
            assert_eq!(said, words);
        }
    }
    assert_eq!(server.catalog.dump(), before);
}

#[tokio::test]
async fn a_collection_that_is_not_there_is_not_found_by_any_call() {
    let server = Server::docs(1, "Dot").await;
    let other = || "other".to_owned();
    for ask in [
        Ask::Upsert(UpsertPointsRequest {
            collection: other(),
            ..UpsertPointsRequest::default()
        }),
        Ask::Delete(DeletePointsRequest {
            collection: other(),
            points: None,
        }),
        Ask::Edit(EditPayloadRequest {
            collection: other(),
            ..EditPayloadRequest::default()
        }),
        Ask::SetVectors(SetVectorsRequest {
            collection: other(),
            ..SetVectorsRequest::default()
        }),
        Ask::Search(SearchPointsRequest {
            collection: other(),
            search: None,
        }),
        Ask::Batch(SearchPointsBatchRequest {
            collection: other(),
            searches: Vec::new(),
        }),
        Ask::Get(GetPointsRequest {
            collection: other(),
            ..GetPointsRequest::default()
        }),
        Ask::Scroll(ScrollPointsRequest {
            collection: other(),
            ..ScrollPointsRequest::default()
        }),
        Ask::Count(CountPointsRequest {
            collection: other(),
            filter: None,
        }),
        Ask::Info(GetCollectionRequest {
            collection: other(),
        }),
    ] {
        let status = refused(&server, ask).await;
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(
            status.message(),
            "Not found: Collection `other` doesn't exist!"
        );
    }
}

#[tokio::test]
async fn a_request_larger_than_the_collection_takes_is_refused() {
    let server = Server::docs(1, "Dot").await;
    let payload = format!("{{\"a\": \"{}\"}}", "x".repeat(390));
    let many = (0..50)
        .map(|n| point(n, &[1.0, 1.0, 1.0], &payload))
        .collect();
    let status = refused(&server, Ask::Upsert(upsert(many))).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    let words = "The body of the request is larger than 16384 bytes: send fewer points in a request, \
                 or raise the limit of the collection";
    assert_eq!(status.message(), words);
}

/// The status of a call whose bytes are given.
async fn raw(server: &Server, path: &str, timeout: &str, body: Vec<u8>) -> Status {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout)
        .body(Body::from(body));
    let answer = server.grpc.clone().oneshot(request.unwrap()).await.unwrap();
    Status::from_header_map(answer.headers()).unwrap()
}

const COUNT: &str = "/quoit.v1.Points/Count";

#[tokio::test]
async fn a_message_beyond_all_bounds_is_refused_by_its_length_alone() {
    let server = Server::docs(1, "Dot").await;
    // A flag and a length, and none of the bytes.
    let status = raw(&server, COUNT, "1H", vec![0, 0xff, 0xff, 0xff, 0xff]).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    let words = "A message of the request has 4294967295 bytes and may have 33554432: \
                 send fewer points in a message";
    assert_eq!(status.message(), words);
}

#[tokio::test]
async fn a_message_of_too_many_parts_is_refused_before_it_is_decoded() {
    let server = Server::docs(3, "Cosine").await;
    let conditions = Filter {
        must: vec![Condition::default(); 200_000],
        ..Filter::default()
    };
    let many = Ask::Count(CountPointsRequest {
        collection: docs(),
        filter: Some(conditions),
    });
    for ask in [
        many,
        Ask::Upsert(upsert(vec![PointInput::default(); 200_000])),
    ] {
        let status = refused(&server, ask).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("too many parts"), "{status}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_clients_mistake() {
    let server = Server::docs(3, "Cosine").await;
    // Field 1, the collection's name, is to have 5 bytes and has one.
    let body = [&[0, 0, 0, 0, 3][..], &[0x0a, 5, b'd']].concat();
    let status = raw(&server, "/quoit.v1.Points/Count", "1S", body).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("quoit.v1.CountPointsRequest"),
        "{status}"
    );
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let server = Server::docs(1, "Dot").await;
    let status = raw(&server, COUNT, "soon", vec![0, 0, 0, 0, 0]).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let words =
        "Wrong input: grpc-timeout: not a time: send up to 8 digits and one of H, M, S, m, u, n";
    assert_eq!(status.message(), words);
}

#[tokio::test]
async fn a_method_or_a_service_that_is_not_there_says_where_to_look() {
    let server = Server::docs(1, "Dot").await;
    for path in ["/quoit.v1.Points/Truncate", "/quoit.v1.Shard/Write", "/"] {
        let status = raw(&server, path, "1S", vec![0; 5]).await;
        assert_eq!(status.code(), Code::Unimplemented);
        let words = format!(
            "there is no method {path}: the services are quoit.v1.Points and quoit.v1.Collections, \
             and server reflection lists their methods"
        );
        assert_eq!(status.message(), words);
    }
}
