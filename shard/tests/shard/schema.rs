//! Payload indexes of a shard: taken through its log, built behind the writes.

use crate::disk::Watched;
use crate::support::{options, until, upsert};
use quoit_disk::RealDisk;
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_shard::{Shard, Watermark};
use std::path::Path;
use std::sync::Arc;

async fn shard(dir: &Path) -> Shard {
    Shard::open(options(Arc::new(RealDisk), dir)).await.unwrap()
}

fn schema(number: u64, paths: &[&str]) -> v1::SetSchemaRequest {
    let field = |path: &&str| v1::IndexedField {
        path: (*path).into(),
        field_type: v1::FieldType::Integer.into(),
        analyzer: None,
    };
    v1::SetSchemaRequest {
        schema: Some(v1::Schema {
            number,
            fields: paths.iter().map(field).collect(),
        }),
    }
}

/// The paths and points of the indexes, when all are complete.
async fn complete(shard: &Shard) -> Vec<(String, u64)> {
    until("the indexes", async || {
        let indexes = shard.status().await.unwrap().payload_indexes;
        let is_complete = indexes.iter().all(|i| i.is_complete);
        is_complete.then(|| {
            let known = |i: v1::PayloadIndex| (i.field.unwrap().path, i.points);
            indexes.into_iter().map(known).collect()
        })
    })
    .await
}

#[tokio::test]
async fn indexes_are_built_behind_the_writes_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut shard = shard(dir.path()).await;
    let points: Vec<(u64, u16)> = (0..600).map(|id| (id, 1)).collect();
    shard.write(upsert(&points)).await.unwrap();
    shard.set_schema(schema(1, &["a"])).await.unwrap();
    shard.write(upsert(&[(700, 1), (0, 2)])).await.unwrap();
    let all = [("a".to_owned(), 601)];
    assert_eq!(complete(&shard).await, all);
    drop(shard);
    shard = self::shard(dir.path()).await;
    assert_eq!(shard.status().await.unwrap().schema, 1);
    assert_eq!(complete(&shard).await, all);
    shard.set_schema(schema(2, &["b"])).await.unwrap();
    assert_eq!(complete(&shard).await, [("b".to_owned(), 601)]);
}

#[tokio::test]
async fn a_schema_that_came_already_is_not_logged_again_and_an_older_one_has_no_effect() {
    let dir = tempfile::tempdir().unwrap();
    let shard = shard(dir.path()).await;
    shard.set_schema(schema(3, &["a"])).await.unwrap();
    let applied = shard.status().await.unwrap().applied_index;
    shard.set_schema(schema(3, &["a"])).await.unwrap();
    shard.set_schema(schema(2, &["b"])).await.unwrap();
    let status = shard.status().await.unwrap();
    assert_eq!((status.applied_index, status.schema), (applied, 3));
    assert_eq!(status.payload_indexes[0].field.as_ref().unwrap().path, "a");
}

#[tokio::test]
async fn a_schema_that_means_nothing_or_cannot_be_logged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched::new(Arc::new(RealDisk));
    let mut options = options(Arc::new(disk.clone()), dir.path());
    options.upkeep.watermark = Watermark::above(1000);
    disk.set_free(1 << 30);
    let shard = Shard::open(options).await.unwrap();
    let error = shard.set_schema(schema(1, &["a..b"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    disk.set_free(0);
    until("a disk that is found full", async || {
        let status = shard.status().await.unwrap();
        (!status.writes_stopped.is_empty()).then_some(())
    })
    .await;
    let error = shard.set_schema(schema(1, &["a"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DiskFull);
    assert_eq!(shard.status().await.unwrap().schema, 0);
}
