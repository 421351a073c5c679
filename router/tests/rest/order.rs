//! Points in the order of a field: in scrolls, in queries, among prefetched
//! points, and in groups.

use serde_json::{Value, json};

use crate::support::{Server, ids};

const SCROLL: &str = "/collections/docs/points/scroll";
const QUERY: &str = "/collections/docs/points/query";
const GROUPS: &str = "/collections/docs/points/query/groups";

/// Twelve points over three shards; of each three one has the rank of the one
/// before, and the last has two ranks.
async fn ranked() -> Server {
    let server = Server::docs(3, "Euclid").await;
    let ranks = [4, 1, 1, 7, 3, 3, 9, 0, 0, 5, 2].map(|n| json!(n));
    let ranks = ranks.into_iter().chain([json!([6, 1])]);
    let points: Vec<Value> = (0..)
        .zip(ranks)
        .map(|(n, rank)| {
            let odd = if n % 2 == 1 { "odd" } else { "even" };
            json!({"id": n, "vector": [n, 0, 0], "payload": {"rank": rank, "kind": odd, "day": format!("2024-06-{:02}", 1 + n)}})
        })
        .collect();
    server.put(json!(points)).await;
    server.put(json!([{"id": 50, "vector": [1, 1, 1]}])).await;
    server
}

async fn scroll(server: &Server, body: Value) -> Value {
    server.call("POST", SCROLL, body.to_string()).await.result()
}

fn places(points: &Value) -> Vec<(u64, i64)> {
    let points = points.as_array().unwrap().iter();
    let place = |p: &Value| {
        (
            p["id"].as_u64().unwrap(),
            p["order_value"].as_i64().unwrap(),
        )
    };
    points.map(place).collect()
}

#[tokio::test]
async fn a_scroll_in_the_order_of_a_field_merges_the_shards_exactly() {
    let server = ranked().await;
    let all = [
        (7, 0),
        (8, 0),
        (1, 1),
        (2, 1),
        (11, 1),
        (10, 2),
        (4, 3),
        (5, 3),
        (0, 4),
        (9, 5),
        (11, 6),
        (3, 7),
        (6, 9),
    ];
    let answer = scroll(&server, json!({"order_by": "rank", "limit": 100})).await;
    assert_eq!(places(&answer["points"]), all);
    assert!(answer["next_page_offset"].is_null());
    assert_eq!(answer["points"][0]["payload"]["kind"], "odd");
    let down = json!({"order_by": {"key": "rank", "direction": "desc"}, "limit": 4, "with_payload": false});
    let answer = scroll(&server, down).await;
    assert_eq!(places(&answer["points"]), [(6, 9), (3, 7), (11, 6), (9, 5)]);
    assert_eq!(answer["points"][0], json!({"id": 6, "order_value": 9}));

    let filter = json!({"must": {"key": "kind", "match": {"value": "odd"}}});
    let some = json!({"order_by": {"key": "rank", "direction": "asc", "start_from": 1}, "limit": 3, "filter": filter});
    let answer = scroll(&server, some).await;
    assert_eq!(places(&answer["points"]), [(1, 1), (11, 1), (5, 3)]);
}

#[tokio::test]
async fn pages_by_value_miss_no_point_and_repeat_none() {
    let server = ranked().await;
    for direction in ["asc", "desc"] {
        let mut seen: Vec<(u64, i64)> = Vec::new();
        loop {
            let mut order = json!({"key": "rank", "direction": direction});
            let mut filter = json!({});
            if let Some((_, last)) = seen.last() {
                order["start_from"] = json!(last);
                let of_last: Vec<u64> = seen
                    .iter()
                    .filter(|(_, v)| v == last)
                    .map(|s| s.0)
                    .collect();
                // What has several values is seen again at another of them.
                filter = json!({"must_not": {"has_id": of_last}});
            }
            let answer = scroll(
                &server,
                json!({"order_by": order, "limit": 4, "filter": filter}),
            )
            .await;
            let page = places(&answer["points"]);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!((once.len(), seen.len()), (13, 13), "{direction}: {seen:?}");
    }
}

#[tokio::test]
async fn an_order_starts_from_a_moment_or_its_microseconds() {
    let server = ranked().await;
    let micros = 1_717_718_400_000_000_i64;
    for start in [
        json!("2024-06-07T00:00:00Z"),
        json!("2024-06-07"),
        json!(micros),
    ] {
        let order = json!({"key": "day", "start_from": start});
        let answer = scroll(&server, json!({"order_by": order, "limit": 2})).await;
        let day = 86_400_000_000;
        assert_eq!(
            places(&answer["points"]),
            [(6, micros), (7, micros + day)],
            "{start}"
        );
    }
}

#[tokio::test]
async fn a_query_in_the_order_of_a_field_scores_all_the_same() {
    let server = ranked().await;
    let on = &server;
    let query =
        |body: Value| async move { on.call("POST", QUERY, body.to_string()).await.result() };
    let body =
        json!({"query": {"order_by": "rank"}, "limit": 3, "offset": 1, "with_payload": ["kind"]});
    let answer = query(body).await;
    assert_eq!(places(&answer["points"]), [(8, 0), (1, 1), (2, 1)]);
    let first = &answer["points"][0];
    assert_eq!(
        (&first["score"], &first["payload"]),
        (&json!(1.0), &json!({"kind": "even"}))
    );

    // Among the points that a prefetch found, and as a prefetch itself.
    let near = json!({"query": [0, 0, 0], "limit": 5});
    let order = json!({"order_by": {"key": "rank", "direction": "desc"}});
    let answer = query(json!({"prefetch": near, "query": order, "limit": 10})).await;
    assert_eq!(places(&answer["points"]), [(3, 7), (0, 4), (2, 1), (1, 1)]);
    let last = json!({"prefetch": {"query": order, "limit": 3}, "query": [0, 0, 0], "limit": 2});
    let answer = query(last).await;
    assert_eq!(ids(&answer["points"]), [3, 6]);
    assert!(answer["points"][0].get("order_value").is_none());
}

#[tokio::test]
async fn groups_in_the_order_of_a_field_begin_with_its_first() {
    let server = ranked().await;
    let order = json!({"order_by": {"key": "rank", "direction": "desc"}});
    let body = json!({"query": order, "group_by": "kind", "group_size": 2, "limit": 2}).to_string();
    let answer = server.call("POST", GROUPS, body).await.result();
    let groups = answer["groups"].as_array().unwrap();
    let shown: Vec<_> = groups
        .iter()
        .map(|g| (g["id"].clone(), ids(&g["hits"])))
        .collect();
    assert_eq!(
        shown,
        [
            (json!("even"), vec![json!(6), json!(0)]),
            (json!("odd"), vec![json!(3), json!(11)])
        ]
    );
}
