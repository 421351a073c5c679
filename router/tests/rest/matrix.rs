//! How near random points are to each other.

use serde_json::{Value, json};

use crate::support::Server;

const PAIRS: &str = "/collections/docs/points/search/matrix/pairs";
const OFFSETS: &str = "/collections/docs/points/search/matrix/offsets";

/// Points on a line, the distances of which are all different.
async fn line() -> Server {
    let server = Server::docs(3, "Euclid").await;
    let points: Vec<Value> = (0..12)
        .map(|n| json!({"id": n, "vector": [n * n, 0, 0], "payload": {"small": n < 6}}))
        .collect();
    server.put(json!(points)).await;
    server
}

#[tokio::test]
async fn each_sampled_point_comes_with_the_nearest_of_the_others() {
    let server = line().await;
    let small = json!({"must": {"key": "small", "match": {"value": true}}});
    let body = json!({"sample": 3, "limit": 2, "filter": small}).to_string();
    for _ in 0..10 {
        let answer = server.call("POST", PAIRS, body.clone()).await.result();
        let pairs = answer["pairs"].as_array().unwrap();
        let pair = |p: &Value| {
            (
                p["a"].as_i64().unwrap(),
                p["b"].as_i64().unwrap(),
                p["score"].as_f64().unwrap(),
            )
        };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        assert_eq!(pairs.len(), 6, "of each the two others: {pairs:?}");
        for row in pairs.chunks(2) {
            let [(a, b, near), (same, c, far)] = row else {
                panic!()
            };
            assert!(
                a == same && a != b && a != c && b != c && near <= far,
                "{row:?}"
            );
            for (other, score) in [(b, near), (c, far)] {
                let want = (a * a - other * other).abs();
                assert!(
                    *a < 6 && (score - f64::from(i32::try_from(want).unwrap())).abs() < 1e-4,
                    "{row:?}"
                );
            }
        }
        assert!(pairs.is_sorted_by_key(|p| p.0));
    }
}

#[tokio::test]
async fn offsets_say_the_same_by_places() {
    let server = line().await;
    let body = json!({"sample": 50, "limit": 1}).to_string();
    let answer = server.call("POST", OFFSETS, body).await.result();
    let numbers = (0..12).collect::<Vec<_>>();
    assert_eq!(answer["ids"], json!(numbers));
    assert_eq!(answer["offsets_row"], json!(numbers));
    // The nearest of a square is the one before.
    assert_eq!(
        answer["offsets_col"],
        json!([1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    );
    assert_eq!(answer["scores"].as_array().unwrap().len(), 12);
    assert_eq!(
        (&answer["scores"][0], &answer["scores"][11]),
        (&json!(1.0), &json!(21.0))
    );
}

#[tokio::test]
async fn one_point_alone_has_no_pairs() {
    let server = line().await;
    let one = json!({"filter": {"must": {"has_id": [4]}}}).to_string();
    let answer = server.call("POST", PAIRS, one.clone()).await.result();
    assert_eq!(answer, json!({"pairs": []}));
    let answer = server.call("POST", OFFSETS, one).await.result();
    assert_eq!(
        answer,
        json!({"offsets_row": [], "offsets_col": [], "scores": [], "ids": []})
    );
}
