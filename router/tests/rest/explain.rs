//! What a search says of the way it went, and that it says it only if asked.

use serde_json::json;

use crate::support::Server;

const QUERY: &str = "/collections/docs/points/query";

async fn filled() -> Server {
    let server = Server::docs(3, "Dot").await;
    let point = |n: u32| json!({"id": n, "vector": [n, 1, 0]});
    let points: Vec<_> = (0..30).map(point).collect();
    server.put(json!(points)).await;
    server
}

#[tokio::test]
async fn a_query_says_of_each_step_how_it_went_in_each_shard() {
    let server = filled().await;
    let body = json!({
        "query": {"fusion": "rrf"},
        "prefetch": [{"query": [1, 0, 0], "limit": 5}, {"query": 7, "limit": 5}],
    });
    let answer = server.call("POST", QUERY, body.to_string()).await.json();
    assert!(answer.get("explain").is_none(), "{answer}");

    let path = format!("{QUERY}?explain=true");
    let explained = server.call("POST", &path, body.to_string()).await.json();
    assert_eq!(explained["result"], answer["result"]);
    let steps = explained["explain"]["steps"].as_array().unwrap();
    let places: Vec<_> = steps.iter().map(|step| &step["place"]).collect();
    assert_eq!(places, ["prefetch[0]", "prefetch[1]", ""]);
    let goals: Vec<_> = steps.iter().map(|step| &step["goal"]).collect();
    assert_eq!(goals, ["nearest", "nearest", "fusion by places"]);
    for step in &steps[..2] {
        let shards = step["shards"].as_array().unwrap();
        let numbers: Vec<_> = shards
            .iter()
            .map(|s| s["shard"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(shards.iter().all(|shard| shard["plan"] == "scan"), "{step}");
        let why = shards[0]["why"].as_str().unwrap();
        assert!(why.starts_with("so few points may be found"), "{why}");
    }
    assert_eq!(steps[2]["shards"], json!([]));
}

#[tokio::test]
async fn each_search_of_a_batch_is_explained() {
    let server = filled().await;
    let searches =
        json!({"searches": [{"vector": [1, 0, 0], "limit": 1}, {"vector": [0, 1, 0], "limit": 2}]});
    let path = "/collections/docs/points/search/batch?explain=true";
    let answer = server.call("POST", path, searches.to_string()).await.json();
    let explained = answer["explain"].as_array().unwrap();
    assert_eq!(explained.len(), 2);
    for (of, limit) in explained.iter().zip([1, 2]) {
        let shards = of["steps"][0]["shards"].as_array().unwrap();
        assert!(
            shards.iter().all(|shard| shard["compared"] == limit),
            "{of}"
        );
    }
}

#[tokio::test]
async fn only_true_and_false_are_answers_to_whether_to_explain() {
    let server = filled().await;
    let path = format!("{QUERY}?explain=yes");
    let answer = server.call("POST", &path, r#"{"query": 1}"#).await.json();
    let error = answer["status"]["error"].as_str().unwrap();
    assert!(
        error.contains("explain") && error.contains("true or false"),
        "{error}"
    );
}
