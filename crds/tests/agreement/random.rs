//! Objects at random, most of them nearly right: each field is absent, good or
//! bad, with few distinct values, so that what must be equal often is.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::{change_verdict, verdict};

/// One of the values, or absent.
fn maybe(values: Vec<Value>) -> BoxedStrategy<Option<Value>> {
    proptest::option::of(select(values)).boxed()
}

fn fields(fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Value> {
    let (keys, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    values
        .prop_map(move |values| {
            let given = keys.iter().zip(values);
            let given = given.filter_map(|(key, value)| Some(((*key).to_owned(), value?)));
            Value::Object(given.collect::<Map<_, _>>())
        })
        .boxed()
}

fn index() -> BoxedStrategy<Value> {
    fields(vec![
        (
            "type",
            maybe(vec![
                json!("HNSW"),
                json!("HNSW"),
                json!("Flat"),
                json!("IVF"),
            ]),
        ),
        (
            "hnsw",
            maybe(vec![json!({}), json!({"m": 32}), json!({"efSearch": 0})]),
        ),
        (
            "precision",
            maybe(vec![json!("BF16"), json!("I8"), json!("F32")]),
        ),
    ])
}

fn dimension() -> BoxedStrategy<Option<Value>> {
    maybe(vec![json!(2), json!(2), json!(2), json!(3), json!(0)])
}

fn metric() -> BoxedStrategy<Option<Value>> {
    maybe(vec![
        json!("Dot"),
        json!("Dot"),
        json!("Dot"),
        json!("Cosine"),
    ])
}

fn some<T: Strategy<Value = Value> + 'static>(value: T) -> BoxedStrategy<Option<Value>> {
    value.prop_map(Some).boxed()
}

fn vectors() -> BoxedStrategy<Option<Value>> {
    let vector = fields(vec![
        (
            "name",
            some(select(vec![json!(""), json!("a"), json!("b"), json!("-")])),
        ),
        (
            "dimension",
            some(select(vec![json!(2), json!(2), json!(3)])),
        ),
        (
            "metric",
            some(select(vec![json!("Dot"), json!("Dot"), json!("Cosine")])),
        ),
        ("index", proptest::option::weighted(0.2, index()).boxed()),
    ]);
    let list = proptest::collection::vec(vector, 0..3).prop_map(Value::from);
    proptest::option::of(list).boxed()
}

fn spec() -> BoxedStrategy<Value> {
    // The two forms apart, and mixed.
    let short = vec![("dimension", dimension()), ("metric", metric())];
    let list = vec![("vectors", vectors())];
    let mixed = vec![
        ("vectors", vectors()),
        ("dimension", dimension()),
        ("metric", metric()),
        ("index", proptest::option::weighted(0.3, index()).boxed()),
    ];
    let vectors = prop_oneof![2 => fields(short), 2 => fields(list), 1 => fields(mixed)];
    let ring = vec![
        json!({}),
        json!({"vnodes": 4096}),
        json!({"vnodes": 64}),
        json!({"vnodes": 65}),
    ];
    let partitioning = vec![
        json!({}),
        json!({"type": "Id"}),
        json!({"type": "Field", "field": "f"}),
        json!({"type": "Field", "field": "g"}),
        json!({"type": "Field"}),
        json!({"field": "f"}),
    ];
    let indexes = vec![
        json!([]),
        json!([{"field": "f", "type": "text"}]),
        json!([{"field": "f", "type": "text", "text": {"minTokenLen": 2}}]),
        json!([{"field": "f", "type": "uuid", "text": {"tokenizer": "word"}}]),
        json!([{"field": "f", "type": "text"}, {"field": "f", "type": "geo"}]),
    ];
    let limits = vec![
        json!({}),
        json!({"maxRequestBytes": 65_536}),
        json!({"maxPayloadBytes": 16_777_216}),
    ];
    let rare = |values| proptest::option::weighted(0.2, select(values)).boxed();
    let rest = fields(vec![
        (
            "shards",
            rare(vec![
                json!(1),
                json!(3),
                json!(1024),
                json!(1025),
                json!(-1),
            ]),
        ),
        ("replicas", rare(vec![json!(1), json!(2), json!(7)])),
        ("ring", rare(ring)),
        ("partitioning", rare(partitioning)),
        ("payloadIndexes", rare(indexes)),
        ("limits", rare(limits)),
    ]);
    (vectors, rest)
        .prop_map(|(mut spec, rest)| {
            let fields = spec.as_object_mut().unwrap();
            fields.extend(rest.as_object().unwrap().clone());
            spec
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_judge_any_object_alike(spec in spec()) {
        verdict(&spec);
    }

    #[test]
    fn both_judge_any_change_alike(old in spec(), new in spec()) {
        if verdict(&old) && verdict(&new) {
            change_verdict(&old, &new);
        }
    }
}
