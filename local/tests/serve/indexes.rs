//! Payload indexes of a served collection: made by clients and by files, there
//! after a restart, and whose they are.

use crate::files::file;
use crate::support::{Client, Server, data_dir, wait_for};
use crate::{create, info, put};
use serde_json::{Value, json};

const INDEX: &str = "/collections/docs/index";

fn index(field: &str, kind: &str) -> Value {
    json!({"field_name": field, "field_schema": kind})
}

/// The description of the indexes when all points are in them.
fn indexed(client: &mut Client, points: u64) -> Value {
    wait_for("the indexes", || {
        let schema = info(client, "docs")["payload_schema"].clone();
        let mut fields = schema.as_object().unwrap().values();
        fields.all(|f| f["points"] == points).then_some(schema)
    })
}

fn count_marked(client: &mut Client, mark: &str) -> Value {
    let filter = json!({"must": {"key": "mark", "match": {"value": mark}}});
    let body = json!({"filter": filter});
    let path = "/collections/docs/points/count";
    client.ok("POST", path, Some(&body))["count"].take()
}

#[test]
fn an_index_that_a_client_made_is_there_after_a_kill_and_gone_after_it_was_dropped() {
    let dir = data_dir();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    create(&mut client, "docs", 3);
    put(&mut client, "docs", 0, 400, "x");
    client.ok("PUT", INDEX, Some(&index("mark", "keyword")));
    client.ok("PUT", INDEX, Some(&index("deep.n", "integer")));
    put(&mut client, "docs", 300, 200, "y");
    let expected = json!({
        "mark": {"data_type": "keyword", "points": 500},
        "deep.n": {"data_type": "integer", "points": 500},
    });
    assert_eq!(indexed(&mut client, 500), expected);
    assert_eq!(count_marked(&mut client, "x"), 300);
    server.kill();

    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(count_marked(&mut client, "y"), 200);
    assert_eq!(indexed(&mut client, 500), expected);
    assert_eq!(count_marked(&mut client, "y"), 200);
    client.ok("DELETE", &format!("{INDEX}/mark"), None);
    client.ok("DELETE", &format!("{INDEX}/mark"), None);
    server.stop();
    let server = Server::start(dir.path(), &[]);
    let expected = json!({"deep.n": {"data_type": "integer", "points": 500}});
    assert_eq!(indexed(&mut server.client(), 500), expected);
}

#[test]
fn indexes_of_a_file_come_and_go_with_it_and_are_not_for_clients_to_drop() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let spec = |indexes: &str| {
        format!("{{dimension: 4, metric: Euclid, shards: 2, payloadIndexes: {indexes}}}")
    };
    let start = |indexes: &str| {
        let path = file(dir.path(), &spec(indexes));
        Server::start(&data, &["-f", path.to_str().unwrap()])
    };
    let server = start("[{field: mark, type: keyword}, {field: old, type: geo}]");
    let mut client = server.client();
    put(&mut client, "docs", 0, 100, "x");
    client.ok("PUT", INDEX, Some(&index("mine", "bool")));
    for (method, path, body) in [
        ("DELETE", format!("{INDEX}/mark"), None),
        ("DELETE", format!("{INDEX}/%22mark%22"), None),
        ("PUT", INDEX.into(), Some(index("mark", "text"))),
    ] {
        let answer = client.call(method, &path, body.as_ref()).unwrap();
        assert_eq!(answer.status, 409);
        let error = answer.json()["status"]["error"].clone();
        assert!(
            error.as_str().unwrap().contains("spec.payloadIndexes"),
            "{error}"
        );
    }
    // The same again is no change.
    client.ok("PUT", INDEX, Some(&index("mark", "keyword")));
    let kinds = |schema: &Value| {
        let fields = schema.as_object().unwrap().iter();
        let kinds =
            fields.map(|(field, f)| format!("{field} {}", f["data_type"].as_str().unwrap()));
        kinds.collect::<Vec<_>>()
    };
    let schema = indexed(&mut client, 100);
    assert_eq!(kinds(&schema), ["mark keyword", "mine bool", "old geo"]);
    server.stop();

    let server = start("[{field: mark, type: text}, {field: new, type: uuid}]");
    let schema = indexed(&mut server.client(), 100);
    assert_eq!(kinds(&schema), ["mark text", "mine bool", "new uuid"]);
    server.stop();
    let server = Server::start(&data, &[]);
    let schema = indexed(&mut server.client(), 100);
    assert_eq!(kinds(&schema), ["mark text", "mine bool", "new uuid"]);
}

#[test]
fn the_words_of_a_text_index_are_those_of_the_file_or_of_the_client_also_after_a_restart() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let indexes = "[{field: mark, type: text, text: {tokenizer: prefix, minTokenLen: 2}}]";
    let spec = format!("{{dimension: 4, metric: Euclid, shards: 2, payloadIndexes: {indexes}}}");
    let path = file(dir.path(), &spec);
    let server = Server::start(&data, &["-f", path.to_str().unwrap()]);
    let mut client = server.client();
    put(&mut client, "docs", 0, 100, "Terminal");
    let tuned = json!({"type": "text", "tokenizer": "whitespace", "lowercase": false});
    let body = json!({"field_name": "deep.word", "field_schema": tuned});
    client.ok("PUT", INDEX, Some(&body));
    let count = |client: &mut Client, words: &str| {
        let filter = json!({"must": {"key": "mark", "match": {"text": words}}});
        let path = "/collections/docs/points/count";
        client.ok("POST", path, Some(&json!({"filter": filter})))["count"].clone()
    };
    let check = |client: &mut Client| {
        assert_eq!(count(client, "term"), 100);
        assert_eq!(count(client, "t"), 0);
        assert_eq!(count(client, "inal"), 0);
        let schema = indexed(client, 100);
        let prefix =
            json!({"type": "text", "tokenizer": "prefix", "lowercase": true, "min_token_len": 2});
        assert_eq!(schema["mark"]["params"], prefix);
        let own = json!({"type": "text", "tokenizer": "whitespace", "lowercase": false, "min_token_len": 1});
        assert_eq!(schema["deep.word"]["params"], own);
    };
    check(&mut client);
    server.stop();
    let server = Server::start(&data, &[]);
    check(&mut server.client());
}

#[test]
fn an_index_without_room_in_memory_is_told_of_and_filters_are_right_without_it() {
    let dir = data_dir();
    let server = Server::start(dir.path(), &["--payload-index-bytes", "20000"]);
    let mut client = server.client();
    create(&mut client, "docs", 2);
    put(&mut client, "docs", 0, 300, "x");
    client.ok("PUT", INDEX, Some(&index("mark", "keyword")));
    assert_eq!(indexed(&mut client, 300)["mark"]["points"], 300);
    let points: Vec<Value> = (0..300)
        .map(|id| json!({"id": id, "vector": [1, 2, 3, 4], "payload": {"mark": format!("mark {id}")}}))
        .collect();
    let path = "/collections/docs/points?wait=true";
    client.ok("PUT", path, Some(&json!({"points": points})));
    let info = info(&mut client, "docs");
    assert_eq!(info["status"], "yellow");
    let warning = info["warnings"][0]["message"].as_str().unwrap();
    assert!(
        warning.contains("the index of mark is given up"),
        "{warning}"
    );
    assert!(warning.contains("give them more memory"), "{warning}");
    assert_eq!(count_marked(&mut client, "mark 7"), 1);
}
