//! Bodies that no client would send: whatever they are, the answer is an
//! envelope, and never the server's fault.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::bodies::calls;
use crate::support::Server;

pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!(0)),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Keys that mean something in some place, mostly.
pub fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "", "points", "batch", "ids", "id", "vector", "vectors", "payload", "payloads", "query",
            "nearest", "mmr", "limit", "offset", "filter", "must", "should", "params", "hnsw_ef",
            "with_payload", "include", "exclude", "name", "prefetch", "fusion", "rrf", "k", "weights", "recommend",
            "positive", "negative", "strategy", "group_by", "group_size", "diversity", "candidates_limit", "sample", "score_threshold", "indices", "text", "size", "distance",
            "$serde_json::private::RawValue", "$serde_json::private::Number",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

/// Puts `what` in the place of some part of a value, or beside it.
pub fn graft(value: &mut Value, path: &[prop::sample::Index], key: &str, what: Value) {
    let here = path.is_empty();
    match value {
        Value::Object(fields) if here => {
            fields.insert(key.to_owned(), what);
        }
        Value::Object(fields) if !fields.is_empty() => {
            let at = path[0].index(fields.len());
            if let Some(inner) = fields.values_mut().nth(at) {
                graft(inner, &path[1..], key, what);
            }
        }
        Value::Array(items) if !here && !items.is_empty() => {
            let at = path[0].index(items.len());
            graft(&mut items[at], &path[1..], key, what);
        }
        other => *other = what,
    }
}

fn answered(runtime: &Runtime, server: &Server, method: &str, path: &str, body: Vec<u8>) {
    let shown = String::from_utf8_lossy(&body).into_owned();
    let answer = runtime.block_on(server.call(method, path, body));
    assert!(
        answer.status.as_u16() < 500,
        "{method} {path} {shown}: {}",
        answer.text
    );
    let json = answer.json();
    if answer.status.is_success() {
        assert_eq!(json["status"], "ok", "{shown}: {}", answer.text);
    } else {
        assert!(!answer.error().is_empty(), "{shown}");
    }
}

pub fn setting() -> (Runtime, Server) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(Server::docs(2, "Cosine"));
    (runtime, server)
}

#[test]
fn any_json_is_answered() {
    let (runtime, server) = setting();
    proptest!(|(body in any_json())| {
        for (method, path, _) in calls() {
            answered(&runtime, &server, method, path, body.to_string().into_bytes());
        }
    });
}

#[test]
fn a_right_body_with_something_odd_in_it_is_answered() {
    let (runtime, server) = setting();
    proptest!(ProptestConfig::with_cases(512), |(
        path in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        key in key(),
        what in any_json(),
    )| {
        for (method, at, mut body) in calls() {
            graft(&mut body, &path, &key, what.clone());
            answered(&runtime, &server, method, at, body.to_string().into_bytes());
        }
    });
}

#[test]
fn a_right_body_with_broken_bytes_is_answered() {
    let (runtime, server) = setting();
    proptest!(|(
        at in any::<prop::sample::Index>(),
        cut in any::<bool>(),
        with in prop::collection::vec(any::<u8>(), 0..4),
    )| {
        for (method, path, body) in calls() {
            let mut bytes = body.to_string().into_bytes();
            let at = at.index(bytes.len());
            let end = if cut { bytes.len() } else { (at + with.len()).min(bytes.len()) };
            bytes.splice(at..end, with.iter().copied());
            answered(&runtime, &server, method, path, bytes);
        }
    });
}

#[test]
fn what_was_taken_in_can_be_read_by_everyone() {
    let (runtime, server) = setting();
    proptest!(|(payload in any_json(), keys in prop::collection::vec("[a-z]{0,3}", 0..3))| {
        let body = json!({"points": [{"id": 1, "vector": [1, 2, 3], "payload": payload}]});
        let put = runtime.block_on(server.call("PUT", "/collections/docs/points", body.to_string()));
        if put.status.is_success() {
            let got = runtime.block_on(server.call("GET", "/collections/docs/points/1", ""));
            let want = if payload.is_null() { json!({}) } else { payload };
            prop_assert_eq!(&got.result()["payload"], &want);
            let body = json!({"ids": [1], "with_payload": {"exclude": keys}});
            let got = runtime.block_on(server.call("POST", "/collections/docs/points", body.to_string()));
            let mut want = want.as_object().cloned().unwrap_or_default();
            want.retain(|k, _| !keys.contains(k));
            prop_assert_eq!(&got.result()[0]["payload"], &Value::Object(want));
        }
    });
}
