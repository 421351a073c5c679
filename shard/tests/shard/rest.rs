//! What a REST client is told when the disk below a shard is full. In process,
//! since no real disk can be filled without harm.

use crate::support::{DIMENSION, all_vnodes, options, until, vnodes};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use quoit_columns::Kind;
use quoit_disk::SimDisk;
use quoit_filter::Path;
use quoit_proto::ShardClient;
use quoit_ring::ShardId;
use quoit_router::{
    AliasAction, Aliases, App, Catalog, CatalogError, Collection, CollectionLimits,
    CollectionParams, CreateCollection, Metric, NoCollection, ServerLimits, VectorParams,
};
use quoit_shard::{Shard, Watermark};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tower::ServiceExt;

const MIB: u64 = 1 << 20;

/// One collection, `docs`.
struct One(Arc<Collection>);

#[async_trait::async_trait]
impl Catalog for One {
    fn get(&self, name: &str) -> Result<Arc<Collection>, NoCollection> {
        let found = (name == "docs").then(|| self.0.clone());
        found.ok_or(NoCollection::Unknown)
    }

    fn names(&self) -> Vec<String> {
        vec!["docs".to_owned()]
    }

    async fn create(&self, _: &str, _: CreateCollection) -> Result<(), CatalogError> {
        unreachable!("no test makes collections")
    }

    async fn delete(&self, _: &str) -> Result<bool, CatalogError> {
        unreachable!("no test deletes collections")
    }

    async fn create_index(&self, _: &str, _: Path, _: Kind) -> Result<(), CatalogError> {
        unreachable!("no test makes indexes")
    }

    async fn drop_index(&self, _: &str, _: Path) -> Result<(), CatalogError> {
        unreachable!("no test drops indexes")
    }

    fn aliases(&self) -> Aliases {
        unreachable!("no test has aliases")
    }

    async fn change_aliases(&self, _: Vec<AliasAction>) -> Result<(), CatalogError> {
        unreachable!("no test has aliases")
    }

    fn ready(&self) -> bool {
        true
    }
}

fn over(shard: Shard) -> axum::Router {
    let shard: Arc<dyn ShardClient> = Arc::new(shard);
    let params = CollectionParams {
        vectors: vec![VectorParams {
            name: String::new(),
            dimension: DIMENSION,
            metric: Metric::Euclid,
            hnsw: None,
        }],
        replicas: 1,
        limits: CollectionLimits::default(),
    };
    let owners = vec![ShardId(0); all_vnodes().len()];
    let shards = BTreeMap::from([(ShardId(0), shard)]);
    let collection = Collection::new("docs", params, vnodes(), &owners, &shards).unwrap();
    let catalog = Arc::new(One(Arc::new(collection)));
    quoit_router::router(Arc::new(App::new(catalog, ServerLimits::default(), None)))
}

async fn call(router: &axum::Router, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_full_disk_is_507_for_writes_and_nothing_for_reads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(dir.path().to_owned(), 1).unwrap();
    disk.set_free(1024 * MIB);
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.upkeep.watermark = Watermark {
        stop_below: 100 * MIB,
        start_above: 200 * MIB,
    };
    let router = over(Shard::open(options).await.unwrap());
    let points =
        |id: u64| json!({"points": [{"id": id, "vector": [1, 2, 3, 4], "payload": {"a": 1}}]});
    let path = "/collections/docs/points?wait=true";
    let (status, answer) = call(&router, "PUT", path, &points(1)).await;
    assert_eq!(status, 200, "{answer}");

    disk.set_free(50 * MIB);
    let refused = until("a refusal", async || {
        let (status, answer) = call(&router, "PUT", path, &points(2)).await;
        (status != 200).then_some((status, answer))
    });
    let (status, answer) = refused.await;
    assert_eq!(status, 507, "{answer}");
    let error = answer["status"]["error"].as_str().unwrap();
    for part in ["No space left", "free some space"] {
        assert!(error.contains(part), "{error}");
    }
    let delete = json!({"points": [1]});
    let (status, _) = call(
        &router,
        "POST",
        "/collections/docs/points/delete?wait=true",
        &delete,
    )
    .await;
    assert_eq!(status, 507);
    let (status, answer) = call(&router, "GET", "/collections/docs/points/1", &Value::Null).await;
    assert_eq!(
        (status, &answer["result"]["payload"]),
        (200, &json!({"a": 1}))
    );
    let search = json!({"query": [1, 2, 3, 4], "limit": 1});
    let (status, answer) = call(&router, "POST", "/collections/docs/points/query", &search).await;
    assert_eq!(
        (status, &answer["result"]["points"][0]["id"]),
        (200, &json!(1))
    );
    let (_, info) = call(&router, "GET", "/collections/docs", &Value::Null).await;
    assert_eq!(info["result"]["status"], "red");
    let why = info["result"]["optimizer_status"]["error"]
        .as_str()
        .unwrap();
    assert!(
        why.contains("writes are refused") && why.contains("disk is full"),
        "{why}"
    );

    disk.set_free(1024 * MIB);
    until("writes", async || {
        let (status, _) = call(&router, "PUT", path, &points(3)).await;
        (status == 200).then_some(())
    })
    .await;
    let (_, info) = call(&router, "GET", "/collections/docs", &Value::Null).await;
    assert_ne!(info["result"]["status"], "red");
}
