//! Payload indexes: every form in which clients ask for one.

use std::collections::BTreeMap;

use quoit_columns::Kind;
use quoit_filter::Analyzer;
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
