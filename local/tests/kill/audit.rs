//! Reads back everything after a kill, in every way there is, and compares it
//! with what the writers know.

use crate::model::{Model, State, WRITERS, id_of, payload_of, vector_of};
use crate::support::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Searches of one request.
const BATCH: usize = 100;

/// Checks everything; what is found is what must be there from now on. Says
/// how many points there are.
pub fn check(client: &mut Client, models: &mut [Model]) -> usize {
    let all = scroll(client);
    let numbers: BTreeMap<String, u64> = models
        .iter()
        .flat_map(|m| m.points.keys())
        .map(|p| (id_of(*p).to_string(), *p))
        .collect();
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for point in &all {
        let id = point["id"].to_string();
        let number = numbers
            .get(&id)
            .unwrap_or_else(|| panic!("nobody wrote a point {id}"));
        let stamp = point["payload"]["stamp"].as_u64().unwrap();
        assert_eq!(
            point["payload"],
            payload_of(stamp),
            "the payload of point {id}"
        );
        let vector: Vec<f32> = serde_json::from_value(point["vector"].clone()).unwrap();
        assert_eq!(vector, vector_of(stamp), "the vector of point {id}");
        assert!(
            found.insert(*number, stamp).is_none(),
            "point {id} is there twice"
        );
    }
    for model in &mut *models {
        let points: Vec<u64> = model.points.keys().copied().collect();
        for point in points {
            model.settle(point, found.get(&point).copied());
        }
    }
    let count = client.ok(
        "POST",
        "/collections/docs/points/count",
        Some(&json!({"exact": true})),
    );
    assert_eq!(
        count["count"],
        all.len(),
        "the count is not what a scroll sees"
    );
    let info = client.ok("GET", "/collections/docs", None);
    assert_eq!(info["points_count"], all.len());
    assert_eq!(info["optimizer_status"], "ok");
    filter(client, &found);
    retrieve(client, models);
    search(client, models, &found);
    all.len()
}

/// All points, page by page, in the order of ids.
fn scroll(client: &mut Client) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut from = Value::Null;
    loop {
        let mut body = json!({"limit": 97, "with_payload": true, "with_vector": true});
        if !from.is_null() {
            body["offset"] = from;
        }
        let mut page = client.ok("POST", "/collections/docs/points/scroll", Some(&body));
        let Value::Array(points) = page["points"].take() else {
            panic!("a page without points: {page}")
        };
        all.extend(points);
        from = page["next_page_offset"].take();
        if from.is_null() {
            break;
        }
    }
    // Numbers come before UUIDs.
    let key = |p: &Value| {
        (
            p["id"].as_u64().is_none(),
            p["id"].as_u64(),
            p["id"].to_string(),
        )
    };
    assert!(
        all.iter().map(key).is_sorted_by(|a, b| a < b),
        "the pages are not in the order of ids"
    );
    all
}

/// Points by an indexed field: what the index has of a checkpoint, what was put
/// into it since, and what is not in it yet.
fn filter(client: &mut Client, found: &BTreeMap<u64, u64>) {
    let mut stamps: Vec<u64> = found.values().copied().collect();
    stamps.sort_unstable();
    for part in 0..=4 {
        let Some(stamp) = stamps.get(part * stamps.len().saturating_sub(1) / 4) else {
            continue;
        };
        for (test, below) in [
            (json!({"range": {"lt": stamp}}), true),
            (json!({"match": {"value": stamp}}), false),
        ] {
            let holds = |other: &&u64| {
                if below {
                    *other < stamp
                } else {
                    *other == stamp
                }
            };
            let expected = stamps.iter().filter(holds).count();
            let mut condition = test;
            condition["key"] = json!("stamp");
            let body = json!({"filter": {"must": [condition]}});
            let answer = client.ok("POST", "/collections/docs/points/count", Some(&body));
            assert_eq!(answer["count"], expected, "{body}");
        }
    }
}

/// Points by id, those that are there and those that are not.
fn retrieve(client: &mut Client, models: &[Model]) {
    let known: BTreeMap<String, State> = models
        .iter()
        .flat_map(|m| &m.points)
        .map(|(point, known)| (id_of(*point).to_string(), known.acked))
        .collect();
    let ids: Vec<Value> = models
        .iter()
        .flat_map(|m| m.points.keys())
        .map(|p| id_of(*p))
        .collect();
    let rows = client.ok(
        "POST",
        "/collections/docs/points",
        Some(&json!({"ids": ids})),
    );
    let rows = rows.as_array().unwrap();
    for row in rows {
        let id = row["id"].to_string();
        assert_eq!(
            row["payload"]["stamp"].as_u64(),
            known[&id],
            "point {id} by its id"
        );
    }
    assert_eq!(rows.len(), known.values().flatten().count());
}

/// Each point by its own vector, and whether its version has not fallen.
fn search(client: &mut Client, models: &mut [Model], found: &BTreeMap<u64, u64>) {
    let points: Vec<(u64, u64)> = found.iter().map(|(p, s)| (*p, *s)).collect();
    let mut missed_by_graph = 0;
    for batch in points.chunks(BATCH) {
        let exact = nearest(client, batch, true);
        let by_graph = nearest(client, batch, false);
        for (((point, stamp), exact), by_graph) in batch.iter().zip(exact).zip(by_graph) {
            let id = id_of(*point);
            assert_eq!(
                exact["id"], id,
                "nearest to the vector of write {stamp} is {exact}"
            );
            assert_eq!(exact["score"].as_f64(), Some(0.0), "{exact}");
            missed_by_graph += usize::from(by_graph["id"] != id);
            let version = exact["version"].as_u64().unwrap();
            let model = &mut models[usize::try_from(point % WRITERS).unwrap()];
            let known = model.points.get_mut(point).unwrap();
            match known.version {
                Some((of, before)) if of == *stamp => {
                    assert_eq!(version, before, "nobody changed point {id}");
                }
                Some((_, before)) => assert!(
                    version > before,
                    "the version of point {id} went from {before} to {version}"
                ),
                None => {}
            }
            known.version = Some((*stamp, version));
        }
    }
    // A graph may miss one in a hundred, by its nature.
    assert!(
        missed_by_graph * 100 <= points.len(),
        "the graph misses {missed_by_graph} of {}",
        points.len()
    );
}

fn nearest(client: &mut Client, batch: &[(u64, u64)], exact: bool) -> Vec<Value> {
    let query =
        |stamp: u64| json!({"query": vector_of(stamp), "limit": 1, "params": {"exact": exact}});
    let searches: Vec<Value> = batch.iter().map(|(_, stamp)| query(*stamp)).collect();
    let body = json!({"searches": searches});
    let mut results = client.ok("POST", "/collections/docs/points/query/batch", Some(&body));
    let results = results.as_array_mut().unwrap();
    results.iter_mut().map(|r| r["points"][0].take()).collect()
}
