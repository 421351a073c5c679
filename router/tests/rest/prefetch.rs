//! Searches over what other searches found: ranked anew, or fused.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const QUERY: &str = "/collections/docs/points/query";

/// Points on a line, even and odd ones told apart by their payloads.
async fn line() -> Server {
    let server = Server::docs(3, "Euclid").await;
    let point =
        |n: u32| json!({"id": n, "vector": [n, 0, 0], "payload": {"n": n, "odd": n % 2 == 1}});
    let points: Vec<Value> = (0..20).map(point).collect();
    server.put(json!(points)).await;
    server
}

async fn found(server: &Server, body: &Value) -> Vec<Value> {
    let answer = server.call("POST", QUERY, body.to_string()).await;
    ids(&answer.result()["points"])
}

fn at(place: f32, limit: u32) -> Value {
    json!({"query": [place, 0, 0], "limit": limit})
}

fn odd(is: bool) -> Value {
    json!({"must": {"key": "odd", "match": {"value": is}}})
}

#[tokio::test]
async fn the_query_ranks_what_the_prefetches_found_and_nothing_else() {
    let server = line().await;
    let one = json!({"query": [9, 0, 0], "prefetch": at(1.9, 3)});
    assert_eq!(found(&server, &one).await, [3, 2, 1]);
    let two =
        json!({"query": [9, 0, 0], "prefetch": [at(1.9, 3), at(18.9, 2)], "limit": 4, "offset": 1});
    assert_eq!(found(&server, &two).await, [2, 1, 18, 19]);
    let by_id = json!({"query": 2, "prefetch": at(2.1, 4), "with_payload": ["n"], "params": {"hnsw_ef": 4}});
    assert_eq!(
        found(&server, &by_id).await,
        [1, 3, 0, 4],
        "the point itself is nowhere"
    );
    let cut = json!({"query": [0, 0, 0], "prefetch": at(5.1, 5), "score_threshold": 5.5});
    assert_eq!(found(&server, &cut).await, [3, 4, 5]);
    let none = json!({"query": [9, 0, 0], "prefetch": {"query": [0, 0, 0], "score_threshold": 0, "filter": odd(true)}});
    assert_eq!(found(&server, &none).await, [] as [u32; 0]);
    let unranked = json!({"query": [9, 0, 0], "prefetch": {"limit": 2}});
    assert_eq!(
        found(&server, &unranked).await,
        [1, 0],
        "the first by their ids"
    );
}

#[tokio::test]
async fn prefetches_lie_in_each_other() {
    let server = line().await;
    let inner = json!({"query": [10, 0, 0], "limit": 8});
    let middle = json!({"query": [0, 0, 0], "limit": 4, "prefetch": inner});
    let body = json!({"query": [20, 0, 0], "limit": 2, "prefetch": [middle, at(1.0, 1)]});
    // 6 to 13 or 7 to 14, of them the four least, of them and 1 the largest.
    let answer = found(&server, &body).await;
    assert!(answer == [9, 8] || answer == [10, 9], "{answer:?}");
}

#[tokio::test]
async fn the_filter_holds_for_the_prefetches_too() {
    let server = line().await;
    let body = json!({"query": [0, 0, 0], "prefetch": at(9.0, 3), "filter": odd(false)});
    // Of all, 8, 9 and 10 would be found, and then 8 and 10 be left.
    assert_eq!(found(&server, &body).await.len(), 3);
    let low = json!({"must": {"key": "n", "range": {"lt": 3}}});
    let nested = json!({"query": {"fusion": "rrf"}, "filter": odd(true), "prefetch": {
        "query": [0, 0, 0], "prefetch": {"query": [19, 0, 0], "filter": low}}});
    assert_eq!(found(&server, &nested).await, [1]);
}

#[tokio::test]
async fn points_that_a_query_names_are_not_prefetched() {
    let server = line().await;
    let body =
        json!({"query": {"recommend": {"positive": [4], "negative": [3]}}, "prefetch": at(4.1, 2)});
    assert_eq!(
        found(&server, &body).await,
        [5, 6],
        "and not 4 and 5, of which 4 is left out"
    );
}

#[tokio::test]
async fn places_are_fused_and_the_points_are_as_they_are_stored() {
    let server = line().await;
    let lists = json!([at(2.1, 3), at(3.1, 2)]); // 2, 3, 1 and 3, 4
    let body = json!({"query": {"fusion": "rrf"}, "prefetch": lists, "with_payload": ["n"], "with_vector": true});
    let answer = server.call("POST", QUERY, body.to_string()).await.result()["points"].clone();
    assert_eq!(ids(&answer), [3, 2, 4, 1]);
    let scores: Vec<f64> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["score"].as_f64().unwrap())
        .collect();
    let want = [0.5 + 1.0 / 3.0, 0.5, 1.0 / 3.0, 0.25];
    assert!(
        scores.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6),
        "{scores:?}"
    );
    assert_eq!(answer[0]["payload"], json!({"n": 3}));
    assert_eq!(answer[0]["vector"], json!([3.0, 0.0, 0.0]));
    assert!(answer[0]["version"].as_u64().unwrap() > 0);

    let weighted =
        json!({"query": {"rrf": {"k": 1, "weights": [0, 1]}}, "prefetch": lists, "limit": 2});
    assert_eq!(found(&server, &weighted).await, [3, 4]);
    let cut =
        json!({"query": {"fusion": "rrf"}, "prefetch": lists, "score_threshold": 0.5, "offset": 1});
    assert_eq!(found(&server, &cut).await, [2]);
}

#[tokio::test]
async fn scores_are_fused_whatever_their_scale() {
    let server = Server::docs(3, "Dot").await;
    server
        .put(json!([
            {"id": 1, "vector": [1, 300, 0]}, {"id": 2, "vector": [3, 100, 0]}, {"id": 3, "vector": [2, 290, 0]},
        ]))
        .await;
    let body = json!({"query": {"fusion": "dbsf"}, "prefetch": [{"query": [1, 0, 0]}, {"query": [0, 1, 0]}]});
    assert_eq!(found(&server, &body).await, [3, 2, 1]);
}

#[tokio::test]
async fn a_fusion_may_be_prefetched_and_ranked_anew() {
    let server = line().await;
    let fused =
        json!({"query": {"fusion": "rrf"}, "prefetch": [at(2.1, 2), at(8.1, 2)], "limit": 2});
    let body = json!({"query": [20, 0, 0], "prefetch": fused});
    assert_eq!(found(&server, &body).await, [8, 2]);
}

#[tokio::test]
async fn the_searches_of_a_batch_may_have_prefetches() {
    let server = line().await;
    let batch =
        json!({"searches": [{"query": [9, 0, 0], "prefetch": at(1.9, 3), "limit": 1}, at(7.1, 1)]});
    let answer = server
        .call(
            "POST",
            "/collections/docs/points/query/batch",
            batch.to_string(),
        )
        .await
        .result();
    assert_eq!(ids(&answer[0]["points"]), [3]);
    assert_eq!(ids(&answer[1]["points"]), [7]);
}

#[tokio::test]
async fn a_level_of_prefetches_is_one_request_to_each_shard_and_the_last_is_exact() {
    let server = line().await;
    let two = json!({"query": [9, 0, 0], "prefetch": [at(1.9, 3), at(18.9, 2)]});
    let batch = json!({"searches": [two]});
    let path = "/collections/docs/points/query/batch";
    server.call("POST", path, batch.to_string()).await.result();
    for shard in server.catalog.shards("docs") {
        let levels = shard.searches();
        let exact = |at: usize| {
            levels[at]
                .queries
                .iter()
                .map(|q| q.exact)
                .collect::<Vec<_>>()
        };
        assert_eq!(levels.len(), 2);
        assert_eq!((exact(0), exact(1)), (vec![false, false], vec![true]));
        // A point that is left out by a filter would keep a search from the graph.
        assert!(
            levels[0]
                .queries
                .iter()
                .all(|q| q.filter == Some(quoit_proto::v1::Filter::default()))
        );
    }
}

#[tokio::test]
async fn a_prefetch_that_lacks_a_vnode_fails_the_query() {
    let server = line().await;
    let shard = &server.catalog.shards("docs")[1];
    shard.lose(shard.first_vnode());
    let body = json!({"query": {"fusion": "rrf"}, "prefetch": at(2.1, 2)}).to_string();
    assert_eq!(server.call("POST", QUERY, body).await.status, 503);
}
