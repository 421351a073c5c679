//! Bad input to a running server, over real connections: each gets a status and
//! a text that names the field and the remedy, and changes nothing. The router
//! has the long table; here is each kind once, to the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use support::{Client, Server, data_dir};

const POINTS: &str = "/collections/docs/points?wait=true";
const QUERY: &str = "/collections/docs/points/query";

fn server() -> (tempfile::TempDir, Server) {
    let dir = data_dir();
    let file = dir.path().join("docs.yaml");
    let limits = "{maxRequestBytes: 65536, maxPayloadBytes: 1024, maxBatchPoints: 100, maxSearchLimit: 1000, maxBatchSearches: 5}";
    let text = format!(
        "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {{name: docs}}\nspec: {{dimension: 3, metric: Cosine, shards: 2, limits: {limits}}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let server = Server::start(&dir.path().join("data"), &["-f", file.to_str().unwrap()]);
    let points: Vec<Value> = (1..=20)
        .map(|id| json!({"id": id, "vector": [id, 1, 2], "payload": {"n": id}}))
        .collect();
    server
        .client()
        .ok("PUT", POINTS, Some(&json!({"points": points})));
    (dir, server)
}

/// All that a client can see.
fn everything(client: &mut Client) -> Value {
    let page = json!({"limit": 1000, "with_payload": true, "with_vector": true});
    let points = client.ok("POST", "/collections/docs/points/scroll", Some(&page));
    let collections = client.ok("GET", "/collections", None);
    let count = client.ok("POST", "/collections/docs/points/count", Some(&json!({})));
    json!([points, collections, count])
}

#[test]
#[rustfmt::skip] // a table: a line a case
fn bad_input_is_refused_with_field_and_remedy_and_changes_nothing() {
    let (_dir, server) = server();
    let mut client = server.client();
    let before = everything(&mut client);
    let point = |point: &str| format!(r#"{{"points": [{{"id": 99, "vector": [1, 1, 1]}}, {point}]}}"#);
    let nested = |depth: usize| format!(r#"{{"id": 1, "vector": [1, 1, 1], "payload": {{"a": {}1{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    let long = format!(r#"{{"id": 1, "vector": [1, 1, 1], "payload": {{"a": "{}"}}}}"#, "x".repeat(1024));
    let many: Vec<Value> = (0..101).map(|id| json!({"id": id, "vector": [1, 1, 1]})).collect();
    let long_name = format!("/collections/{}", "n".repeat(256));
    let create = |what: &str| format!(r#"{{"vectors": {{"size": 3, "distance": "Dot"}}, {what}}}"#);
    let cases: Vec<(&str, &str, String, u16, &[&str])> = vec![
        ("PUT", POINTS, point(r#"{"id": 1, "vector": [1, 2]}"#), 400, &["points[1].vector", "expected dim: 3, got 2"]),
        ("PUT", POINTS, point(r#"{"id": 1, "vector": [1, NaN, 1]}"#), 400, &["points[1].vector[1]", "line 1"]),
        ("PUT", POINTS, point(r#"{"id": 1, "vector": [1, 1e999, 1]}"#), 400, &["points[1].vector[1]", "send finite numbers"]),
        ("PUT", POINTS, point(r#"{"id": 1, "vector": [1, -1e39, 1]}"#), 400, &["points[1].vector[1]", "send finite numbers"]),
        ("PUT", POINTS, point(r#"{"id": -1, "vector": [1, 1, 1]}"#), 400, &["points[1].id", "unsigned 64-bit integer or a UUID"]),
        ("PUT", POINTS, point(r#"{"id": "five", "vector": [1, 1, 1]}"#), 400, &["points[1].id", "five", "UUID"]),
        ("PUT", POINTS, point(r#"{"id": 18446744073709551616, "vector": [1, 1, 1]}"#), 400, &["points[1].id"]),
        ("PUT", POINTS, point(&long), 422, &["points[1].payload", "1024"]),
        ("PUT", POINTS, point(&nested(64)), 400, &["points[1].payload", "deeper than 64", "flatter"]),
        ("PUT", POINTS, point(&nested(20_000)), 400, &["points[1].payload", "deeper than 64", "flatter"]),
        ("PUT", POINTS, "[".repeat(60_000), 400, &["JSON body"]),
        ("PUT", POINTS, r#"{"points": []}"#.into(), 400, &["points", "at least one"]),
        ("PUT", POINTS, json!({"points": many}).to_string(), 422, &["points", "101", "100", "several"]),
        ("PUT", POINTS, format!(r#"{{"points": [], "x": "{}"}}"#, "x".repeat(65_536)), 413, &["65536 bytes", "fewer points", "raise the limit"]),
        ("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}"#.into(), 400, &["JSON body", "line 1 column"]),
        ("PUT", POINTS, String::new(), 400, &["JSON body"]),
        ("PUT", POINTS, "\0\0\0".into(), 400, &["JSON body"]),
        ("PUT", "/collections/none/points", r#"{"points": [{"id": 1, "vector": [1, 1, 1]}]}"#.into(), 404, &["Collection `none` doesn't exist"]),
        ("POST", "/collections/docs/points/delete", r#"{"points": []}"#.into(), 400, &["points", "at least one"]),
        ("POST", "/collections/docs/points/delete", r#"{"points": [1, -2]}"#.into(), 400, &["points[1]", "-2"]),
        ("POST", "/collections/docs/points/delete", r#"{"points": [1], "filter": {}}"#.into(), 400, &["`points` and `filter` exclude each other"]),
        ("POST", QUERY, r#"{"query": [1, 1]}"#.into(), 400, &["query", "expected dim: 3, got 2"]),
        ("POST", QUERY, r#"{"query": [1, 1, 1e999]}"#.into(), 400, &["query[2]", "send finite numbers"]),
        ("POST", QUERY, r#"{"query": [1, 1, 1], "limit": 0}"#.into(), 422, &["limit", "1 or larger"]),
        ("POST", QUERY, r#"{"query": [1, 1, 1], "limit": 1001}"#.into(), 422, &["limit", "1000 at most", "scroll"]),
        ("POST", QUERY, r#"{"query": [1, 1, 1], "offset": 18446744073709551615}"#.into(), 422, &["offset", "1000 at most", "scroll"]),
        ("POST", QUERY, r#"{"query": [1, 1, 1], "filter": {"must": [{"key": "n", "match": {"value": 1.5}}]}}"#.into(), 400, &["filter.must[0].match.value", "`range`"]),
        ("POST", QUERY, r#"{"query": 4711}"#.into(), 404, &["No point with id 4711"]),
        ("POST", "/collections/docs/points/query/batch", json!({"searches": vec![json!({}); 6]}).to_string(), 422, &["searches", "6", "5"]),
        ("POST", "/collections/docs/points/scroll", r#"{"limit": 0}"#.into(), 422, &["limit", "1 or larger"]),
        ("GET", "/collections/docs/points/99", String::new(), 404, &["No point with id 99"]),
        ("PUT", "/collections/docs", create(r#""shard_number": 2"#), 409, &["`docs` already exists", "Cosine"]),
        ("PUT", "/collections/docs", r#"{"vectors": {"size": 4, "distance": "Cosine"}}"#.into(), 409, &["`docs` already exists", "size 3 and not 4"]),
        ("PUT", "/collections/new", create(r#""shard_number": 0"#), 422, &["shard_number", "1 or larger"]),
        ("PUT", "/collections/new", create(r#""shard_number": 100000"#), 422, &["shard", "1024"]),
        ("PUT", "/collections/new", create(r#""hnsw_config": {"m": 100000}"#), 422, &["hnsw", "m", "from"]),
        ("PUT", "/collections/docs", r#"{"vectors": {"t": {"size": 3, "distance": "Cosine"}}}"#.into(), 409, &["`docs` already exists", "size 3 and are not asked for", "it has no vectors t"]),
        ("PUT", "/collections/new", r#"{"vectors": {"a b": {"size": 3, "distance": "Dot"}}}"#.into(), 422, &["vectors", "\"a b\"", "letters, digits"]),
        ("PUT", "/collections/new", json!({"vectors": (0..17).map(|n| (format!("v{n}"), json!({"size": 3, "distance": "Dot"}))).collect::<serde_json::Map<_, _>>()}).to_string(), 422, &["vectors", "17", "16"]),
        ("PUT", "/collections/new", r#"{"vectors": {"size": 0, "distance": "Dot"}}"#.into(), 422, &["vectors.size", "from 1 to 65536"]),
        ("PUT", "/collections/new", r#"{"vectors": {"size": 3, "distance": "Hamming"}}"#.into(), 400, &["vectors.distance", "Cosine"]),
        ("PUT", "/collections/..%2F..%2Fnew", create(r#""shard_number": 1"#), 422, &["collection_name", "letters, digits"]),
        ("PUT", "/collections/.deleted-new", create(r#""shard_number": 1"#), 422, &["collection_name", "'.'"]),
        ("PUT", &long_name, create(r#""shard_number": 1"#), 422, &["collection_name", "255"]),
        ("DELETE", "/collections", String::new(), 405, &["DELETE", "/collections"]),
        ("GET", "/nowhere", String::new(), 404, &["/nowhere"]),
    ];
    let mut wrong = Vec::new();
    for (method, path, body, status, parts) in &cases {
        let shown: String = body.chars().take(120).collect();
        let answer = client.call_with(method, path, body.as_bytes()).unwrap_or_else(|e| panic!("{method} {path} {shown}: {e}"));
        let error = answer.error();
        if answer.status != *status {
            wrong.push(format!("{method} {path} {shown}\n  is {} and not {status}: {error}", answer.status));
        }
        for part in parts.iter().filter(|part| !error.contains(**part)) {
            wrong.push(format!("{method} {path} {shown}\n  does not say {part:?}: {error}"));
        }
        assert_eq!(everything(&mut client), before, "{method} {path} {shown} changed something");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop();
}

#[test]
fn of_the_same_id_twice_in_a_batch_the_last_one_counts() {
    let (_dir, server) = server();
    let mut client = server.client();
    let twice = json!({"points": [
        {"id": 1, "vector": [1, 0, 0], "payload": {"n": "first"}},
        {"id": 1, "vector": [0, 1, 0], "payload": {"n": "last"}},
    ]});
    client.ok("PUT", POINTS, Some(&twice));
    let point = client.ok("GET", "/collections/docs/points/1", None);
    assert_eq!(point["payload"]["n"], "last");
    assert_eq!(point["vector"], json!([0.0, 1.0, 0.0]));
    let count = client.ok("POST", "/collections/docs/points/count", Some(&json!({})));
    assert_eq!(count["count"], 20);
    server.stop();
}

#[test]
fn what_is_not_http_harms_nobody_else() {
    let (_dir, server) = server();
    let mut client = server.client();
    let before = everything(&mut client);
    let address = server.url();
    let address = address.trim_start_matches("http://");
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"PUT /collections/docs/points HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\n{",
        b"PUT /collections/docs/points HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"points\": [{\"id\": 77",
        b"PUT /collections/docs/points HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // An answer or none: the end must come either way.
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(everything(&mut client), before);
    }
    server.stop();
}
