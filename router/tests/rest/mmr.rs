//! Answers that are to differ from each other.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const QUERY: &str = "/collections/docs/points/query";

/// Three points that are almost one, and two by themselves.
async fn crowd(metric: &str) -> Server {
    let server = Server::docs(3, metric).await;
    server
        .put(json!([
            {"id": 1, "vector": [1, 0, 0], "payload": {"a": 1}},
            {"id": 2, "vector": [0.99, 0.01, 0]},
            {"id": 3, "vector": [0.98, 0.02, 0]},
            {"id": 4, "vector": [0.5, 0.8, 0]},
            {"id": 5, "vector": [0.4, 0, 0.9]},
        ]))
        .await;
    server
}

async fn found(server: &Server, body: Value) -> Vec<Value> {
    let answer = server.call("POST", QUERY, body.to_string()).await;
    ids(&answer.result()["points"])
}

#[tokio::test]
async fn diverse_answers_leave_out_what_is_almost_the_same() {
    for metric in ["Cosine", "Dot", "Euclid", "Manhattan"] {
        let server = crowd(metric).await;
        let query = |mmr: Value| json!({"query": {"nearest": [1, 0, 0], "mmr": mmr}, "limit": 3});
        let plain = found(&server, query(json!(null))).await;
        assert_eq!(plain, [1, 2, 3], "{metric}");
        let still = found(
            &server,
            query(json!({"diversity": 0, "candidates_limit": 5})),
        )
        .await;
        assert_eq!(still, [1, 2, 3], "{metric}");
        let apart = found(
            &server,
            query(json!({"diversity": 0.7, "candidates_limit": 5})),
        )
        .await;
        let (first, mut others) = (apart[0].clone(), apart[1..].to_vec());
        others.sort_by_key(Value::as_u64);
        assert_eq!(
            (first, others),
            (json!(1), vec![json!(4), json!(5)]),
            "{metric}"
        );
    }
}

#[tokio::test]
async fn there_are_as_many_candidates_as_answers_unless_more_are_asked_for() {
    let server = crowd("Cosine").await;
    let body = json!({"query": {"nearest": [1, 0, 0], "mmr": {"diversity": 0.9}}, "limit": 3});
    let mut few = found(&server, body).await;
    few.sort_by_key(Value::as_u64);
    assert_eq!(few, [1, 2, 3], "in another order");
    let body = json!({"query": {"nearest": [1, 0, 0], "mmr": {"candidates_limit": 2}}, "limit": 3});
    assert_eq!(found(&server, body).await.len(), 2);
}

#[tokio::test]
async fn what_is_skipped_was_chosen_first() {
    let server = crowd("Euclid").await;
    let query = |offset: u64, limit: u64| {
        let mmr = json!({"diversity": 0.6, "candidates_limit": 5});
        json!({"query": {"nearest": [1, 0, 0], "mmr": mmr}, "limit": limit, "offset": offset})
    };
    let whole = found(&server, query(0, 4)).await;
    assert_eq!(whole[1..3], found(&server, query(1, 2)).await);
}

#[tokio::test]
async fn scores_are_those_of_the_search_and_vectors_come_only_if_wanted() {
    let server = crowd("Dot").await;
    let body = json!({"query": {"nearest": 4, "mmr": {"candidates_limit": 4}}, "limit": 1,
        "filter": {"must": {"key": "a", "match": {"value": 1}}}, "with_payload": true});
    let answer = server.call("POST", QUERY, body.to_string()).await.result();
    let one = &answer["points"][0];
    assert_eq!((&one["id"], &one["payload"]), (&json!(1), &json!({"a": 1})));
    assert_eq!((&one["score"], &one["vector"]), (&json!(0.5), &json!(null)));
}
