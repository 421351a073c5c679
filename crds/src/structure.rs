//! Whether a document has the shape of a `VectorCollection`: known fields,
//! right types, numbers that fit. It goes by the schema of the generated CRD,
//! and as the API server does it: a null where the schema has a default counts
//! as absent. What the fields mean is checked after, by `validate`.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::collection::VectorCollection;
use crate::validate::quoted;
use crate::violation::{FieldPath, Violation};
use crate::yaml::Part;

/// A violation, and which part of its field to point at.
pub(crate) type Finding = (Violation, Part);

/// The fields that Kubernetes knows in `metadata`, which a CRD's schema leaves
/// out.
const METADATA_FIELDS: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = serde_json::to_value(VectorCollection::crd()).unwrap_or_default();
    let mut schema = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_default();
    // Every object has these, so the CRD does not say them.
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = json!({"type": "object"});
    schema
});

/// Finds what is wrong in the shape of `document`, and takes out of it the
/// nulls that count as absent.
pub(crate) fn check(document: &mut Value) -> Vec<Finding> {
    let mut walk = Walk::default();
    walk.value(&FieldPath::root(), &SCHEMA, document);
    if let Some(Value::Object(metadata)) = document.get("metadata") {
        let path = FieldPath::root().key("metadata");
        for key in metadata.keys() {
            if !METADATA_FIELDS.contains(&key.as_str()) {
                walk.unknown(&path, key, METADATA_FIELDS.into_iter());
            }
        }
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    found: Vec<Finding>,
}

impl Walk {
    fn value(&mut self, path: &FieldPath, schema: &Value, value: &mut Value) {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            if !choices.contains(value) {
                let choices: Vec<String> = choices.iter().map(bare).collect();
                self.report(Violation::not_one_of(
                    path.clone(),
                    describe(value),
                    &choices,
                ));
            }
            return;
        }
        match (schema.get("type").and_then(Value::as_str), value) {
            (Some("object"), Value::Object(fields)) => self.object(path, schema, fields),
            (Some("array"), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(&path.item(index), &schema["items"], item);
                }
            }
            (Some("integer"), value) => self.integer(path, schema, value),
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => {}
            (expected, value) => self.wrong_type(path, expected, value),
        }
    }

    fn object(&mut self, path: &FieldPath, schema: &Value, fields: &mut Map<String, Value>) {
        let Some(known) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|keys| keys.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        fields.retain(|key, value| {
            let has_default = known
                .get(key)
                .is_some_and(|field| field.get("default").is_some());
            !value.is_null() || !(has_default || required.contains(&key.as_str()))
        });
        for (key, value) in fields.iter_mut() {
            match known.get(key) {
                Some(schema) => self.value(&path.key(key), schema, value),
                None => self.unknown(path, key, known.keys().map(String::as_str)),
            }
        }
        for key in required {
            if !fields.contains_key(key) {
                self.report(Violation::new(path.key(key), "is missing", "add it"));
            }
        }
    }

    fn integer(&mut self, path: &FieldPath, schema: &Value, value: &Value) {
        let Some(number) = value.as_f64() else {
            return self.wrong_type(path, Some("integer"), value);
        };
        let bound = |key: &str, otherwise: f64| {
            schema.get(key).and_then(Value::as_f64).unwrap_or(otherwise)
        };
        let (min, max) = (bound("minimum", 0.0), bound("maximum", f64::from(u32::MAX)));
        if value.is_f64() || number < min || number > max {
            self.report(Violation::out_of_range(path.clone(), value, min, max));
        }
    }

    fn wrong_type(&mut self, path: &FieldPath, expected: Option<&str>, value: &Value) {
        let remedy = match (expected, value) {
            (Some("integer"), Value::String(text)) if text.parse::<i64>().is_ok() => {
                format!("give a whole number, without quotes: {text}")
            }
            (Some("integer"), _) => "give a whole number".to_owned(),
            (Some("string"), Value::Number(_) | Value::Bool(_)) => {
                format!("put it in quotes: \"{value}\"")
            }
            (Some("string"), _) => "give a string".to_owned(),
            (Some("boolean"), _) => "give true or false, without quotes".to_owned(),
            (Some("array"), _) => "give a list, an entry a line, each after a '-'".to_owned(),
            (_, _) => "give a mapping, a field a line, indented".to_owned(),
        };
        let remedy = match value {
            Value::Null => format!("{remedy}, or remove the line"),
            _ => remedy,
        };
        self.report(Violation::new(
            path.clone(),
            format!("is {}", describe(value)),
            remedy,
        ));
    }

    fn unknown<'a>(
        &mut self,
        path: &FieldPath,
        key: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        let remedy = if let Some(similar) = most_similar(key, known.clone()) {
            format!("did you mean {}?", path.key(similar))
        } else if let Some(elsewhere) = find(key, &SCHEMA, "") {
            format!("did you mean {elsewhere}?")
        } else {
            let known: Vec<&str> = known.collect();
            format!("the fields here are {}", known.join(", "))
        };
        let unknown = Violation::new(path.key(key), "is not a field", remedy);
        self.found.push((unknown, Part::Key));
    }

    fn report(&mut self, violation: Violation) {
        self.found.push((violation, Part::Value));
    }
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => format!("{value}, not a number or a string"),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// Where else a field of this name is, at the least depth.
fn find(key: &str, schema: &Value, at: &str) -> Option<String> {
    let properties = schema.get("properties").and_then(Value::as_object)?;
    if properties.contains_key(key) {
        return Some(format!("{at}{key}"));
    }
    properties.iter().find_map(|(name, field)| {
        find(key, field, &format!("{at}{name}.")).or_else(|| {
            let items = field.get("items")?;
            find(key, items, &format!("{at}{name}[]."))
        })
    })
}

/// The known name that was probably meant: one that differs in case and
/// separators only, or in few letters.
fn most_similar<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| -> Vec<char> {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(key);
    // Longer names bear more mistakes, but a third of the letters must be right
    // for a guess to be help.
    let bearable = |name: &[char]| name.len().min(wanted.len()) / 3;
    known
        .map(|name| (name, plain(name)))
        .map(|(name, letters)| (distance(&wanted, &letters), bearable(&letters), name))
        .filter(|(distance, bearable, _)| distance <= bearable)
        .min()
        .map(|(_, _, name)| name)
}

/// Levenshtein's distance: letters to add, drop or change.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut diagonal = above[0];
        above[0] = row + 1;
        for (column, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = above[column + 1];
            above[column + 1] = change.min(diagonal + 1).min(above[column] + 1);
        }
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_made_for_slips_and_none_for_strangers() {
        let known = ["shards", "replicas", "payloadIndexes", "ring", "index"];
        let guess = |key| most_similar(key, known.into_iter());
        assert_eq!(guess("shard"), Some("shards"));
        assert_eq!(guess("payload_indexes"), Some("payloadIndexes"));
        assert_eq!(guess("Replica"), Some("replicas"));
        assert_eq!(guess("indx"), Some("index"));
        assert_eq!(guess("selector"), None);
        assert_eq!(guess("x"), None);
        assert_eq!(guess(""), None);
    }

    #[test]
    fn the_schema_of_the_crd_is_found() {
        assert_eq!(
            find("vnodes", &SCHEMA, "").as_deref(),
            Some("spec.ring.vnodes")
        );
    }
}
