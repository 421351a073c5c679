//! Payload indexes: every form in which clients ask for one.

use std::collections::BTreeMap;

use quoit_columns::Kind;
use quoit_filter::{Analyzer, Tokenizer};
use serde_json::{Value, json};

use crate::support::Server;

async fn create(server: &Server, field: &str, schema: Value) {
    let body = json!({"field_name": field, "field_schema": schema}).to_string();
    let answer = server
        .call("PUT", "/collections/docs/index?wait=true", body)
        .await;
    assert_eq!(answer.result()["status"], "completed");
}

#[tokio::test]
async fn an_index_is_made_of_a_type_by_name_or_with_what_tunes_it() {
    let server = Server::docs(2, "Dot").await;
    let text =
        json!({"type": "text", "tokenizer": "word", "lowercase": true, "min_token_len": null});
    for (field, schema) in [
        ("a", json!("keyword")),
        ("b.c", json!("integer")),
        (
            "b[].d",
            json!({"type": "float", "on_disk": true, "is_principal": false}),
        ),
        (
            "e",
            json!({"type": "integer", "lookup": true, "range": false}),
        ),
        ("\"f g\"", json!("uuid")),
        ("h", text),
        ("i", json!("datetime")),
        ("j", json!("geo")),
        ("k", json!({"type": "bool"})),
        ("a", json!("geo")),
        (
            "l",
            json!({"type": "text", "tokenizer": "prefix", "lowercase": false, "min_token_len": 2, "max_token_len": 9}),
        ),
        ("m", json!({"type": "text", "tokenizer": "multilingual"})),
    ] {
        create(&server, field, schema).await;
    }
    let expected = [
        ("a", Kind::Geo),
        ("b.c", Kind::Integer),
        ("b[].d", Kind::Float),
        ("e", Kind::Integer),
        ("\"f g\"", Kind::Uuid),
        ("h", Kind::Text(Analyzer::default())),
        ("i", Kind::Datetime),
        ("j", Kind::Geo),
        ("k", Kind::Bool),
        (
            "l",
            Kind::Text(Analyzer {
                tokenizer: Tokenizer::Prefix,
                lowercase: false,
                min_token_len: 2,
                max_token_len: 9,
            }),
        ),
        (
            "m",
            Kind::Text(Analyzer {
                tokenizer: Tokenizer::Multilingual,
                ..Analyzer::default()
            }),
        ),
    ];
    let expected = expected.map(|(field, kind)| (field.to_owned(), kind));
    assert_eq!(server.catalog.indexes(), BTreeMap::from(expected));
}

#[tokio::test]
async fn an_index_is_dropped_by_its_field_and_one_that_is_not_there_is_gone_already() {
    let server = Server::docs(2, "Dot").await;
    create(&server, "b[].c", json!("keyword")).await;
    for _ in 0..2 {
        let path = "/collections/docs/index/b%5B%5D.c";
        let answer = server.call("DELETE", path, "").await;
        assert_eq!(answer.result()["status"], "acknowledged");
        assert!(server.catalog.indexes().is_empty());
    }
}

#[tokio::test]
async fn values_are_counted_over_all_shards_the_most_frequent_first() {
    let server = Server::docs(3, "Dot").await;
    let words = ["b", "a", "c", "a", "b", "a", "d", "b"];
    let point =
        |(n, word): (usize, &&str)| json!({"id": n, "vector": [1, 1, 1], "payload": {"w": word}});
    server
        .put(words.iter().enumerate().map(point).collect())
        .await;
    let facet = async |body: Value| {
        let path = "/collections/docs/facet";
        let answer = server.call("POST", path, body.to_string()).await;
        let hits = answer.result()["hits"].as_array().unwrap().clone();
        let hit = |h: &Value| format!("{} {}", h["value"].as_str().unwrap(), h["count"]);
        hits.iter().map(hit).collect::<Vec<_>>()
    };
    let all = facet(json!({"key": "w"})).await;
    assert_eq!(all, ["a 3", "b 3", "c 1", "d 1"]);
    let some = json!({"key": "w", "limit": 2, "filter": {"must_not": {"has_id": [1, 2]}}});
    assert_eq!(facet(some).await, ["b 3", "a 2"]);
}
