//! The rules of a `VectorCollection` are written twice, as bounds and CEL in
//! the CRD and as Rust. These tests give both the same objects and compare the
//! verdicts: every bound at its edges, then objects at random.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_server;
mod random;

use std::sync::LazyLock;

use api_server::ApiServer;
use kube::CustomResourceExt;
use quoit_crds::{VectorCollection, VectorCollectionSpec, load};
use serde_json::{Value, json};

static API_SERVER: LazyLock<ApiServer> =
    LazyLock::new(|| ApiServer::new(&serde_json::to_value(VectorCollection::crd()).unwrap()));

fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "quoit.dev/v1alpha1",
        "kind": "VectorCollection",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The verdict of both judges on a specification, which must be one.
fn verdict(spec: &Value) -> bool {
    let object = object("docs", spec);
    let objections = API_SERVER.objections(&object, None);
    let loaded = load(&object.to_string(), "file");
    assert_eq!(
        objections.is_empty(),
        loaded.is_ok(),
        "{spec}\nthe API server: {objections:#?}\nthe loader: {loaded:#?}"
    );
    // What the loader tells by the schema must hold in the Rust rules by
    // themselves too: requests come without a loader. (Nulls and unknown fields
    // aside, which serde passes over before any rule could see them.)
    if !spec.to_string().contains("null")
        && let Ok(spec) = serde_json::from_value::<VectorCollectionSpec>(spec.clone())
    {
        let mut known = objections.iter();
        let good = known.all(|objection| objection.ends_with("unknown field"));
        let valid = spec.validate();
        assert_eq!(
            good,
            valid.is_ok(),
            "{spec:?}\nthe API server: {objections:#?}\nRust: {valid:#?}"
        );
    }
    objections.is_empty()
}

/// The verdict of both judges on a change between two specifications that are
/// good by themselves.
fn change_verdict(old: &Value, new: &Value) -> bool {
    let (old_object, new_object) = (object("docs", old), object("docs", new));
    let objections = API_SERVER.objections(&new_object, Some(&old_object));
    let read = |spec: &Value| serde_json::from_value::<VectorCollectionSpec>(spec.clone()).unwrap();
    let allowed = read(new).validate_update(&read(old));
    assert_eq!(
        objections.is_empty(),
        allowed.is_ok(),
        "from {old}\nto {new}\nthe API server: {objections:#?}\nRust: {allowed:#?}"
    );
    objections.is_empty()
}

/// A good specification with one value replaced.
fn with(pointer: &str, value: Value) -> Value {
    let short = ["/dimension", "/metric", "/index"];
    let mut spec = if short.iter().any(|start| pointer.starts_with(start)) {
        json!({"dimension": 4, "metric": "Dot", "index": {"hnsw": {}}})
    } else {
        json!({
            "vectors": [{"name": "", "dimension": 4, "metric": "Dot", "index": {"hnsw": {}}}],
            "partitioning": {"type": "Field", "field": "f"},
            "payloadIndexes": [{"field": "f", "type": "text", "text": {}}],
        })
    };
    assert!(verdict(&spec), "{spec}");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let mut place = &mut spec;
    for step in parent.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    place[key] = value;
    spec
}

#[test]
fn both_draw_every_numeric_bound_at_the_same_place() {
    let hnsw = [
        ("m", 4, 128),
        ("efConstruction", 4, 4096),
        ("efSearch", 1, 4096),
    ];
    let mut bounds: Vec<(String, i64, i64)> = vec![
        ("/shards".into(), 1, 1024),
        ("/dimension".into(), 1, 65_536),
        ("/vectors/0/dimension".into(), 1, 65_536),
        ("/ring/vnodes".into(), 64, 65_536),
        // Not its own least, but the default of maxPayloadBytes, which it can't be under.
        ("/limits/maxRequestBytes".into(), 1 << 20, 256 << 20),
        ("/payloadIndexes/0/text/minTokenLen".into(), 1, 1024),
        ("/payloadIndexes/0/text/maxTokenLen".into(), 1, 1024),
        ("/limits/maxPayloadBytes".into(), 1 << 10, 16 << 20),
        ("/limits/maxBatchPoints".into(), 1, 100_000),
        ("/limits/maxBatchSearches".into(), 1, 10_000),
        ("/limits/maxSearchLimit".into(), 1, 100_000),
    ];
    for (key, min, max) in hnsw {
        bounds.push((format!("/index/hnsw/{key}"), min, max));
        bounds.push((format!("/vectors/0/index/hnsw/{key}"), min, max));
    }
    for (pointer, min, max) in bounds {
        for good in [min, max] {
            assert!(verdict(&with(&pointer, json!(good))), "{pointer} {good}");
        }
        for bad in [
            min - 1,
            max + 1,
            -1,
            i64::from(u32::MAX) + 1,
            i64::MIN,
            i64::MAX,
        ] {
            assert!(!verdict(&with(&pointer, json!(bad))), "{pointer} {bad}");
        }
        for bad in [json!("1"), json!(true), json!([]), json!({})] {
            assert!(!verdict(&with(&pointer, bad.clone())), "{pointer} {bad}");
        }
    }
}

#[test]
fn both_take_the_same_powers_of_two_and_numbers_of_replicas() {
    let near_powers = (0..=17).flat_map(|power| {
        let power = 1_u32 << power;
        [power - 1, power, power + 1, power + power / 2]
    });
    for vnodes in near_powers.chain((0..8192).step_by(32)) {
        let good = vnodes.is_power_of_two() && (64..=65_536).contains(&vnodes);
        assert_eq!(
            verdict(&with("/ring/vnodes", json!(vnodes))),
            good,
            "{vnodes}"
        );
    }
    for replicas in 0..=9 {
        let good = [1, 3, 5, 7].contains(&replicas);
        assert_eq!(
            verdict(&with("/replicas", json!(replicas))),
            good,
            "{replicas}"
        );
    }
}

#[test]
fn both_take_the_same_strings() {
    let long = |length| "é".repeat(length);
    let table: [(&str, Vec<String>, Vec<String>); 6] = [
        (
            "/vectors/0/name",
            strings(&["", "a", "_a", "bge-small-en-v1.5", &"x".repeat(128)]),
            strings(&["-a", ".a", "a/b", "a b", "é", "a\n", &"x".repeat(129)]),
        ),
        (
            "/partitioning/field",
            vec!["f".into(), "a.b".into(), long(255)],
            vec![String::new(), long(256)],
        ),
        (
            "/payloadIndexes/0/field",
            vec!["f".into(), "é".into(), long(255)],
            vec![String::new(), long(256)],
        ),
        (
            "/storage/size",
            strings(&[
                "1",
                "10Gi",
                "1.5Ti",
                "0.5Gi",
                "500M",
                "1k",
                "100000000000000000000000",
            ]),
            strings(&[
                "",
                "0",
                "0Gi",
                "0.0Gi",
                "00.5Gi",
                "010Gi",
                "-1Gi",
                "1.Gi",
                ".5Gi",
                "10 Gi",
                "10gi",
                "10ki",
                "10GiB",
                "10i",
                "Gi",
                "i",
                "1e9",
                "1n",
                "10Gi\n",
                "٣Gi",
                "1000000000000000000000000",
            ]),
        ),
        (
            "/storage/storageClassName",
            strings(&["", "standard", "a.b-c", "3", &"x".repeat(253)]),
            strings(&["A", "-a", "a-", ".a", "a_b", "é", &"x".repeat(254)]),
        ),
        (
            "/metric",
            strings(&["Cosine", "Dot", "Euclid", "Manhattan"]),
            strings(&["cosine", "", "L2"]),
        ),
    ];
    for (pointer, good, bad) in table {
        for text in good {
            assert!(verdict(&with(pointer, json!(text))), "{pointer} {text:?}");
        }
        for text in bad {
            assert!(!verdict(&with(pointer, json!(text))), "{pointer} {text:?}");
        }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn both_take_the_same_combinations_of_fields() {
    let vector = |name: &str| json!({"name": name, "dimension": 2, "metric": "Dot"});
    let vectors =
        |count: usize| -> Value { (0..count).map(|n| vector(&format!("v{n}"))).collect() };
    let indexes = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"field": format!("f{n}"), "type": "geo"}))
            .collect()
    };
    let short = |extra: Value| {
        let mut spec = json!({"dimension": 2, "metric": "Dot"});
        spec.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        spec
    };
    let good = [
        short(json!({})),
        short(json!({"index": {}})),
        short(json!({"index": {"type": "Flat"}})),
        short(json!({"index": {"type": "Flat", "precision": "I8"}})),
        short(json!({"partitioning": {}})),
        short(json!({"partitioning": {"type": "Id"}})),
        short(json!({"partitioning": {"type": "Field", "field": "f"}})),
        short(json!({"ring": {}, "storage": {}, "limits": {}, "payloadIndexes": []})),
        short(json!({"ring": null, "storage": null, "shards": null, "payloadIndexes": null})),
        short(json!({"payloadIndexes": indexes(64)})),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "text", "text": {"tokenizer": "prefix", "lowercase": false, "minTokenLen": 3, "maxTokenLen": 3}}]}),
        ),
        short(json!({"limits": {"maxRequestBytes": 65_536, "maxPayloadBytes": 65_536}})),
        json!({"vectors": vectors(1)}),
        json!({"vectors": vectors(16)}),
        json!({"vectors": [vector(""), vector("a")]}),
    ];
    let bad = [
        json!({}),
        json!({"dimension": 2}),
        json!({"metric": "Dot"}),
        json!({"index": {}}),
        json!({"vectors": []}),
        json!({"vectors": vectors(17)}),
        json!({"vectors": [vector("a"), vector("a")]}),
        json!({"vectors": [{"dimension": 2, "metric": "Dot"}]}),
        json!({"vectors": [{"name": "a", "metric": "Dot"}]}),
        json!({"vectors": [{"name": "a", "dimension": 2}]}),
        json!({"vectors": vectors(1), "dimension": 2, "metric": "Dot"}),
        json!({"vectors": vectors(1), "dimension": 2}),
        json!({"vectors": vectors(1), "metric": "Dot"}),
        json!({"vectors": vectors(1), "index": {}}),
        short(json!({"metric": null})),
        short(json!({"index": null})),
        short(json!({"index": {"type": "Flat", "hnsw": {}}})),
        short(json!({"index": {"hnsw": null}})),
        short(json!({"partitioning": {"type": "Field"}})),
        short(json!({"partitioning": {"type": "Id", "field": "f"}})),
        short(json!({"partitioning": {"field": "f"}})),
        short(json!({"payloadIndexes": indexes(65)})),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "geo"}, {"field": "f", "type": "text"}]}),
        ),
        short(json!({"payloadIndexes": [{"field": "f"}]})),
        short(json!({"payloadIndexes": [{"field": "f", "type": "keyword", "text": {}}]})),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "text", "text": {"minTokenLen": 4, "maxTokenLen": 3}}]}),
        ),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "text", "text": {"tokenizer": "prefix", "minTokenLen": 65}}]}),
        ),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "text", "text": {"tokenizer": "regex"}}]}),
        ),
        short(
            json!({"payloadIndexes": [{"field": "f", "type": "text", "text": {"lowercase": "yes"}}]}),
        ),
        short(json!({"limits": {"maxRequestBytes": 65_536}})),
        short(json!({"limits": {"maxRequestBytes": 65_536, "maxPayloadBytes": 65_537}})),
        short(json!({"limits": {"maxRequestBytes": 65_535, "maxPayloadBytes": 65_535}})),
        short(json!({"vnodes": 64})),
        short(json!({"ring": 64})),
        short(json!({"ring": {"vnode": 64}})),
    ];
    for spec in good {
        assert!(verdict(&spec), "{spec}");
    }
    for spec in bad {
        assert!(!verdict(&spec), "{spec}");
    }
}

#[test]
fn both_take_the_same_names() {
    let spec = json!({"dimension": 2, "metric": "Dot"});
    let longest = "x".repeat(40);
    let too_long = "x".repeat(41);
    for (name, good) in [
        ("docs", true),
        ("a", true),
        ("a-1", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("1a", false),
        ("-a", false),
        ("a-", false),
        ("my_docs", false),
        ("a.b", false),
        ("Docs", false),
        ("docs\n", false),
    ] {
        let object = object(name, &spec);
        assert_eq!(
            API_SERVER.objections(&object, None).is_empty(),
            good,
            "{name:?}"
        );
        assert_eq!(load(&object.to_string(), "file").is_ok(), good, "{name:?}");
    }
}

#[test]
fn both_hold_the_same_fields_fixed() {
    let short = json!({"dimension": 2, "metric": "Dot"});
    let listed = json!({"vectors": [{"name": "", "dimension": 2, "metric": "Dot"}]});
    let a = json!({"name": "a", "dimension": 2, "metric": "Dot"});
    let b = json!({"name": "b", "dimension": 3, "metric": "Cosine"});
    let pair = json!({"vectors": [a, b]});
    let and = |spec: &Value, extra: Value| {
        let mut spec = spec.clone();
        spec.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        spec
    };
    let field = |name: &str| {
        and(
            &short,
            json!({"partitioning": {"type": "Field", "field": name}}),
        )
    };
    let allowed = [
        (short.clone(), short.clone()),
        (short.clone(), listed.clone()),
        (pair.clone(), json!({"vectors": [b, a]})),
        (field("f"), field("f")),
        (
            short.clone(),
            and(&short, json!({"ring": {"vnodes": 4096}})),
        ),
        (
            short.clone(),
            and(&short, json!({"partitioning": {"type": "Id"}})),
        ),
        (
            short.clone(),
            and(
                &short,
                json!({"shards": 5, "replicas": 1, "index": {"type": "Flat"}, "storage": {"size": "20Gi"},
                "limits": {"maxBatchPoints": 5}, "payloadIndexes": [{"field": "f", "type": "text"}]}),
            ),
        ),
    ];
    let refused = [
        (short.clone(), and(&short, json!({"dimension": 3}))),
        (short.clone(), and(&short, json!({"metric": "Cosine"}))),
        (short.clone(), json!({"vectors": [a]})),
        (short.clone(), and(&listed, json!({"ring": {"vnodes": 64}}))),
        (
            short.clone(),
            json!({"vectors": [{"name": "", "dimension": 3, "metric": "Dot"}]}),
        ),
        (
            short.clone(),
            json!({"vectors": [{"name": "", "dimension": 2, "metric": "Euclid"}]}),
        ),
        (
            listed.clone(),
            json!({"vectors": [listed["vectors"][0], a]}),
        ),
        (pair.clone(), json!({"vectors": [a]})),
        (
            pair.clone(),
            json!({"vectors": [a, {"name": "b", "dimension": 4, "metric": "Cosine"}]}),
        ),
        (
            pair.clone(),
            json!({"vectors": [a, {"name": "b", "dimension": 3, "metric": "Dot"}]}),
        ),
        (
            pair.clone(),
            json!({"vectors": [a, {"name": "c", "dimension": 3, "metric": "Cosine"}]}),
        ),
        (pair, short.clone()),
        // Adding, removing and changing what has a default.
        (
            short.clone(),
            and(&short, json!({"ring": {"vnodes": 8192}})),
        ),
        (short.clone(), field("f")),
        (field("f"), field("g")),
    ];
    for (old, new) in allowed {
        assert!(change_verdict(&old, &new), "{old} to {new}");
        assert!(change_verdict(&new, &old), "{new} to {old}");
    }
    for (old, new) in refused {
        assert!(!change_verdict(&old, &new), "{old} to {new}");
        assert!(!change_verdict(&new, &old), "{new} to {old}");
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_rust() {
    for spec in [
        json!({"dimension": 2, "metric": "Dot"}),
        json!({"dimension": 2, "metric": "Dot", "index": {}, "ring": {}, "storage": {}, "limits": {}}),
        json!({"dimension": 2, "metric": "Dot", "index": {"hnsw": {}}, "partitioning": {}}),
        json!({"vectors": [{"name": "a", "dimension": 2, "metric": "Dot"}]}),
    ] {
        let object = object("docs", &spec);
        let by_rust: VectorCollection = serde_json::from_value(object.clone()).unwrap();
        let by_rust = serde_json::to_value(by_rust).unwrap();
        assert_eq!(by_rust["spec"], API_SERVER.with_defaults(&object)["spec"]);
    }
}

#[test]
fn the_judge_sees_every_rule_of_the_crd() {
    // One rule on the name, four on spec, and those of index, limits,
    // partitioning (two), vnodes, payload indexes and their words (two), of which
    // `self == oldSelf` is the same text twice.
    assert_eq!(API_SERVER.rules(), 13);
}
