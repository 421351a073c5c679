//! What each call answers.

use futures::TryStreamExt;
use quoit_proto::v1::{
    CollectionHealth, Condition, CountPointsRequest, DeletePointsRequest, DistanceMetric,
    EditPayloadRequest, FieldCondition, Filter, GetCollectionRequest, GetPointsRequest,
    ListCollectionsRequest, NumberRange, Paths, PayloadEdit, PayloadSelector, PointId, PointIds,
    PointInput, PointSearch, PointSelection, PointVectors, ScrollPointsRequest,
    SearchPointsBatchRequest, SetKeys, SetVectorsRequest, Vector, VectorNames, VectorSelector,
    condition, field_condition, payload_edit, payload_selector, point_id, point_selection,
    vector_selector,
};
use tonic::Code;

use crate::support::Server;
use crate::{collections, filled, number, numbers, point, points, search, upsert};

fn less_than(n: f64) -> Filter {
    let range = NumberRange {
        lt: Some(n),
        ..NumberRange::default()
    };
    let field = FieldCondition {
        path: "n".to_owned(),
        test: Some(field_condition::Test::Range(range)),
    };
    Filter {
        must: vec![Condition {
            kind: Some(condition::Kind::Field(field)),
        }],
        ..Filter::default()
    }
}

fn these(ids: &[u64]) -> PointSelection {
    let ids = ids.iter().map(|n| number(*n)).collect();
    PointSelection {
        by: Some(point_selection::By::Ids(PointIds { ids })),
    }
}

fn meeting(filter: Filter) -> PointSelection {
    PointSelection {
        by: Some(point_selection::By::Filter(filter)),
    }
}

fn named(name: &str, values: &[f32]) -> Vector {
    Vector {
        name: name.to_owned(),
        values: values.to_vec(),
    }
}

async fn count(server: &Server, filter: Option<Filter>) -> u64 {
    let request = CountPointsRequest {
        collection: "docs".to_owned(),
        filter,
    };
    points(server)
        .count(request)
        .await
        .unwrap()
        .into_inner()
        .count
}

async fn payload_of(server: &Server, id: u64) -> String {
    let request = GetPointsRequest {
        collection: "docs".to_owned(),
        ids: vec![number(id)],
        ..GetPointsRequest::default()
    };
    let answer = points(server).get(request).await.unwrap().into_inner();
    answer.points[0].payload.clone()
}

#[tokio::test]
async fn a_search_finds_the_nearest_with_what_was_asked_for_of_them() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 30).await;
    let mut client = points(&server);

    let plain = client
        .search(search(&[1.0, 0.0, 0.0]))
        .await
        .unwrap()
        .into_inner();
    let found = plain.points.iter().map(|p| p.point.as_ref().unwrap());
    assert_eq!(numbers(found.clone()), (20..30).rev().collect::<Vec<_>>());
    assert!(
        found
            .clone()
            .all(|p| p.payload.is_empty() && p.vector.is_empty())
    );
    assert!(found.clone().all(|p| p.version > 0));
    assert_eq!(plain.points[0].score.to_bits(), 29.0_f32.to_bits());

    assert!(plain.explanations.is_empty());
    let mut explained = search(&[1.0, 0.0, 0.0]);
    explained.search.as_mut().unwrap().explain = true;
    let explained = client.search(explained).await.unwrap().into_inner();
    assert_eq!(explained.points, plain.points);
    let shards = explained.explanations.iter().map(|e| e.shard);
    assert_eq!(shards.collect::<Vec<_>>(), [0, 1, 2]);

    let mut request = search(&[1.0, 0.0, 0.0]);
    let wish = request.search.as_mut().unwrap();
    wish.filter = Some(less_than(20.0));
    wish.offset = 2;
    wish.limit = Some(3);
    wish.score_threshold = Some(16.0);
    let paths = vec!["deep.a".to_owned()];
    wish.with_payload = Some(PayloadSelector {
        kind: Some(payload_selector::Kind::Include(Paths { paths })),
    });
    wish.with_vectors = Some(VectorSelector {
        kind: Some(vector_selector::Kind::All(true)),
    });
    let found = client.search(request).await.unwrap().into_inner().points;
    let found: Vec<_> = found.into_iter().map(|p| p.point.unwrap()).collect();
    assert_eq!(numbers(&found), [17, 16]);
    assert_eq!(found[0].payload, "{\"deep\":{\"a\":1}}");
    assert_eq!(found[0].vector, [17.0, 1.0, 1.0]);
}

#[tokio::test]
async fn the_ways_of_a_search_reach_the_shards_and_a_batch_reaches_them_once() {
    let server = Server::docs(2, "Dot").await;
    filled(&server, 10).await;
    let wish = |limit, exact, hnsw_ef| PointSearch {
        vector: vec![1.0, 0.0, 0.0],
        limit: Some(limit),
        exact,
        hnsw_ef,
        ..PointSearch::default()
    };
    let request = SearchPointsBatchRequest {
        collection: "docs".to_owned(),
        searches: vec![wish(1, true, 0), wish(2, false, 77)],
    };
    let answer = points(&server)
        .search_batch(request)
        .await
        .unwrap()
        .into_inner();
    let counts: Vec<_> = answer.results.iter().map(|r| r.points.len()).collect();
    assert_eq!(counts, [1, 2]);
    for shard in server.catalog.shards("docs") {
        let [asked] = shard.searches().try_into().unwrap();
        assert!(asked.queries[0].exact && !asked.queries[1].exact);
        assert_eq!(asked.queries[0].hnsw_ef, None);
        assert_eq!(asked.queries[1].hnsw_ef, Some(77));
    }
}

#[tokio::test]
async fn a_vector_under_the_empty_name_is_the_one_without_a_name() {
    let server = Server::docs(1, "Dot").await;
    let input = PointInput {
        id: Some(number(1)),
        named_vectors: vec![named("", &[1.0, 2.0, 3.0])],
        ..PointInput::default()
    };
    points(&server).upsert(upsert(vec![input])).await.unwrap();
    let request = GetPointsRequest {
        collection: "docs".to_owned(),
        ids: vec![number(1)],
        with_vectors: Some(VectorSelector {
            kind: Some(vector_selector::Kind::All(true)),
        }),
        ..GetPointsRequest::default()
    };
    let got = points(&server).get(request).await.unwrap().into_inner();
    assert_eq!(got.points[0].vector, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn points_are_got_each_once_in_the_order_asked_for_with_their_payloads() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 5).await;
    let uuid = PointId {
        kind: Some(point_id::Kind::Uuid(vec![7; 16])),
    };
    let with_uuid = PointInput {
        id: Some(uuid.clone()),
        ..point(
            0,
            &[1.0, 1.0, 1.0],
            "{\"big\": 123456789012345678901234567890}",
        )
    };
    points(&server)
        .upsert(upsert(vec![with_uuid]))
        .await
        .unwrap();
    let request = GetPointsRequest {
        collection: "docs".to_owned(),
        ids: vec![number(4), uuid.clone(), number(99), number(4), number(0)],
        ..GetPointsRequest::default()
    };
    let got = points(&server)
        .get(request)
        .await
        .unwrap()
        .into_inner()
        .points;
    let ids: Vec<_> = got.iter().map(|p| p.id.clone().unwrap()).collect();
    assert_eq!(ids, [number(4), uuid, number(0)]);
    assert_eq!(got[1].payload, "{\"big\": 123456789012345678901234567890}");
}

#[tokio::test]
async fn a_scroll_answers_every_point_in_order_from_an_id_on_up_to_a_limit() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 300).await;
    let scrolled = async |request| {
        let pages = points(&server).scroll(request).await.unwrap().into_inner();
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        assert!(pages.iter().all(|page| !page.points.is_empty()));
        numbers(pages.iter().flat_map(|page| &page.points))
    };
    let all = ScrollPointsRequest {
        collection: "docs".to_owned(),
        ..ScrollPointsRequest::default()
    };
    assert_eq!(scrolled(all.clone()).await, (0..300).collect::<Vec<_>>());
    let some = ScrollPointsRequest {
        from: Some(number(150)),
        limit: Some(120),
        filter: Some(less_than(280.0)),
        ..all.clone()
    };
    assert_eq!(scrolled(some).await, (150..270).collect::<Vec<_>>());
    let none = ScrollPointsRequest {
        from: Some(number(300)),
        ..all
    };
    assert_eq!(scrolled(none).await, [0; 0]);
}

#[tokio::test]
async fn points_are_deleted_and_edited_by_ids_and_by_filter() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 20).await;
    let mut client = points(&server);
    let delete = |points| DeletePointsRequest {
        collection: "docs".to_owned(),
        points: Some(points),
    };
    client.delete(delete(these(&[0, 1, 99]))).await.unwrap();
    assert_eq!(count(&server, None).await, 18);
    client
        .delete(delete(meeting(less_than(10.0))))
        .await
        .unwrap();
    assert_eq!(count(&server, None).await, 10);
    assert_eq!(count(&server, Some(less_than(12.0))).await, 2);

    let edit = |points, kind| EditPayloadRequest {
        collection: "docs".to_owned(),
        points: Some(points),
        edit: Some(PayloadEdit { kind: Some(kind) }),
    };
    let set = payload_edit::Kind::Set(SetKeys {
        at: "deep".to_owned(),
        values: "{\"a\": null, \"c\": 3}".to_owned(),
    });
    client.edit_payload(edit(these(&[10]), set)).await.unwrap();
    let text: serde_json::Value = serde_json::from_str(&payload_of(&server, 10).await).unwrap();
    assert_eq!(text, serde_json::json!({"n": 10, "deep": {"b": 2, "c": 3}}));
    let remove = payload_edit::Kind::Remove(Paths {
        paths: vec!["deep".to_owned()],
    });
    client
        .edit_payload(edit(meeting(less_than(12.0)), remove))
        .await
        .unwrap();
    assert_eq!(payload_of(&server, 11).await, "{\"n\":11}");
    let clear = payload_edit::Kind::Replace(String::new());
    client
        .edit_payload(edit(these(&[11]), clear))
        .await
        .unwrap();
    assert_eq!(payload_of(&server, 11).await, "");

    let missing = payload_edit::Kind::Replace("{\"x\":1}".to_owned());
    let refused = client.edit_payload(edit(these(&[12, 99]), missing)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(
        refused.message().contains("No point with id 99"),
        "{refused}"
    );
    assert_eq!(
        payload_of(&server, 12).await,
        "{\"x\":1}",
        "the others are changed"
    );
}

#[tokio::test]
async fn vectors_are_replaced_and_conditions_hold_back_what_does_not_meet_them() {
    let server = Server::docs(2, "Dot").await;
    filled(&server, 4).await;
    let mut client = points(&server);
    let request = SetVectorsRequest {
        collection: "docs".to_owned(),
        points: (0..4)
            .map(|n| PointVectors {
                id: Some(number(n)),
                vector: vec![100.0, 0.0, 0.0],
                ..PointVectors::default()
            })
            .collect(),
        update_filter: Some(less_than(2.0)),
    };
    client.set_vectors(request).await.unwrap();
    let mut request = upsert(vec![
        point(0, &[0.0, 0.0, 0.0], ""),
        point(3, &[0.0, 0.0, 0.0], ""),
        point(9, &[0.0, 0.0, 0.0], ""),
    ]);
    request.update_filter = Some(less_than(1.0));
    client.upsert(request).await.unwrap();
    let found = client
        .search(search(&[1.0, 0.0, 0.0]))
        .await
        .unwrap()
        .into_inner();
    let found: Vec<_> = found
        .points
        .into_iter()
        .map(|p| (numbers(&p.point)[0], p.score))
        .collect();
    assert_eq!(found, [(1, 100.0), (3, 3.0), (2, 2.0), (0, 0.0), (9, 0.0)]);
}

#[tokio::test]
async fn a_collection_is_described() {
    let server = Server::docs(3, "Euclid").await;
    filled(&server, 7).await;
    let mut client = collections(&server);
    let names = client
        .list(ListCollectionsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(names.names, ["docs"]);
    let request = GetCollectionRequest {
        collection: "docs".to_owned(),
    };
    let info = client.get(request.clone()).await.unwrap().into_inner();
    assert_eq!(info.points, 7);
    assert_eq!(info.shards, 3);
    assert_eq!(info.health(), CollectionHealth::Green);
    assert_eq!(info.vectors[0].dimension, 3);
    assert_eq!(info.vectors[0].metric(), DistanceMetric::Euclid);
    assert_eq!(info.vectors[0].hnsw.unwrap().m, 16);
    assert_eq!(info.limits.unwrap().max_batch_points, 50);

    server.catalog.shards("docs")[1].stop_writes("the disk is full");
    let info = client.get(request).await.unwrap().into_inner();
    assert_eq!(info.health(), CollectionHealth::Red);
    assert_eq!(info.troubles, ["writes are refused: the disk is full"]);
}

#[tokio::test]
async fn points_have_several_vectors_by_name_and_are_searched_by_each() {
    let server = Server::new(2);
    let wish = r#"{"vectors": {"image": {"size": 2, "distance": "Dot"}, "text": {"size": 3, "distance": "Euclid"}}}"#;
    server.call("PUT", "/collections/docs", wish).await.result();
    let mut client = points(&server);
    let input = |id, named_vectors| PointInput {
        id: Some(number(id)),
        named_vectors,
        ..PointInput::default()
    };
    let both = input(
        1,
        vec![named("text", &[1.0, 0.0, 0.0]), named("image", &[1.0, 0.0])],
    );
    let one = input(2, vec![named("image", &[5.0, 0.0])]);
    client
        .upsert(upsert(vec![both, one, input(3, Vec::new())]))
        .await
        .unwrap();
    let wish = |name: &str, vector: &[f32], wanted: &str| PointSearch {
        vector: vector.to_vec(),
        vector_name: name.to_owned(),
        with_vectors: Some(VectorSelector {
            kind: Some(vector_selector::Kind::Names(VectorNames {
                names: vec![wanted.to_owned()],
            })),
        }),
        ..PointSearch::default()
    };
    let request = SearchPointsBatchRequest {
        collection: "docs".to_owned(),
        searches: vec![
            wish("image", &[1.0, 0.0], "text"),
            wish("text", &[1.0, 0.0, 2.0], "image"),
        ],
    };
    let found = client
        .search_batch(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    let found: Vec<Vec<_>> = found
        .into_iter()
        .map(|r| {
            r.points
                .into_iter()
                .map(|p| (p.point.unwrap(), p.score))
                .collect()
        })
        .collect();
    let by_image: Vec<_> = found[0]
        .iter()
        .map(|(p, score)| (numbers([p])[0], *score))
        .collect();
    assert_eq!(by_image, [(2, 5.0), (1, 1.0)]);
    assert!(found[0][0].0.named_vectors.is_empty(), "it has no text");
    assert_eq!(
        found[0][1].0.named_vectors,
        [named("text", &[1.0, 0.0, 0.0])]
    );
    let by_text: Vec<_> = found[1]
        .iter()
        .map(|(p, score)| (numbers([p])[0], *score))
        .collect();
    assert_eq!(by_text, [(1, 2.0)]);

    let set = SetVectorsRequest {
        collection: "docs".to_owned(),
        points: vec![PointVectors {
            id: Some(number(3)),
            named_vectors: vec![named("text", &[1.0, 0.0, 2.0])],
            ..PointVectors::default()
        }],
        update_filter: None,
    };
    client.set_vectors(set).await.unwrap();
    let mut request = search(&[1.0, 0.0, 2.0]);
    "text".clone_into(&mut request.search.as_mut().unwrap().vector_name);
    let nearest = client.search(request).await.unwrap().into_inner().points;
    assert_eq!(numbers(&nearest[0].point), [3]);

    let refused = client
        .upsert(upsert(vec![point(4, &[1.0, 0.0], "")]))
        .await
        .unwrap_err();
    let words = "Wrong input: points[0].vector: Not existing vector name error: : \
                 the collection has [\"image\", \"text\"]";
    assert_eq!(refused.message(), words);
}

#[tokio::test]
async fn a_point_is_put_in_only_in_the_version_that_was_read() {
    let server = Server::docs(3, "Dot").await;
    filled(&server, 3).await;
    let mut client = points(&server);
    let with = |version| PointInput {
        if_version: Some(version),
        ..point(1, &[1.0, 1.0, 1.0], r#"{"new":true}"#)
    };
    let get = GetPointsRequest {
        collection: "docs".to_owned(),
        ids: vec![number(1)],
        ..GetPointsRequest::default()
    };
    let read = client.get(get).await.unwrap().into_inner();
    let version = read.points[0].version;
    client.upsert(upsert(vec![with(version)])).await.unwrap();
    let again = client.upsert(upsert(vec![with(version)])).await;
    let status = again.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(
        status.message().contains("id 1 is not of version"),
        "{status}"
    );
}
