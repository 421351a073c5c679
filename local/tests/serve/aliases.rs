//! Aliases of a served collection: there after a kill, gone with their
//! collection, and whose they are when a name is used again.

use crate::files::file;
use crate::support::{Client, Server, data_dir, refuses};
use crate::{create, put};
use serde_json::{Value, json};

fn alias(client: &mut Client, collection: &str, alias: &str) {
    let action = json!({"create_alias": {"collection_name": collection, "alias_name": alias}});
    let body = json!({"actions": [action]});
    let done = client.ok("POST", "/collections/aliases", Some(&body));
    assert_eq!(done, true);
}

fn aliases(client: &mut Client) -> Value {
    client.ok("GET", "/aliases", None)["aliases"].clone()
}

fn count(client: &mut Client, name: &str) -> Value {
    let path = format!("/collections/{name}/points/count");
    client.ok("POST", &path, Some(&json!({})))["count"].clone()
}

#[test]
fn an_alias_is_there_after_a_kill_and_goes_with_its_collection() {
    let dir = data_dir();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    create(&mut client, "one", 2);
    create(&mut client, "two", 1);
    put(&mut client, "one", 0, 10, "x");
    alias(&mut client, "one", "live");
    alias(&mut client, "two", "other");
    put(&mut client, "live", 10, 5, "y");
    server.kill();

    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(count(&mut client, "live"), 15);
    // A collection cannot be called like an alias, nor be deleted by one.
    let wish = json!({"vectors": {"size": 4, "distance": "Dot"}});
    let made = client
        .call("PUT", "/collections/live", Some(&wish))
        .unwrap();
    assert_eq!(made.status, 409);
    let error = made.json()["status"]["error"].to_string();
    assert!(error.contains("it is an alias of one"), "{error}");
    assert_eq!(client.ok("DELETE", "/collections/live", None), false);
    assert_eq!(count(&mut client, "one"), 15);

    assert_eq!(client.ok("DELETE", "/collections/one", None), true);
    let left = json!([{"alias_name": "other", "collection_name": "two"}]);
    assert_eq!(aliases(&mut client), left);
    // One who comes after it under its name has no part in its aliases.
    create(&mut client, "one", 1);
    server.kill();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(aliases(&mut client), left);
    create(&mut client, "live", 1);
    assert_eq!(count(&mut client, "live"), 0);
}

#[test]
fn a_file_cannot_declare_a_collection_under_an_alias() {
    let dir = data_dir();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    create(&mut client, "one", 2);
    alias(&mut client, "one", "docs");
    server.stop();
    let path = file(dir.path(), "{dimension: 4, metric: Euclid}");
    let parts = ["docs", "it is an alias of one", "delete the alias"];
    refuses(&data, &["-f", path.to_str().unwrap()], &parts);
}

#[test]
fn aliases_that_cannot_be_read_keep_the_server_from_starting_without_them() {
    let dir = data_dir();
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    create(&mut client, "one", 2);
    alias(&mut client, "one", "live");
    server.stop();
    let path = dir.path().join("aliases");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("live", "dead")).unwrap();
    let parts = [
        "aliases cannot be read",
        "damaged",
        "restore it from a copy",
    ];
    refuses(dir.path(), &[], &parts);
    std::fs::write(&path, text).unwrap();
    let server = Server::start(dir.path(), &[]);
    assert_eq!(count(&mut server.client(), "live"), 0);
}
