//! The description of the API says what the server does: which routes there
//! are, what they take and what they answer.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use quoit_proto::ErrorKind;
use serde_json::{Value, json};

use crate::bodies::calls;
use crate::fuzz::{any_json, graft, key, setting};
use crate::schema;
use crate::support::{Answer, Server};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// One operation of the document.
pub struct Operation {
    pub method: String,
    /// As the document has it.
    pub path: String,
    told: Value,
}

impl Operation {
    /// The path with what there is in the place of its variables.
    fn real_path(&self) -> String {
        let path = self.path.replace("{collection_name}", "docs");
        path.replace("{id}", "1").replace("{field_name}", "city")
    }

    fn is_at(&self, method: &str, path: &str) -> bool {
        let (own, other) = (self.path.split('/'), path.split('/'));
        let same = |(own, other): (&str, &str)| own == other || own.starts_with('{');
        self.method == method
            && own.clone().count() == other.clone().count()
            && own.zip(other).all(same)
    }

    pub fn has_param(&self, name: &str) -> bool {
        let params = self.told["parameters"].as_array().into_iter().flatten();
        params.into_iter().any(|param| param["name"] == name)
    }
}

pub fn document() -> Value {
    serde_json::from_str(quoit_router::openapi().unwrap()).unwrap()
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, told) in item.as_object().unwrap() {
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                told: told.clone(),
            });
        }
    }
    all
}

/// The operation of a call: of paths that fit, the one with the fewest variables.
pub fn operation<'a>(all: &'a [Operation], method: &str, path: &str) -> &'a Operation {
    let fitting = all.iter().filter(|one| one.is_at(method, path));
    let best = fitting.min_by_key(|one| one.path.matches('{').count());
    best.unwrap_or_else(|| panic!("{method} {path} is not in the document"))
}

/// Objects with no other fields than those that they are said to have.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && fields["properties"].is_object() {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

fn body_of(told: &Value) -> &Value {
    &told["requestBody"]["content"]["application/json"]["schema"]
}

fn answer_of(told: &Value) -> &Value {
    &told["responses"]["200"]["content"]["application/json"]["schema"]
}

#[track_caller]
fn check(document: &Value, schema: &Value, value: &Value, what: &str) {
    if let Err(wrong) = schema::check(document, schema, value, "") {
        panic!("{what}: {value}: {wrong}");
    }
}

/// `docs` with points that have payloads, and an alias.
async fn fill(server: &Server) {
    let point = |id: u64, city: &str| json!({"id": id, "vector": [id, 2, 3], "payload": {"city": city, "n": id, "a": 1}});
    let points = [point(1, "Berlin"), point(2, "Paris"), point(3, "Berlin")];
    server.put(json!(points)).await;
    let alias =
        json!({"actions": [{"create_alias": {"collection_name": "docs", "alias_name": "d"}}]});
    let made = server.call("POST", "/collections/aliases", alias.to_string());
    made.await.result();
}

async fn filled() -> Server {
    let server = Server::docs(2, "Cosine").await;
    fill(&server).await;
    server
}

fn is_not_yet(answer: &Answer) -> bool {
    answer.status == 400 && answer.error().contains("not supported yet")
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let file = "docs/openapi.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        Some(committed.as_str()) == quoit_router::openapi(),
        "{file} differs from the handlers; run\n  make openapi"
    );
}

/// A path without the names of its variables.
fn unnamed(path: &str) -> String {
    let mut inside = false;
    let kept = path.chars().filter(|c| {
        inside = (inside || *c == '{') && *c != '}';
        !inside || *c == '{'
    });
    kept.collect()
}

#[test]
fn the_page_on_the_api_has_each_operation_of_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let page = unnamed(&fs::read_to_string(path).unwrap());
    let document = document();
    let missing: Vec<_> = operations(&document)
        .into_iter()
        .filter(|operation| {
            let path = unnamed(&operation.path);
            // As a whole, or after an ellipsis.
            let ends = path.match_indices('/').map(|(at, _)| &path[at..]);
            let mut ends = ends.map(|end| format!("…{end}`"));
            !page.contains(&format!("{path}`")) && !ends.any(|end| page.contains(&end))
        })
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
}

#[tokio::test]
async fn the_document_is_served_as_it_is_committed() {
    let server = Server::new(1);
    let answer = server.call("GET", "/openapi.json", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(Some(answer.text.as_str()), quoit_router::openapi());
}

#[tokio::test]
async fn each_operation_of_the_document_is_served() {
    let all = operations(&document());
    assert!(all.len() > 40, "{}", all.len());
    for operation in all {
        // Each for itself: some of them delete what others need.
        let server = filled().await;
        let path = operation.real_path();
        let answer = server.call(&operation.method, &path, "").await;
        assert!(
            answer.status != 404 && answer.status != 405,
            "{} {path}: {}",
            operation.method,
            answer.text
        );
        let is_well = operation.told.get("requestBody").is_none();
        assert_eq!(answer.status == 200, is_well, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_other_method_of_these_paths_is_served() {
    let server = filled().await;
    let all = operations(&document());
    for path in all.iter().map(Operation::real_path) {
        for method in METHODS {
            if all.iter().any(|one| one.is_at(method, &path)) {
                continue;
            }
            let answer = server.call(method, &path, "").await;
            assert!(
                answer.status == 405 || is_not_yet(&answer),
                "{method} {path} is served and not in the document: {}",
                answer.text
            );
        }
    }
}

#[test]
fn each_operation_has_a_name_of_its_own_and_says_what_it_is() {
    let document = document();
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().collect();
    let mut names = Vec::new();
    for Operation { path, told, .. } in operations(&document) {
        let name = told["operationId"].as_str().unwrap().to_owned();
        assert!(!names.contains(&name), "{name} is there twice");
        names.push(name);
        let summary = told["summary"].as_str().unwrap();
        assert!(!summary.is_empty() && !summary.contains('\n'), "{path}");
        let tag = &told["tags"][0];
        assert!(tags.iter().any(|known| known["name"] == *tag), "{path}");
        if tag != "Service" {
            for failed in ["4XX", "5XX"] {
                assert!(told["responses"][failed].is_object(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn right_bodies_and_their_answers_are_as_described() {
    let mut document = document();
    closed(&mut document["components"]);
    closed(&mut document["paths"]);
    let all = operations(&document);
    let calls = calls();
    for (method, path, body) in &calls {
        let server = filled().await;
        let told = &operation(&all, method, path).told;
        let what = format!("{method} {path}");
        check(&document, body_of(told), body, &what);
        let answer = server.call(method, path, body.to_string()).await;
        assert_eq!(answer.status, 200, "{what} {body}: {}", answer.text);
        check(&document, answer_of(told), &answer.json(), &what);
    }
    for one in all.iter().filter(|one| !body_of(&one.told).is_null()) {
        let found = calls.iter().any(|(method, path, _)| {
            let own = operation(&all, method, path);
            (&own.method, &own.path) == (&one.method, &one.path)
        });
        assert!(found, "{} {} has no right body", one.method, one.path);
    }
}

#[tokio::test]
async fn answers_to_calls_without_a_body_are_as_described() {
    let mut document = document();
    closed(&mut document["components"]);
    closed(&mut document["paths"]);
    for one in operations(&document) {
        if !body_of(&one.told).is_null() {
            continue;
        }
        let server = filled().await;
        let path = one.real_path();
        let answer = server.call(&one.method, &path, "").await;
        match answer_of(&one.told) {
            Value::Null => {
                let content = &one.told["responses"]["200"]["content"];
                assert!(content["text/plain"].is_object(), "{path}");
            }
            schema => check(&document, schema, &answer.json(), &path),
        }
    }
}

#[tokio::test]
async fn explanations_are_as_described() {
    let mut document = document();
    closed(&mut document["components"]);
    closed(&mut document["paths"]);
    let all = operations(&document);
    let server = filled().await;
    let mut seen = 0;
    for (method, path, body) in calls() {
        let one = operation(&all, method, path);
        let asking = format!("{path}?explain=true");
        let answer = server.call(method, &asking, body.to_string()).await.json();
        let explains = answer.get("explain").is_some();
        assert_eq!(explains, one.has_param("explain"), "{method} {path}");
        if explains {
            check(&document, answer_of(&one.told), &answer, path);
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

#[tokio::test]
async fn answers_without_a_shard_are_as_described() {
    let mut document = document();
    closed(&mut document["components"]);
    closed(&mut document["paths"]);
    let all = operations(&document);
    let server = filled().await;
    server.catalog.shards("docs")[1].fail(ErrorKind::Unavailable);
    let mut seen = 0;
    for (method, path, body) in calls() {
        let one = operation(&all, method, path);
        if !one.has_param("partial") {
            continue;
        }
        let going_without = format!("{path}?partial=true");
        let answer = server.call(method, &going_without, body.to_string()).await;
        if answer.status == 503 {
            // What it starts from is an id, and it may be in that shard.
            continue;
        }
        let answer = answer.json();
        assert_eq!(
            answer["partial"]["missing_shards"],
            json!([1]),
            "{path}: {answer}"
        );
        check(&document, answer_of(&one.told), &answer, path);
        seen += 1;
    }
    assert!(seen > 12, "{seen}");
}

#[tokio::test]
async fn what_is_refused_is_answered_as_described() {
    let document = document();
    let failed = &document["components"]["responses"]["Failed"]["content"]["application/json"];
    let server = Server::docs(2, "Cosine").await;
    for (method, path, _) in calls() {
        let answer = server.call(method, path, "7").await;
        assert_eq!(answer.status, 400, "{method} {path}");
        check(&document, &failed["schema"], &answer.json(), path);
    }
    let answer = server.call("GET", "/collections/nowhere", "").await;
    check(&document, &failed["schema"], &answer.json(), "nowhere");
}

/// The same without fields that are null: mostly that is as good as absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, field)| !field.is_null());
            let fields = fields.map(|(name, field)| (name, without_nulls(field)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[test]
fn whatever_is_taken_in_is_as_described() {
    let (runtime, server) = setting();
    runtime.block_on(fill(&server));
    let document = document();
    let all = operations(&document);
    let calls: Vec<_> = calls()
        .into_iter()
        .map(|(method, path, body)| {
            let told = &operation(&all, method, path).told;
            (method, path, body, body_of(told))
        })
        .collect();
    proptest!(|(
        path in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        key in key(),
        what in any_json(),
    )| {
        for (method, at, body, schema) in &calls {
            let mut body = body.clone();
            graft(&mut body, &path, &key, what.clone());
            let answer = runtime.block_on(server.call(method, at, body.to_string()));
            let is_described = |body| schema::check(&document, schema, body, "").is_ok();
            prop_assert!(
                answer.status != 200 || is_described(&body) || is_described(&without_nulls(body.clone())),
                "{} {} takes {} that is not described", method, at, body
            );
        }
    });
}
