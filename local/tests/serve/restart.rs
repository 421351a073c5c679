//! Stopping and starting again.

use crate::support::{Server, collection_dir, data_dir, refuses, wait_for};
use crate::{count, create, everything, info, names, put, vector};
use serde_json::json;
use std::net::{TcpListener, TcpStream};

#[test]
fn a_restart_keeps_every_collection_and_every_point() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "one", 1);
    create(&mut client, "Three.of_them-3", 3);
    create(&mut client, "empty", 2);
    put(&mut client, "one", 0, 50, "first");
    put(&mut client, "Three.of_them-3", 0, 500, "first");
    put(&mut client, "Three.of_them-3", 100, 50, "second");
    let gone = json!({"points": [0, 1, 499]});
    client.ok(
        "POST",
        "/collections/Three.of_them-3/points/delete?wait=true",
        Some(&gone),
    );
    let uuid =
        json!({"points": [{"id": "f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4", "vector": [1, 2, 3, 4]}]});
    client.ok("PUT", "/collections/one/points?wait=true", Some(&uuid));
    let before = [
        everything(&mut client, "one"),
        everything(&mut client, "Three.of_them-3"),
    ];
    server.stop();

    // Once after an orderly stop, once after that without a change.
    for _ in 0..2 {
        let server = Server::start(data.path(), &[]);
        let mut client = server.client();
        assert_eq!(names(&mut client), ["Three.of_them-3", "empty", "one"]);
        let after = [
            everything(&mut client, "one"),
            everything(&mut client, "Three.of_them-3"),
        ];
        assert_eq!(before, after);
        assert_eq!(count(&mut client, "empty"), 0);
        assert_eq!(count(&mut client, "Three.of_them-3"), 497);
        let query = json!({"query": vector(321), "limit": 1});
        let found = client.ok(
            "POST",
            "/collections/Three.of_them-3/points/query",
            Some(&query),
        );
        assert_eq!(found["points"][0]["id"], 321);
        server.stop();
    }
}

#[test]
fn what_was_indexed_before_an_orderly_stop_is_indexed_at_once_after_it() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "docs", 2);
    for part in 0..6 {
        put(&mut client, "docs", part * 500, 500, "x");
    }
    wait_for("the index", || {
        (info(&mut client, "docs")["indexed_vectors_count"] == 3000).then_some(())
    });
    let log = server.stop();
    assert!(
        log.contains("stopping: each shard makes a checkpoint"),
        "{log}"
    );
    for shard in 0..2 {
        let folder = collection_dir(data.path(), "docs").join(format!("shards/{shard}/data"));
        let manifest = std::fs::read_to_string(folder.join("manifest")).unwrap();
        assert!(
            manifest.contains("graph_hash"),
            "no graph was saved: {manifest}"
        );
    }

    // Had the graph not been saved, it would take seconds to build it again.
    let server = Server::start(data.path(), &[]);
    let info = info(&mut server.client(), "docs");
    assert_eq!(info["points_count"], 3000);
    assert_eq!(info["indexed_vectors_count"], 3000);
    assert_eq!(info["status"], "green");
    server.stop();
}

#[test]
fn a_request_in_flight_at_the_signal_to_stop_is_answered() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    create(&mut server.client(), "docs", 1);
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let mut client = server.client();
            std::thread::spawn(move || {
                for n in 0.. {
                    let id = n * 4 + writer;
                    let body = json!({"points": [{"id": id, "vector": vector(id)}]});
                    match client.call("PUT", "/collections/docs/points?wait=true", Some(&body)) {
                        Ok(answer) if answer.status == 200 => {}
                        Ok(answer) => panic!("{}: {}", answer.status, answer.error()),
                        // The server takes no more on this connection.
                        Err(_) => return n,
                    }
                }
                unreachable!("the server stops some day")
            })
        })
        .collect();
    wait_for("some writes", || {
        (count(&mut server.client(), "docs").as_u64()? > 40).then_some(())
    });
    server.stop();
    let written: u64 = writers.into_iter().map(|w| w.join().unwrap()).sum();
    let server = Server::start(data.path(), &[]);
    let found = count(&mut server.client(), "docs").as_u64().unwrap();
    // A request that was read and not answered may have taken effect.
    assert!(
        (written..=written + 4).contains(&found),
        "{written} were acknowledged, {found} are there"
    );
    server.stop();
}

#[test]
fn an_idle_connection_does_not_keep_a_server_from_stopping() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    assert!(names(&mut client).is_empty());
    let silent = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let log = server.stop();
    assert!(
        !log.contains("cut off"),
        "it waited for connections on which nothing happens: {log}"
    );
    drop((client, silent));
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    refuses(
        data.path(),
        &[],
        &[
            "--data-dir",
            "in use by another quoit process",
            "stop it, or give another directory",
        ],
    );
    let mut client = server.client();
    create(&mut client, "docs", 1);
    server.kill();
    // The lock goes with the process, however it ended.
    let server = Server::start(data.path(), &[]);
    assert_eq!(names(&mut server.client()), ["docs"]);
    server.stop();
}

#[test]
fn a_port_in_use_is_named_and_the_directory_is_left_alone() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--grpc"] {
        let folder = data_dir();
        let data = folder.path().join("data");
        refuses(
            &data,
            &[flag, &address],
            &[
                flag,
                &address,
                "cannot listen there",
                "another address",
                "in use",
            ],
        );
        assert!(!data.exists());
    }
}

#[test]
fn the_grpc_port_speaks_http_2() {
    use std::io::{Read, Write};
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut stream = TcpStream::connect(server.grpc.as_deref().unwrap()).unwrap();
    // The preface and an empty SETTINGS frame; the answer begins with one too.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "{frame:?}");
    drop(stream);
    server.stop();
}

#[test]
fn a_start_that_is_told_to_stop_ends_in_order() {
    let data = data_dir();
    // A file that never comes to its end holds up the start.
    let file = data.path().join("collections.yaml");
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    let server = Server::spawn(data.path(), &["-f", file.to_str().unwrap()]);
    let held = std::fs::File::options().write(true).open(&file).unwrap();
    let log = server.stop();
    assert!(log.contains("stopped while it was starting"), "{log}");
    drop(held);
}
