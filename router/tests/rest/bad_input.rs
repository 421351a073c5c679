//! The table of bad inputs: each is refused with a status and a text that
//! names the field and the remedy, and nothing has changed afterwards.

use serde_json::json;

use crate::support::{LIMITS, Server};

/// Method, path, body, status, and what the text contains.
pub type Case = (
    &'static str,
    &'static str,
    String,
    u16,
    &'static [&'static str],
);

const POINTS: &str = "/collections/docs/points";
const QUERY: &str = "/collections/docs/points/query";
const QUERIES: &str = "/collections/docs/points/query/batch";
const SEARCH: &str = "/collections/docs/points/search";
const RECOMMEND: &str = "/collections/docs/points/recommend";
const DISCOVER: &str = "/collections/docs/points/discover";
const GROUPS: &str = "/collections/docs/points/query/groups";
const OLDER_GROUPS: &str = "/collections/docs/points/search/groups";
const SCROLL: &str = "/collections/docs/points/scroll";
const COUNT: &str = "/collections/docs/points/count";
const DELETE: &str = "/collections/docs/points/delete";
const PAYLOAD: &str = "/collections/docs/points/payload";
const KEYS: &str = "/collections/docs/points/payload/delete";
const CLEAR: &str = "/collections/docs/points/payload/clear";
const VECTORS: &str = "/collections/docs/points/vectors";
const NO_VECTORS: &str = "/collections/docs/points/vectors/delete";
const BATCH: &str = "/collections/docs/points/batch";
const FACET: &str = "/collections/docs/facet";
const INDEX: &str = "/collections/docs/index";
const NEW: &str = "/collections/new";

async fn check(cases: Vec<Case>) {
    refused_by(Server::docs(3, "Cosine").await, cases).await;
}

/// Each is refused by a server, as it is to be, and changes nothing there.
pub async fn refused_by(server: Server, cases: Vec<Case>) {
    server
        .put(json!([{"id": 1, "vector": [1, 2, 3], "payload": {"a": 1}}]))
        .await;
    let before = server.catalog.dump();
    let mut wrong = Vec::new();
    for (method, path, body, status, parts) in cases {
        let shown: String = body.chars().take(200).collect();
        let answer = server.call(method, path, body).await;
        if answer.status.is_success() {
            wrong.push(format!("{method} {path} {shown}\n  is answered"));
            continue;
        }
        let error = answer.error();
        if answer.status.as_u16() != status {
            wrong.push(format!(
                "{method} {path} {shown}\n  is {}: {error}",
                answer.status
            ));
        }
        for part in parts.iter().filter(|part| !error.contains(**part)) {
            wrong.push(format!(
                "{method} {path} {shown}\n  says {error:?}\n  not {part:?}"
            ));
        }
        assert!(answer.json()["time"].is_number());
        assert_eq!(
            before,
            server.catalog.dump(),
            "{method} {path} {shown} changed something"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case whose body is one point.
fn point(point: &str, status: u16, parts: &'static [&'static str]) -> Case {
    let good = r#"{"id": 5, "vector": [1, 1, 1]}"#;
    (
        "PUT",
        POINTS,
        format!(r#"{{"points": [{good}, {point}]}}"#),
        status,
        parts,
    )
}

/// One case of a table.
pub fn case(
    method: &'static str,
    path: &'static str,
    body: &str,
    status: u16,
    parts: &'static [&'static str],
) -> Case {
    (method, path, body.to_owned(), status, parts)
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn points_that_cannot_be_are_refused() {
    let deep = format!(
        r#"{{"id": 1, "vector": [1, 1, 1], "payload": {{"a": {}1{}}}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    let bottomless = format!(
        r#"{{"id": 1, "vector": [1, 1, 1], "payload": {{"a": {}1{}}}}}"#,
        "[".repeat(3000),
        "]".repeat(3000)
    );
    let long = format!(
        r#"{{"id": 1, "vector": [1, 1, 1], "payload": {{"a": "{}"}}}}"#,
        "x".repeat(LIMITS.max_payload_bytes)
    );
    check(vec![
        point(r#"{"id": 1, "vector": [1, 2]}"#, 400, &["points[1].vector", "expected dim: 3, got 2"]),
        point(r#"{"id": 1, "vector": []}"#, 400, &["points[1].vector", "expected dim: 3, got 0"]),
        point(r#"{"id": 1, "vector": [1, 1e999, 1]}"#, 400, &["points[1].vector[1]", "number out of range"]),
        point(r#"{"id": 1, "vector": [1, 1, -1e39]}"#, 400, &["points[1].vector[2]", "number out of range", "send finite numbers"]),
        point(r#"{"id": 1, "vector": [1, NaN, 1]}"#, 400, &["points[1].vector[1]", "line 1"]),
        point(r#"{"id": 1, "vector": [1, null, 1]}"#, 400, &["points[1].vector[1]", "a number"]),
        point(r#"{"id": 1, "vector": ["1", 1, 1]}"#, 400, &["points[1].vector[0]", "string", "a number"]),
        point(r#"{"id": 1, "vector": [[1, 1, 1]]}"#, 400, &["points[1].vector[0]", "lists of vectors are not supported yet"]),
        point(r#"{"id": 1, "vector": {"text": [1, 1, 1]}}"#, 400, &["points[1].vector.text", "Not existing vector name error: text"]),
        point(r#"{"id": 1, "vector": {"title": [1, 1, 1]}}"#, 400, &["points[1].vector.title", "Not existing vector name error: title", "one vector has no name"]),
        point(r#"{"id": 1, "vector": {"": [1, 1, 1], "b": [1]}}"#, 400, &["points[1].vector.b", "Not existing vector name error: b"]),
        point(r#"{"id": 1, "vector": {"": [1, 1, 1], "": [1]}}"#, 400, &["points[1].vector", "the vector \"\" is there twice"]),
        point(r#"{"id": 1, "vector": {"": [1, 1]}}"#, 400, &["points[1].vector", "expected dim: 3, got 2"]),
        point(r#"{"id": 1, "vector": {"t": "a text"}}"#, 400, &["points[1].vector.t", "send its vector"]),
        point(r#"{"id": 1, "vector": {"t": {"a": 1}}}"#, 400, &["points[1].vector.t", "a list of numbers is needed here"]),
        point(r#"{"id": 1, "vector": {"indices": [1], "values": [1]}}"#, 400, &["points[1].vector", "sparse", "not supported yet"]),
        point(r#"{"id": 1, "vector": null}"#, 400, &["points[1].vector"]),
        point(r#"{"id": 1}"#, 400, &["points[1]", "missing field `vector`"]),
        point(r#"{"vector": [1, 1, 1]}"#, 400, &["points[1]", "missing field `id`"]),
        point(r#"{"id": -1, "vector": [1, 1, 1]}"#, 400, &["points[1].id", "-1", "unsigned 64-bit integer or a UUID"]),
        point(r#"{"id": 1.5, "vector": [1, 1, 1]}"#, 400, &["points[1].id", "1.5"]),
        point(r#"{"id": 18446744073709551616, "vector": [1, 1, 1]}"#, 400, &["points[1].id"]),
        point(r#"{"id": "5", "vector": [1, 1, 1]}"#, 400, &["points[1].id", "\"5\"", "UUID"]),
        point(r#"{"id": "not-a-uuid", "vector": [1, 1, 1]}"#, 400, &["points[1].id", "not-a-uuid"]),
        point(r#"{"id": null, "vector": [1, 1, 1]}"#, 400, &["points[1].id"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "if_version": -1}"#, 400, &["points[1].if_version", "-1"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1], "if_version": 1}], "update_mode": "update_only"}"#, 422, &["update_filter", "if_version", "send one of them"]),
        point(r#"{"id": 1, "id": 2, "vector": [1, 1, 1]}"#, 400, &["duplicate field `id`"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": [1]}"#, 400, &["points[1].payload", "a JSON object or null"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": "x"}"#, 400, &["points[1].payload", "a JSON object or null"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": {"a": "\ud800"}}"#, 400, &["points[1].payload"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": {"\ud800": 1}}"#, 400, &["points[1].payload"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": {"a": 1e999}}"#, 400, &["points[1].payload", "out of range"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": {"a": }}"#, 400, &["points[1].payload", "column"]),
        point(r#"{"id": 1, "vector": [1, 1, 1], "payload": {"a": {"$serde_json::private::RawValue": "1"}}}"#, 400, &["points[1].payload", "RawValue", "reserved"]),
        point(&long, 422, &["points[1].payload", "409 bytes", "400"]),
        point(&deep, 400, &["points[1].payload", "deeper than 64", "flatter"]),
        point(&bottomless, 400, &["points[1].payload", "deeper than 64"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn upserts_that_cannot_be_are_refused() {
    let many: Vec<_> = (0..=LIMITS.max_batch_points)
        .map(|i| json!({"id": i, "vector": [1, 1, 1]}))
        .collect();
    let many = json!({"points": many}).to_string();
    let large = format!(
        r#"{{"points": [], "x": "{}"}}"#,
        "x".repeat(LIMITS.max_request_bytes)
    );
    check(vec![
        case("PUT", POINTS, "", 400, &["JSON body", "EOF"]),
        case("PUT", POINTS, "{", 400, &["JSON body", "line 1 column 1"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}]} x"#, 400, &["trailing"]),
        case("PUT", POINTS, "[]", 400, &["JSON body"]),
        case("PUT", POINTS, "\u{0}", 400, &["JSON body"]),
        case("PUT", POINTS, "{}", 400, &["missing field `points`", "batch"]),
        case("PUT", POINTS, r#"{"points": {}}"#, 400, &["points", "a sequence"]),
        case("PUT", POINTS, r#"{"points": []}"#, 400, &["points", "Empty update request", "at least one"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [], "vectors": []}}"#, 400, &["batch.ids", "Empty update request"]),
        case("PUT", POINTS, r#"{"points": [], "batch": {"ids": [], "vectors": []}}"#, 400, &["`points` and `batch`"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [1, 2], "vectors": [[1, 1, 1]]}}"#, 422, &["batch.vectors", "2 != 1"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [1], "vectors": [[1, 1, 1]], "payloads": []}}"#, 422, &["batch.payloads", "1 != 0"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [1], "vectors": [[1, 1]]}}"#, 400, &["batch.vectors[0]", "expected dim: 3, got 2"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [1], "vectors": {"t": [[1, 1, 1]]}}}"#, 400, &["batch.vectors[0].t", "Not existing vector name error: t"]),
        case("PUT", POINTS, r#"{"batch": {"ids": [1], "vectors": [[1, 1, 1]], "payloads": [7]}}"#, 400, &["batch.payloads[0]", "a JSON object or null"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}], "shard_key": "a"}"#, 400, &["shard_key", "not supported yet"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}], "update_filter": {"must": [1]}}"#, 400, &["update_filter.must[0]"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}], "update_mode": "mad"}"#, 400, &["update_mode", "unknown variant `mad`", "insert_only"]),
        case("PUT", POINTS, r#"{"points": [{"id": 1, "vector": [1, 1, 1]}], "update_mode": 1}"#, 400, &["update_mode"]),
        case("PUT", POINTS, &many, 422, &["points", "51 points", "50", "several"]),
        case("PUT", POINTS, &large, 413, &["larger than 16384 bytes", "fewer points"]),
        case("PUT", "/collections/none/points", "{}", 404, &["Collection `none` doesn't exist"]),
        case("PUT", "/collections/docs/points?wait=perhaps", "{}", 400, &["wait", "\"perhaps\"", "true or false"]),
        case("PUT", "/collections/docs/points?ordering=none", "{}", 400, &["ordering", "weak, medium, strong"]),
        case("PUT", "/collections/docs/points?timeout=0", "{}", 422, &["timeout: value 0 invalid, must be 1 or larger"]),
        case("PUT", "/collections/docs/points?timeout=-1", "{}", 400, &["timeout", "whole number of seconds"]),
        case("PUT", "/collections/%ff/points", "{}", 400, &["path parameters"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn searches_that_cannot_be_are_refused() {
    let endless = format!(r#"{{"query": [1, 1, 1], "with_payload": ["a{}"]}}"#, ".a".repeat(64));
    check(vec![
        case("POST", QUERY, r#"{"query": [1, 2]}"#, 400, &["query", "expected dim: 3, got 2"]),
        case("POST", QUERY, r#"{"query": [1, 2, 1e40]}"#, 400, &["query[2]", "number out of range", "send finite numbers"]),
        case("POST", QUERY, r#"{"query": [[1, 2, 3]]}"#, 400, &["query[0]", "lists of vectors are not supported yet"]),
        case("POST", QUERY, r#"{"query": 99}"#, 404, &["No point with id 99 found"]),
        case("POST", QUERY, r#"{"query": "x"}"#, 400, &["query", "UUID"]),
        case("POST", QUERY, r#"{"query": -3}"#, 400, &["query", "-3"]),
        case("POST", QUERY, r#"{"query": true}"#, 400, &["query", "nearest"]),
        case("POST", QUERY, r#"{"query": {}}"#, 400, &["query", "missing field `nearest`"]),
        case("POST", QUERY, r#"{"query": {"nearest": {"text": "a", "model": "b"}}}"#, 400, &["query.nearest", "embed", "not supported yet"]),
        case("POST", QUERY, r#"{"query": {"indices": [1], "values": [0.5]}}"#, 400, &["query", "sparse", "not supported yet"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "using": "title"}"#, 400, &["using", "Not existing vector name error: title"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "filter": {"musst": []}}"#, 400, &["filter", "unknown field `musst`"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "lookup_from": {"collection": "a"}}"#, 404, &["`a`"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "shard_key": ["a"]}"#, 400, &["shard_key", "not supported yet"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "limit": 0}"#, 422, &["limit: value 0 invalid, must be 1 or larger"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "limit": 101}"#, 422, &["limit", "101", "100 at most", "scroll"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "limit": -1}"#, 400, &["limit", "-1"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "limit": 1.5}"#, 400, &["limit", "1.5"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "limit": "5"}"#, 400, &["limit"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "offset": 91}"#, 422, &["offset", "101", "100 at most", "scroll"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "offset": 18446744073709551615}"#, 422, &["offset", "100 at most"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "offset": 1e30}"#, 400, &["offset"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "score_threshold": 1e300}"#, 400, &["score_threshold", "number out of range", "send finite numbers"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": "a"}"#, 400, &["with_payload", "include"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": ["a", "a..b"]}"#, 400, &["with_payload[1]", "\"a..b\" is not a path"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": {"exclude": ["a[x]"]}}"#, 400, &["with_payload.exclude[0]", "\"a[x]\" is not a path"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": {"include": ["a"], "exclude": ["b"]}}"#, 400, &["with_payload", "one of include and exclude"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": [1]}"#, 400, &["with_payload[0]"]),
        case("POST", QUERY, &endless, 400, &["with_payload[0]", "a path of more than 64 steps", "64 deep"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_payload": {"only": []}}"#, 400, &["with_payload", "unknown field `only`"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "with_vector": ["t"]}"#, 400, &["with_vector", "Not existing vector name error: t"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "params": {"hnsw_ef": 1001}}"#, 422, &["params.hnsw_ef", "1000", "exact"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "params": {"hnsw_ef": -1}}"#, 400, &["params.hnsw_ef"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "params": {"indexed_only": 1}}"#, 400, &["params.indexed_only", "expected a boolean"]),
        case("POST", QUERY, "nonsense", 400, &["JSON body", "line 1"]),
        case("POST", "/collections/none/points/query", r#"{"query": [1, 1, 1]}"#, 404, &["`none`"]),
        case("POST", "/collections/docs/points/query?consistency=0", "{}", 422, &["consistency: value 0 invalid"]),
        case("POST", "/collections/docs/points/query?consistency=some", "{}", 400, &["consistency", "strong, eventual, bounded:Nms", "majority, quorum, all"]),
        case("POST", "/collections/docs/points/query?consistency=bounded:0ms", "{}", 422, &["consistency: value 0 invalid"]),
        case("POST", "/collections/docs/points/query?consistency=bounded:2s", "{}", 400, &["consistency", "bounded:2s", "milliseconds"]),
        case("POST", "/collections/docs/points/query?partial=1", "{}", 400, &["partial", "true or false"]),
        case("POST", QUERIES, "{}", 400, &["missing field `searches`"]),
        case("POST", QUERIES, r#"{"searches": [{"query": [1, 1, 1]}, {"query": [1]}]}"#, 400, &["searches[1].query", "got 1"]),
        case("POST", QUERIES, r#"{"searches": [{"query": [1, 1, 1]}, {"limit": 0}]}"#, 422, &["searches[1].limit"]),
        case("POST", QUERIES, r#"{"searches": [{}, {}, {}, {}]}"#, 422, &["searches", "4", "3"]),
        case("POST", SEARCH, r#"{"vector": [1, 1, 1]}"#, 400, &["missing field `limit`"]),
        case("POST", SEARCH, r#"{"vector": [1, 1], "limit": 1}"#, 400, &["vector", "got 2"]),
        case("POST", SEARCH, r#"{"vector": {"name": "t", "vector": [1, 1, 1]}, "limit": 1}"#, 400, &["vector.name", "Not existing vector name error: t"]),
        case("POST", SEARCH, r#"{"vector": [1, 1, 1], "limit": 0}"#, 422, &["limit"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn kinds_of_query_that_cannot_be_are_refused() {
    let mut cases = Vec::new();
    for (query, status, parts) in [
        (r#"{"nearest": [1, 1, 1], "mmr": 1}"#, 400, &["query.mmr"][..]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"diversity": 1.5}}"#, 422, &["query.mmr.diversity", "1.5", "from 0 to 1"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"diversity": -0.5}}"#, 422, &["query.mmr.diversity"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"diversity": "much"}}"#, 400, &["query.mmr.diversity"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"candidates_limit": 0}}"#, 422, &["query.mmr.candidates_limit", "from 1 to 100"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"candidates_limit": 101}}"#, 422, &["query.mmr.candidates_limit", "101"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"candidates_limit": -1}}"#, 400, &["query.mmr.candidates_limit"]),
        (r#"{"nearest": [1, 1, 1], "mmr": {"lambda": 1}}"#, 400, &["query.mmr", "unknown field `lambda`"]),
        (r#"{"mmr": {"diversity": 1}}"#, 400, &["query", "missing field `nearest`"]),
        (r#"{"nearest": [1, 1], "mmr": {}}"#, 400, &["query", "expected dim: 3, got 2"]),
        (r#"{"fusion": "rrf", "mmr": {}}"#, 400, &["query", "mmr goes with nearest alone"]),
        (r#"{"nearest": [1, 1, 1], "fusion": "rrf"}"#, 400, &["query", "beside another kind", "ask for one"]),
        (r#"{"nearest": [1, 1, 1], "nearest": [1, 1, 1]}"#, 400, &["query", "nearest"]),
        (r#"{"fusion": "rrf"}"#, 400, &["query", "nothing to fuse", "`prefetch`"]),
        (r#"{"fusion": "dbsf"}"#, 400, &["query", "nothing to fuse"]),
        (r#"{"fusion": "sum"}"#, 400, &["query.fusion", "unknown variant `sum`", "rrf"]),
        (r#"{"fusion": null}"#, 400, &["query.fusion"]),
        (r#"{"rrf": {}}"#, 400, &["query", "nothing to fuse"]),
        (r#"{"rrf": {"k": -1}}"#, 400, &["query.rrf.k"]),
        (r#"{"rrf": {"c": 1}}"#, 400, &["query.rrf", "unknown field `c`"]),
        (r#"{"rrf": {"weights": [1, "2"]}}"#, 400, &["query.rrf.weights[1]"]),
        (r#"{"recommend": {}}"#, 400, &["query.recommend.positive", "at least one positive example"]),
        (r#"{"recommend": {"negative": [1]}}"#, 400, &["query.recommend.positive", "at least one"]),
        (r#"{"recommend": {"positive": 1}}"#, 400, &["query.recommend.positive"]),
        (r#"{"recommend": {"positive": [1, [1, 2]]}}"#, 400, &["query.recommend.positive[1]", "expected dim: 3, got 2"]),
        (r#"{"recommend": {"positive": [1], "negative": [[]]}}"#, 400, &["query.recommend.negative[0]", "got 0"]),
        (r#"{"recommend": {"positive": [1], "negative": [99]}}"#, 404, &["No point with id 99 found"]),
        (r#"{"recommend": {"positive": ["x"]}}"#, 400, &["query.recommend.positive[0]", "UUID"]),
        (r#"{"recommend": {"positive": [{"text": "a"}]}}"#, 400, &["query.recommend.positive[0]", "embed"]),
        (r#"{"recommend": {"positive": [[3e38, 1, 1]], "negative": [[-3e38, 1, 1]]}}"#, 400, &["query.recommend.positive", "out of the range", "scale"]),
        (r#"{"recommend": {"positive": [1], "strategy": "best"}}"#, 400, &["query.recommend.strategy", "unknown variant `best`"]),
        (r#"{"recommend": {"positive": [1], "positives": []}}"#, 400, &["query.recommend", "unknown field `positives`"]),
        (r#"{"recommend": {"strategy": "best_score"}}"#, 400, &["query.recommend.positive", "at least one positive or negative"]),
        (r#"{"recommend": {"negative": [[1]], "strategy": "sum_scores"}}"#, 400, &["query.recommend.negative[0]", "got 1"]),
        (r#"{"recommend": {"positive": [1, 99], "strategy": "best_score"}}"#, 404, &["No point with id 99 found"]),
        (r#"{"discover": {}}"#, 400, &["query.discover", "missing field `target`"]),
        (r#"{"discover": {"target": [1]}}"#, 400, &["query.discover.target", "got 1"]),
        (r#"{"discover": {"target": 99}}"#, 404, &["No point with id 99 found"]),
        (r#"{"discover": {"target": 1, "context": 7}}"#, 400, &["query.discover.context", "a pair like"]),
        (r#"{"discover": {"target": 1, "context": {"positive": 1}}}"#, 400, &["query.discover.context", "missing field `negative`"]),
        (r#"{"discover": {"target": 1, "context": [{"positive": 1, "negative": [1, 1]}]}}"#, 400, &["query.discover.context[0].negative", "got 2"]),
        (r#"{"discover": {"target": 1, "context": {"positive": [1], "negative": 1}}}"#, 400, &["query.discover.context.positive", "got 1"]),
        (r#"{"discover": {"target": 1, "context": [], "near": 1}}"#, 400, &["query.discover", "unknown field `near`"]),
        (r#"{"context": []}"#, 400, &["query.context", "at least one pair"]),
        (r#"{"context": null}"#, 400, &["query.context", "at least one pair"]),
        (r#"{"context": [{"positive": [1], "negative": 1}]}"#, 400, &["query.context[0].positive", "got 1"]),
        (r#"{"context": {"positive": 1, "negative": 99}}"#, 404, &["No point with id 99 found"]),
        (r#"{"context": {"positive": 1, "negative": 1, "weight": 2}}"#, 400, &["query.context", "unknown field `weight`"]),
        (r#"{"sample": "all"}"#, 400, &["query.sample", "unknown variant `all`", "random"]),
        (r#"{"sample": 5}"#, 400, &["query.sample"]),
        (r#"{"sample": "random", "nearest": [1, 1, 1]}"#, 400, &["query", "beside another kind"]),
    ] {
        cases.push(case("POST", QUERY, &format!(r#"{{"query": {query}}}"#), status, parts));
    }
    check(cases).await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn prefetches_that_cannot_be_are_refused() {
    let one = r#"{"query": [1, 1, 1]}"#;
    let nested = |depth: usize| (0..depth).fold("[]".to_owned(), |inner, _| format!(r#"[{{"query": [1, 1, 1], "limit": 1, "prefetch": {inner}}}]"#));
    let long = vec![r#"{"query": [1, 1, 1], "limit": 1}"#; 33].join(",");
    let mut cases = Vec::new();
    for (prefetch, status, parts) in [
        ("1", 400, &["prefetch", "a prefetch or a list of prefetches"][..]),
        ("[1]", 400, &["prefetch[0]"]),
        (r#"{"query": [1, 1]}"#, 400, &["prefetch.query", "expected dim: 3, got 2"]),
        (r#"[{"query": [1, 1, 1]}, {"query": [1, 1]}]"#, 400, &["prefetch[1].query", "got 2"]),
        (r#"[{"query": 99}]"#, 404, &["No point with id 99 found"]),
        (r#"[{"query": [1, 1, 1], "limit": 0}]"#, 422, &["prefetch[0].limit", "must be 1 or larger"]),
        (r#"[{"query": [1, 1, 1], "limit": 101}]"#, 422, &["prefetch[0].limit", "100 at most"]),
        (r#"[{"limit": 60}, {"limit": 41}]"#, 422, &["prefetch", "together", "more than 100"]),
        (r#"[{"limit": 60}, {"limit": 1, "query": {"nearest": 1, "mmr": {"candidates_limit": 41}}}]"#, 422, &["prefetch", "together"]),
        (r#"[{"limit": 60, "query": 1, "prefetch": {"limit": 41}}]"#, 422, &["prefetch", "together"]),
        (r#"[{"query": [1, 1, 1], "offset": 1}]"#, 400, &["prefetch[0]", "unknown field `offset`"]),
        (r#"[{"query": [1, 1, 1], "filters": {}}]"#, 400, &["prefetch[0]", "unknown field `filters`"]),
        (r#"[{"query": [1, 1, 1], "filter": {"must": 7}}]"#, 400, &["prefetch[0].filter.must"]),
        (r#"[{"query": [1, 1, 1], "using": "title"}]"#, 400, &["prefetch[0].using", "Not existing vector name error: title"]),
        (r#"[{"query": [1, 1, 1], "lookup_from": {"collection": "a"}}]"#, 404, &["`a`"]),
        (r#"[{"query": [1, 1, 1], "lookup_from": "a"}]"#, 400, &["prefetch[0].lookup_from"]),
        (r#"[{"query": [1, 1, 1], "lookup_from": {"collection": "docs", "vector": "t"}}]"#, 400, &["prefetch[0].lookup_from.vector", "Not existing vector name error: t"]),
        (r#"[{"query": [1, 1, 1], "params": {"hnsw_ef": 1001}}]"#, 422, &["prefetch[0].params.hnsw_ef"]),
        (r#"[{"query": [1, 1, 1], "score_threshold": "a"}]"#, 400, &["prefetch[0].score_threshold"]),
        (r#"[{"score_threshold": 1}]"#, 400, &["prefetch[0].score_threshold", "without a query"]),
        (r#"[{"query": {"fusion": "rrf"}}]"#, 400, &["prefetch[0].query", "nothing to fuse"]),
        (r#"[{"prefetch": {"query": 1}}]"#, 400, &["prefetch[0].query", "need a query"]),
        (r#"{"query": 1, "prefetch": [{}, {"query": {"nearest": [1, 1, 1], "mmr": {"diversity": 2}}}]}"#, 422, &["prefetch.prefetch[1].query.mmr.diversity"]),
        (&nested(5), 422, &["prefetch[0].prefetch[0].prefetch[0].prefetch[0].prefetch[0]", "more than 4 deep"]),
        (&nested(70), 400, &["JSON body", "recursion"]),
        (&format!("[{long}]"), 422, &["prefetch[32]", "more than 32", "several queries"]),
    ] {
        cases.push(case("POST", QUERY, &format!(r#"{{"query": [1, 1, 1], "prefetch": {prefetch}}}"#), status, parts));
    }
    for (rrf, status, parts) in [
        (r#"{"k": 0}"#, 422, &["query.rrf.k", "must be 1 or larger"][..]),
        (r#"{"weights": [1]}"#, 400, &["query.rrf.weights", "1 weights for 2 prefetches"]),
        (r#"{"weights": [1, -1]}"#, 422, &["query.rrf.weights", "-1", "0 or larger"]),
        (r#"{"weights": [1, 1e99]}"#, 400, &["query.rrf.weights[1]", "out of range"]),
    ] {
        cases.push(case("POST", QUERY, &format!(r#"{{"query": {{"rrf": {rrf}}}, "prefetch": [{one}, {one}]}}"#), status, parts));
    }
    let half = vec!["{}"; 2048].join(",");
    cases.extend([
        case("POST", QUERY, &format!(r#"{{"prefetch": {one}}}"#), 400, &["query", "need a query that ranks or fuses"]),
        case("POST", QUERY, r#"{"score_threshold": 1}"#, 400, &["score_threshold", "send a query"]),
        case("POST", QUERY, &format!(r#"{{"query": 1, "filter": {{"must": [{half}]}}, "prefetch": {{"query": 1, "filter": {{"must": [{half}, {{}}]}}}}}}"#), 422, &["prefetch.filter", "more than 4096 conditions"]),
        case("POST", QUERIES, &format!(r#"{{"searches": [{{}}, {{"query": 1, "prefetch": [{one}, {one}]}}]}}"#), 422, &["searches", "4 searches, prefetches among them", "3"]),
        case("POST", QUERIES, r#"{"searches": [{}, {"query": 1, "prefetch": [{"query": [1]}]}]}"#, 400, &["searches[1].prefetch[0].query", "got 1"]),
    ]);
    check(cases).await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn recommendations_that_cannot_be_are_refused() {
    let ids: Vec<_> = (0..=LIMITS.max_batch_points).collect();
    let many = json!({"positive": ids, "limit": 1}).to_string();
    check(vec![
        case("POST", RECOMMEND, "{}", 400, &["missing field `limit`"]),
        case("POST", RECOMMEND, r#"{"limit": 1}"#, 400, &["positive", "at least one positive example"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 0}"#, 422, &["limit", "1 or larger"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 101}"#, 422, &["limit", "100 at most"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 1, "positve": [2]}"#, 400, &["unknown field `positve`"]),
        case("POST", RECOMMEND, r#"{"positive": [1, [1]], "limit": 1}"#, 400, &["positive[1]", "expected dim: 3, got 1"]),
        case("POST", RECOMMEND, r#"{"positive": [99], "limit": 1}"#, 404, &["No point with id 99"]),
        case("POST", RECOMMEND, r#"{"limit": 1, "strategy": "best_score"}"#, 400, &["positive", "at least one positive or negative example"]),
        case("POST", RECOMMEND, r#"{"positive": [[1]], "limit": 1, "strategy": "sum_scores"}"#, 400, &["positive[0]", "got 1"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 1, "strategy": "mean"}"#, 400, &["strategy", "unknown variant `mean`", "best_score"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 1, "strategy": "best_score", "using": "t"}"#, 400, &["using", "Not existing vector name error: t"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 1, "using": "t"}"#, 400, &["using", "Not existing vector name error: t"]),
        case("POST", RECOMMEND, r#"{"positive": [1], "limit": 1, "lookup_from": {"collection": "x"}}"#, 404, &["`x`"]),
        case("POST", RECOMMEND, &many, 422, &["positive", "51 points as examples", "50"]),
        case("POST", "/collections/docs/points/recommend/groups", r#"{"positive": [1], "group_by": "a", "limit": 1}"#, 400, &["missing field `group_size`"]),
        case("POST", "/collections/docs/points/recommend/groups", r#"{"group_by": "a", "limit": 1, "group_size": 1}"#, 400, &["positive", "at least one positive example"]),
        case("POST", "/collections/docs/points/recommend/groups", r#"{"positive": [99], "group_by": "a", "limit": 1, "group_size": 1}"#, 404, &["No point with id 99"]),
        case("POST", DISCOVER, r#"{"target": 1}"#, 400, &["missing field `limit`"]),
        case("POST", DISCOVER, r#"{"limit": 1}"#, 400, &["at least one pair"]),
        case("POST", DISCOVER, r#"{"target": [1], "limit": 1}"#, 400, &["target", "got 1"]),
        case("POST", DISCOVER, r#"{"target": 1, "context": [{"positive": 1, "negative": [1]}], "limit": 1}"#, 400, &["context[0].negative", "got 1"]),
        case("POST", DISCOVER, r#"{"context": [{"positive": [1], "negative": 1}], "limit": 1}"#, 400, &["[0].positive", "got 1"]),
        case("POST", DISCOVER, r#"{"target": 1, "limit": 1, "score_threshold": 1}"#, 400, &["unknown field `score_threshold`"]),
        case("POST", DISCOVER, r#"{"target": 1, "limit": 0}"#, 422, &["limit"]),
        case("POST", "/collections/docs/points/discover/batch", r#"{"searches": [{"target": 1, "limit": 1}, {"target": [1], "limit": 1}]}"#, 400, &["searches[1].target", "got 1"]),
        case("POST", "/collections/docs/points/recommend/batch", r#"{"searches": [{"positive": [1], "limit": 1}, {"positive": [[1]], "limit": 1}]}"#, 400, &["searches[1].positive[0]", "got 1"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn groups_that_cannot_be_are_refused() {
    let mut cases = vec![
        case("POST", GROUPS, "{}", 400, &["missing field `group_by`"]),
        case("POST", OLDER_GROUPS, r#"{"group_by": "a", "limit": 1, "group_size": 1}"#, 400, &["missing field `vector`"]),
        case("POST", OLDER_GROUPS, r#"{"vector": [1, 1, 1], "group_by": "a", "limit": 1}"#, 400, &["missing field `group_size`"]),
        case("POST", OLDER_GROUPS, r#"{"vector": [1, 1, 1], "group_by": "a", "group_size": 1}"#, 400, &["missing field `limit`"]),
        case("POST", OLDER_GROUPS, r#"{"vector": [1, 1], "group_by": "a", "limit": 1, "group_size": 1}"#, 400, &["vector", "got 2"]),
    ];
    for (more, status, parts) in [
        (r#""group_by": 1"#, 400, &["group_by"][..]),
        (r#""group_by": [1, 2, 3]"#, 400, &["group_by", "sequence"]),
        (r#""group_by": "a..b""#, 400, &["group_by", "is not a path"]),
        (r#""group_by": "a", "limit": 0"#, 422, &["limit", "must be 1 or larger"]),
        (r#""group_by": "a", "limit": -1"#, 400, &["limit", "-1"]),
        (r#""group_by": "a", "limit": 101"#, 422, &["limit", "100 at most", "fewer groups"]),
        (r#""group_by": "a", "group_size": 0"#, 422, &["group_size", "must be 1 or larger"]),
        (r#""group_by": "a", "group_size": 11"#, 422, &["group_size", "110", "100 at most", "smaller"]),
        (r#""group_by": "a", "group_size": 18446744073709551615"#, 422, &["group_size"]),
        (r#""group_by": "a", "group_size": "3""#, 400, &["group_size"]),
        (r#""group_by": "a", "offset": 1"#, 400, &["unknown field `offset`"]),
        (r#""group_by": "a", "with_lookup": "other""#, 404, &["`other`"]),
        (r#""group_by": "a", "with_lookup": {"collection": "other"}"#, 404, &["`other`"]),
        (r#""group_by": "a", "with_lookup": 7"#, 400, &["with_lookup", "the name of a collection"]),
        (r#""group_by": "a", "with_lookup": {}"#, 400, &["with_lookup", "missing field `collection`"]),
        (r#""group_by": "a", "with_lookup": {"collection": "docs", "with_payload": 1}"#, 400, &["with_lookup.with_payload"]),
        (r#""group_by": "a", "with_lookup": {"collection": "docs", "with_vectors": ["t"]}"#, 400, &["with_lookup.with_vector", "Not existing vector name error: t"]),
        (r#""group_by": "a", "with_lookup": {"collection": "docs", "limit": 1}"#, 400, &["with_lookup", "unknown field `limit`"]),
        (r#""group_by": "a", "lookup_from": {"collection": "other"}"#, 404, &["`other`"]),
        (r#""group_by": "a", "lookup_from": {"collection": "docs", "shard_key": "a"}"#, 400, &["lookup_from.shard_key", "not supported yet"]),
        (r#""group_by": "a", "lookup_from": {}"#, 400, &["lookup_from", "missing field `collection`"]),
        (r#""group_by": "a", "query": [1, 1]"#, 400, &["query", "got 2"]),
        (r#""group_by": "a", "query": 99"#, 404, &["99"]),
        (r#""group_by": "a", "query": {"nearest": 1, "mmr": {"candidates_limit": 101}}"#, 422, &["query.mmr.candidates_limit", "101"]),
        (r#""group_by": "a", "query": {"fusion": "rrf"}"#, 400, &["query", "nothing to fuse"]),
        (r#""group_by": "a", "query": 1, "prefetch": [{"limit": 0}]"#, 422, &["prefetch[0].limit"]),
        (r#""group_by": "a", "filter": {"must": 1}"#, 400, &["filter.must"]),
        (r#""group_by": "a", "params": {"hnsw_ef": 1001}"#, 422, &["params.hnsw_ef"]),
    ] {
        cases.push(case("POST", GROUPS, &format!("{{{more}}}"), status, parts));
    }
    check(cases).await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn reads_and_deletes_that_cannot_be_are_refused() {
    let many: Vec<_> = (0..=LIMITS.max_batch_points).collect();
    let many = json!({"ids": many}).to_string();
    check(vec![
        case("POST", POINTS, "{}", 400, &["missing field `ids`"]),
        case("POST", POINTS, r#"{"ids": ["x"]}"#, 400, &["ids[0]", "UUID"]),
        case("POST", POINTS, &many, 422, &["ids", "51", "50"]),
        case("GET", "/collections/docs/points/99", "", 404, &["No point with id 99"]),
        case("GET", "/collections/docs/points/x", "", 400, &["id", "\"x\"", "unsigned 64-bit integer or a UUID"]),
        case("GET", "/collections/none/points/1", "", 404, &["`none`"]),
        case("POST", SCROLL, r#"{"limit": 0}"#, 422, &["limit", "1 or larger"]),
        case("POST", SCROLL, r#"{"limit": 101}"#, 422, &["limit", "100 at most"]),
        case("POST", SCROLL, r#"{"offset": "x"}"#, 400, &["offset", "UUID"]),
        case("POST", SCROLL, r#"{"filter": {"should": {"key": "a"}}}"#, 400, &["filter.should", "on a tests nothing", "match, range"]),
        case("POST", COUNT, r#"{"filter": {"min_should": {"conditions": [], "min_count": 0}}}"#, 400, &["filter", "min_count", "1 or larger"]),
        case("POST", COUNT, r#"{"exact": 3}"#, 400, &["exact"]),
        case("POST", DELETE, "{}", 400, &["missing field `points`"]),
        case("POST", DELETE, r#"{"points": []}"#, 400, &["points", "Empty update request"]),
        case("POST", DELETE, r#"{"points": [1, -1]}"#, 400, &["points[1]", "-1"]),
        case("POST", DELETE, r#"{"filter": {"must": [7]}}"#, 400, &["filter.must[0]"]),
        case("POST", DELETE, r#"{"points": [1], "filter": {}}"#, 400, &["`points` and `filter` exclude each other"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn collections_that_cannot_be_are_refused() {
    check(vec![
        case("PUT", NEW, "{}", 400, &["vectors", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {}}"#, 400, &["vectors", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3}}"#, 400, &["vectors", "missing field `distance`"]),
        case("PUT", NEW, r#"{"vectors": {"distance": "Dot"}}"#, 400, &["vectors", "missing field `size`"]),
        case("PUT", NEW, r#"{"vectors": {"size": 0, "distance": "Dot"}}"#, 422, &["vectors.size", "from 1 to 65536"]),
        case("PUT", NEW, r#"{"vectors": {"size": 65537, "distance": "Dot"}}"#, 422, &["vectors.size", "65537"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Hamming"}}"#, 400, &["vectors.distance", "Hamming", "Cosine"]),
        case("PUT", NEW, r#"{"vectors": {"title": {"size": 0, "distance": "Dot"}}}"#, 422, &["vectors.title.size", "must be from 1"]),
        case("PUT", NEW, r#"{"vectors": {"t": {"size": 3}}}"#, 400, &["vectors.t", "distance"]),
        case("PUT", NEW, r#"{"vectors": {"t": {"size": 3, "distance": "Dot"}, "t": {"size": 3, "distance": "Dot"}}}"#, 400, &["the vector \"t\" is there twice"]),
        case("PUT", NEW, r#"{"vectors": {"t": {"size": 3, "distance": "Dot"}, "size": 3}}"#, 400, &["beside named ones"]),
        case("PUT", NEW, r#"{"vectors": {"t": {"size": 3, "distance": "Dot", "hnsw_config": {"ef_construct": 2}}}}"#, 422, &["vectors.t.hnsw_config.ef_construct", "must be 4 or larger"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot", "datatype": "uint8"}}"#, 400, &["datatype", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}}"#, 400, &["multivector_config", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "sparse_vectors": {"a": {}}}"#, 400, &["sparse_vectors", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "quantization_config": {"scalar": {}}}"#, 400, &["quantization_config", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "shard_number": 0}"#, 422, &["shard_number", "1 or larger"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "replication_factor": 0}"#, 422, &["replication_factor", "1 or larger"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "sharding_method": "custom"}"#, 400, &["sharding_method", "not supported yet"]),
        case("PUT", NEW, r#"{"vectors": {"size": 3, "distance": "Dot"}, "hnsw_config": {"ef_construct": 0}}"#, 422, &["hnsw_config.ef_construct", "4 or larger"]),
        case("PUT", "/collections/docs", r#"{"vectors": {"size": 3, "distance": "Cosine"}}"#, 409, &["Collection `docs` already exists!"]),
        case("PUT", "/collections/docs", r#"{"vectors": {"size": 4, "distance": "Cosine"}}"#, 409, &["already exists", "dimension is 3 and not 4"]),
        case("PUT", "/collections/a%2Fb", r#"{"vectors": {"size": 3, "distance": "Dot"}}"#, 422, &["collection_name", "slash"]),
        case("GET", "/collections/none", "", 404, &["`none`"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn routes_that_are_not_here_say_so() {
    check(vec![
        case("PATCH", "/collections/docs", "{}", 400, &["PATCH /collections/docs is not supported yet"]),
        case("GET", "/collections/docs/snapshots", "", 400, &["not supported yet"]),
        case("POST", "/collections/aliases", "{}", 400, &["missing field `actions`"]),
        case("POST", "/collections/aliases", r#"{"actions": {}}"#, 400, &["actions", "expected a sequence"]),
        case("POST", "/collections/aliases", r#"{"actions": [{"make_alias": {}}]}"#, 400, &["actions[0]", "make_alias", "create_alias"]),
        case("POST", "/collections/aliases", r#"{"actions": [{"create_alias": {"alias_name": "a"}}]}"#, 400, &["actions[0].create_alias", "collection_name"]),
        case("POST", "/collections/aliases", r#"{"actions": [{"create_alias": {"alias_name": "a", "collection_name": "docs"}}, {"delete_alias": {"alias_name": "b"}}]}"#, 404, &["Alias `b` doesn't exist!"]),
        case("POST", "/collections/aliases", r#"{"actions": [{"create_alias": {"alias_name": "a", "collection_name": "other"}}]}"#, 404, &["Collection `other` doesn't exist!"]),
        case("POST", "/collections/aliases", r#"{"actions": [{"create_alias": {"alias_name": "docs", "collection_name": "docs"}}]}"#, 409, &["`docs` is the name of a collection", "choose another alias"]),
        case("GET", "/collections/other/aliases", "", 404, &["Collection `other` doesn't exist!"]),
        case("GET", "/cluster", "", 400, &["not supported yet"]),
        case("GET", "/nowhere", "", 404, &["no route /nowhere"]),
        case("GET", "/collections/docs/nowhere/at/all", "", 404, &["no route"]),
        case("DELETE", "/collections", "", 405, &["DELETE is not a method of /collections"]),
        case("PATCH", "/collections/docs/points", "", 405, &["PATCH"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn edits_that_cannot_be_are_refused() {
    let ids = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let many = format!(r#"{{"payload": {{"a": 1}}, "points": [{}]}}"#, ids(LIMITS.max_batch_points + 1));
    let text = "x".repeat(LIMITS.max_payload_bytes - 10);
    // 50 points of some 400 bytes are more than a request may have.
    let repeated = format!(r#"{{"payload": {{"a": "{text}"}}, "points": [{}]}}"#, ids(LIMITS.max_batch_points));
    let long = format!(r#"{{"payload": {{"a": "{text}xxxx"}}, "points": [1]}}"#);
    let deep = format!(r#"{{"payload": {{"a": {}1{}}}, "points": [1], "key": "b.c"}}"#, "[".repeat(62), "]".repeat(62));
    let condition = format!(r#"{{"key": "a", "match": {{"value": "{text}"}}}}"#);
    let put: Vec<String> = (0..50).map(|n| format!(r#"{{"id":{n},"vector":[1,1,1]}}"#)).collect();
    let conditional = format!(r#"{{"points": [{}], "update_filter": {{"must": [{condition}]}}}}"#, put.join(","));
    let batch = |operations: &str| format!(r#"{{"operations": [{{"delete": {{"points": [2]}}}}, {operations}]}}"#);
    let in_batch = |operation: &str, status, parts| case("POST", BATCH, &batch(operation), status, parts);
    let both = format!(r#"{{"set_payload": {}}}, {{"clear_payload": {{"points": [1]}}}}"#, many.replace(",49,50]", "]"));
    check(vec![
        case("POST", PAYLOAD, "{}", 400, &["missing field `payload`"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}}"#, 400, &["missing field `points`", "`filter`"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": null}"#, 400, &["missing field `points`"]),
        case("POST", PAYLOAD, r#"{"payload": null, "points": [1]}"#, 400, &["payload", "a JSON object"]),
        case("POST", PAYLOAD, r#"{"payload": [], "points": [1]}"#, 400, &["payload", "a JSON object"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": []}"#, 400, &["points", "Empty update request"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": [1], "filter": {}}"#, 400, &["`points` and `filter` exclude"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "filter": {"must": 7}}"#, 400, &["filter.must"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": [1], "key": "a..b"}"#, 400, &["key", "is not a path"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": [1], "key": 7}"#, 400, &["key", "string"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": [1], "shard_key": "a"}"#, 400, &["shard_key", "not supported yet"]),
        case("POST", PAYLOAD, r#"{"payload": {"a": 1}, "points": [99]}"#, 404, &["No point with id 99"]),
        case("POST", PAYLOAD, &many, 422, &["points", "51 points are more than the 50"]),
        case("POST", PAYLOAD, &repeated, 422, &["payload", "50 points", "16384", "send several"]),
        case("POST", PAYLOAD, &long, 422, &["payload", "more than the 400"]),
        case("POST", PAYLOAD, &deep, 422, &["payload", "deeper than 64"]),
        case("PUT", PAYLOAD, r#"{"payload": {"a": 1}, "points": [1], "key": "a"}"#, 422, &["key", "as a whole", "POST"]),
        case("PUT", PAYLOAD, r#"{"payload": {"a": 1}, "points": [99]}"#, 404, &["No point with id 99"]),
        case("PUT", POINTS, &conditional, 422, &["update_filter", "50 points", "16384"]),
        case("POST", KEYS, r#"{"points": [1]}"#, 400, &["missing field `keys`"]),
        case("POST", KEYS, r#"{"keys": "a", "points": [1]}"#, 400, &["keys", "a sequence"]),
        case("POST", KEYS, r#"{"keys": ["a", "b["], "points": [1]}"#, 400, &["keys[1]", "is not a path"]),
        case("POST", KEYS, r#"{"keys": ["a"], "points": [99]}"#, 404, &["No point with id 99"]),
        case("POST", CLEAR, "{}", 400, &["missing field `points`"]),
        case("POST", CLEAR, r#"{"points": [1.5]}"#, 400, &["points[0]", "1.5"]),
        case("POST", CLEAR, r#"{"points": [99]}"#, 404, &["No point with id 99"]),
        case("PUT", VECTORS, "{}", 400, &["missing field `points`"]),
        case("PUT", VECTORS, r#"{"points": []}"#, 400, &["points", "Empty update request"]),
        case("PUT", VECTORS, r#"{"points": [{"id": 1}]}"#, 400, &["points[0]", "missing field `vector`"]),
        case("PUT", VECTORS, r#"{"points": [{"id": 1, "vector": [1, 2]}]}"#, 400, &["points[0].vector", "expected dim: 3, got 2"]),
        case("PUT", VECTORS, r#"{"points": [{"id": 1, "vector": {"t": [1, 2, 3]}}]}"#, 400, &["points[0].vector.t", "Not existing vector name error: t"]),
        case("PUT", VECTORS, r#"{"points": [{"id": 1, "vector": {}}]}"#, 422, &["points[0].vector", "no vector to set"]),
        case("POST", NO_VECTORS, r#"{"vector": ["t"], "points": [1]}"#, 400, &["vector", "Not existing vector name error: t"]),
        case("POST", NO_VECTORS, r#"{"vector": [], "points": [1]}"#, 422, &["vector", "no vector to delete"]),
        case("POST", NO_VECTORS, r#"{"vector": [""]}"#, 400, &["missing field `points`"]),
        case("POST", NO_VECTORS, r#"{"points": [1]}"#, 400, &["missing field `vector`"]),
        case("PUT", VECTORS, r#"{"points": [{"id": 99, "vector": [1, 2, 3]}]}"#, 404, &["No point with id 99"]),
        case("POST", BATCH, "{}", 400, &["missing field `operations`"]),
        case("POST", BATCH, r#"{"operations": {}}"#, 400, &["operations"]),
        in_batch("{}", 400, &["operations[1]", "exactly one of upsert, delete"]),
        in_batch(r#"{"delete": {"points": [1]}, "upsert": {"points": []}}"#, 400, &["operations[1]", "exactly one of"]),
        in_batch(r#"{"remove": {"points": [1]}}"#, 400, &["operations[1]", "unknown field `remove`"]),
        in_batch(r#"{"upsert": {"points": [{"id": 1, "vector": [1]}]}}"#, 400, &["operations[1].upsert.points[0].vector"]),
        in_batch(r#"{"set_payload": {"payload": {"a": 1}}}"#, 400, &["`operations[1].set_payload.points`"]),
        in_batch(r#"{"delete_vectors": {"points": [1], "vector": ["a"]}}"#, 400, &["operations[1].delete_vectors.vector", "Not existing vector name error: a"]),
        in_batch(&both, 422, &["operations[2].clear_payload.points", "51 points are more than the 50"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn indexes_that_cannot_be_are_refused() {
    let index = |schema: &str| format!(r#"{{"field_name": "a", "field_schema": {schema}}}"#);
    let tuned = |schema: &str, status, parts| case("PUT", INDEX, &index(schema), status, parts);
    check(vec![
        case("PUT", INDEX, "{}", 400, &["missing field `field_name`"]),
        case("PUT", INDEX, r#"{"field_name": "a"}"#, 400, &["field_schema", "keyword, integer"]),
        case("PUT", INDEX, r#"{"field_name": "a..b", "field_schema": "keyword"}"#, 400, &["field_name", "is not a path"]),
        case("PUT", INDEX, r#"{"field_name": 7, "field_schema": "keyword"}"#, 400, &["field_name", "string"]),
        case("PUT", INDEX, r#"{"field_name": "declared", "field_schema": "geo"}"#, 409, &["it is declared"]),
        tuned(r#""number""#, 400, &["field_schema", "`keyword`, `integer`"]),
        tuned("7", 400, &["field_schema", "keyword, integer"]),
        tuned(r#"{"keyword": null}"#, 400, &["field_schema", "unknown field `keyword`"]),
        tuned(r#"["keyword"]"#, 400, &["field_schema", "keyword, integer"]),
        tuned(r#"{"type": {"text": null}}"#, 400, &["field_schema.type", "the word alone"]),
        tuned("{}", 400, &["field_schema"]),
        tuned(r#"{"type": "vector"}"#, 400, &["field_schema"]),
        tuned(r#"{"type": "text", "tokenizer": "spaces"}"#, 422, &["field_schema.tokenizer", "none of word, whitespace"]),
        tuned(r#"{"type": "keyword", "tokenizer": "word"}"#, 400, &["field_schema.tokenizer", "make the type text"]),
        tuned(r#"{"type": "bool", "min_token_len": 2}"#, 400, &["field_schema.min_token_len", "make the type text"]),
        tuned(r#"{"type": "text", "min_token_len": 0}"#, 422, &["field_schema.min_token_len", "value 0 invalid, must be from 1 to 1024"]),
        tuned(r#"{"type": "text", "max_token_len": 1025}"#, 422, &["field_schema.max_token_len", "from 1 to 1024"]),
        tuned(r#"{"type": "text", "min_token_len": 5, "max_token_len": 4}"#, 400, &["field_schema.min_token_len", "5 is more than max_token_len"]),
        tuned(r#"{"type": "text", "tokenizer": "prefix", "min_token_len": 65}"#, 400, &["field_schema.min_token_len", "65 is more than 64", "at most so long"]),
        tuned(r#"{"type": "text", "stopwords": "english"}"#, 400, &["field_schema"]),
        tuned(r#"{"type": "keyword", "is_tenent": true}"#, 400, &["field_schema"]),
        case("POST", FACET, "{}", 400, &["missing field `key`"]),
        case("POST", FACET, r#"{"key": "a..b"}"#, 400, &["key", "is not a path"]),
        case("POST", FACET, r#"{"key": "a", "limit": 0}"#, 422, &["limit", "1 or larger"]),
        case("POST", FACET, r#"{"key": "a", "limit": 101}"#, 422, &["limit", "100"]),
        case("POST", FACET, r#"{"key": "a", "limit": -1}"#, 400, &["limit", "-1"]),
        case("POST", FACET, r#"{"key": "a", "filter": 7}"#, 400, &["filter"]),
        case("POST", FACET, r#"{"key": "a", "shard_key": "b"}"#, 400, &["shard_key", "not supported yet"]),
        case("POST", FACET, r#"{"key": "a", "filtre": {}}"#, 400, &["unknown field `filtre`"]),
        case("POST", FACET, r#"{"key": "unindexed"}"#, 400, &["unindexed has no index"]),
        case("DELETE", "/collections/docs/index/a..b", "", 400, &["field_name", "is not a path"]),
        case("DELETE", "/collections/none/index/a", "", 404, &["none"]),
        case("PUT", "/collections/none/index", &index(r#""keyword""#), 404, &["none"]),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn filters_that_mean_nothing_are_refused() {
    let deep = |depth: usize| format!("{}{{}}{}", r#"{"must": ["#.repeat(depth), "]}".repeat(depth));
    let in_array = |depth: usize| format!(r#"{{"filter": {}}}"#, deep(depth));
    let one = r#"{"key": "a", "match": {"value": 1}}"#;
    let many = format!(r#"{{"filter": {{"should": [{}]}}}}"#, vec!["{}"; 5000].join(","));
    let must = |condition: &str| format!(r#"{{"filter": {{"must": [{one}, {condition}]}}}}"#);
    let mut cases = vec![
        case("POST", COUNT, r#"{"filter": []}"#, 400, &["filter"]),
        case("POST", COUNT, r#"{"filter": {"must": 1}}"#, 400, &["filter.must", "a condition or a list of conditions"]),
        case("POST", COUNT, r#"{"filter": {"all": []}}"#, 400, &["filter", "unknown field `all`"]),
        case("POST", COUNT, &in_array(21), 400, &["filter", "more than 20 deep"]),
        case("POST", COUNT, &in_array(100), 400, &["JSON body"]),
        case("POST", COUNT, &many, 400, &["filter", "more than 4096 conditions", "`any`"]),
        case("POST", COUNT, r#"{"filter": [[], null, null, null]}"#, 400, &["filter", "sequence, expected an object"]),
        case("POST", COUNT, r#"{"filter": {"min_should": {"min_count": 1, "conditions": null}}}"#, 400, &["filter", "min_should.conditions", "none are given"]),
    ];
    for (condition, parts) in [
        ("7", &["filter.must[1]"][..]),
        ("[]", &["filter.must[1]"]),
        (r#"{"key": "a"}"#, &["filter.must[1]", "on a tests nothing", "match, range"]),
        (r#"{"has_id": null}"#, &["filter.must[1]", "the condition is null", "has_id"]),
        (r#"{"match": null, "range": null}"#, &["filter.must[1]", "the condition is null", "match, range"]),
        (r#"{"key": null}"#, &["filter.must[1]", "the condition is null"]),
        (r#"{"match": {"value": 1}}"#, &["filter.must[1]", "missing field `key`"]),
        (r#"{"key": "a", "match": {"value": 1}, "range": {"gt": 1}}"#, &["filter.must[1]", "more than one condition", "object of its own"]),
        (r#"{"key": "a", "has_id": [1]}"#, &["filter.must[1]", "more than one condition"]),
        (r#"{"has_id": [1], "must": []}"#, &["filter.must[1]", "more than one condition"]),
        (r#"{"key": "a", "mach": {"value": 1}}"#, &["filter.must[1]", "unknown field `mach`"]),
        (r#"{"key": "a..b", "is_null": true}"#, &["filter.must[1].key", "\"a..b\" is not a path", "a[].b"]),
        (r#"{"key": 1, "is_null": true}"#, &["filter.must[1].key"]),
        (r#"{"key": "a", "is_null": "yes"}"#, &["filter.must[1].is_null", "true, false or an object"]),
        (r#"{"is_empty": {"field": "a"}}"#, &["filter.must[1].is_empty", "unknown field `field`"]),
        (r#"{"key": "a", "match": {}}"#, &["filter.must[1].match", "exactly one of value, any"]),
        (r#"{"key": "a", "match": {"value": 1, "text": "a"}}"#, &["filter.must[1].match", "exactly one of"]),
        (r#"{"key": "a", "match": {"value": 1.5}}"#, &["filter.must[1].match.value", "1.5", "`range`"]),
        (r#"{"key": "a", "match": {"value": 18446744073709551615}}"#, &["filter.must[1].match.value", "64-bit integer"]),
        (r#"{"key": "a", "match": {"value": null}}"#, &["filter.must[1].match", "exactly one of"]),
        (r#"{"key": "a", "match": {"any": [1, "a"]}}"#, &["filter.must[1].match", "all integers or all texts"]),
        (r#"{"key": "a", "match": {"except": [true]}}"#, &["filter.must[1].match", "`value` alone"]),
        (r#"{"key": "a", "range": {"gt": "tomorrow"}}"#, &["filter.must[1].range.gt", "\"tomorrow\" is not a date", "2024-06-15"]),
        (r#"{"key": "a", "range": {"gt": "2024-02-30"}}"#, &["filter.must[1].range.gt", "\"2024-02-30\" is not a date"]),
        (r#"{"key": "a", "range": {"gt": 1, "lt": "2024-02-20"}}"#, &["filter.must[1].range", "all numbers or all dates"]),
        (r#"{"key": "a", "range": {"above": 1}}"#, &["filter.must[1].range", "unknown field `above`"]),
        (r#"{"key": "a", "values_count": {"gt": -1}}"#, &["filter.must[1].values_count.gt", "-1"]),
        (r#"{"key": "a", "geo_radius": {"center": {"lat": 91, "lon": 0}, "radius": 1}}"#, &["filter.must[1].geo_radius.center", "latitude 91"]),
        (r#"{"key": "a", "geo_radius": {"center": {"lat": 9, "lon": 0}, "radius": -1}}"#, &["filter.must[1].geo_radius", "radius -1"]),
        (r#"{"key": "a", "geo_bounding_box": {"top_left": {"lat": 9, "lon": 181}}}"#, &["filter.must[1].geo_bounding_box.top_left", "longitude 181"]),
        (r#"{"key": "a", "geo_bounding_box": {"top_left": {"lat": 9, "lon": 1}}}"#, &["filter.must[1].geo_bounding_box", "missing field `bottom_right`"]),
        (r#"{"key": "a", "geo_polygon": {"exterior": {"points": [{"lat": 1, "lon": 1}]}}}"#, &["filter.must[1].geo_polygon", "four points"]),
        (r#"{"has_id": ["x"]}"#, &["filter.must[1].has_id[0]", "UUID"]),
        (r#"{"slice": 3}"#, &["filter.must[1].slice"]),
        (r#"{"slice": {"total": 3}}"#, &["filter.must[1].slice", "missing field `index`"]),
        (r#"{"slice": {"total": 0, "index": 0}}"#, &["filter.must[1].slice", "total: value 0 invalid"]),
        (r#"{"slice": {"total": 3, "index": 3}}"#, &["filter.must[1].slice", "index: value 3 invalid, must be less than"]),
        (r#"{"slice": {"total": -3, "index": 0}}"#, &["filter.must[1].slice.total", "-3"]),
        (r#"{"slice": {"total": 3, "index": 0, "seed": 1}}"#, &["filter.must[1].slice", "unknown field `seed`"]),
        (r#"{"slice": {"total": 3, "index": 0}, "key": "a"}"#, &["filter.must[1]"]),
        (r#"{"has_vector": ["title"]}"#, &["filter.must[1].has_vector", "expected a string"]),
        (r#"{"has_vector": "title", "has_id": [1]}"#, &["filter.must[1]"]),
        (r#"{"nested": {"key": "a"}}"#, &["filter.must[1].nested", "missing field `filter`"]),
        (r#"{"nested": {"key": "a", "filter": {"must": [{"key": "b"}]}}}"#, &["filter.must[1].nested.filter.must[0]", "tests nothing"]),
        (r#"{"min_should": {"conditions": [{}], "min_count": 0}}"#, &["filter.must[1]", "min_count"]),
    ] {
        cases.push(case("POST", SCROLL, &must(condition), 400, parts));
    }
    check(cases).await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn orders_that_cannot_be_are_refused() {
    let mut cases = Vec::new();
    for (order, status, parts) in [
        ("7", 400, &["order_by", "the name of a field"][..]),
        ("[]", 400, &["order_by"]),
        ("{}", 400, &["order_by", "missing field `key`"]),
        (r#""a..b""#, 400, &["order_by", "\"a..b\" is not a path"]),
        (r#"{"key": 1}"#, 400, &["order_by.key"]),
        (r#"{"key": "a", "direction": "up"}"#, 400, &["order_by.direction", "unknown variant `up`", "desc"]),
        (r#"{"key": "a", "direction": 1}"#, 400, &["order_by.direction"]),
        (r#"{"key": "a", "start_from": "yesterday"}"#, 400, &["order_by.start_from", "yesterday"]),
        (r#"{"key": "a", "start_from": [1]}"#, 400, &["order_by.start_from", "a number, or a moment"]),
        (r#"{"key": "a", "start_from": true}"#, 400, &["order_by.start_from"]),
        (r#"{"key": "a", "start_from": 1e999}"#, 400, &["order_by.start_from", "out of range"]),
        (r#"{"key": "a", "order": "desc"}"#, 400, &["order_by", "unknown field `order`"]),
        (r#""unindexed""#, 400, &["no index orders points by `unindexed`"]),
    ] {
        cases.push(case("POST", SCROLL, &format!(r#"{{"order_by": {order}}}"#), status, parts));
        cases.push(case("POST", QUERY, &format!(r#"{{"query": {{"order_by": {order}}}}}"#), status, parts));
    }
    cases.extend([
        case("POST", SCROLL, r#"{"order_by": "a", "offset": 1}"#, 400, &["offset", "start_from"]),
        case("POST", SCROLL, r#"{"order_by": "a", "limit": 0}"#, 422, &["limit"]),
        case("POST", QUERY, r#"{"query": {"order_by": null}}"#, 400, &["query.order_by"]),
        case("POST", QUERY, r#"{"query": {"order_by": "a"}, "score_threshold": 1}"#, 400, &["score_threshold", "start_from"]),
        case("POST", QUERY, r#"{"query": {"order_by": "a", "nearest": [1, 1, 1]}}"#, 400, &["query", "beside another kind"]),
        case("POST", QUERY, r#"{"query": [1, 1, 1], "prefetch": {"query": {"order_by": {}}}}"#, 400, &["prefetch.query.order_by"]),
    ]);
    check(cases).await;
}

#[tokio::test]
#[rustfmt::skip] // a table: a line a case
async fn matrices_that_cannot_be_are_refused() {
    let mut cases = Vec::new();
    for (body, status, parts) in [
        (r#"{"sample": 1}"#, 422, &["sample: value 1 invalid, must be from 2 to"][..]),
        (r#"{"sample": 101}"#, 422, &["sample", "101"]),
        (r#"{"sample": -1}"#, 400, &["sample", "-1"]),
        (r#"{"limit": 0}"#, 422, &["limit: value 0 invalid"]),
        (r#"{"limit": 101}"#, 422, &["limit", "to 100"]),
        (r#"{"limit": "3"}"#, 400, &["limit"]),
        (r#"{"filter": {"must": [1]}}"#, 400, &["filter.must[0]"]),
        (r#"{"using": "title"}"#, 400, &["using", "title"]),
        (r#"{"offset": 1}"#, 400, &["unknown field `offset`"]),
        ("[]", 400, &["JSON body"]),
    ] {
        for form in ["pairs", "offsets"] {
            let path = if form == "pairs" { "/collections/docs/points/search/matrix/pairs" } else { "/collections/docs/points/search/matrix/offsets" };
            cases.push(case("POST", path, body, status, parts));
        }
    }
    check(cases).await;
}
