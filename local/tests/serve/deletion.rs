//! Deleting collections.

use crate::support::{Server, collection_dir, data_dir, wait_for};
use crate::{count, create, everything, names, put, vector};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn delete(server: &Server, name: &str) -> serde_json::Value {
    server
        .client()
        .ok("DELETE", &format!("/collections/{name}"), None)
}

#[test]
fn a_deleted_collection_is_gone_with_its_files_and_stays_gone() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "docs", 2);
    create(&mut client, "other", 1);
    put(&mut client, "docs", 0, 100, "x");
    put(&mut client, "other", 0, 10, "x");
    assert_eq!(delete(&server, "docs"), true);
    assert_eq!(delete(&server, "docs"), false);
    let answer = client
        .call("POST", "/collections/docs/points/count", Some(&json!({})))
        .unwrap();
    assert_eq!(answer.status, 404);
    let left: Vec<_> = data
        .path()
        .join("collections")
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(left, [collection_dir(data.path(), "other")]);
    server.stop();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    assert_eq!(names(&mut client), ["other"]);
    assert_eq!(count(&mut client, "other"), 10);
    server.stop();
}

#[test]
fn a_collection_made_again_does_not_bring_old_points_back() {
    let data = data_dir();
    let mut server = Server::start(data.path(), &[]);
    for (round, kill) in [(0, false), (1, true), (2, false)] {
        let mut client = server.client();
        create(&mut client, "docs", 2);
        assert_eq!(count(&mut client, "docs"), 0);
        put(&mut client, "docs", round * 1000, 50, "x");
        let old = collection_dir(data.path(), "docs");
        assert_eq!(delete(&server, "docs"), true);
        create(&mut client, "docs", 3);
        // Who still reads the old one may remove files of it, by their paths.
        assert_ne!(collection_dir(data.path(), "docs"), old);
        put(&mut client, "docs", 7, 2, "new");
        assert_eq!(count(&mut client, "docs"), 2);
        if kill {
            server.kill();
        } else {
            drop(server.stop());
        }
        server = Server::start(data.path(), &[]);
        let ids: Vec<_> = everything(&mut server.client(), "docs")
            .iter()
            .map(|p| p["id"].clone())
            .collect();
        assert_eq!(ids, [7, 8]);
        assert_eq!(delete(&server, "docs"), true);
    }
    server.stop();
}

#[test]
fn deleting_while_writes_run_ends_them_and_harms_nothing_else() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "other", 1);
    let written = AtomicU64::new(0);
    for round in 0..3 {
        create(&mut client, "docs", 2);
        written.store(0, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|writer| {
                    let mut client = server.client();
                    let written = &written;
                    scope.spawn(move || {
                        for n in 0.. {
                            let id = n * 3 + writer;
                            let body = json!({"points": [{"id": id, "vector": vector(id)}]});
                            let path = "/collections/docs/points?wait=true";
                            let answer = client.call("PUT", path, Some(&body)).unwrap();
                            match answer.status {
                                200 => written.fetch_add(1, Ordering::SeqCst),
                                404 => return,
                                // It was let in before, and found the shard gone.
                                503 | 500 => continue,
                                other => panic!("{other}: {}", answer.error()),
                            };
                        }
                    })
                })
                .collect();
            wait_for("some writes", || {
                (written.load(Ordering::SeqCst) > 20).then_some(())
            });
            assert_eq!(delete(&server, "docs"), true);
            for writer in writers {
                writer.join().unwrap();
            }
        });
        put(&mut client, "other", round * 10, 10, "x");
    }
    assert_eq!(names(&mut client), ["other"]);
    assert_eq!(count(&mut client, "other"), 30);
    let left = data.path().join("collections").read_dir().unwrap().count();
    assert_eq!(left, 1);
    server.stop();
}

#[test]
fn a_client_that_hangs_up_leaves_no_collection_half_made_or_half_deleted() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    let wish = json!({"vectors": {"size": 4, "distance": "Euclid"}, "shard_number": 3});
    for round in 0..6 {
        let name = format!("docs-{round}");
        let path = format!("/collections/{name}");
        hang_up(&server, "PUT", &path, &wish.to_string());
        let answer = client.call("PUT", &path, Some(&wish)).unwrap();
        // The one that was given up may have come first, or not at all.
        assert!(
            [200, 409].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.error()
        );
        put(&mut client, &name, 0, 10, "x");
        hang_up(&server, "DELETE", &path, "");
        let deleted = client.call("DELETE", &path, None).unwrap();
        assert_eq!(deleted.status, 200, "{}", deleted.error());
        create(&mut client, &name, 1);
        assert_eq!(count(&mut client, &name), 0);
    }
    server.stop();
    let server = Server::start(data.path(), &[]);
    assert_eq!(names(&mut server.client()).len(), 6);
    server.stop();
}

/// Asks for something, and is gone before the answer.
fn hang_up(server: &Server, method: &str, path: &str, body: &str) {
    let address = server.url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: quoit\r\ncontent-length: {length}\r\n\r\n");
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    // Long enough that the server has begun; how far it has come is chance.
    std::thread::sleep(Duration::from_millis(3));
}

#[test]
fn a_deletion_that_cannot_be_leaves_the_collection_served_and_kept() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "docs", 1);
    put(&mut client, "docs", 0, 10, "x");
    // Where its record would be renamed to.
    let blocked = collection_dir(data.path(), "docs").join("record.deleted");
    std::fs::create_dir(&blocked).unwrap();
    let answer = client.call("DELETE", "/collections/docs", None).unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("nothing is"), "{}", answer.error());
    put(&mut client, "docs", 10, 10, "x");
    assert_eq!(count(&mut client, "docs"), 20);
    server.stop();
    let server = Server::start(data.path(), &[]);
    assert_eq!(count(&mut server.client(), "docs"), 20);
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(delete(&server, "docs"), true);
    server.stop();
}
