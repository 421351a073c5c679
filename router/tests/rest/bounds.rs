//! Requests that are within their own bound, and would become many times that in
//! memory: they are refused before they do.

use quoit_router::{CollectionLimits, ServerLimits};
use serde_json::json;

use crate::bad_input::{case, refused_by};
use crate::support::{LIMITS, Server};

const POINTS: &str = "/collections/docs/points";
const QUERY: &str = "/collections/docs/points/query";
const QUERIES: &str = "/collections/docs/points/query/batch";
const RECOMMEND: &str = "/collections/docs/points/recommend";
const SCROLL: &str = "/collections/docs/points/scroll";
const COUNT: &str = "/collections/docs/points/count";
const KEYS: &str = "/collections/docs/points/payload/delete";
const BATCH: &str = "/collections/docs/points/batch";
const NEW: &str = "/collections/new";

/// So often that what they become in memory is more than a request may take,
/// though the request is within its own bound.
#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn lists_of_next_to_nothing_are_refused_while_they_are_read() {
    let list = |path, body: &str, element: &str, parts| {
        let all = vec![element; 900_000 / element.len()].join(",");
        case("POST", path, &body.replace("LIST", &all), 400, parts)
    };
    let full = format!(r#"{{"must": [{}]}}"#, vec!["{}"; 4_000].join(","));
    let long = |i: usize| format!(r#""k{i}{}""#, ".a".repeat(63));
    let paths: Vec<String> = (0..500).map(long).collect();
    let cases = vec![
        list(COUNT, r#"{"filter": {"must": [LIST]}}"#, "{}", &["filter.must: ", "more than 4096 conditions"]),
        list(COUNT, r#"{"filter": {"must_not": [LIST]}}"#, &full, &["filter.must_not[", "too many parts", "send several"]),
        list(QUERIES, r#"{"searches": [LIST]}"#, "{}", &["searches: too many parts"]),
        list(BATCH, r#"{"operations": [LIST]}"#, "{}", &["operations: too many parts"]),
        list(QUERY, r#"{"prefetch": [LIST]}"#, "{}", &["prefetch: too many parts"]),
        list(POINTS, r#"{"ids": [LIST]}"#, "1", &["ids: too many parts"]),
        list(RECOMMEND, r#"{"limit": 1, "positive": [LIST]}"#, "1", &["positive: too many parts"]),
        case("POST", SCROLL, &format!(r#"{{"with_payload": [{}]}}"#, paths.join(",")), 400, &["with_payload", "more than 10000 steps together"]),
        case("PUT", NEW, &format!(r#"{{"vectors": {{{}}}}}"#, (0..300).map(|i| format!(r#""{i}": {{"size": 1, "distance": "Dot"}}"#)).collect::<Vec<_>>().join(",")), 400, &["vectors", "more than 256 vectors"]),
    ];
    refused_by(Server::large(3, "Cosine").await, cases).await;
}

/// What is said once and holds for many is counted as often.
#[tokio::test]
async fn a_short_request_does_not_become_a_long_one() {
    let ids: Vec<u64> = (0..100_000).collect();
    let filter = json!({"must": [{"has_id": ids}]});
    let inner = vec![json!({"query": [1, 1, 1], "limit": 1}); 32];
    let prefetches = json!({"prefetch": inner, "query": [1, 1, 1], "filter": filter});
    let prefetches = prefetches.to_string();
    let conditions = json!({"must": vec![json!({}); 4_096]});
    let points: Vec<_> = (0..50)
        .map(|id| json!({"id": id, "vector": [1, 1, 1]}))
        .collect();
    let upsert = json!({"points": points, "update_filter": conditions}).to_string();
    let keys = json!({"keys": vec!["a"; 20_000], "points": (0..50).collect::<Vec<u64>>()});
    let keys = keys.to_string();
    let limits = CollectionLimits {
        max_request_bytes: 1 << 20,
        ..LIMITS
    };
    let server = Server::with(3, ServerLimits::default(), limits);
    server.create_docs("Cosine").await;
    let cases = vec![
        case(
            "POST",
            QUERY,
            &prefetches,
            422,
            &["prefetch[", "hold for each of them", "a smaller filter"],
        ),
        case(
            "PUT",
            POINTS,
            &upsert,
            422,
            &["update_filter", "for each of 50 points", "send several"],
        ),
        case(
            "POST",
            KEYS,
            &keys,
            422,
            &["keys", "for each of 50 points", "send several"],
        ),
    ];
    refused_by(server, cases).await;
}

/// What is wrong can be as long as the body: as much of it is said as can be read.
#[tokio::test]
async fn a_text_of_an_error_is_short() {
    let server = Server::large(1, "Dot").await;
    let body = format!(r#"{{"filter": {{"{}": 1}}}}"#, "é".repeat(100_000));
    let answer = server.call("POST", COUNT, body).await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(answer.text.len() < 3_000, "{}", answer.text.len());
}
