//! An unmodified client against a real socket. Needs `QUOIT_PYTHON`, a Python
//! with the clients of `scripts/python-requirements.txt`.

use std::process::Command;

use quoit_router::{CollectionLimits, ServerLimits};

use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmodified_client_works() {
    run("qdrant_dialect.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_clients_own_local_mode() {
    run("congruence.py", &["120"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_with_several_vectors_are_as_in_the_clients_own_local_mode() {
    run("named_vectors.py", &["60"]).await;
}

async fn run(script: &str, more: &'static [&'static str]) {
    let Ok(python) = std::env::var("QUOIT_PYTHON") else {
        println!("skipped: QUOIT_PYTHON names no Python with qdrant-client");
        return;
    };
    let server = Server::with(3, ServerLimits::default(), CollectionLimits::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, server.router.clone()).into_future());
    let script = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.args([&script, &url]).args(more);
    let done = tokio::task::spawn_blocking(move || command.status());
    assert!(
        done.await.unwrap().unwrap().success(),
        "the script says why"
    );
    serving.abort();
}
