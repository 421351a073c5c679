//! An unmodified client of Qdrant's, and LangChain over it, against the real
//! server. Needs `QUOIT_PYTHON`, a Python with `qdrant-client`, as `make test`
//! sets it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use std::process::Command;
use support::{Server, data_dir, run};

#[test]
fn an_unmodified_qdrant_client_works_before_and_after_a_restart() {
    let Some(python) = std::env::var_os("QUOIT_PYTHON") else {
        println!("skipped: QUOIT_PYTHON names no Python with qdrant-client");
        return;
    };
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../router/tests/clients/qdrant_dialect.py"
    );
    let data = data_dir();
    for _ in 0..2 {
        let server = Server::start(data.path(), &[]);
        let said = run(Command::new(&python).arg(script).arg(server.url()));
        assert!(said.status.success(), "{}{}", said.out, said.err);
        server.stop();
    }
}

#[test]
fn points_with_several_vectors_are_as_in_qdrant_clients_local_mode() {
    let Some(python) = std::env::var_os("QUOIT_PYTHON") else {
        println!("skipped: QUOIT_PYTHON names no Python with qdrant-client");
        return;
    };
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../router/tests/clients/named_vectors.py"
    );
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let said = run(Command::new(&python).args([script, &server.url(), "150"]));
    assert!(said.status.success(), "{}{}", said.out, said.err);
    server.stop();
}

#[test]
fn random_filters_find_the_points_that_qdrant_clients_local_mode_finds() {
    let Some(python) = std::env::var_os("QUOIT_PYTHON") else {
        println!("skipped: QUOIT_PYTHON names no Python with qdrant-client");
        return;
    };
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../router/tests/clients/congruence.py"
    );
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let said = run(Command::new(&python).args([script, &server.url(), "300"]));
    assert!(said.status.success(), "{}{}", said.out, said.err);
    server.stop();
}
