//! What calls answer when all is well: the envelopes, the defaults, the
//! quirks of clients, and that several shards look like one.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use quoit_router::{CollectionLimits, ServerLimits};
use serde_json::json;

use crate::support::{Answer, LIMITS, Server, ids};

/// The answer as text, with the time taken out.
fn timeless(answer: &Answer) -> String {
    let (before, after) = answer.text.split_once("\"time\":").unwrap();
    let end = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    format!("{before}\"time\":T{end}")
}

const UUID: &str = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26";

/// Points on a line, so that distances are plain.
async fn line(metric: &str) -> Server {
    on_a_line(Server::docs(3, metric).await).await
}

async fn on_a_line(server: Server) -> Server {
    server
        .put(json!([
            {"id": 1, "vector": [1, 0, 0], "payload": {"a": 1, "b": {"c": [2]}}},
            {"id": 2, "vector": [2, 0, 0]},
            {"id": 3, "vector": [3, 0, 0], "payload": {"a": "é"}},
            {"id": UUID, "vector": [4, 0, 0], "payload": null},
        ]))
        .await;
    server
}

#[tokio::test]
async fn envelopes_are_those_of_the_dialect() {
    let server = Server::docs(3, "Dot").await;
    let body = r#"{"points": [{"id": 7, "vector": [1, 2, 3], "payload": {"k" : "v"}}]}"#;
    let upsert = server
        .call("PUT", "/collections/docs/points?wait=true", body)
        .await;
    assert_eq!(
        timeless(&upsert),
        r#"{"result":{"operation_id":1,"status":"completed"},"status":"ok","time":T}"#
    );
    assert_eq!(upsert.headers["content-type"], "application/json");

    let body = r#"{"query": [1, 1, 1], "with_payload": true, "with_vector": true}"#;
    let query = server
        .call("POST", "/collections/docs/points/query", body)
        .await;
    assert_eq!(
        timeless(&query),
        r#"{"result":{"points":[{"id":7,"version":1,"score":6.0,"payload":{"k" : "v"},"vector":[1.0,2.0,3.0]}]},"status":"ok","time":T}"#
    );
    let missing = server.call("GET", "/collections/none", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(
        timeless(&missing),
        r#"{"status":{"error":"Not found: Collection `none` doesn't exist!"},"time":T}"#
    );
}

#[tokio::test]
async fn the_root_names_a_version_that_clients_accept() {
    let root = Server::new(1).call("GET", "/", "").await.json();
    assert_eq!(root["version"], "1.20.0");
    assert!(root["title"].as_str().unwrap().contains("quoit"), "{root}");
}

#[tokio::test]
async fn collections_are_made_listed_described_and_deleted() {
    let server = Server::new(2);
    let at = "/collections/docs";
    let exists = server.call("GET", "/collections/docs/exists", "").await;
    assert_eq!(exists.result(), json!({"exists": false}));
    let body = r#"{"vectors": {"": {"size": 4, "distance": "Euclid", "on_disk": true}},
        "hnsw_config": {"m": 8, "ef_construct": 32}, "on_disk_payload": true,
        "optimizers_config": {"indexing_threshold": 1}, "sparse_vectors": {}, "some_new_field": 1}"#;
    assert_eq!(server.call("PUT", at, body).await.result(), json!(true));
    assert_eq!(
        server.call("GET", "/collections", "").await.result(),
        json!({"collections": [{"name": "docs"}]})
    );
    let info = server.call("GET", at, "").await.result();
    assert_eq!(info["status"], "green");
    assert_eq!(info["optimizer_status"], "ok");
    assert_eq!(info["points_count"], 0);
    assert_eq!(
        info["config"]["params"]["vectors"],
        json!({"size": 4, "distance": "Euclid"})
    );
    assert_eq!(info["config"]["params"]["shard_number"], 2);
    assert_eq!(info["config"]["hnsw_config"]["m"], 8);
    assert_eq!(info["config"]["hnsw_config"]["ef_construct"], 32);

    assert_eq!(server.call("DELETE", at, "").await.result(), json!(true));
    assert_eq!(server.call("DELETE", at, "").await.result(), json!(false));
}

#[tokio::test]
async fn a_shard_that_refuses_writes_shows_in_the_description() {
    let server = Server::docs(2, "Dot").await;
    server.catalog.shards("docs")[1].stop_writes("5 MiB free");
    let info = server.call("GET", "/collections/docs", "").await.result();
    assert_eq!(info["status"], "red");
    let error = info["optimizer_status"]["error"].as_str().unwrap();
    assert!(error.contains("5 MiB free"), "{error}");
}

#[tokio::test]
async fn points_come_by_every_form_of_upsert() {
    let server = Server::docs(3, "Dot").await;
    let at = "/collections/docs/points";
    for body in [
        r#"{"points": [{"id": 1, "vector": [1, 0, 0]}]}"#,
        r#"{"points": [{"id": 2, "vector": {"": [1, 0, 0]}, "payload": {}}]}"#,
        r#"{"batch": {"ids": [3, 4], "vectors": [[1, 0, 0], [1, 0, 0]], "payloads": [null, {"a": 1}]}}"#,
        r#"{"batch": {"ids": [5], "vectors": {"": [[1, 0, 0]]}}, "shard_key": null, "update_mode": "upsert"}"#,
        r#"{"points": [{"id": "5c56c79369f34fbf87e6c4bf54c28c26", "vector": [1, 0, 0]}], "other": 1}"#,
        r#"{"points": [{"id": "urn:uuid:00000000-0000-0000-0000-00000000000A", "vector": [1, 0, 0]}]}"#,
    ] {
        let answer = server.call("PUT", at, body).await;
        assert_eq!(answer.result()["status"], "acknowledged", "{body}");
    }
    let all = server
        .call("POST", "/collections/docs/points/scroll", "{}")
        .await
        .result();
    assert_eq!(
        ids(&all["points"]),
        [
            json!(1),
            json!(2),
            json!(3),
            json!(4),
            json!(5),
            json!("00000000-0000-0000-0000-00000000000a"),
            json!(UUID)
        ]
    );
    assert_eq!(all["points"][2]["payload"], json!({}));
    assert_eq!(all["points"][3]["payload"], json!({"a": 1}));
}

#[tokio::test]
async fn a_uuid_of_digits_alone_is_no_number() {
    let server = Server::docs(3, "Dot").await;
    let bare = "00000000000000000000000000000008";
    let hyphenated = "00000000-0000-0000-0000-000000000008";
    server.put(json!([{"id": bare, "vector": [1, 1, 1]}])).await;
    for id in [bare, hyphenated] {
        let one = server
            .call("GET", &format!("/collections/docs/points/{id}"), "")
            .await;
        assert_eq!(one.result()["id"], hyphenated);
    }
    let eight = server.call("GET", "/collections/docs/points/8", "").await;
    assert_eq!(eight.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_duplicate_ids_in_a_batch_the_last_wins() {
    let server = Server::docs(3, "Dot").await;
    server
        .put(json!([
            {"id": 1, "vector": [1, 1, 1], "payload": {"n": 1}},
            {"id": 2, "vector": [1, 1, 1]},
            {"id": 1, "vector": [2, 2, 2], "payload": {"n": 2}},
        ]))
        .await;
    let one = server
        .call("GET", "/collections/docs/points/1", "")
        .await
        .result();
    assert_eq!(
        one,
        json!({"id": 1, "payload": {"n": 2}, "vector": [2.0, 2.0, 2.0]})
    );
    let count = server
        .call("POST", "/collections/docs/points/count", "{}")
        .await;
    assert_eq!(count.result(), json!({"count": 2}));
}

#[tokio::test]
async fn every_form_of_query_finds_the_nearest() {
    let server = line("Euclid").await;
    let at = "/collections/docs/points/query";
    for query in [
        json!({"query": [0, 0, 0], "limit": 2}),
        json!({"query": {"nearest": [0, 0, 0]}, "limit": 2, "using": "", "filter": null}),
        json!({"query": {"nearest": [0, 0, 0], "mmr": null}, "limit": 2, "filter": {}, "prefetch": []}),
        json!({"query": [0, 0, 0], "limit": 2, "filter": {"must": [], "should": null},
            "params": {"hnsw_ef": 64, "exact": true, "quantization": {"rescore": true}}, "unknown": 5}),
    ] {
        let points = server.call("POST", at, query.to_string()).await.result()["points"].clone();
        assert_eq!(ids(&points), [json!(1), json!(2)], "{query}");
        assert_eq!(
            points[0],
            json!({"id": 1, "version": points[0]["version"], "score": 1.0})
        );
    }
    let by_id = json!({"query": 1, "limit": 2}).to_string();
    let points = server.call("POST", at, by_id).await.result()["points"].clone();
    assert_eq!(
        ids(&points),
        [json!(2), json!(3)],
        "the point itself is left out"
    );
    let by_uuid = json!({"query": {"nearest": UUID}, "limit": 1, "offset": 1}).to_string();
    let points = server.call("POST", at, by_uuid).await.result()["points"].clone();
    assert_eq!(ids(&points), [json!(2)]);

    let unranked = json!({"limit": 2, "offset": 1, "with_payload": true}).to_string();
    let points = server.call("POST", at, unranked).await.result()["points"].clone();
    assert_eq!(ids(&points), [json!(2), json!(3)], "in the order of ids");
    assert_eq!(points[0]["score"], 1.0);
}

#[tokio::test]
async fn metrics_rank_and_cut_in_their_own_direction() {
    for (metric, threshold, want) in [
        ("Dot", 3.0, vec![json!(UUID), json!(3)]),
        (
            "Cosine",
            0.99,
            vec![json!(1), json!(2), json!(3), json!(UUID)],
        ),
        ("Euclid", 1.5, vec![json!(1), json!(2)]),
        ("Manhattan", 1.0, vec![json!(1), json!(2)]),
    ] {
        let server = line(metric).await;
        let body = json!({"query": [1, 0, 0], "score_threshold": threshold}).to_string();
        let answer = server
            .call("POST", "/collections/docs/points/query", body)
            .await;
        assert_eq!(ids(&answer.result()["points"]), want, "{metric}");
    }
}

#[tokio::test]
async fn batches_and_older_searches_answer_one_list_each() {
    let server = line("Dot").await;
    let batch = json!({"searches": [
        {"query": [1, 0, 0], "limit": 1},
        {"limit": 1},
        {"query": 1, "limit": 1, "offset": 1},
    ]});
    let at = "/collections/docs/points/query/batch";
    let answer = server.call("POST", at, batch.to_string()).await.result();
    let firsts: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["points"][0]["id"])
        .collect();
    assert_eq!(firsts, [&json!(UUID), &json!(1), &json!(3)]);

    let older = json!({"vector": [1, 0, 0], "limit": 2, "with_payload": true});
    let at = "/collections/docs/points/search";
    let answer = server.call("POST", at, older.to_string()).await.result();
    assert_eq!(ids(&answer), [json!(UUID), json!(3)]);
    assert_eq!(answer[1]["payload"], json!({"a": "é"}));
    let named = json!({"searches": [{"vector": {"name": "", "vector": [1, 0, 0]}, "limit": 1}]});
    let at = "/collections/docs/points/search/batch";
    let answer = server.call("POST", at, named.to_string()).await.result();
    assert_eq!(ids(&answer[0]), [json!(UUID)]);
}

#[tokio::test]
async fn payloads_are_selected_by_flag_by_keys_and_by_paths() {
    let server = line("Dot").await;
    let at = "/collections/docs/points";
    for (selector, want) in [
        (json!(null), json!({"a": 1, "b": {"c": [2]}})),
        (json!(true), json!({"a": 1, "b": {"c": [2]}})),
        (json!(false), json!(null)),
        (json!(["b", "x"]), json!({"b": {"c": [2]}})),
        (json!({"include": ["a"]}), json!({"a": 1})),
        (json!({"exclude": ["a"]}), json!({"b": {"c": [2]}})),
        (json!([]), json!({})),
        (json!(["b.c"]), json!({"b": {"c": [2]}})),
        (json!(["a.x", "b.x"]), json!({"a": 1, "b": {}})),
        (json!({"exclude": ["b.c"]}), json!({"a": 1, "b": {}})),
        (
            json!({"exclude": ["b.c[]"]}),
            json!({"a": 1, "b": {"c": []}}),
        ),
    ] {
        let body = json!({"ids": [1], "with_payload": selector}).to_string();
        let points = server.call("POST", at, body).await.result();
        assert_eq!(points[0]["payload"], want, "{selector}");
    }
    let body = json!({"ids": [1], "with_vector": [""]}).to_string();
    let points = server.call("POST", at, body).await.result();
    assert_eq!(points[0]["vector"], json!([1.0, 0.0, 0.0]));
}

#[tokio::test]
async fn retrieving_keeps_the_order_of_the_request_and_leaves_out_the_absent() {
    let server = line("Dot").await;
    let body = json!({"ids": [3, 99, UUID, 1, 3], "with_payload": false}).to_string();
    let points = server
        .call("POST", "/collections/docs/points", body)
        .await
        .result();
    assert_eq!(points, json!([{"id": 3}, {"id": UUID}, {"id": 1}]));
    let none = server
        .call("POST", "/collections/docs/points", r#"{"ids": []}"#)
        .await;
    assert_eq!(none.result(), json!([]));
}

#[tokio::test]
async fn scrolling_goes_through_every_point_once_in_order() {
    let server = Server::docs(3, "Dot").await;
    let points: Vec<_> = (0..23)
        .map(|i| json!({"id": i * 7, "vector": [0, 0, i]}))
        .collect();
    server.put(json!(points)).await;
    let mut seen = Vec::new();
    let mut offset = json!(null);
    loop {
        let body = json!({"limit": 5, "offset": offset, "with_payload": false}).to_string();
        let page = server
            .call("POST", "/collections/docs/points/scroll", body)
            .await
            .result();
        seen.extend(ids(&page["points"]));
        offset = page["next_page_offset"].clone();
        if offset.is_null() {
            break;
        }
        assert_eq!(page["points"].as_array().unwrap().len(), 5);
    }
    assert_eq!(seen, (0..23).map(|i| json!(i * 7)).collect::<Vec<_>>());
}

#[tokio::test]
async fn deleted_points_are_gone() {
    let server = line("Dot").await;
    let body = json!({"points": [1, UUID, 77]}).to_string();
    let deleted = server
        .call("POST", "/collections/docs/points/delete?wait=true", body)
        .await;
    assert_eq!(deleted.result()["status"], "completed");
    let all = server
        .call("POST", "/collections/docs/points/scroll", "{}")
        .await
        .result();
    assert_eq!(ids(&all["points"]), [json!(2), json!(3)]);
    let one = server.call("GET", "/collections/docs/points/1", "").await;
    assert_eq!(one.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn shards_together_answer_as_one_shard_does() {
    let mut answers = Vec::new();
    for shards in [1, 2, 5] {
        let server = Server::docs(shards, "Euclid").await;
        let points: Vec<_> = (0..40)
            .map(|i| json!({"id": i, "vector": [i % 7, i % 3, i % 2]}))
            .collect();
        server.put(json!(points)).await;
        let body = json!({"query": [3, 1, 0], "limit": 25, "offset": 3}).to_string();
        let answer = server
            .call("POST", "/collections/docs/points/query", body)
            .await
            .result();
        // Of equal scores each shard keeps those it likes: only what is
        // certainly within the limit can be compared.
        let scores = answer["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["score"].clone());
        answers.push(scores.collect::<Vec<_>>());
    }
    assert_eq!(answers[0].len(), 25);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[tokio::test]
async fn parameters_of_the_url_are_accepted() {
    let server = line("Dot").await;
    for query in [
        "timeout=5&consistency=majority",
        "consistency=2",
        "consistency=&timeout=1&unknown=x",
        "timeout=18446744073709551615",
    ] {
        let at = format!("/collections/docs/points/query?{query}");
        server
            .call("POST", &at, r#"{"query": [1, 0, 0]}"#)
            .await
            .result();
    }
    let at = "/collections/docs/points?wait=false&ordering=strong";
    let body = r#"{"points": [{"id": 9, "vector": [1, 0, 0]}]}"#;
    assert_eq!(
        server.call("PUT", at, body).await.result()["status"],
        "acknowledged"
    );
}

#[tokio::test]
async fn a_request_keeps_the_id_that_its_client_gave_it() {
    let server = Server::new(1);
    let ask = |id: &'static str| {
        let request = Request::get("/collections").header("x-request-id", id);
        server.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask("abc-1").await.headers["x-request-id"], "abc-1");
    let made = ask("has spaces").await.headers["x-request-id"].clone();
    assert_eq!(made.len(), 36, "a new one: {made:?}");
    let none = server.call("GET", "/nowhere", "").await;
    assert_eq!(none.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let server = line("Dot").await;
    for probe in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(
            server.call("GET", probe, "").await.status,
            StatusCode::OK,
            "{probe}"
        );
    }
    let metrics = server.call("GET", "/metrics", "").await.text;
    assert!(
        metrics.contains("quoit_collection_points{collection=\"docs\"} 4\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn requests_are_counted_by_route_and_status() {
    let recorder = quoit_router::prometheus().build_recorder();
    let handle = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let server = line("Dot").await;
    server.call("GET", "/collections/none", "").await;
    server.call("BREW", "/nowhere/at/all", "").await;
    let text = handle.render();
    for line in [
        r#"quoit_http_requests_total{method="GET",route="/collections/{c}",status="404"} 1"#,
        r#"quoit_http_requests_total{method="other",route="none",status="404"} 1"#,
        r#"quoit_http_request_duration_seconds_bucket{method="PUT",route="/collections/{c}/points",le="60"} 1"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_condition_may_name_very_many_values() {
    let server = on_a_line(Server::large(3, "Euclid").await).await;
    let ids: Vec<u64> = (2..200_000).collect();
    let texts: Vec<String> = (0..200_000).map(|i| format!("{i:06}")).collect();
    for (filter, count) in [
        (json!({"must": [{"has_id": ids}]}), 2),
        (json!({"must": [{"key": "b.c", "match": {"any": ids}}]}), 1),
        (
            json!({"must": [{"key": "a", "match": {"except": texts}}]}),
            2,
        ),
    ] {
        let body = json!({"filter": filter}).to_string();
        let answer = server.call("POST", "/collections/docs/points/count", body);
        assert_eq!(answer.await.result()["count"], count);
    }
}

#[tokio::test]
async fn a_batch_may_have_as_many_short_operations_as_points() {
    let limits = CollectionLimits {
        max_request_bytes: 32 << 20,
        max_batch_points: 10_000,
        ..LIMITS
    };
    let server = Server::with(3, ServerLimits::default(), limits);
    server.create_docs("Dot").await;
    let put = json!({"upsert": {"points": [{"id": 1, "vector": [1, 1, 1]}]}});
    let set = json!({"set_payload": {"payload": {"a": 1}, "points": [1]}});
    let operations = [vec![put], vec![set; 9_999]].concat();
    let body = json!({"operations": operations}).to_string();
    let answer = server.call("POST", "/collections/docs/points/batch", body);
    let done = answer.await.result();
    assert_eq!(done.as_array().map(Vec::len), Some(10_000));
}

/// There is no pattern that could be a bomb: a text is the words in it.
#[tokio::test]
async fn a_text_is_words_and_no_pattern() {
    let server = on_a_line(Server::large(3, "Euclid").await).await;
    let count = |test: &str, text: &str| {
        let body = json!({"filter": {"must": {"key": "a", "match": {test: text}}}});
        let call = server.call("POST", "/collections/docs/points/count", body.to_string());
        async { call.await.result()["count"].clone() }
    };
    let bomb = "(".repeat(50_000) + "é" + &"+)".repeat(50_000) + "$";
    // Of its words, "é" alone is in a payload.
    assert_eq!(count("text", &bomb).await, 1);
    assert_eq!(count("phrase", &bomb).await, 1);
    assert_eq!(count("substring", &bomb).await, 0);
    assert_eq!(count("prefix", ".*").await, 0);
    assert_eq!(count("text", &format!("{bomb} other")).await, 0);
}

#[tokio::test]
async fn digests_are_told_of_each_vnode_once_at_the_shard_that_holds_it() {
    let server = Server::docs(3, "Cosine").await;
    let point = |id: u64| json!({"id": id, "vector": [id, 2, 3]});
    server.put(json!([point(1), point(2), point(3)])).await;
    let path = "/quoit/v1/collections/docs/digests";
    let answer = server.call("GET", path, "").await.result();
    let shards = answer["shards"].as_array().unwrap();
    let ids: Vec<_> = shards.iter().map(|s| s["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 1, 2]);
    let vnodes = shards
        .iter()
        .flat_map(|s| s["replicas"][0]["vnodes"].as_array().unwrap());
    let vnodes: std::collections::BTreeMap<_, _> =
        vnodes.map(|v| (v["vnode"].as_u64().unwrap(), v)).collect();
    assert_eq!(vnodes.len(), 64);
    let points: u64 = vnodes.values().map(|v| v["count"].as_u64().unwrap()).sum();
    assert_eq!(points, 3);
    assert_eq!(vnodes[&5]["digest"], format!("{:016x}{:016x}", 5, 0xab));
}
