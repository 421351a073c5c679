//! `quoit explain` against a running server, as a user types it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use serde_json::{Value, json};
use support::{Said, Server, data_dir, quoit, run};

const QUERY: &str =
    r#"{"query": [1, 2, 3], "limit": 4, "filter": {"must": [{"key": "n", "range": {"lt": 9}}]}}"#;

fn explain(server: &str, args: &[&str]) -> Said {
    run(quoit().args(["explain", "--server", server]).args(args))
}

#[test]
fn a_user_is_told_which_way_each_shard_took_and_which_field_has_no_index() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    let body = json!({"vectors": {"size": 3, "distance": "Euclid"}, "shard_number": 2});
    client.ok("PUT", "/collections/docs", Some(&body));
    let point = |n: u32| json!({"id": n, "vector": [n, 1, 2], "payload": {"n": n}});
    let points: Vec<Value> = (0..40).map(point).collect();
    let body = json!({"points": points});
    client.ok("PUT", "/collections/docs/points?wait=true", Some(&body));

    let url = server.url();
    let address = url.trim_start_matches("http://");
    let said = explain(address, &["docs", QUERY]);
    assert!(said.status.success(), "{said:?}");
    for part in [
        "4 points in ",
        "query: nearest",
        "shard 0  scan: ",
        "shard 1  scan: ",
        "without an index: n",
        "payloads read",
    ] {
        assert!(said.out.contains(part), "no {part:?} in {}", said.out);
    }

    let file = data.path().join("query.json");
    std::fs::write(&file, QUERY).unwrap();
    let said = explain(
        address,
        &["docs", "-f", file.to_str().unwrap(), "-o", "json"],
    );
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let shards = told["steps"][0]["shards"].as_array().unwrap();
    let compared: u64 = shards.iter().map(|s| s["compared"].as_u64().unwrap()).sum();
    assert_eq!(compared, 40);

    // What is wrong is said with the remedy, and nothing else is.
    for (args, parts) in [
        (&["other", QUERY][..], &["other", "404"][..]),
        (&["docs", "{query: 1}"], &["not JSON", "quote it"]),
        (&["docs", r#"{"limit": "many"}"#], &["limit", "400"]),
        (
            &["docs", "-f", "/nowhere/query.json"],
            &["--file /nowhere/query.json", "cannot be read"],
        ),
        (&["docs"], &["JSON", "--help"]),
    ] {
        let said = explain(address, args);
        assert!(!said.status.success() && said.out.is_empty(), "{said:?}");
        for part in parts {
            assert!(said.err.contains(part), "no {part:?} in {}", said.err);
        }
    }
    server.stop();
    let said = explain(address, &["docs", QUERY]);
    assert!(said.err.contains("cannot connect"), "{said:?}");
}
