//! Points by chance: whatever is chosen, it is of what was asked for.

use std::collections::BTreeSet;

use quoit_ring::{PointId, VnodeCount};
use serde_json::{Value, json};

use crate::support::{Server, VNODES, ids};

const QUERY: &str = "/collections/docs/points/query";

/// More points than a search may go through.
async fn many() -> Server {
    let server = Server::docs(3, "Dot").await;
    for from in (0..600).step_by(50) {
        let point = |n: u32| json!({"id": n, "vector": [n, 0, 0], "payload": {"n": n, "few": n % 100 == 7}});
        let points: Vec<Value> = (from..from + 50).map(point).collect();
        server.put(json!(points)).await;
    }
    server
}

async fn sampled(server: &Server, more: Value) -> Vec<Value> {
    let mut body = more;
    body["query"] = json!({"sample": "random"});
    let answer = server.call("POST", QUERY, body.to_string()).await.result();
    let points = answer["points"].as_array().unwrap();
    assert!(points.iter().all(|p| p["score"] == 1.0));
    assert_eq!(
        ids(&answer["points"])
            .iter()
            .map(Value::to_string)
            .collect::<BTreeSet<_>>()
            .len(),
        points.len()
    );
    points.clone()
}

#[tokio::test]
async fn as_many_points_come_as_were_asked_for_and_each_once() {
    let server = many().await;
    for (more, want) in [
        (json!({}), 10),
        (json!({"limit": 100}), 100),
        (json!({"limit": 5, "offset": 95}), 5),
        (
            json!({"limit": 100, "filter": {"must": {"key": "few", "match": {"value": true}}}}),
            6,
        ),
        (
            json!({"limit": 3, "filter": {"must": {"key": "few", "match": {"value": true}}}}),
            3,
        ),
        (json!({"filter": {"must": {"has_id": [9999]}}}), 0),
    ] {
        assert_eq!(sampled(&server, more.clone()).await.len(), want, "{more}");
    }
}

#[tokio::test]
async fn they_meet_the_filter_and_come_with_what_is_wanted_of_them() {
    let server = many().await;
    let filter = json!({"must": {"key": "few", "match": {"value": true}}});
    for point in sampled(
        &server,
        json!({"filter": filter, "with_payload": ["n"], "with_vector": true}),
    )
    .await
    {
        let n = point["id"].as_u64().unwrap();
        assert_eq!(n % 100, 7);
        assert_eq!(point["payload"], json!({"n": n}));
        assert_eq!(
            point["vector"][0].as_f64().unwrap().to_string(),
            n.to_string()
        );
    }
}

#[tokio::test]
async fn every_point_may_come() {
    let server = many().await;
    // Each comes with a chance of a sixth: that one of them stays away 200
    // times is as likely as one in 10^13.
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        for point in sampled(&server, json!({"limit": 100})).await {
            seen.insert(point["id"].as_u64().unwrap());
        }
    }
    assert_eq!(seen.len(), 600);
}

#[tokio::test]
async fn points_that_are_all_in_one_place_are_found() {
    let server = Server::docs(3, "Dot").await;
    let ring = VnodeCount::new(VNODES).unwrap();
    let of = |n: &u64| ring.vnode_of(&PointId::Num(*n).to_key());
    let ids: Vec<u64> = (0..).filter(|n| of(n) == of(&0)).take(400).collect();
    for some in ids.chunks(50) {
        let point = |n: &u64| json!({"id": n, "vector": [1, 0, 0]});
        server.put(some.iter().map(point).collect()).await;
    }
    // Most choices of vnodes are without the one that has them.
    for _ in 0..20 {
        assert_eq!(sampled(&server, json!({"limit": 7})).await.len(), 7);
    }
}

#[tokio::test]
async fn what_prefetches_found_can_be_sampled() {
    let server = many().await;
    let prefetch = json!({"query": [1, 0, 0], "limit": 4});
    let points = sampled(&server, json!({"prefetch": prefetch, "limit": 3})).await;
    assert_eq!(points.len(), 3);
    assert!(
        points.iter().all(|p| p["id"].as_u64().unwrap() >= 596),
        "{points:?}"
    );
}

#[tokio::test]
async fn a_vnode_that_is_missing_fails_the_sample() {
    let server = Server::docs(3, "Dot").await;
    server.put(json!([{"id": 1, "vector": [1, 0, 0]}])).await;
    let shard = &server.catalog.shards("docs")[1];
    shard.lose(shard.first_vnode());
    let body = json!({"query": {"sample": "random"}}).to_string();
    assert_eq!(server.call("POST", QUERY, body).await.status, 503);
}
