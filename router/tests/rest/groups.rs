//! The best points of each value of a field.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const GROUPS: &str = "/collections/docs/points/query/groups";

/// Points on a line, 0 to 89: of `doc` 0 are the first 60, of each other the
/// next ten.
async fn line() -> Server {
    let server = Server::docs(3, "Euclid").await;
    for from in [0, 30, 60] {
        let point = |n: u32| {
            let doc = n.saturating_sub(50) / 10;
            json!({"id": n, "vector": [n, 0, 0], "payload": {"doc": doc, "n": n, "tags": [format!("t{}", n % 3), "all"]}})
        };
        let points: Vec<Value> = (from..from + 30).map(point).collect();
        server.put(json!(points)).await;
    }
    server
}

async fn groups(server: &Server, body: &Value) -> Vec<(Value, Vec<Value>)> {
    let answer = server.call("POST", GROUPS, body.to_string()).await.result();
    let groups = answer["groups"].as_array().unwrap();
    let group = |group: &Value| (group["id"].clone(), ids(&group["hits"]));
    groups.iter().map(group).collect()
}

fn group(id: impl Into<Value>, hits: &[u32]) -> (Value, Vec<Value>) {
    (id.into(), hits.iter().map(|n| json!(n)).collect())
}

#[tokio::test]
async fn groups_come_by_their_best_points_and_points_by_their_scores() {
    let server = line().await;
    let body = json!({"query": [64.1, 0, 0], "group_by": "doc", "limit": 2, "group_size": 2});
    assert_eq!(
        groups(&server, &body).await,
        [group(1, &[64, 65]), group(0, &[59, 58])]
    );
    let body = json!({"query": 64, "group_by": "doc", "limit": 1, "group_size": 1});
    assert_eq!(
        groups(&server, &body).await,
        [group(1, &[63])],
        "the point itself is left out"
    );
    let body = json!({"group_by": "doc", "limit": 2, "group_size": 2});
    assert_eq!(
        groups(&server, &body).await,
        [group(0, &[0, 1]), group(1, &[60, 61])],
        "by their ids"
    );
}

#[tokio::test]
async fn a_group_that_fills_the_first_answers_does_not_hide_the_others() {
    let server = line().await;
    let body = json!({"query": [0, 0, 0], "group_by": "doc", "limit": 3, "group_size": 2});
    let want = [group(0, &[0, 1]), group(1, &[60, 61]), group(2, &[70, 71])];
    assert_eq!(groups(&server, &body).await, want);
    // More points than one search may go through are of one group.
    let points = |from: u32| -> Vec<Value> {
        let point =
            |n: u32| json!({"id": 1000 + n, "vector": [-1, 0, 0], "payload": {"doc": "crowd"}});
        (from..from + 50).map(point).collect()
    };
    for from in [0, 50, 100] {
        server.put(json!(points(from))).await;
    }
    let want = [
        group("crowd", &[1000]),
        group(0, &[0]),
        group(1, &[60]),
        group(2, &[70]),
    ];
    let body = json!({"query": [-1, 0, 0], "group_by": "doc", "limit": 4, "group_size": 1});
    assert_eq!(groups(&server, &body).await, want);
}

#[tokio::test]
async fn groups_are_filled_from_all_points() {
    let server = line().await;
    let body = json!({"query": [55.1, 0, 0], "group_by": "doc", "limit": 2, "group_size": 8});
    let want = [
        group(0, &[55, 56, 54, 57, 53, 58, 52, 59]),
        group(1, &[60, 61, 62, 63, 64, 65, 66, 67]),
    ];
    assert_eq!(groups(&server, &body).await, want);
}

#[tokio::test]
async fn points_that_are_in_no_group_leave_no_group_short() {
    let server = line().await;
    // Each has the value of the group, and one that keeps it from all groups.
    let odd: Vec<Value> = (200..220)
        .map(|n| json!({"id": n, "vector": [60.5, 0, 0], "payload": {"doc": [1, true]}}))
        .collect();
    server.put(json!(odd)).await;
    let body = json!({"query": [59.6, 0, 0], "group_by": "doc", "limit": 2, "group_size": 4});
    let want = [group(1, &[60, 61, 62, 63]), group(0, &[59, 58, 57, 56])];
    assert_eq!(groups(&server, &body).await, want);
}

#[tokio::test]
async fn a_point_is_in_the_group_of_each_of_its_values() {
    let server = line().await;
    let want = [
        group("t0", &[0, 3]),
        group("all", &[0, 1]),
        group("t1", &[1, 4]),
        group("t2", &[2, 5]),
    ];
    for path in ["tags", "tags[]"] {
        let body = json!({"query": [0, 0, 0], "group_by": path, "limit": 5, "group_size": 2});
        assert_eq!(groups(&server, &body).await, want, "{path}");
    }
    let body = json!({"query": [0, 0, 0], "group_by": "missing"});
    assert_eq!(groups(&server, &body).await, []);
}

#[tokio::test]
async fn filters_thresholds_and_selectors_hold_for_groups() {
    let server = line().await;
    let filter = json!({"must": {"key": "n", "range": {"gte": 62}}});
    let body = json!({"query": [60, 0, 0], "group_by": "doc", "filter": filter, "score_threshold": 12.5,
        "group_size": 2, "limit": 3, "with_payload": ["n"], "with_vector": true});
    assert_eq!(
        groups(&server, &body).await,
        [group(1, &[62, 63]), group(2, &[70, 71])]
    );
    let answer = server.call("POST", GROUPS, body.to_string()).await.result();
    let hit = &answer["groups"][0]["hits"][0];
    assert_eq!(
        (&hit["payload"], &hit["score"]),
        (&json!({"n": 62}), &json!(2.0))
    );
    assert_eq!(hit["vector"], json!([62.0, 0.0, 0.0]));
    let bare = json!({"query": [60, 0, 0], "group_by": "doc", "limit": 1}).to_string();
    let answer = server.call("POST", GROUPS, bare).await.result();
    assert_eq!(answer["groups"][0]["hits"][0].get("payload"), None);
}

#[tokio::test]
async fn what_prefetches_find_is_grouped() {
    let server = line().await;
    let prefetch = json!([{"query": [60, 0, 0], "limit": 3}, {"query": [75, 0, 0], "limit": 1}]);
    let body = json!({"query": {"fusion": "rrf"}, "prefetch": prefetch, "group_by": "doc", "group_size": 1});
    let found = groups(&server, &body).await;
    assert_eq!(found[..2], [group(1, &[60]), group(2, &[75])]);
    let body =
        json!({"query": [80, 0, 0], "prefetch": prefetch, "group_by": "doc", "group_size": 2});
    let found = groups(&server, &body).await;
    assert_eq!(found[0].0, 2);
    assert_eq!(
        found[0].1.len(),
        2,
        "of more points than without groups: {found:?}"
    );
}

#[tokio::test]
async fn groups_of_any_points_are_full() {
    let server = line().await;
    let body =
        json!({"query": {"sample": "random"}, "group_by": "doc", "limit": 4, "group_size": 5});
    let mut found = groups(&server, &body).await;
    found.sort_by_key(|(id, _)| id.as_u64());
    for (doc, (id, hits)) in (0..4).zip(found) {
        assert_eq!((id, hits.len()), (json!(doc), 5));
        let of = |hit: &Value| hit.as_u64().unwrap().saturating_sub(50) / 10;
        assert!(hits.iter().all(|hit| of(hit) == doc), "{hits:?}");
    }
}

#[tokio::test]
async fn the_older_call_groups_too() {
    let server = line().await;
    let body = json!({"vector": {"name": "", "vector": [64.1, 0, 0]}, "group_by": "doc", "limit": 2, "group_size": 1});
    let at = "/collections/docs/points/search/groups";
    let answer = server.call("POST", at, body.to_string()).await.result();
    assert_eq!(answer["groups"][0]["id"], 1);
    assert_eq!(ids(&answer["groups"][0]["hits"]), [64]);
}
