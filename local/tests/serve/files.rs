//! What `-f` makes, changes and refuses.

use crate::support::{Server, data_dir, refuses};
use crate::{count, info, names, put};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A file with one collection, `docs`, and this spec.
pub fn file(dir: &Path, spec: &str) -> PathBuf {
    let path = dir.join("docs.yaml");
    let text = format!(
        "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {{name: docs}}\nspec: {spec}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

const SPEC: &str = "{dimension: 4, metric: Euclid, shards: 2, ring: {vnodes: 128}}";

#[test]
fn a_file_makes_its_collections_once() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let more = dir.path().join("more.yaml");
    let text = "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {name: a}\nspec: {dimension: 3, metric: Cosine}\n---\napiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {name: b}\nspec:\n  vectors: [{name: \"\", dimension: 5, metric: Dot, index: {type: Flat}}]\n";
    std::fs::write(&more, text).unwrap();
    let args = [
        "-f",
        path.to_str().unwrap(),
        "--file",
        more.to_str().unwrap(),
    ];
    for start in 0..2 {
        let server = Server::start(&data, &args);
        let mut client = server.client();
        assert_eq!(names(&mut client), ["a", "b", "docs"]);
        let docs = info(&mut client, "docs");
        assert_eq!(
            docs["config"]["params"]["vectors"],
            json!({"size": 4, "distance": "Euclid"})
        );
        assert_eq!(docs["config"]["params"]["shard_number"], 2);
        assert_eq!(
            info(&mut client, "b")["config"]["params"]["vectors"]["distance"],
            "Dot"
        );
        put(&mut client, "docs", start * 10, 10, "x");
        assert_eq!(count(&mut client, "docs"), (start + 1) * 10);
        let log = server.stop();
        // By default a collection asks for three copies.
        assert_eq!(
            log.contains("keeps one copy of each shard"),
            start == 0,
            "{log}"
        );
    }
    // Without the files the collections are there all the same.
    let server = Server::start(&data, &[]);
    assert_eq!(names(&mut server.client()), ["a", "b", "docs"]);
    server.stop();
}

#[test]
fn a_changed_field_that_cannot_change_is_refused_and_changes_nothing() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let args = ["-f", path.to_str().unwrap()];
    let server = Server::start(&data, &args);
    put(&mut server.client(), "docs", 0, 20, "x");
    server.stop();
    for (spec, parts) in [
        (
            "{dimension: 5, metric: Euclid, shards: 2, ring: {vnodes: 128}}",
            ["spec.dimension", "can't change"],
        ),
        (
            "{dimension: 4, metric: Dot, shards: 2, ring: {vnodes: 128}}",
            ["spec.metric", "can't change"],
        ),
        (
            "{dimension: 4, metric: Euclid, shards: 2, ring: {vnodes: 256}}",
            ["spec.ring.vnodes", "can't change"],
        ),
        (
            "{dimension: 4, metric: Euclid, shards: 2}",
            ["spec.ring.vnodes", "can't change"],
        ),
        (
            "{vectors: [{name: a, dimension: 4, metric: Euclid}], shards: 2, ring: {vnodes: 128}}",
            ["spec.vectors[0]", "adds the vector"],
        ),
        (
            "{dimension: 4, metric: Euclid, shards: 3, ring: {vnodes: 128}}",
            ["spec.shards", "not supported yet"],
        ),
        (
            "{dimension: 4, metric: Euclid, shards: 1, ring: {vnodes: 128}}",
            ["set shards back to 2", "not supported yet"],
        ),
    ] {
        file(dir.path(), spec);
        let mut all = vec!["collection docs"];
        all.extend(parts);
        refuses(&data, &args, &all);
    }
    file(dir.path(), SPEC);
    let server = Server::start(&data, &args);
    assert_eq!(count(&mut server.client(), "docs"), 20);
    server.stop();
}

#[test]
fn the_long_form_of_the_same_vector_is_no_change() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let args = ["-f", path.to_str().unwrap()];
    let server = Server::start(&data, &args);
    put(&mut server.client(), "docs", 0, 20, "x");
    server.stop();
    file(
        dir.path(),
        "{vectors: [{name: \"\", dimension: 4, metric: Euclid}], shards: 2, ring: {vnodes: 128}}",
    );
    let server = Server::start(&data, &args);
    assert_eq!(count(&mut server.client(), "docs"), 20);
    server.stop();
}

#[test]
fn a_changed_limit_is_in_force_after_a_restart_and_stays_without_the_file() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let args = ["-f", path.to_str().unwrap()];
    let server = Server::start(&data, &args);
    put(&mut server.client(), "docs", 0, 50, "x");
    server.stop();
    let spec = "{dimension: 4, metric: Euclid, shards: 2, ring: {vnodes: 128}, limits: {maxSearchLimit: 7}}";
    file(dir.path(), spec);
    for args in [&args[..], &[]] {
        let server = Server::start(&data, args);
        let mut client = server.client();
        assert_eq!(count(&mut client, "docs"), 50);
        let scroll = |limit: u64| json!({"limit": limit});
        client.ok("POST", "/collections/docs/points/scroll", Some(&scroll(7)));
        let refused = client
            .call("POST", "/collections/docs/points/scroll", Some(&scroll(8)))
            .unwrap();
        assert_eq!(refused.status, 422);
        assert!(refused.error().contains("7 at most"), "{}", refused.error());
        put(&mut client, "docs", 0, 50, "y");
        server.stop();
    }
}

#[test]
fn another_index_is_built_from_the_points_that_are_there() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let args = ["-f", path.to_str().unwrap()];
    let server = Server::start(&data, &args);
    put(&mut server.client(), "docs", 0, 200, "x");
    server.stop();
    for index in [
        "{hnsw: {m: 8}, precision: I8}",
        "{type: Flat}",
        "{precision: F32}",
    ] {
        file(
            dir.path(),
            &format!(
                "{{dimension: 4, metric: Euclid, shards: 2, ring: {{vnodes: 128}}, index: {index}}}"
            ),
        );
        let server = Server::start(&data, &args);
        let mut client = server.client();
        assert_eq!(count(&mut client, "docs"), 200);
        crate::support::wait_for("the index", || {
            (info(&mut client, "docs")["status"] == "green").then_some(())
        });
        let query = json!({"query": crate::vector(123), "limit": 1});
        let found = client.ok("POST", "/collections/docs/points/query", Some(&query));
        assert_eq!(found["points"][0]["id"], 123, "with {index}");
        server.stop();
    }
}

#[test]
fn a_file_that_is_not_valid_is_refused_with_line_and_field_and_makes_nothing() {
    let dir = data_dir();
    let data = dir.path().join("data");
    for (spec, parts) in [
        (
            "{dimension: 4, metric: Euclid, shards: 0}",
            ["docs.yaml:4:", "spec.shards", "from 1 to 1024"],
        ),
        (
            "{dimension: 4, metric: Euclid, ring: {vnodes: 100}}",
            ["docs.yaml:4:", "spec.ring.vnodes", "power of two"],
        ),
        (
            "{dimension: 4, metric: Hamming}",
            ["docs.yaml:4:", "spec.metric", "Cosine"],
        ),
        ("{dimension: 4}", ["docs.yaml:4:", "spec", "metric"]),
        (
            "{dimension: 4, metric: Dot, shrads: 2}",
            ["docs.yaml:4:", "spec.shrads", "shards"],
        ),
        (
            "{dimension: four, metric: Dot}",
            ["docs.yaml:4:", "spec.dimension", "number"],
        ),
        (
            "\n  dimension: 4\n  metric: Dot\n  limits:\n    maxSearchLimit: 0",
            [
                "docs.yaml:8:",
                "spec.limits.maxSearchLimit",
                "from 1 to 100000",
            ],
        ),
        (
            "{dimension: 4, metric: Dot",
            ["docs.yaml:", "not valid YAML", "brackets"],
        ),
        (
            "{dimension: 4, metric: Dot, replicas: 2}",
            ["docs.yaml:4:", "spec.replicas", "1, 3, 5 or 7"],
        ),
        (
            "{dimension: 4, metric: Dot, partitioning: {type: Field, field: tenant}}",
            ["collection docs", "spec.partitioning", "not supported yet"],
        ),
        (
            "{dimension: 4, metric: Dot, payloadIndexes: [{field: a..b, type: keyword}]}",
            ["collection docs", "spec.payloadIndexes", "is not a path"],
        ),
        (
            "{vectors: [{name: a b, dimension: 4, metric: Dot}]}",
            ["docs.yaml:4:", "spec.vectors[0].name", "letters"],
        ),
    ] {
        let path = file(dir.path(), spec);
        refuses(&data, &["-f", path.to_str().unwrap()], &parts);
    }
    refuses(
        &data,
        &["-f", "nowhere.yaml"],
        &["-f nowhere.yaml", "cannot be read", "No such file"],
    );
    let made = data
        .join("collections")
        .read_dir()
        .map_or(0, Iterator::count);
    assert_eq!(made, 0, "something was made");
}

#[test]
fn of_several_collections_of_which_one_is_wrong_none_is_made() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let path = file(dir.path(), SPEC);
    let wrong = dir.path().join("wrong.yaml");
    let text = "apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\nmetadata: {name: wrong}\nspec: {dimension: 4, metric: Dot, partitioning: {type: Field, field: t}}\n";
    std::fs::write(&wrong, text).unwrap();
    let args = ["-f", path.to_str().unwrap(), "-f", wrong.to_str().unwrap()];
    refuses(&data, &args, &["collection wrong", "not supported yet"]);
    let server = Server::start(&data, &[]);
    assert!(
        names(&mut server.client()).is_empty(),
        "the first was made before the second was read"
    );
    server.stop();
}

#[test]
fn vectors_that_a_file_lists_in_another_order_are_the_same() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let [one, other] = [
        "{name: title, dimension: 2, metric: Dot}",
        "{name: body, dimension: 3, metric: Euclid, index: {type: Flat}}",
    ];
    let path = file(dir.path(), &format!("{{vectors: [{one}, {other}]}}"));
    let server = Server::start(&data, &["-f", path.to_str().unwrap()]);
    let points = json!({"points": [
        {"id": 1, "vector": {"title": [1, 0], "body": [1, 2, 3]}},
        {"id": 2, "vector": {"title": [2, 0]}},
    ]});
    let put = "/collections/docs/points?wait=true";
    server.client().ok("PUT", put, Some(&points));
    server.stop();
    let path = file(dir.path(), &format!("{{vectors: [{other}, {one}]}}"));
    let server = Server::start(&data, &["-f", path.to_str().unwrap()]);
    let both = json!({"ids": [1, 2], "with_vector": true});
    let shown = server
        .client()
        .ok("POST", "/collections/docs/points", Some(&both));
    let expected = json!({"title": [1.0, 0.0], "body": [1.0, 2.0, 3.0]});
    assert_eq!(shown[0]["vector"], expected);
    assert_eq!(shown[1]["vector"], json!({"title": [2.0, 0.0]}));
    let query = json!({"query": [1, 2, 3], "using": "body"});
    let path = "/collections/docs/points/query";
    let found = server.client().ok("POST", path, Some(&query));
    assert_eq!(found["points"].as_array().unwrap().len(), 1);
    server.stop();
}
