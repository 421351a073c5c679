//! The files beside the code: the committed CRD is the generated one, and the
//! samples load.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use kube::CustomResourceExt;
use quoit_crds::{IndexParams, Metric, VectorCollection, crd_yaml, load};

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn sample(name: &str) -> VectorCollection {
    let path = in_repository("config/samples").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let loaded = load(&text, name).unwrap_or_else(|error| panic!("{error}"));
    let [collection] = <[VectorCollection; 1]>::try_from(loaded).unwrap();
    collection
}

#[test]
fn the_committed_crd_is_the_generated_one() {
    let file = "crds/quoit.dev_vectorcollections.yaml";
    let committed = fs::read_to_string(in_repository(file)).unwrap_or_default();
    assert!(
        committed == crd_yaml(),
        "{file} differs from the types; run\n  cargo run -p quoit-crds --bin quoit-crdgen > {file}"
    );
}

#[test]
fn the_short_sample_is_the_collection_of_the_documentation() {
    let docs = sample("collection.yaml");
    assert_eq!(docs.metadata.name.as_deref(), Some("docs"));
    let vectors = docs.spec.resolved().unwrap();
    assert_eq!(vectors.len(), 1);
    assert_eq!(
        (vectors[0].dimension, vectors[0].metric),
        (384, Metric::Cosine)
    );
    assert_eq!((docs.spec.shards, docs.spec.replicas), (3, 3));
}

#[test]
fn the_full_sample_names_every_field_with_its_default() {
    let library = sample("collection-full.yaml");
    let spec = &library.spec;
    let vectors = spec.resolved().unwrap();
    assert_eq!(vectors.len(), 2);
    assert_eq!(vectors[1].index, IndexParams::Flat);

    let plain = sample("collection.yaml").spec;
    assert_eq!(vectors[0].index, plain.resolved().unwrap()[0].index);
    assert_eq!(spec.replicas, plain.replicas);
    assert_eq!(spec.ring, plain.ring);
    assert_eq!(spec.limits, plain.limits);
    assert_eq!(spec.storage.size, plain.storage.size);

    // Every field that the schema has is in the file.
    let text = fs::read_to_string(in_repository("config/samples/collection-full.yaml")).unwrap();
    let crd = serde_json::to_value(VectorCollection::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut missing = Vec::new();
    collect_missing(schema, &text, &mut missing);
    assert!(missing.is_empty(), "not in the file: {missing:?}");
}

fn collect_missing(schema: &serde_json::Value, text: &str, missing: &mut Vec<String>) {
    let properties = schema
        .get("properties")
        .or_else(|| schema.get("items")?.get("properties"));
    for (name, field) in properties
        .and_then(|fields| fields.as_object())
        .into_iter()
        .flatten()
    {
        if !text.contains(&format!("{name}:")) {
            missing.push(name.clone());
        }
        collect_missing(field, text, missing);
    }
}
