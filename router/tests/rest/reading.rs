//! How a request reads: as fresh as it asks for, in every step, and, if it allows that,
//! without the shards that do not answer.

use std::time::Duration;

use axum::http::StatusCode;
use quoit_proto::ErrorKind;
use quoit_proto::v1::{Eventual, Freshness, freshness::Kind};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::openapi::{document, operation, operations};
use crate::support::{Server, ids};

const QUERY: &str = "/collections/docs/points/query";

/// A server with points in each of three shards, and of each group in another collection.
async fn full() -> Server {
    let server = Server::docs(3, "Dot").await;
    let points: Vec<_> = (0..40)
        .map(|i| json!({"id": i, "vector": [i, 1, 1], "payload": {"group": i % 5, "city": "Rome"}}))
        .collect();
    server.put(json!(points)).await;
    let other = r#"{"vectors": {"size": 3, "distance": "Dot"}}"#;
    server
        .call("PUT", "/collections/other", other)
        .await
        .result();
    let points = json!({"points": points}).to_string();
    let put = server.call("PUT", "/collections/other/points", points);
    put.await.result();
    server
}

/// What reads points, and how.
fn reads() -> Vec<(&'static str, String, Value)> {
    let of = |call: &str| format!("/collections/docs/points{call}");
    let batch = |search: &Value| json!({"searches": [search, search]});
    let grouped = |mut search: Value| {
        search["group_by"] = json!("group");
        search["group_size"] = json!(2);
        search["with_lookup"] = json!("other");
        search
    };
    let search = json!({"vector": [1, 1, 1], "limit": 3});
    let recommend = json!({"positive": [1], "negative": [2], "limit": 3});
    let discover = json!({"target": 3, "context": [], "limit": 3});
    let sample = json!({"sample": 5, "limit": 2});
    let steps = json!({
        "prefetch": [{"query": 7, "limit": 5}, {"query": {"sample": "random"}, "limit": 5}],
        "query": {"fusion": "rrf"},
        "with_payload": true,
    });
    let elsewhere = json!({"query": 3, "lookup_from": {"collection": "other"}});
    vec![
        ("POST", of(""), json!({"ids": [1, 2, 3]})),
        ("GET", of("/7"), json!({})),
        ("POST", of("/scroll"), json!({"limit": 5})),
        ("POST", of("/scroll"), json!({"order_by": "group"})),
        ("POST", of("/count"), json!({})),
        ("POST", of("/query"), json!({"query": [1, 1, 1]})),
        (
            "POST",
            of("/query"),
            json!({"query": {"order_by": "group"}}),
        ),
        ("POST", of("/query"), elsewhere),
        ("POST", of("/query"), steps),
        (
            "POST",
            of("/query/batch"),
            json!({"searches": [{"query": 1}, {}]}),
        ),
        (
            "POST",
            of("/query/groups"),
            grouped(json!({"query": [1, 1, 1], "limit": 2})),
        ),
        ("POST", of("/search/batch"), batch(&search)),
        ("POST", of("/search/groups"), grouped(search.clone())),
        ("POST", of("/search"), search),
        ("POST", of("/recommend/batch"), batch(&recommend)),
        ("POST", of("/recommend/groups"), grouped(recommend.clone())),
        ("POST", of("/recommend"), recommend),
        ("POST", of("/discover/batch"), batch(&discover)),
        ("POST", of("/discover"), discover),
        ("POST", of("/search/matrix/pairs"), sample.clone()),
        ("POST", of("/search/matrix/offsets"), sample),
        (
            "POST",
            "/collections/docs/facet".to_owned(),
            json!({"key": "city"}),
        ),
    ]
}

/// How fresh the reads of all shards were to be, and how many there were.
fn seen(server: &Server) -> (Vec<Option<Freshness>>, usize) {
    let mut all = Vec::new();
    for collection in ["docs", "other"] {
        for shard in server.catalog.shards(collection) {
            all.extend(shard.take_freshness());
        }
    }
    let count = all.len();
    all.dedup();
    (all, count)
}

#[tokio::test]
async fn every_step_of_a_read_is_as_fresh_as_the_request_asks() {
    let server = full().await;
    let eventual = Some(Freshness {
        kind: Some(Kind::Eventual(Eventual {})),
    });
    let bounded = Some(Freshness {
        kind: Some(Kind::BoundedMs(2500)),
    });
    for (method, path, body) in reads() {
        let mut counts = Vec::new();
        for (asked, fresh) in [
            ("", None),
            ("?consistency=majority", None),
            ("?consistency=2", None),
            ("?consistency=strong", None),
            ("?consistency=1", eventual),
            ("?consistency=eventual", eventual),
            ("?consistency=bounded:2500ms", bounded),
        ] {
            seen(&server);
            let path = format!("{path}{asked}");
            let answer = server.call(method, &path, body.to_string()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            let (all, count) = seen(&server);
            assert_eq!(all, [fresh], "{path} {body}");
            counts.push(count);
        }
        assert!(counts[0] > 0, "{path}");
    }
}

#[test]
fn all_that_says_that_it_reads_as_freshly_as_it_is_asked_to_is_read_here() {
    let all = operations(&document());
    let read: Vec<_> = reads()
        .iter()
        .map(|(method, path, _)| &operation(&all, method, path).path)
        .collect();
    for one in all.iter().filter(|one| one.has_param("consistency")) {
        assert!(read.contains(&&one.path), "{} {}", one.method, one.path);
    }
}

#[tokio::test]
async fn a_shard_that_does_not_answer_is_left_out_and_named_where_that_is_allowed() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Behind,
        ErrorKind::Busy,
        ErrorKind::Unknown,
    ] {
        let server = full().await;
        let all = server.call(
            "POST",
            "/collections/docs/points/scroll",
            r#"{"limit": 50}"#,
        );
        let all = ids(&all.await.result()["points"]);
        let shards = server.catalog.shards("docs");
        let there = shards[0].points() + shards[2].points();
        shards[1].fail(kind);
        let mut answers = Vec::new();
        for (call, body) in [
            ("/points/scroll", json!({"limit": 50})),
            ("/points/count", json!({})),
            ("/points/query", json!({"query": [1, 1, 1], "limit": 50})),
            ("/facet", json!({"key": "city"})),
        ] {
            let path = format!("/collections/docs{call}");
            let whole = server.call("POST", &path, body.to_string()).await;
            assert_ne!(whole.status, StatusCode::OK, "{call}");
            assert!(whole.error().contains("shard 1"), "{}", whole.error());
            let path = format!("{path}?partial=true");
            let part = server.call("POST", &path, body.to_string()).await;
            let result = part.result();
            assert_eq!(
                part.json()["partial"],
                json!({"missing_shards": [1]}),
                "{call}"
            );
            answers.push(result);
        }
        let [scrolled, counted, found, facets] = answers.try_into().unwrap();
        let scrolled = ids(&scrolled["points"]);
        assert_eq!(scrolled.len(), there);
        assert!(there < all.len());
        assert!(scrolled.iter().all(|id| all.contains(id)));
        assert_eq!(counted["count"], there);
        assert_eq!(ids(&found["points"]).len(), there);
        assert_eq!(facets["hits"][0]["count"], there);
    }
}

#[tokio::test]
async fn an_answer_that_is_whole_says_nothing_of_missing_shards() {
    let server = full().await;
    let path = format!("{QUERY}?partial=true");
    let answer = server.call("POST", &path, "{}").await;
    assert!(answer.json().get("partial").is_none(), "{}", answer.text);
    server.catalog.shards("docs")[1].fail(ErrorKind::Unavailable);
    let path = format!("{QUERY}?partial=false");
    let answer = server.call("POST", &path, "{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_is_not_for_want_of_a_shard_fails_all_the_same() {
    let server = full().await;
    let shards = server.catalog.shards("docs");
    // A vnode that is moving comes back by itself, and no shard is to blame.
    shards[1].lose(shards[1].first_vnode());
    let path = format!("{QUERY}?partial=true");
    let answer = server.call("POST", &path, "{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.error().contains("1 of 64 vnodes"),
        "{}",
        answer.error()
    );
    // A request that a shard takes for wrong is wrong.
    shards[1].fail(ErrorKind::Invalid);
    let answer = server.call("POST", &path, "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // Of all shards missing there is no answer.
    for shard in &shards {
        shard.fail(ErrorKind::Unavailable);
    }
    let answer = server.call("POST", &path, "{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    // A point that is asked for by its id is there or not, and not left out.
    let path = "/collections/docs/points?partial=true";
    let answer = server.call("POST", path, r#"{"ids": [1]}"#).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_is_left_out_in_time_and_not_asked_in_the_next_step() {
    let server = full().await;
    let shards = server.catalog.shards("docs");
    shards[2].delay(Duration::from_secs(1000));
    let path = format!("{QUERY}?partial=true&timeout=8");
    let steps = json!({
        "prefetch": {"query": [1, 1, 1], "limit": 40},
        "query": {"order_by": "group"},
        "limit": 50,
    });
    seen(&server);
    let begun = Instant::now();
    let answer = server.call("POST", &path, steps.to_string()).await;
    let there = shards[0].points() + shards[1].points();
    assert_eq!(ids(&answer.result()["points"]).len(), there);
    assert_eq!(answer.json()["partial"], json!({"missing_shards": [2]}));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(shards[2].take_freshness().len(), 1, "it was asked once");
    // Without that the request takes all its time, and fails.
    let whole = format!("{QUERY}?timeout=8");
    let answer = server.call("POST", &whole, steps.to_string()).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
}
