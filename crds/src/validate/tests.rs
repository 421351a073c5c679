//! What the rules say to the author of a specification: field, problem,
//! remedy, for each rule once. That the rules draw their lines where the CRD
//! does is tested in `tests/agreement`.

use super::*;
use crate::collection::PayloadIndexType;
use crate::index::Metric;
use crate::text::TextAnalysis;

fn docs() -> VectorCollectionSpec {
    VectorCollectionSpec::unnamed(384, Metric::Cosine)
}

fn vector(name: &str) -> VectorSpec {
    VectorSpec {
        name: name.to_owned(),
        dimension: 384,
        metric: Metric::Cosine,
        index: IndexSpec::default(),
    }
}

fn messages(result: Result<(), Invalid>) -> String {
    result.map_or_else(|invalid| invalid.to_string(), |()| String::new())
}

type Change = fn(&mut VectorCollectionSpec);

const BROKEN: &[(Change, &str)] = &[
    (
        |spec| spec.shards = 0,
        "spec.shards is 0: set it to a whole number from 1 to 1024",
    ),
    (
        |spec| spec.replicas = 2,
        "spec.replicas is 2: use 1, 3, 5 or 7",
    ),
    (
        |spec| spec.ring.vnodes = 1000,
        "spec.ring.vnodes is 1000, not a power of two: use 512 or 1024",
    ),
    (
        |spec| spec.ring.vnodes = 32,
        "spec.ring.vnodes is 32: set it to a power of two from 64 to 65536",
    ),
    (
        |spec| spec.dimension = Some(0),
        "spec.dimension is 0: set it to a whole number from 1 to 65536",
    ),
    (
        |spec| spec.dimension = None,
        "spec.dimension is missing: give the number of dimensions of your embedding model, \
             such as 384",
    ),
    (
        |spec| spec.metric = None,
        "spec.metric is missing: give Cosine, Dot, Euclid or Manhattan; most embedding models \
             want Cosine",
    ),
    (
        |spec| (spec.dimension, spec.metric) = (None, None),
        "spec has no vectors: give dimension and metric, or a list of vectors",
    ),
    (
        |spec| spec.vectors = Some(vec![vector("a")]),
        "spec.dimension is given beside spec.vectors: each entry of spec.vectors has its own: \
             move it there\n\
             spec.metric is given beside spec.vectors: each entry of spec.vectors has its own: \
             move it there",
    ),
    (
        |spec| *spec = VectorCollectionSpec::named(vec![]),
        "spec.vectors is empty: give at least one vector, or dimension and metric in its place",
    ),
    (
        |spec| {
            let names = (0..17).map(|n| vector(&n.to_string()));
            *spec = VectorCollectionSpec::named(names.collect());
        },
        "spec.vectors has 17 entries: keep at most 16",
    ),
    (
        |spec| *spec = VectorCollectionSpec::named(vec![vector("a"), vector("a")]),
        "spec.vectors[1].name is \"a\", as is another vector's: give each vector its own name",
    ),
    (
        |spec| *spec = VectorCollectionSpec::named(vec![vector("a/b")]),
        "spec.vectors[0].name is \"a/b\": use at most 128 letters, digits, '_', '-' and '.', \
             with none of '-' and '.' at the start",
    ),
    (
        |spec| {
            spec.index = Some(IndexSpec {
                kind: IndexType::Flat,
                hnsw: Some(HnswSpec::default()),
                ..IndexSpec::default()
            });
        },
        "spec.index.hnsw is given with type Flat: remove it, or set type to HNSW",
    ),
    (
        |spec| {
            spec.index = Some(IndexSpec {
                hnsw: Some(HnswSpec {
                    m: 2,
                    ef_construction: 5000,
                    ef_search: 0,
                }),
                ..IndexSpec::default()
            });
        },
        "spec.index.hnsw.m is 2: set it to a whole number from 4 to 128\n\
             spec.index.hnsw.efConstruction is 5000: set it to a whole number from 4 to 4096\n\
             spec.index.hnsw.efSearch is 0: set it to a whole number from 1 to 4096",
    ),
    (
        |spec| spec.partitioning.kind = PartitioningType::Field,
        "spec.partitioning.field is missing: name the payload field that type Field goes by",
    ),
    (
        |spec| spec.partitioning.field = Some("tenant".to_owned()),
        "spec.partitioning.field is given with type Id: set type to Field, or remove field",
    ),
    (
        |spec| {
            let index = PayloadIndex {
                field: "year".to_owned(),
                kind: PayloadIndexType::Integer,
                text: None,
            };
            spec.payload_indexes = vec![index.clone(), index];
        },
        "spec.payloadIndexes[1].field is \"year\", which another entry indexes: keep one entry \
             for each field",
    ),
    (
        |spec| {
            spec.payload_indexes = vec![PayloadIndex {
                field: "x".repeat(256),
                kind: PayloadIndexType::Text,
                text: None,
            }];
        },
        "spec.payloadIndexes[0].field has 256 characters: name a payload field of at most 255 \
             characters",
    ),
    (
        |spec| {
            spec.payload_indexes = vec![PayloadIndex {
                field: "f".to_owned(),
                kind: PayloadIndexType::Keyword,
                text: Some(TextAnalysis {
                    min_token_len: 9,
                    max_token_len: Some(3),
                    ..TextAnalysis::default()
                }),
            }];
        },
        "spec.payloadIndexes[0].text is given with another type: remove it, or set type to text\n\
             spec.payloadIndexes[0].text.minTokenLen is 9, more than maxTokenLen: lower it, or \
             raise maxTokenLen",
    ),
    (
        |spec| {
            spec.payload_indexes = vec![PayloadIndex {
                field: "f".to_owned(),
                kind: PayloadIndexType::Text,
                text: Some(TextAnalysis {
                    tokenizer: TextTokenizer::Prefix,
                    min_token_len: 65,
                    ..TextAnalysis::default()
                }),
            }];
        },
        "spec.payloadIndexes[0].text.minTokenLen is 65, more than 64, the longest beginning of a \
             word: lower it, or choose another tokenizer",
    ),
    (
        |spec| spec.storage.size = "10GB".to_owned(),
        "spec.storage.size is \"10GB\": give a size above zero such as 10Gi, 500Mi or 1.5Ti",
    ),
    (
        |spec| spec.storage.storage_class_name = Some("Fast disks".to_owned()),
        "spec.storage.storageClassName is \"Fast disks\": give the name of a storage class, as \
             kubectl get storageclass lists them",
    ),
    (
        |spec| spec.limits.max_request_bytes = 1 << 19,
        "spec.limits.maxPayloadBytes is 1048576, over maxRequestBytes, 524288: lower it, or \
             raise maxRequestBytes: no request could carry such a payload",
    ),
];

#[test]
fn each_broken_rule_is_told_with_its_field_and_remedy() {
    for (change, expected) in BROKEN.iter().copied() {
        let mut spec = docs();
        assert_eq!(spec.validate(), Ok(()));
        change(&mut spec);
        assert_eq!(messages(spec.validate()), expected);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut spec = docs();
    spec.shards = 2000;
    spec.replicas = 0;
    spec.ring.vnodes = 100;
    let invalid = spec.validate().unwrap_err();
    let paths = invalid.violations().iter().map(|v| v.path().to_string());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        ["spec.shards", "spec.replicas", "spec.ring.vnodes"]
    );
}

#[test]
fn a_long_or_unprintable_value_cannot_garble_a_message() {
    assert_eq!(quoted("a\n\u{1b}[31m"), r#""a\n\u{1b}[31m""#);
    assert_eq!(quoted(&"x".repeat(100)), format!("\"{}\"…", "x".repeat(60)));
}

#[test]
fn a_change_of_what_is_fixed_is_told_with_the_old_value() {
    let table: [(Change, &str); 4] = [
        (
            |spec| spec.dimension = Some(768),
            "spec.dimension is 768, was 384, and can't change: set it back to 384, or make a new \
             collection",
        ),
        (
            |spec| spec.metric = Some(Metric::Dot),
            "spec.metric is Dot, was Cosine, and can't change: set it back to Cosine, or make a \
             new collection",
        ),
        (
            |spec| spec.ring.vnodes = 8192,
            "spec.ring.vnodes is 8192, was 4096, and can't change: set it back to 4096, or make a \
             new collection",
        ),
        (
            |spec| {
                spec.partitioning = Partitioning {
                    kind: PartitioningType::Field,
                    field: Some("tenant".to_owned()),
                };
            },
            "spec.partitioning is {type: Field, field: tenant}, was {type: Id}, and can't change: \
             set it back to {type: Id}, or make a new collection",
        ),
    ];
    for (change, expected) in table {
        let mut spec = docs();
        assert_eq!(spec.validate_update(&docs()), Ok(()));
        change(&mut spec);
        assert_eq!(messages(spec.validate_update(&docs())), expected);
    }
}

#[test]
fn vectors_are_neither_added_nor_left_out() {
    let one = VectorCollectionSpec::named(vec![vector("a")]);
    let two = VectorCollectionSpec::named(vec![vector("b"), vector("a")]);
    assert_eq!(
        messages(two.validate_update(&one)),
        "spec.vectors[0] adds the vector \"b\": a collection keeps the vectors it was made with: \
         remove it, or make a new collection"
    );
    assert_eq!(
        messages(one.validate_update(&two)),
        "spec leaves out the vector \"b\": a collection keeps the vectors it was made with: put \
         it back, or make a new collection"
    );
}

#[test]
fn what_may_change_may() {
    let mut spec = docs();
    spec.shards = 7;
    spec.replicas = 1;
    spec.index = Some(IndexSpec {
        kind: IndexType::Flat,
        ..IndexSpec::default()
    });
    spec.storage.size = "20Gi".to_owned();
    spec.limits.max_batch_points = 5;
    assert_eq!(spec.validate_update(&docs()), Ok(()));
}
