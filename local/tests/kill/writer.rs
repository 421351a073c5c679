//! One thread that writes until the server is gone: new points, others in
//! their place, deletes, and now and then a look at what it has just written.

use crate::model::{Model, State, id_of, payload_of, vector_of};
use crate::support::Client;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

const POINTS: &str = "/collections/docs/points";

/// Writes until the server does not answer, or says that it stops.
pub fn write(mut client: Client, mut model: Model, seed: u64, stopping: &AtomicBool) -> Model {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let (path, body, changes) = match random.random_range(0..10) {
            0..=2 => delete(&mut model, &mut random),
            3 | 4 => upsert_in_columns(&mut model, &mut random),
            _ => upsert(&mut model, &mut random),
        };
        model.ask(&changes);
        let method = if path.ends_with("/delete?wait=true") {
            "POST"
        } else {
            "PUT"
        };
        let Ok(answer) = client.call(method, &path, Some(&body)) else {
            model.unknown += 1;
            return model;
        };
        if answer.status != 200 {
            // A server that stops may refuse; what it says then is not an
            // acknowledgement, so the change may be there or not.
            assert!(
                stopping.load(Ordering::SeqCst),
                "{}: {}",
                answer.status,
                answer.error()
            );
            model.unknown += 1;
            return model;
        }
        model.acknowledge(&changes);
        if random.random_ratio(1, 4) && !read_own_write(&mut client, &changes, stopping) {
            return model;
        }
    }
}

/// Whether what was just acknowledged is seen at once; `false` where the server
/// is gone.
fn read_own_write(client: &mut Client, changes: &[(u64, State)], stopping: &AtomicBool) -> bool {
    let (point, state) = changes.last().unwrap();
    let id = id_of(*point);
    let path = format!(
        "{POINTS}/{}",
        id.as_str().map_or_else(|| id.to_string(), str::to_owned)
    );
    let Ok(answer) = client.call("GET", &path, None) else {
        return false;
    };
    let found = match answer.status {
        200 => answer.json()["result"]["payload"]["stamp"].as_u64(),
        404 => None,
        other if stopping.load(Ordering::SeqCst) => {
            assert_eq!(other, 503, "{}", answer.error());
            return false;
        }
        other => panic!("{path}: {other} {}", answer.error()),
    };
    assert_eq!(
        found, *state,
        "point {id} is not what was just acknowledged"
    );
    true
}

/// Some of the writer's points; of each one change, its last.
fn some(model: &Model, random: &mut StdRng, most: usize) -> Vec<u64> {
    let count = random.random_range(1..=most);
    model.points.keys().copied().choose_multiple(random, count)
}

fn upsert(model: &mut Model, random: &mut StdRng) -> (String, Value, Vec<(u64, State)>) {
    let mut points = Vec::new();
    let mut changes = Vec::new();
    for point in some(model, random, 16) {
        // Of two with the same id in one request the last one counts.
        for _ in 0..if random.random_ratio(1, 10) { 2 } else { 1 } {
            let stamp = model.stamp();
            points.push(json!({"id": id_of(point), "vector": vector_of(stamp), "payload": payload_of(stamp)}));
            changes.push((point, Some(stamp)));
        }
    }
    (
        format!("{POINTS}?wait=true"),
        json!({"points": points}),
        changes,
    )
}

fn upsert_in_columns(model: &mut Model, random: &mut StdRng) -> (String, Value, Vec<(u64, State)>) {
    let points = some(model, random, 4);
    let changes: Vec<(u64, State)> = points
        .into_iter()
        .map(|p| (p, Some(model.stamp())))
        .collect();
    let stamps: Vec<u64> = changes.iter().map(|(_, s)| s.unwrap()).collect();
    let body = json!({"batch": {
        "ids": changes.iter().map(|(p, _)| id_of(*p)).collect::<Vec<_>>(),
        "vectors": stamps.iter().map(|s| vector_of(*s)).collect::<Vec<_>>(),
        "payloads": stamps.iter().map(|s| payload_of(*s)).collect::<Vec<_>>(),
    }});
    (format!("{POINTS}?wait=true"), body, changes)
}

fn delete(model: &mut Model, random: &mut StdRng) -> (String, Value, Vec<(u64, State)>) {
    let points = some(model, random, 6);
    let ids: Vec<Value> = points.iter().map(|p| id_of(*p)).collect();
    let changes = points.into_iter().map(|p| (p, None)).collect();
    (
        format!("{POINTS}/delete?wait=true"),
        json!({"points": ids}),
        changes,
    )
}
