//! Aliases: other names that every call takes, changed all at once.

use serde_json::{Value, json};

use crate::support::Server;

async fn change(server: &Server, actions: Value) -> Value {
    let body = json!({"actions": actions}).to_string();
    let answer = server.call("POST", "/collections/aliases", body).await;
    answer.result()
}

async fn all(server: &Server, path: &str) -> Vec<String> {
    let answer = server.call("GET", path, "").await.result();
    let aliases = answer["aliases"].as_array().unwrap().iter();
    let text = |a: &Value| {
        let part = |name: &str| a[name].as_str().unwrap().to_owned();
        format!("{} is {}", part("alias_name"), part("collection_name"))
    };
    aliases.map(text).collect()
}

#[tokio::test]
async fn an_alias_stands_for_its_collection_in_every_call() {
    let server = Server::docs(2, "Dot").await;
    let point = json!([{"id": 1, "vector": [1, 2, 3], "payload": {"a": "x"}}]);
    server.put(point).await;
    let action = json!({"create_alias": {"collection_name": "docs", "alias_name": "live"}});
    assert_eq!(change(&server, json!([action])).await, json!(true));
    assert_eq!(all(&server, "/aliases").await, ["live is docs"]);

    let exists = server.call("GET", "/collections/live/exists", "").await;
    assert_eq!(exists.result()["exists"], true);
    let point = json!({"points": [{"id": 2, "vector": [3, 2, 1]}]}).to_string();
    let put = server
        .call("PUT", "/collections/live/points?wait=true", point)
        .await;
    assert_eq!(put.result()["status"], "completed");
    for name in ["docs", "live"] {
        let path = format!("/collections/{name}/points/query");
        // Examples of the collection itself, by whatever name, are left out.
        let body = json!({"query": 1, "lookup_from": {"collection": "live"}});
        let found = server.call("POST", &path, body.to_string()).await.result();
        assert_eq!(found["points"].as_array().unwrap().len(), 1);
        assert_eq!(found["points"][0]["id"], 2);
        let path = format!("/collections/{name}/aliases");
        assert_eq!(all(&server, &path).await, ["live is docs"]);
    }
}

#[tokio::test]
async fn an_alias_moves_to_another_collection_at_once() {
    let server = Server::docs(2, "Dot").await;
    let body = json!({"vectors": {"size": 3, "distance": "Dot"}}).to_string();
    server.call("PUT", "/collections/next", body).await.result();
    let create = |collection: &str, alias: &str| json!({"create_alias": {"collection_name": collection, "alias_name": alias}});
    let delete = |alias: &str| json!({"delete_alias": {"alias_name": alias}});
    let rename = |from: &str, to: &str| json!({"rename_alias": {"old_alias_name": from, "new_alias_name": to}});
    change(
        &server,
        json!([create("docs", "live"), create("docs", "b")]),
    )
    .await;
    change(
        &server,
        json!([delete("live"), create("next", "live"), rename("b", "c")]),
    )
    .await;
    assert_eq!(
        all(&server, "/aliases").await,
        ["c is docs", "live is next"]
    );
    assert_eq!(
        all(&server, "/collections/docs/aliases").await,
        ["c is docs"]
    );
    assert_eq!(change(&server, json!([])).await, json!(true));
}
