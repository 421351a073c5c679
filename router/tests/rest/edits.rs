//! Changes of points that are there: payloads, vectors, by ids and by filter,
//! one by one and in batches.

use axum::http::StatusCode;
use quoit_proto::ErrorKind;
use serde_json::{Value, json};

use crate::support::Server;

/// Points 1 to 6 in three shards, with `n` their number.
async fn six() -> Server {
    let server = Server::docs(3, "Dot").await;
    let points =
        (1..=6).map(|n| json!({"id": n, "vector": [n, 0, 0], "payload": {"n": n, "o": {"p": 0}}}));
    server.put(points.collect()).await;
    server
}

async fn done(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let path = format!("/collections/docs/points{path}");
    let answer = server.call(method, &path, body.to_string()).await;
    answer.result()
}

async fn payload(server: &Server, id: u64) -> Value {
    let path = format!("/collections/docs/points/{id}");
    server.call("GET", &path, "").await.result()["payload"].clone()
}

async fn ids(server: &Server) -> Vec<u64> {
    let all = done(server, "POST", "/scroll", json!({})).await;
    let points = all["points"].as_array().unwrap().clone();
    points.iter().map(|p| p["id"].as_u64().unwrap()).collect()
}

/// Points whose `n` is less than this.
fn below(n: u64) -> Value {
    json!({"must": {"key": "n", "range": {"lt": n}}})
}

#[tokio::test]
async fn keys_are_set_and_taken_away_and_the_others_stay() {
    let server = six().await;
    let body = json!({"payload": {"a": 1, "n": 7}, "points": [1, 2]});
    let answer = done(&server, "POST", "/payload?wait=true", body).await;
    assert_eq!(answer["status"], "completed");
    assert!(answer["operation_id"].is_u64());
    let expected = json!({"n": 7, "o": {"p": 0}, "a": 1});
    assert_eq!(payload(&server, 2).await, expected);
    let body = json!({"payload": {"q": 1}, "points": [2], "key": "o"});
    done(&server, "POST", "/payload", body).await;
    let body = json!({"keys": ["o.p", "a"], "points": [2]});
    done(&server, "POST", "/payload/delete", body).await;
    assert_eq!(payload(&server, 2).await, json!({"n": 7, "o": {"q": 1}}));
    let body = json!({"payload": {"b": null}, "points": [2]});
    done(&server, "PUT", "/payload", body).await;
    assert_eq!(payload(&server, 2).await, json!({"b": null}));
    done(&server, "POST", "/payload/clear", json!({"points": [2]})).await;
    assert_eq!(payload(&server, 2).await, json!({}));
    assert_eq!(payload(&server, 1).await, expected);
    assert_eq!(payload(&server, 3).await, json!({"n": 3, "o": {"p": 0}}));
}

#[tokio::test]
async fn a_change_by_filter_reaches_the_points_of_all_shards_that_meet_it() {
    let server = six().await;
    let body = json!({"payload": {"low": true}, "filter": below(4)});
    done(&server, "POST", "/payload", body).await;
    for id in 1..=6 {
        assert_eq!(payload(&server, id).await.get("low").is_some(), id < 4);
    }
    done(&server, "POST", "/delete", json!({"filter": below(3)})).await;
    assert_eq!(ids(&server).await, [3, 4, 5, 6]);
    done(&server, "POST", "/delete", json!({"filter": {}})).await;
    assert!(ids(&server).await.is_empty());
}

#[tokio::test]
async fn a_vector_is_changed_beside_its_payload() {
    let server = six().await;
    let body = json!({"points": [{"id": 1, "vector": [9, 0, 0]}]});
    done(&server, "PUT", "/vectors", body).await;
    let best = done(
        &server,
        "POST",
        "/query",
        json!({"query": [1, 0, 0], "limit": 1, "with_payload": true}),
    );
    let best = best.await["points"][0].clone();
    assert_eq!((&best["id"], &best["payload"]["n"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn an_upsert_with_a_condition_leaves_the_points_that_do_not_meet_it() {
    let server = six().await;
    let points: Vec<Value> = [1, 5, 9]
        .map(|id| json!({"id": id, "vector": [1, 1, 1]}))
        .into();
    let body = json!({"points": points, "update_filter": below(4)});
    done(&server, "PUT", "", body).await;
    assert_eq!(payload(&server, 1).await, json!({}));
    assert_eq!(payload(&server, 5).await["n"], 5);
    assert_eq!(payload(&server, 9).await, json!({}));
}

#[tokio::test]
async fn a_point_is_put_in_only_in_the_version_that_was_read() {
    let server = six().await;
    let version = |id: u64| {
        let server = &server;
        let body = json!({"query": [1, 1, 1], "filter": {"must": {"has_id": [id]}}});
        async move { done(server, "POST", "/query", body).await["points"][0]["version"].clone() }
    };
    let put = |id: u64, version: &Value| {
        let vector = [1, 1, 1];
        let point = json!({"id": id, "vector": vector, "payload": {"n": 0}, "if_version": version});
        let last = json!({"id": 6, "vector": vector, "payload": {"after": id}});
        let body = json!({"points": [point, last]}).to_string();
        server.call("PUT", "/collections/docs/points", body)
    };
    let (one, two) = (version(1).await, version(2).await);
    put(1, &one).await.result();
    assert_eq!(payload(&server, 1).await["n"], 0);
    let set = json!({"payload": {"n": 22}, "points": [2]});
    done(&server, "POST", "/payload", set).await;
    for (id, version) in [(1, &one), (2, &two), (7, &two)] {
        let answer = put(id, version).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{id}");
        let words = format!("the point with id {id} is not of version {version}");
        let error = answer.error();
        assert!(
            error.contains(&words) && error.contains("read it again"),
            "{error}"
        );
        assert_eq!(
            payload(&server, 6).await,
            json!({"after": id}),
            "the others are done"
        );
    }
    assert_eq!(payload(&server, 2).await["n"], 22);
    assert_eq!(ids(&server).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_batch_is_done_in_its_order() {
    let server = six().await;
    let vector = [1, 1, 1];
    let body = json!({"operations": [
        {"upsert": {"points": [{"id": 1, "vector": vector, "payload": {"n": 1, "a": 0}}]}},
        {"set_payload": {"payload": {"b": 1}, "points": [1, 2]}},
        {"delete": {"points": [2]}},
        {"upsert": {"batch": {"ids": [2], "vectors": [vector]}}},
        {"overwrite_payload": {"payload": {"n": 2}, "points": [2]}},
        {"delete": {"filter": below(2)}},
        {"upsert": {"points": [{"id": 1, "vector": vector, "payload": {"c": 1, "d": 1}}]}},
        {"delete_payload": {"keys": ["d"], "points": [1]}},
        {"clear_payload": {"filter": {"must": {"has_id": [6]}}}},
        {"update_vectors": {"points": [{"id": 3, "vector": [9, 9, 9]}]}},
    ]});
    let answers = done(&server, "POST", "/batch?wait=true", body).await;
    assert_eq!(answers.as_array().unwrap().len(), 10);
    assert_eq!(answers[9]["status"], "completed");
    assert_eq!(payload(&server, 1).await, json!({"c": 1}));
    assert_eq!(payload(&server, 2).await, json!({"n": 2}));
    assert_eq!(payload(&server, 6).await, json!({}));
    assert_eq!(ids(&server).await, [1, 2, 3, 4, 5, 6]);
    let nothing = done(&server, "POST", "/batch", json!({"operations": []})).await;
    assert_eq!(nothing, json!([]));
}

#[tokio::test]
async fn a_point_that_is_not_there_is_named_and_the_others_are_changed() {
    let server = six().await;
    let body = json!({"payload": {"a": 1}, "points": [1, 77]}).to_string();
    let path = "/collections/docs/points/payload";
    let answer = server.call("POST", path, body).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let error = answer.error();
    assert!(
        error.contains("77") && error.contains("other points is done"),
        "{error}"
    );
    assert_eq!(payload(&server, 1).await["a"], 1);
    // What is taken away may be gone already.
    done(&server, "POST", "/delete", json!({"points": [77]})).await;
}

#[tokio::test]
async fn a_change_by_filter_that_a_shard_fails_says_what_is_done() {
    let server = six().await;
    server.catalog.shards("docs")[1].fail(ErrorKind::Busy);
    let body = json!({"payload": {"a": 1}, "filter": {}}).to_string();
    let path = "/collections/docs/points/payload";
    let answer = server.call("POST", path, body).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let error = answer.error();
    assert!(
        error.contains("points that meet the filter are changed"),
        "{error}"
    );
    assert!(error.contains("again is safe"), "{error}");
}

#[tokio::test]
async fn a_change_by_filter_misses_no_vnode() {
    let server = six().await;
    let shard = server.catalog.shards("docs")[2].clone();
    shard.lose(shard.first_vnode());
    let path = "/collections/docs/points/delete";
    let answer = server.call("POST", path, r#"{"filter": {}}"#).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.error().contains("1 of 64 vnodes"), "{}", answer.text);
}

#[tokio::test]
async fn an_upsert_may_only_insert_or_only_update() {
    let points = json!([
        {"id": 1, "vector": [9, 9, 9], "payload": {"new": true}},
        {"id": 2, "vector": [9, 9, 9], "payload": {"new": true}},
        {"id": 3, "vector": [9, 9, 9], "payload": {"new": true}},
    ]);
    let old = json!({"must": {"key": "n", "match": {"value": 1}}});
    for (mode, filter, want) in [
        (
            json!("insert_only"),
            json!(null),
            [(1, false), (2, false), (3, true)],
        ),
        (
            json!("insert_only"),
            old.clone(),
            [(1, false), (2, false), (3, true)],
        ),
        (
            json!("upsert"),
            old.clone(),
            [(1, true), (2, false), (3, true)],
        ),
        (json!(null), json!(null), [(1, true), (2, true), (3, true)]),
    ] {
        check_mode(&points, &mode, &filter, &want).await;
    }
    let (all, one) = ([(1, true), (2, true)], [(1, true), (2, false)]);
    check_mode(&points, &json!("update_only"), &json!(null), &all).await;
    check_mode(&points, &json!("update_only"), &old, &one).await;
}

/// Which points are new after an upsert beside points 1 and 2, alone and in a batch.
async fn check_mode(points: &Value, mode: &Value, filter: &Value, want: &[(u64, bool)]) {
    for is_batch in [false, true] {
        let server = Server::docs(3, "Euclid").await;
        server
            .put(json!([
                {"id": 1, "vector": [1, 1, 1], "payload": {"n": 1}},
                {"id": 2, "vector": [1, 1, 1], "payload": {"n": 2}},
            ]))
            .await;
        let one = json!({"points": points, "update_mode": mode, "update_filter": filter});
        if is_batch {
            let body = json!({"operations": [{"upsert": one}]}).to_string();
            let at = "/collections/docs/points/batch";
            server.call("POST", at, body).await.result();
        } else {
            let at = "/collections/docs/points";
            server.call("PUT", at, one.to_string()).await.result();
        }
        let all = server
            .call("POST", "/collections/docs/points/scroll", "{}".to_owned())
            .await
            .result();
        let all = all["points"].as_array().unwrap().iter();
        let found: Vec<(u64, bool)> = all
            .map(|p| (p["id"].as_u64().unwrap(), p["payload"]["new"] == true))
            .collect();
        assert_eq!(found, want, "{mode} {filter} {is_batch}");
    }
}
