//! The answers to bad files, in full: place, field, problem, remedy. And that
//! no text at all makes the loader panic.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// Lines 1 to 4 of each file of which only the rest of `spec` matters.
const HEAD: &str = "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
spec:
";

fn answer(text: &str) -> String {
    match load(text, "c.yaml") {
        Ok(collections) => panic!("loaded {collections:?} from\n{text}"),
        Err(error) => error.to_string(),
    }
}

const BAD_FILES: &[(&str, &str)] = &[
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
 metadata: {name: docs}
",
        "c.yaml:3:10: not valid YAML, mapping values are not allowed in this context: check the indentation, quotes and brackets here",
    ),
    (
        "spec:
\tshards: 3
",
        "c.yaml:2:1: not valid YAML, a tab: indent with spaces",
    ),
    (
        "spec:
  vectors: [{name: a}
  shards: 3
",
        "c.yaml:3:3: not valid YAML, did not find expected ',' or ']', while parsing a flow sequence at line 2 column 12: check the indentation, quotes and brackets here",
    ),
    (
        "spec: *nowhere
",
        "c.yaml:1:7: not valid YAML, unknown anchor: check the indentation, quotes and brackets here",
    ),
    (
        "",
        "c.yaml: the file is empty: write a VectorCollection in it",
    ),
    (
        "# nothing
---
",
        "c.yaml: the file is empty: write a VectorCollection in it",
    ),
    (
        "hello
",
        "c.yaml:1:1: the document is no mapping: write apiVersion, kind, metadata and spec, each on a line of its own",
    ),
    (
        "- a
",
        "c.yaml:1:1: the document is no mapping: write apiVersion, kind, metadata and spec, each on a line of its own",
    ),
    (
        "apiVersion: v1
kind: ConfigMap
data: {a: b}
",
        r#"c.yaml:1:13: apiVersion is "v1": write apiVersion: quoit.dev/v1alpha1
c.yaml:2:7: kind is "ConfigMap": write kind: VectorCollection"#,
    ),
    (
        "spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:1:1: apiVersion is missing: write apiVersion: quoit.dev/v1alpha1
c.yaml:1:1: kind is missing: write kind: VectorCollection",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:1:1: metadata.name is missing: give the collection a name, such as docs",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata:
  name: My_docs
spec: {dimension: 384, metric: Cosine}
",
        r#"c.yaml:4:9: metadata.name is "My_docs", with 'M' at position 1: use lowercase letters, digits and '-', starting with a letter and ending with a letter or digit"#,
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata:
  name: 7
spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:4:9: metadata.name is 7: give a name in quotes, starting with a letter",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata:
  name: docs
  labels: {version: 2}
spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:3:1: metadata is not as Kubernetes has it (invalid type: integer `2`, expected a string): put the values of labels and annotations in quotes",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata:
  name: docs
  lables: {}
spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:5:3: metadata.lables is not a field: did you mean metadata.labels?",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
",
        "c.yaml:1:1: spec is missing: add it",
    ),
    (
        "apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
dimension: 384
spec: {dimension: 384, metric: Cosine}
",
        "c.yaml:4:1: dimension is not a field: did you mean spec.dimension?",
    ),
];

#[test]
fn a_bad_file_is_answered_with_place_and_remedy() {
    for (text, expected) in BAD_FILES {
        assert_eq!(answer(text), *expected, "{text}");
    }
}

const BAD_SPECS: &[(&str, &str)] = &[
    (
        "  metric: !metric Dot
",
        "c.yaml:5:11: spec.metric: a tag (!name) has no meaning here: remove it",
    ),
    (
        "  dimension: {{ dimension }}
",
        "c.yaml:5:15: not valid YAML, spec.dimension: invalid type: map, expected the name of a field: check the indentation, quotes and brackets here",
    ),
    (
        "  dimension: 384
  metric: Dot
  dimension: 385
",
        "c.yaml:7:3: spec: dimension is given twice: keep one",
    ),
    (
        "  dimension: 384
  metric: Cosine
  shard: 3
",
        "c.yaml:7:3: spec.shard is not a field: did you mean spec.shards?",
    ),
    (
        "  dimension: 384
  metric: Cosine
  payload_indexes: []
",
        "c.yaml:7:3: spec.payload_indexes is not a field: did you mean spec.payloadIndexes?",
    ),
    (
        "  dimension: 384
  metric: Cosine
  vnodes: 64
",
        "c.yaml:7:3: spec.vnodes is not a field: did you mean spec.ring.vnodes?",
    ),
    (
        "  dimension: 384
  metric: Cosine
  ring:
    buckets: 3
",
        "c.yaml:8:5: spec.ring.buckets is not a field: the fields here are vnodes",
    ),
    (
        "  dimension: 384
  metric: Cosine
  shards: 0
",
        "c.yaml:7:11: spec.shards is 0: set it to a whole number from 1 to 1024",
    ),
    (
        "  dimension: -384
  metric: Cosine
",
        "c.yaml:5:14: spec.dimension is -384: set it to a whole number from 1 to 65536",
    ),
    (
        "  dimension: 384
  metric: Cosine
  shards: 1.5
",
        "c.yaml:7:11: spec.shards is 1.5: set it to a whole number from 1 to 1024",
    ),
    (
        "  dimension: 384
  metric: Cosine
  shards: 99999999999999999999999
",
        "c.yaml:7:11: spec.shards is 1e+23: set it to a whole number from 1 to 1024",
    ),
    (
        "  dimension: .nan
  metric: Cosine
",
        r#"c.yaml:5:14: spec.dimension is "NaN": give a whole number"#,
    ),
    (
        r#"  dimension: "384"
  metric: Cosine
"#,
        r#"c.yaml:5:14: spec.dimension is "384": give a whole number, without quotes: 384"#,
    ),
    (
        "  dimension: many
  metric: Cosine
",
        r#"c.yaml:5:14: spec.dimension is "many": give a whole number"#,
    ),
    (
        "  dimension:
  metric: Cosine
",
        "c.yaml:5:13: spec.dimension is empty: give a whole number, or remove the line",
    ),
    (
        "  dimension: 384
  metric: Cosine
  storage:
    size: 10
",
        r#"c.yaml:8:11: spec.storage.size is 10: put it in quotes: "10""#,
    ),
    (
        "  dimension: 384
  metric: cosine
",
        r#"c.yaml:6:11: spec.metric is "cosine": use Cosine, Dot, Euclid or Manhattan"#,
    ),
    (
        "  dimension: 384
  metric: Cosine
  ring: 4096
",
        "c.yaml:7:9: spec.ring is 4096: give a mapping, a field a line, indented",
    ),
    (
        "  vectors:
    text: {dimension: 384, metric: Cosine}
",
        "c.yaml:5:3: spec.vectors is a mapping: give a list, an entry a line, each after a '-'",
    ),
    (
        "  dimension: 384
  metric: Cosine
  ring:
    vnodes: 1000
",
        "c.yaml:8:13: spec.ring.vnodes is 1000, not a power of two: use 512 or 1024",
    ),
    (
        "  dimension: 384
  metric: Cosine
  replicas: 2
",
        "c.yaml:7:13: spec.replicas is 2: use 1, 3, 5 or 7",
    ),
    (
        "  vectors:
    - name: text
      dimension: 384
      metric: Cosine
  dimension: 384
",
        "c.yaml:9:14: spec.dimension is given beside spec.vectors: each entry of spec.vectors has its own: move it there",
    ),
    (
        "  dimension: 384
",
        "c.yaml:4:1: spec.metric is missing: give Cosine, Dot, Euclid or Manhattan; most embedding models want Cosine",
    ),
    (
        "  vectors:
    - {name: a, dimension: 384, metric: Cosine}
    - {name: a, dimension: 0, metric: Cosine}
",
        "c.yaml:7:28: spec.vectors[1].dimension is 0: set it to a whole number from 1 to 65536",
    ),
    (
        "  vectors:
    - name: a
      metric: Cosine
",
        "c.yaml:6:7: spec.vectors[0].dimension is missing: add it",
    ),
    (
        "  dimension: 384
  metric: Cosin
  shards: many
  rings: 3
",
        r#"c.yaml:6:11: spec.metric is "Cosin": use Cosine, Dot, Euclid or Manhattan
c.yaml:7:11: spec.shards is "many": give a whole number
c.yaml:8:3: spec.rings is not a field: did you mean spec.ring?"#,
    ),
];

#[test]
fn a_bad_spec_is_answered_with_place_field_and_remedy() {
    for (spec, expected) in BAD_SPECS {
        assert_eq!(answer(&format!("{HEAD}{spec}")), *expected, "{spec}");
    }
}

#[test]
fn every_document_of_a_file_is_loaded_in_order() {
    let file = "---\n# The first.\napiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\n\
                metadata: {name: a}\nspec: {dimension: 2, metric: Dot}\n---\n---\n\
                apiVersion: quoit.dev/v1alpha1\nkind: VectorCollection\n\
                metadata: {name: b}\nspec: {dimension: 3, metric: Dot}\n";
    let loaded = load(file, "c.yaml").unwrap();
    let names = loaded.iter().map(|c| c.metadata.name.as_deref());
    assert_eq!(names.collect::<Vec<_>>(), [Some("a"), Some("b")]);

    // One bad document, and nothing of the file counts; the place is that in
    // the file.
    assert_eq!(
        answer(&file.replace("dimension: 3", "dimension: 0")),
        "c.yaml:12:19: spec.dimension is 0: set it to a whole number from 1 to 65536"
    );
}

#[test]
fn anchors_json_and_nulls_that_mean_the_default_are_taken() {
    let anchors = format!(
        "{HEAD}  vectors: [{{name: a, dimension: &d 2, metric: Dot}}, {{name: b, dimension: *d, metric: Dot}}]\n"
    );
    assert!(load(&anchors, "c.yaml").is_ok());
    let json = r#"{"apiVersion": "quoit.dev/v1alpha1", "kind": "VectorCollection",
        "metadata": {"name": "docs", "labels": {"a": "b"}}, "spec": {"dimension": 2, "metric": "Dot"}}"#;
    assert!(load(json, "c.json").is_ok());
    let nulls = format!("{HEAD}  dimension: 2\n  metric: Dot\n  shards:\n  ring: null\n");
    let loaded = load(&nulls, "c.yaml").unwrap();
    assert_eq!(
        (loaded[0].spec.shards, loaded[0].spec.ring.vnodes),
        (1, 4096)
    );
}

#[test]
fn a_mistake_reached_by_an_alias_is_placed_at_its_anchor() {
    let spec = "  vectors:
    - {name: a, dimension: 2, metric: Dot, index: &i {hnsw: {m: 2}}}
    - {name: b, dimension: 2, metric: Dot, index: *i}
";
    assert_eq!(
        answer(&format!("{HEAD}{spec}")),
        "c.yaml:6:65: spec.vectors[0].index.hnsw.m is 2: set it to a whole number from 4 to 128\n\
         c.yaml:6:65: spec.vectors[1].index.hnsw.m is 2: set it to a whole number from 4 to 128"
    );
}

#[test]
fn of_very_many_mistakes_the_first_are_told() {
    let mut text = format!("{HEAD}  dimension: 2\n  metric: Dot\n");
    for n in 0..50 {
        writeln!(text, "  strange{n}: 1").unwrap();
    }
    let answer = answer(&text);
    assert_eq!(answer.lines().count(), 21, "{answer}");
    assert!(answer.ends_with("c.yaml: and 30 more"), "{answer}");
}

#[test]
fn deep_nesting_and_multiplying_anchors_are_refused() {
    let deep = format!("{HEAD}  ring: {}", "[".repeat(10_000));
    assert!(answer(&deep).starts_with("c.yaml:"));
    let deep = format!("{HEAD}  ring: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(
        answer(&deep).contains("recursion limit"),
        "{}",
        answer(&deep)
    );
    let mut anchors = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = n - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        writeln!(anchors, "a{n}: &a{n} [{items}]").unwrap();
    }
    assert!(
        answer(&anchors).contains("stand for too much"),
        "{}",
        answer(&anchors)
    );
}

/// The library counts aliases, and not what they stand for.
#[test]
fn a_few_aliases_of_a_long_list_do_not_take_up_all_memory() {
    let long = "1,".repeat(4_000);
    for list in [format!("[{long}]"), format!("\"{long}\"")] {
        let text = format!("a: &a {list}\nb: [{}]\n", "*a,".repeat(2_700));
        let answer = answer(&text);
        assert!(
            answer.starts_with("c.yaml:") && answer.contains("stand for too much: write"),
            "{answer}"
        );
    }
}

#[test]
fn a_file_of_nothing_but_mistakes_is_not_read_once_for_each() {
    let mut text = format!("{HEAD}  dimension: 2\n  metric: Dot\n");
    for n in 0..300 {
        writeln!(text, "  strange{n}: 1").unwrap();
    }
    let Err(LoadError::Invalid { problems, .. }) = load(&text, "c.yaml") else {
        panic!("taken");
    };
    assert_eq!(problems.len(), 300);
    let (placed, others) = problems.split_at(PLACED);
    assert!(placed.iter().all(|p| p.position.is_some()));
    assert!(others.iter().all(|p| p.position.is_none()));
}

const FULL: &str = include_str!("../../../config/samples/collection-full.yaml");

proptest! {
    #[test]
    fn any_damage_to_a_file_is_answered_or_harmless(
        cut in 0..FULL.len(),
        length in 0_usize..40,
        insert in prop_oneof!["\\PC{0,8}", "[-{}\\[\\]:,&*!|>'\"%@` \t\n~0-9a-z]{0,12}"],
    ) {
        let start = FULL.floor_char_boundary(cut);
        let end = FULL.floor_char_boundary((cut + length).min(FULL.len()));
        let damaged = format!("{}{insert}{}", &FULL[..start], &FULL[end.max(start)..]);
        match load(&damaged, "c.yaml") {
            Ok(collections) => prop_assert!(!collections.is_empty()),
            Err(LoadError::Invalid { problems, .. }) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.position.is_some(), "{problem:?}");
                }
            }
            Err(LoadError::Syntax { .. } | LoadError::Empty { .. }) => {}
        }
    }
}
