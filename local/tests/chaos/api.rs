//! What clients may and may not do on a cluster, where the collection is its
//! owner's to declare.

use crate::stage::{Stage, call};
use serde_json::{Value, json};

struct Client(String);

impl Client {
    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = call(method, &format!("{}{path}", self.0), &body.to_string()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["result"].clone()
    }

    fn refused(&self, method: &str, path: &str, body: &Value) -> String {
        let (status, answer) = self.call(method, path, body);
        assert!(
            (400..500).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer["status"]["error"].as_str().unwrap().to_owned()
    }
}

#[test]
fn clients_write_search_index_and_name_and_the_collection_is_its_owners() {
    let stage = Stage::start(2);
    let client = Client(stage.endpoint.clone());

    let points: Vec<Value> = (0..40)
        .map(|id| {
            let vector: Vec<f64> = (0..16)
                .map(|x| f64::from((id * 7 + x * 3) % 11) - 5.0)
                .collect();
            let colour = if id % 2 == 0 { "red" } else { "blue" };
            json!({"id": id, "vector": vector, "payload": {"colour": colour, "stamp": id}})
        })
        .collect();
    let query = points[9]["vector"].clone();
    client.done(
        "PUT",
        "/collections/docs/points?wait=true",
        &json!({"points": points}),
    );
    client.done(
        "PUT",
        "/collections/docs/index?wait=true",
        &json!({"field_name": "colour", "field_schema": "keyword"}),
    );
    let info = client.done("GET", "/collections/docs", &Value::Null);
    assert_eq!(info["points_count"], 40);
    for field in ["colour", "stamp"] {
        assert!(info["payload_schema"].get(field).is_some(), "{info}");
    }
    let alias =
        json!({"actions": [{"create_alias": {"collection_name": "docs", "alias_name": "texts"}}]});
    client.done("POST", "/collections/aliases", &alias);
    for consistency in ["", "?consistency=1", "?consistency=majority"] {
        let path = format!("/collections/texts/points/query{consistency}");
        let found = client.done("POST", &path, &json!({"query": query, "limit": 1}));
        assert_eq!(found["points"][0]["id"], 9, "{found}");
    }
    let facets = client.done("POST", "/collections/docs/facet", &json!({"key": "colour"}));
    assert_eq!(facets["hits"][0]["count"], 20, "{facets}");

    let wish = |size: u32| json!({"vectors": {"size": size, "distance": "Cosine"}});
    let said = client.refused("PUT", "/collections/others", &wish(16));
    assert!(said.contains("VectorCollection"), "{said}");
    let said = client.refused("PUT", "/collections/docs", &wish(8));
    assert!(said.contains("exists") && said.contains("16"), "{said}");
    let said = client.refused("DELETE", "/collections/docs", &Value::Null);
    assert!(said.contains("VectorCollection"), "{said}");
    let stamp = "/collections/docs/index/stamp";
    let said = client.refused("DELETE", stamp, &Value::Null);
    assert!(said.contains("spec.payloadIndexes"), "{said}");
    assert_eq!(
        client.done("GET", "/collections/docs", &Value::Null)["points_count"],
        40
    );

    // What a whole shard loses, and keeps: all of its replicas are killed at once.
    for place in 0..3 {
        stage.play(&["kill", &format!("shard-0-{place}")]);
    }
    stage.settle();
    let counted = client.done("POST", "/collections/docs/points/count", &json!({}));
    assert_eq!(counted["count"], 40);
    let digests = client.done("GET", "/quoit/v1/collections/docs/digests", &Value::Null);
    for shard in digests["shards"].as_array().unwrap() {
        assert_eq!(shard["replicas"].as_array().unwrap().len(), 3, "{digests}");
    }
    stage.stop();
}
