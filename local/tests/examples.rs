//! The programs in `examples/`, run as a user runs them, against the real
//! server. Each checks its answers itself and ends with an error where one is
//! wrong. Needs `QUOIT_PYTHON`, a Python with the clients, and `QUOIT_NODE`, a
//! Node with the JavaScript client in the example's folder, as `make test` sets
//! them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use serde_json::json;
use std::path::Path;
use std::process::Command;
use support::{Server, data_dir, run};

/// Runs a program of `examples/` by the interpreter that a variable names.
fn runs(interpreter: &str, program: &str) {
    let Some(command) = std::env::var_os(interpreter) else {
        println!("skipped: {interpreter} names nothing to run {program} with");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let program = root.join("examples").join(program);
    let said = run(Command::new(command).arg(program).arg(server.url()));
    assert!(said.status.success(), "{}{}", said.out, said.err);
    assert_eq!(said.err, "", "a client warns");
    let left = server.client().ok("GET", "/collections", None);
    assert_eq!(left["collections"], json!([]), "it leaves something behind");
    server.stop();
}

#[test]
fn an_application_of_qdrant_client_runs_unchanged() {
    runs("QUOIT_PYTHON", "python/qdrant_client_example.py");
}

#[test]
fn an_application_of_qdrant_clients_asynchronous_client_runs_unchanged() {
    runs("QUOIT_PYTHON", "python/qdrant_client_async_example.py");
}

#[test]
fn an_application_of_langchain_runs_unchanged() {
    runs("QUOIT_PYTHON", "python/langchain_example.py");
}

#[test]
fn an_application_of_llamaindex_runs_unchanged() {
    runs("QUOIT_PYTHON", "python/llamaindex_example.py");
}

#[test]
fn an_application_of_qdrants_javascript_client_runs_unchanged() {
    runs("QUOIT_NODE", "javascript/qdrant_client_example.js");
}
