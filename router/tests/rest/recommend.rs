//! What is near to some examples and far from others, by the query and by the
//! older calls.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const QUERY: &str = "/collections/docs/points/query";
const OLDER: &str = "/collections/docs/points/recommend";

/// Points on a line.
async fn line() -> Server {
    let server = Server::docs(3, "Euclid").await;
    let points: Vec<Value> = (0..10)
        .map(|n| json!({"id": n, "vector": [n, 0, 0], "payload": {"n": n}}))
        .collect();
    server.put(json!(points)).await;
    server
}

#[tokio::test]
async fn the_nearest_to_the_mean_are_found_without_the_examples() {
    let server = line().await;
    // Each aims at one place on the line.
    for (examples, want) in [
        (json!({"positive": [4]}), [3, 5, 2]),
        (json!({"positive": [[4.2, 0, 0]]}), [4, 5, 3]),
        (json!({"positive": [2, 6]}), [4, 3, 5]),
        (
            json!({"positive": [2, [6, 0, 0]], "strategy": "average_vector"}),
            [4, 3, 5],
        ),
        (json!({"positive": [4], "negative": [2]}), [6, 5, 7]),
        (
            json!({"positive": [4, 5], "negative": [[2.3, 0, 0], 3], "strategy": null}),
            [6, 7, 8],
        ),
    ] {
        let body = json!({"query": {"recommend": examples}, "limit": 3}).to_string();
        let answer = server.call("POST", QUERY, body).await.result();
        assert_eq!(ids(&answer["points"]), want, "{examples}");

        let mut older = examples.clone();
        older["limit"] = json!(3);
        let answer = server.call("POST", OLDER, older.to_string()).await.result();
        assert_eq!(ids(&answer), want, "{older}");
    }
}

#[tokio::test]
async fn a_recommendation_takes_what_every_search_takes() {
    let server = line().await;
    let filter = json!({"must": {"key": "n", "range": {"lt": 6}}});
    let body = json!({"positive": [4], "filter": filter, "limit": 2, "offset": 1, "score_threshold": 2.5,
        "with_payload": ["n"], "with_vector": true, "params": {"exact": true}});
    let answer = server.call("POST", OLDER, body.to_string()).await.result();
    assert_eq!(ids(&answer), [5, 2]);
    assert_eq!(
        (&answer[0]["payload"], &answer[0]["vector"]),
        (&json!({"n": 5}), &json!([5.0, 0.0, 0.0]))
    );

    let batch = json!({"searches": [{"positive": [1], "limit": 1}, {"positive": [8], "negative": [9], "limit": 1}]});
    let at = "/collections/docs/points/recommend/batch";
    let answer = server.call("POST", at, batch.to_string()).await.result();
    assert_eq!(
        (ids(&answer[0]), ids(&answer[1])),
        (vec![json!(0)], vec![json!(7)])
    );
}

#[tokio::test]
async fn many_examples_leave_no_answer_short() {
    let server = line().await;
    let body = json!({"positive": [0, 1, 2, 3, 4, 5], "limit": 4}).to_string();
    let answer = server.call("POST", OLDER, body).await.result();
    assert_eq!(ids(&answer), [6, 7, 8, 9]);
}
