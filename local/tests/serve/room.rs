//! Room on the disk: what is to be kept free is kept free.

use crate::support::{Server, data_dir};
use crate::{count, create, put, vector};
use serde_json::json;

#[test]
fn with_more_to_be_kept_free_than_there_is_writes_are_refused_and_reads_go_on() {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    create(&mut client, "docs", 1);
    put(&mut client, "docs", 0, 10, "kept");
    server.stop();

    let reserve = (u64::MAX / 2).to_string();
    let server = Server::start(data.path(), &["--disk-reserve", &reserve]);
    let mut client = server.client();
    let point = json!({"points": [{"id": 99, "vector": vector(99)}]});
    let answer = crate::support::wait_for("a write that is refused", || {
        let answer = client.call("PUT", "/collections/docs/points", Some(&point));
        Some(answer.unwrap()).filter(|a| a.status != 200)
    });
    assert_eq!(answer.status, 507, "{}", answer.error());
    assert!(
        answer.error().contains("MiB are free"),
        "{}",
        answer.error()
    );
    assert!(count(&mut client, "docs").as_u64().unwrap() >= 10);
    server.stop();
}
