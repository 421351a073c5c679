//! What clients are told when shards fail, and that an answer is whole or is
//! an error.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use quoit_proto::ErrorKind;
use quoit_router::ServerLimits;
use serde_json::json;

use crate::support::{LIMITS, Server};

const READS: [(&str, &str, &str); 6] = [
    (
        "POST",
        "/collections/docs/points/query",
        r#"{"query": [1, 1, 1]}"#,
    ),
    (
        "POST",
        "/collections/docs/points/query/batch",
        r#"{"searches": [{"query": [1, 1, 1]}]}"#,
    ),
    (
        "POST",
        "/collections/docs/points/search",
        r#"{"vector": [1, 1, 1], "limit": 3}"#,
    ),
    ("POST", "/collections/docs/points/query", "{}"),
    ("POST", "/collections/docs/points/scroll", "{}"),
    ("POST", "/collections/docs/points/count", "{}"),
];

async fn full() -> Server {
    let server = Server::docs(3, "Dot").await;
    let points: Vec<_> = (0..50)
        .map(|i| json!({"id": i, "vector": [i, 1, 1]}))
        .collect();
    server.put(json!(points)).await;
    server
}

#[tokio::test]
async fn a_vnode_that_is_elsewhere_fails_a_read_and_never_shortens_it() {
    let server = full().await;
    let shard = &server.catalog.shards("docs")[1];
    let vnode = shard.first_vnode();
    shard.lose(vnode);
    for (method, path, body) in READS {
        let answer = server.call(method, path, body).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}: {}",
            answer.text
        );
        assert_eq!(answer.headers["retry-after"], "1");
        let error = answer.error();
        assert!(error.contains("1 of 64 vnodes"), "{error}");
        assert!(error.contains(&format!("vnode {vnode} ")), "{error}");
    }
}

#[tokio::test]
async fn a_vnode_that_is_elsewhere_fails_only_the_ids_in_it() {
    let server = full().await;
    for shard in server.catalog.shards("docs") {
        shard.lose(shard.first_vnode());
    }
    let mut failed = 0;
    for id in 0..50 {
        let answer = server
            .call("GET", &format!("/collections/docs/points/{id}"), "")
            .await;
        match answer.status {
            StatusCode::OK => assert_eq!(answer.result()["id"], id),
            StatusCode::SERVICE_UNAVAILABLE => failed += 1,
            other => panic!("{other}: a point that exists is not found: {}", answer.text),
        }
    }
    assert!(
        (1..50).contains(&failed),
        "{failed} of 50 are in the lost vnodes"
    );
}

#[tokio::test]
async fn a_write_to_a_vnode_that_is_elsewhere_says_what_was_done() {
    let server = full().await;
    for shard in server.catalog.shards("docs") {
        shard.lose(shard.first_vnode());
    }
    let before = server.catalog.dump();
    let points: Vec<_> = (0..50)
        .map(|i| json!({"id": i, "vector": [9, 9, 9]}))
        .collect();
    let body = json!({"points": points}).to_string();
    let answer = server.call("PUT", "/collections/docs/points", body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let error = answer.error();
    assert!(error.contains("of 50 points are written"), "{error}");
    let after = server.catalog.dump();
    assert_ne!(before, after);
    let written: usize = error
        .split("Unavailable: ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(after.matches("[9.0, 9.0, 9.0]").count(), written, "{error}");
}

#[tokio::test]
async fn each_kind_of_failure_has_its_status() {
    for (kind, status, says) in [
        (ErrorKind::Invalid, StatusCode::BAD_REQUEST, "Wrong input"),
        (
            ErrorKind::Busy,
            StatusCode::TOO_MANY_REQUESTS,
            "nothing was done",
        ),
        (
            ErrorKind::DiskFull,
            StatusCode::INSUFFICIENT_STORAGE,
            "No space left",
        ),
        (
            ErrorKind::Unavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            "Unavailable",
        ),
        (
            ErrorKind::Unknown,
            StatusCode::INTERNAL_SERVER_ERROR,
            "the outcome is unknown",
        ),
    ] {
        let server = full().await;
        for shard in server.catalog.shards("docs") {
            shard.fail(kind);
        }
        let write = (
            "PUT",
            "/collections/docs/points",
            r#"{"points": [{"id": 1, "vector": [1, 1, 1]}]}"#,
        );
        for (method, path, body) in READS.into_iter().chain([write]) {
            let answer = server.call(method, path, body).await;
            assert_eq!(answer.status, status, "{kind:?} {path}");
            assert!(answer.error().contains(says), "{}", answer.error());
            let soon = matches!(kind, ErrorKind::Busy | ErrorKind::Unavailable);
            assert_eq!(answer.headers.contains_key("retry-after"), soon, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn one_failed_shard_fails_a_search() {
    let server = full().await;
    server.catalog.shards("docs")[2].fail(ErrorKind::Unavailable);
    for (method, path, body) in READS {
        let answer = server.call(method, path, body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.error().contains("shard 2"), "{}", answer.error());
    }
}

#[tokio::test]
async fn of_several_failures_of_a_write_the_gravest_is_told() {
    let server = full().await;
    let shards = server.catalog.shards("docs");
    shards[0].fail(ErrorKind::Busy);
    shards[1].fail(ErrorKind::Unknown);
    let points: Vec<_> = (0..50)
        .map(|i| json!({"id": i, "vector": [9, 9, 9]}))
        .collect();
    let body = json!({"points": points}).to_string();
    let answer = server.call("PUT", "/collections/docs/points", body).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.error().contains("shard 1"), "{}", answer.error());
    assert!(
        answer.error().contains("points are written"),
        "{}",
        answer.error()
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_given_up() {
    let server = full().await;
    server.catalog.shards("docs")[0].delay(Duration::from_secs(100));
    let at = "/collections/docs/points/query?timeout=2";
    let read = server.call("POST", at, r#"{"query": [1, 1, 1]}"#).await;
    assert_eq!(read.status, StatusCode::REQUEST_TIMEOUT);
    assert!(read.error().contains("longer than 2 s"), "{}", read.error());
    assert!(!read.error().contains("unknown"), "{}", read.error());

    let points: Vec<_> = (0..50)
        .map(|i| json!({"id": i, "vector": [9, 9, 9]}))
        .collect();
    let body = json!({"points": points}).to_string();
    let write = server.call("PUT", "/collections/docs/points", body).await;
    assert_eq!(write.status, StatusCode::REQUEST_TIMEOUT);
    assert!(
        write.error().contains("longer than 60 s"),
        "{}",
        write.error()
    );
    assert!(write.error().contains("unknown"), "{}", write.error());
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_queue_are_told_to_come_back() {
    let limits = ServerLimits {
        max_in_flight: 2,
        max_queued: 1,
        ..ServerLimits::default()
    };
    let server = Server::with(1, limits, LIMITS);
    server.create_docs("Dot").await;
    server.catalog.shards("docs")[0].delay(Duration::from_secs(10));
    let ask = || server.call("POST", "/collections/docs/points/count", "{}");
    let answers = futures::future::join_all((0..5).map(|_| ask())).await;
    let done = answers
        .iter()
        .filter(|a| a.status == StatusCode::OK)
        .count();
    let refused: Vec<_> = answers
        .iter()
        .filter(|a| a.status != StatusCode::OK)
        .collect();
    assert_eq!((done, refused.len()), (3, 2));
    for answer in refused {
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(answer.error().contains("try again"), "{}", answer.error());
    }
    let probe = server.call("GET", "/healthz", "").await;
    assert_eq!(probe.status, StatusCode::OK, "probes do not wait");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_taken_in() {
    let server = full().await;
    let body = r#"{"points": [{"id": 1, "vector": [9, 9, 9]}]}"#;
    let request = Request::put("/collections/docs/points").header("content-length", "1000000");
    let answer = server.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("16384 bytes"), "{}", answer.error());
}

#[tokio::test]
async fn metrics_say_how_many_shards_are_silent() {
    let server = full().await;
    server.catalog.shards("docs")[1].fail(ErrorKind::Unavailable);
    let metrics = server.call("GET", "/metrics", "").await.text;
    assert!(
        metrics.contains("quoit_collection_shards_silent{collection=\"docs\"} 1\n"),
        "{metrics}"
    );
    let info = server.call("GET", "/collections/docs", "").await.result();
    assert_eq!(info["status"], "red");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_the_deletion_of_its_collection_finds_none() {
    let server = full().await;
    for shard in server.catalog.shards("docs") {
        shard.fail(ErrorKind::Unavailable);
        shard.delay(Duration::from_secs(1));
    }
    let upsert = json!({"points": [{"id": 1, "vector": [1, 1, 1]}]});
    let upsert = server.call("PUT", "/collections/docs/points", upsert.to_string());
    let shards = server.catalog.shards("docs");
    let before: usize = shards.iter().map(|shard| shard.writes()).sum();
    let delete = async {
        while shards.iter().map(|shard| shard.writes()).sum::<usize>() == before {
            tokio::task::yield_now().await;
        }
        server.call("DELETE", "/collections/docs", "").await
    };
    let (upsert, delete) = tokio::join!(upsert, delete);
    assert_eq!(delete.status, StatusCode::OK);
    assert_eq!(upsert.status, StatusCode::NOT_FOUND, "{}", upsert.text);
    assert!(upsert.error().contains("`docs`"), "{}", upsert.error());
}
