//! `quoit serve` as a process: what it keeps, what it refuses to start on, and
//! how it stops.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

#[path = "../support/mod.rs"]
mod support;

mod aliases;
mod deletion;
mod files;
mod folders;
mod indexes;
mod restart;
mod room;

use serde_json::{Value, json};
use support::Client;

/// Makes a collection of four dimensions.
fn create(client: &mut Client, name: &str, shards: u32) {
    let wish = json!({"vectors": {"size": 4, "distance": "Euclid"}, "shard_number": shards});
    assert_eq!(
        client.ok("PUT", &format!("/collections/{name}"), Some(&wish)),
        true
    );
}

/// Puts points in, with ids from `from` on. A point is told by its `mark`.
fn put(client: &mut Client, name: &str, from: u64, count: u64, mark: &str) {
    let point = |id: u64| json!({"id": id, "vector": vector(id), "payload": {"mark": mark}});
    let points: Vec<Value> = (from..from + count).map(point).collect();
    let path = format!("/collections/{name}/points?wait=true");
    client.ok("PUT", &path, Some(&json!({"points": points})));
}

fn vector(id: u64) -> Vec<f32> {
    let part = |n: u64| f32::from(u16::try_from(id / n % 100).unwrap());
    vec![part(1), part(7), part(31), part(100)]
}

/// All of a collection, in the order of ids.
fn everything(client: &mut Client, name: &str) -> Vec<Value> {
    let body = json!({"limit": 10_000, "with_payload": true, "with_vector": true});
    let page = client.ok(
        "POST",
        &format!("/collections/{name}/points/scroll"),
        Some(&body),
    );
    assert_eq!(page["next_page_offset"], Value::Null);
    page["points"].as_array().unwrap().clone()
}

fn info(client: &mut Client, name: &str) -> Value {
    client.ok("GET", &format!("/collections/{name}"), None)
}

fn count(client: &mut Client, name: &str) -> Value {
    client.ok(
        "POST",
        &format!("/collections/{name}/points/count"),
        Some(&json!({})),
    )["count"]
        .take()
}

fn names(client: &mut Client) -> Vec<String> {
    let list = client.ok("GET", "/collections", None);
    let names = list["collections"].as_array().unwrap().iter();
    names
        .map(|c| c["name"].as_str().unwrap().to_owned())
        .collect()
}
