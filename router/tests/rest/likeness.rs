//! What is scored by examples inside the shards, by queries and by the older
//! calls; examples of another collection, and points that groups are named
//! after.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const QUERY: &str = "/collections/docs/points/query";
const DISCOVER: &str = "/collections/docs/points/discover";
const RECOMMEND: &str = "/collections/docs/points/recommend";

/// Points on a line, in two kinds.
async fn line() -> Server {
    let server = Server::docs(3, "Euclid").await;
    let points: Vec<Value> = (0..10)
        .map(|n| json!({"id": n, "vector": [n, 0, 0], "payload": {"kind": n % 2}}))
        .collect();
    server.put(json!(points)).await;
    server
}

/// Another collection: its point 1 is where the tenth of the line would be.
async fn other(server: &Server) {
    let body = r#"{"vectors": {"size": 3, "distance": "Dot"}}"#.to_owned();
    server.call("PUT", "/collections/far", body).await.result();
    let points = json!({"points": [
        {"id": 0, "vector": [0, 0, 0], "payload": {"name": "even", "size": 2}},
        {"id": 1, "vector": [8.6, 0, 0], "payload": {"name": "odd", "size": 3}},
    ]});
    let at = "/collections/far/points?wait=true";
    server.call("PUT", at, points.to_string()).await.result();
}

async fn call(server: &Server, at: &str, body: Value) -> Value {
    server.call("POST", at, body.to_string()).await.result()
}

#[tokio::test]
async fn each_strategy_prefers_other_points_and_none_answers_the_examples() {
    let server = line().await;
    for (examples, want) in [
        // Of 1 and 8 the mean is 4.5; the best score is beside one of them.
        (
            json!({"positive": [1, 8], "strategy": "average_vector"}),
            [4, 5, 3, 6],
        ),
        (
            json!({"positive": [1, 8], "strategy": "best_score"}),
            [0, 2, 7, 9],
        ),
        (
            json!({"positive": [1, 8], "negative": [2, 7], "strategy": "best_score"}),
            [0, 9, 4, 5],
        ),
        (
            json!({"negative": [4, 5], "strategy": "best_score"}),
            [0, 9, 1, 8],
        ),
        (
            json!({"positive": [8], "negative": [7], "strategy": "sum_scores"}),
            [9, 6, 5, 4],
        ),
        (
            json!({"positive": [2, [4.2, 0, 0]], "strategy": "sum_scores"}),
            [3, 4, 1, 5],
        ),
    ] {
        let body = json!({"query": {"recommend": examples}, "limit": 4});
        let answer = call(&server, QUERY, body).await;
        let found = ids(&answer["points"]);
        assert_eq!(found[..2], want.map(Value::from)[..2], "{examples}");
        let sorted = |mut all: Vec<u64>| {
            all.sort_unstable();
            all
        };
        let found: Vec<u64> = found.iter().map(|id| id.as_u64().unwrap()).collect();
        assert_eq!(
            sorted(found),
            sorted(want.map(|n: u64| n).to_vec()),
            "{examples}"
        );

        let mut older = examples.clone();
        older["limit"] = json!(4);
        assert_eq!(
            ids(&call(&server, RECOMMEND, older).await),
            ids(&answer["points"])
        );
    }
}

#[tokio::test]
async fn a_discovery_is_near_its_target_on_the_better_side() {
    let server = line().await;
    let pair = json!({"positive": 9, "negative": 0});
    let query = json!({"query": {"discover": {"target": 2, "context": pair}}, "limit": 3});
    let answer = call(&server, QUERY, query).await;
    assert_eq!(ids(&answer["points"]), [5, 6, 7]);
    // One better side, and as like the target as a squared distance of 9.
    let score = answer["points"][0]["score"].as_f64().unwrap();
    assert!((score - 1.05).abs() < 1e-6, "{score}");

    let older =
        json!({"target": 2, "context": [pair], "limit": 2, "offset": 1, "with_payload": true});
    let answer = call(&server, DISCOVER, older.clone()).await;
    assert_eq!(ids(&answer), [6, 7]);
    assert_eq!(answer[0]["payload"], json!({"kind": 0}));
    let batch = json!({"searches": [older, {"target": [5, 0, 0], "limit": 1}]});
    let answer = call(&server, "/collections/docs/points/discover/batch", batch).await;
    assert_eq!(
        (ids(&answer[0]), ids(&answer[1])),
        (vec![json!(6), json!(7)], vec![json!(5)])
    );
}

#[tokio::test]
async fn a_context_alone_leaves_what_is_on_its_worse_side() {
    let server = line().await;
    let context = json!([{"positive": [6, 0, 0], "negative": [0, 0, 0]}, {"positive": [4, 0, 0], "negative": [10, 0, 0]}]);
    let answer = call(
        &server,
        QUERY,
        json!({"query": {"context": context}, "limit": 4}),
    )
    .await;
    // Between 3 and 7 nothing is lost; after them it is.
    let scored = answer["points"].as_array().unwrap().iter();
    let scored: Vec<(u64, bool)> = scored
        .map(|p| {
            (
                p["id"].as_u64().unwrap(),
                p["score"].as_f64().unwrap() > -1e-3,
            )
        })
        .collect();
    assert_eq!(scored, [(4, true), (5, true), (6, true), (3, true)]);
    let older = call(&server, DISCOVER, json!({"context": context, "limit": 3})).await;
    assert_eq!(ids(&older), [4, 5, 6]);
}

#[tokio::test]
async fn what_is_scored_by_examples_takes_what_every_search_takes() {
    let server = line().await;
    let filter = json!({"must": {"key": "kind", "match": {"value": 1}}});
    let query = json!({"recommend": {"positive": [4], "strategy": "best_score"}});
    let body =
        json!({"query": query, "filter": filter, "limit": 3, "offset": 1, "with_payload": true});
    let answer = call(&server, QUERY, body).await;
    assert_eq!(ids(&answer["points"]), [5, 1, 7]);
    // Euclidean distances would be better the lower they are; these are not.
    let body = json!({"query": query, "limit": 9, "score_threshold": 0.2});
    assert_eq!(ids(&call(&server, QUERY, body).await["points"]), [3, 5]);
    // Among what a prefetch has found, and in groups.
    let near = json!({"query": [9, 0, 0], "limit": 4});
    let body = json!({"prefetch": near, "query": query, "limit": 2});
    assert_eq!(ids(&call(&server, QUERY, body).await["points"]), [6, 7]);
    let groups = json!({"query": query, "group_by": "kind", "group_size": 2, "limit": 2});
    let answer = call(&server, "/collections/docs/points/query/groups", groups).await;
    let best = &answer["groups"][0];
    assert_eq!(
        (&best["id"], ids(&best["hits"])),
        (&json!(1), vec![json!(3), json!(5)])
    );
}

#[tokio::test]
async fn examples_come_from_another_collection_and_none_is_left_out_for_them() {
    let server = line().await;
    other(&server).await;
    let from = json!({"collection": "far"});
    for query in [
        json!(1),
        json!({"recommend": {"positive": [1]}}),
        json!({"recommend": {"positive": [1], "strategy": "best_score"}}),
        json!({"discover": {"target": 1, "context": []}}),
    ] {
        let body = json!({"query": query, "lookup_from": from, "limit": 2});
        let answer = call(&server, QUERY, body).await;
        assert_eq!(ids(&answer["points"]), [9, 8], "{query}");
        // A point of this number that is near is answered.
        let body = json!({"query": query, "lookup_from": from, "limit": 9, "filter": {"must": {"has_id": [1]}}});
        let answer = call(&server, QUERY, body).await;
        assert_eq!(ids(&answer["points"]), [1], "{query}");
    }
    // From this one it is as if nothing were said.
    let body = json!({"positive": [1], "lookup_from": {"collection": "docs"}, "limit": 2});
    assert_eq!(ids(&call(&server, RECOMMEND, body).await), [0, 2]);
    let both =
        json!({"prefetch": {"query": 1, "lookup_from": from, "limit": 3}, "query": 1, "limit": 1});
    assert_eq!(ids(&call(&server, QUERY, both).await["points"]), [7]);
    let batch = json!({"searches": [{"target": 1, "lookup_from": from, "limit": 1}, {"target": 1, "limit": 1}]});
    let answer = call(&server, "/collections/docs/points/discover/batch", batch).await;
    assert_eq!(
        (ids(&answer[0]), ids(&answer[1])),
        (vec![json!(9)], vec![json!(0)])
    );

    // Of several vectors the named one is the example.
    let body = r#"{"vectors": {"a": {"size": 3, "distance": "Dot"}, "b": {"size": 3, "distance": "Dot"}}}"#;
    server
        .call("PUT", "/collections/two", body.to_owned())
        .await
        .result();
    let points = json!({"points": [{"id": 1, "vector": {"a": [9, 0, 0], "b": [0, 0, 0]}}]});
    let at = "/collections/two/points?wait=true";
    server.call("PUT", at, points.to_string()).await.result();
    for (name, first) in [("a", 9), ("b", 0)] {
        let from = json!({"collection": "two", "vector": name});
        let body =
            json!({"query": {"recommend": {"positive": [1]}}, "lookup_from": from, "limit": 1});
        assert_eq!(
            ids(&call(&server, QUERY, body).await["points"]),
            [first],
            "{name}"
        );
    }

    let missing = json!({"query": 7, "lookup_from": from}).to_string();
    let refused = server.call("POST", QUERY, missing).await;
    assert_eq!(refused.status.as_u16(), 404);
    let body = r#"{"vectors": {"size": 2, "distance": "Dot"}}"#.to_owned();
    server.call("PUT", "/collections/flat", body).await.result();
    let flat = json!({"query": 7, "lookup_from": {"collection": "flat"}}).to_string();
    let refused = server.call("POST", QUERY, flat).await;
    let error = refused.error();
    assert!(
        error.contains("lookup_from") && error.contains("expected dim: 3"),
        "{error}"
    );
}

#[tokio::test]
async fn groups_come_with_the_points_they_are_named_after() {
    let server = line().await;
    other(&server).await;
    let at = "/collections/docs/points/query/groups";
    let shown = |lookup: Value| {
        let body = json!({"query": 2, "group_by": "kind", "group_size": 1, "limit": 2, "with_lookup": lookup});
        let server = &server;
        async move { call(server, at, body).await["groups"].clone() }
    };
    let groups = shown(json!("far")).await;
    assert_eq!(
        groups[0]["lookup"],
        json!({"id": 1, "payload": {"name": "odd", "size": 3}})
    );
    assert_eq!(groups[1]["lookup"]["payload"]["name"], "even");
    let groups =
        shown(json!({"collection": "far", "with_payload": ["size"], "with_vectors": true})).await;
    let want = json!({"id": 1, "payload": {"size": 3}, "vector": [8.6, 0.0, 0.0]});
    assert_eq!(groups[0]["lookup"]["id"], want["id"]);
    assert_eq!(groups[0]["lookup"]["payload"], want["payload"]);
    assert_eq!(groups[0]["lookup"]["vector"].as_array().unwrap().len(), 3);
    let groups = shown(json!({"collection": "far", "with_payload": false})).await;
    assert_eq!(groups[0]["lookup"], json!({"id": 1}));

    // What is not there is left out.
    let body = json!({"points": [0]}).to_string();
    let gone = "/collections/far/points/delete";
    server.call("POST", gone, body).await.result();
    let older = json!({"positive": [2], "strategy": "best_score", "group_by": "kind", "group_size": 2, "limit": 2, "with_lookup": "far"});
    let groups =
        call(&server, "/collections/docs/points/recommend/groups", older).await["groups"].clone();
    assert_eq!(
        (&groups[0]["id"], ids(&groups[0]["hits"])),
        (&json!(1), vec![json!(1), json!(3)])
    );
    assert_eq!(groups[0]["lookup"]["payload"]["name"], "odd");
    assert!(groups[1].get("lookup").is_none(), "{groups}");
}

#[tokio::test]
async fn groups_of_diverse_points_are_of_those_chosen() {
    let server = line().await;
    let query = |diversity: f64| json!({"nearest": [0.1, 0, 0], "mmr": {"diversity": diversity, "candidates_limit": 6}});
    let at = "/collections/docs/points/query/groups";
    let body = |diversity| json!({"query": query(diversity), "group_by": "kind", "group_size": 4, "limit": 2});
    for (diversity, even, odd) in [(0.0, 2, 1), (1.0, 2, 5)] {
        let answer = call(&server, at, body(diversity)).await;
        let (first, second) = (&answer["groups"][0], &answer["groups"][1]);
        assert_eq!(
            (first["id"].clone(), second["id"].clone()),
            (json!(0), json!(1))
        );
        assert_eq!(ids(&first["hits"])[..2], [0, even]);
        assert_eq!(ids(&second["hits"])[0], odd);
        // No others than those chosen among.
        let all = ids(&first["hits"]).len() + ids(&second["hits"]).len();
        assert_eq!(all, 6);
    }
}
