//! Points with several vectors: made, searched by each of them, answered by
//! name, set and taken away.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, ids};

/// Points with a title and a body, point 3 without the body, point 4 with none.
async fn library() -> Server {
    let server = Server::new(2);
    let vectors = json!({"vectors": {
        "title": {"size": 2, "distance": "Dot"},
        "body": {"size": 3, "distance": "Euclid"},
    }});
    let made = server.call("PUT", "/collections/docs", vectors.to_string());
    made.await.result();
    server
        .put(json!([
            {"id": 1, "vector": {"title": [1, 0], "body": [0, 0, 1]}},
            {"id": 2, "vector": {"title": [2, 0], "body": [0, 0, 5]}},
            {"id": 3, "vector": {"title": [3, 0]}},
            {"id": 4, "vector": {}},
        ]))
        .await;
    server
}

async fn post(server: &Server, path: &str, body: Value) -> Value {
    let path = format!("/collections/docs/points{path}");
    server.call("POST", &path, body.to_string()).await.result()
}

#[tokio::test]
async fn a_search_goes_by_the_vector_that_it_names_in_the_order_of_its_metric() {
    let server = library().await;
    let by_title = json!({"query": [1, 0], "using": "title"});
    let found = post(&server, "/query", by_title).await;
    assert_eq!(ids(&found["points"]), [3, 2, 1].map(|n| json!(n)));
    let by_body = json!({"query": [0, 0, 0], "using": "body"});
    let found = post(&server, "/query", by_body).await;
    assert_eq!(ids(&found["points"]), [1, 2].map(|n| json!(n)));
    let older = json!({"vector": {"name": "body", "vector": [0, 0, 6]}, "limit": 1});
    assert_eq!(
        ids(&post(&server, "/search", older).await),
        [2].map(|n| json!(n))
    );
    let like_1 = json!({"query": 1, "using": "body"});
    let found = post(&server, "/query", like_1).await;
    assert_eq!(ids(&found["points"]), [2].map(|n| json!(n)));
    let both = json!({"query": {"fusion": "rrf"}, "prefetch": [
        {"query": [0, 0, 0], "using": "body", "limit": 1},
        {"query": [1, 0], "using": "title", "limit": 1},
    ]});
    let found = post(&server, "/query", both).await;
    assert_eq!(ids(&found["points"]), [1, 3].map(|n| json!(n)));
}

#[tokio::test]
async fn a_point_that_lacks_the_vector_is_no_example() {
    let server = library().await;
    let body = json!({"query": 3, "using": "body"}).to_string();
    let answer = server
        .call("POST", "/collections/docs/points/query", body)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.error();
    assert!(
        error.contains("query: point 3 has no vector \"body\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_search_that_names_no_vector_is_told_which_there_are() {
    let server = library().await;
    for (path, body, field) in [
        ("/query", json!({"query": [1, 0]}), "using"),
        (
            "/search",
            json!({"vector": [1, 0], "limit": 1}),
            "vector.name",
        ),
        ("/recommend", json!({"positive": [1], "limit": 1}), "using"),
    ] {
        let path = format!("/collections/docs/points{path}");
        let answer = server.call("POST", &path, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let error = answer.error();
        for part in [field, "the collection has", "\"title\"", "\"body\""] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn vectors_are_answered_by_name_and_only_those_asked_for() {
    let server = library().await;
    for (wish, of_1, of_4) in [
        (
            json!(true),
            json!({"title": [1.0, 0.0], "body": [0.0, 0.0, 1.0]}),
            json!({}),
        ),
        (json!(["title"]), json!({"title": [1.0, 0.0]}), json!({})),
        (json!(false), json!(null), json!(null)),
    ] {
        let body = json!({"ids": [1, 4], "with_vector": wish});
        let points = post(&server, "", body).await;
        assert_eq!(points[0]["vector"], of_1, "{wish}");
        assert_eq!(points[1]["vector"], of_4, "{wish}");
    }
    // The choice looks at vectors that the answer does not have.
    let spread = json!({"query": {"nearest": [1, 0], "mmr": {}}, "using": "title", "limit": 1,
        "with_vector": ["body"]});
    let found = post(&server, "/query", spread).await;
    assert_eq!(found["points"][0]["vector"], json!({}));
}

#[tokio::test]
async fn one_vector_is_set_or_taken_away_and_the_others_stay() {
    let server = library().await;
    let set = json!({"points": [{"id": 3, "vector": {"body": [0, 0, 2]}}]}).to_string();
    server
        .call("PUT", "/collections/docs/points/vectors", set)
        .await
        .result();
    let shown = async |id: u64| {
        let points = post(&server, "", json!({"ids": [id], "with_vector": true})).await;
        points[0]["vector"].clone()
    };
    let both = json!({"title": [3.0, 0.0], "body": [0.0, 0.0, 2.0]});
    assert_eq!(shown(3).await, both);
    post(
        &server,
        "/vectors/delete",
        json!({"vector": ["title"], "points": [3]}),
    )
    .await;
    assert_eq!(shown(3).await, json!({"body": [0.0, 0.0, 2.0]}));
    let one = json!({"filter": {"must": {"has_id": [1]}}, "vector": ["body", "title"]});
    let operations = json!({"operations": [{"delete_vectors": one}]});
    post(&server, "/batch", operations).await;
    assert_eq!(shown(1).await, json!({}));
    // All that a point has is what the upsert says.
    server
        .put(json!([{"id": 2, "vector": {"title": [9, 9]}}]))
        .await;
    assert_eq!(shown(2).await, json!({"title": [9.0, 9.0]}));
}

#[tokio::test]
async fn a_batch_has_a_column_for_each_name() {
    let server = library().await;
    let batch = json!({"batch": {"ids": [8, 9], "vectors": {"title": [[7, 0], [8, 0]],
        "body": [[1, 1, 1], [2, 2, 2]]}}});
    let path = "/collections/docs/points";
    server.call("PUT", path, batch.to_string()).await.result();
    let points = post(&server, "", json!({"ids": [9], "with_vector": true})).await;
    let both = json!({"title": [8.0, 0.0], "body": [2.0, 2.0, 2.0]});
    assert_eq!(points[0]["vector"], both);
    let short = json!({"batch": {"ids": [8, 9], "vectors": {"title": [[7, 0], [8, 0]],
        "body": [[1, 1, 1]]}}});
    let answer = server.call("PUT", path, short.to_string()).await;
    assert!(
        answer
            .error()
            .contains("number of ids and vectors must be equal"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_collection_describes_its_vectors_by_name() {
    let server = library().await;
    let info = server.call("GET", "/collections/docs", "").await.result();
    let vectors = &info["config"]["params"]["vectors"];
    assert_eq!(vectors["title"], json!({"size": 2, "distance": "Dot"}));
    assert_eq!(vectors["body"], json!({"size": 3, "distance": "Euclid"}));
}
