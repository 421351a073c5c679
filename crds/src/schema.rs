//! The generated CRD: how the schema of the Rust types becomes one that the
//! API server takes as it is meant, and the text of the committed file.

use kube::CustomResourceExt;
use schemars::Schema;
use serde_json::Value;

use crate::collection::VectorCollection;
use crate::yaml;

const HEADER: &str = "\
# Generated from the types in crds/src by quoit-crdgen: change those, then run
#   cargo run -p quoit-crds --bin quoit-crdgen > crds/quoit.dev_vectorcollections.yaml
";

/// The CRD of `VectorCollection` as the text of
/// `crds/quoit.dev_vectorcollections.yaml`.
#[must_use]
pub fn crd_yaml() -> String {
    let mut crd = serde_json::to_value(VectorCollection::crd()).unwrap_or_default();
    whole_numbers(&mut crd);
    format!("{HEADER}{}", yaml::to_text(&crd))
}

/// Kubernetes' type for a schema keeps bounds as floats: 64 and not 64.0 is
/// what a person expects to read for an integer.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Ok(whole) = number
                .as_f64()
                .unwrap_or_default()
                .to_string()
                .parse::<i64>()
            {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Makes the properties of a struct plain: an `Option` may be absent but not
/// null, and integers have formats that Kubernetes knows.
///
/// A nullable field would be present to `has()` in CEL while it has no value,
/// and an unknown format is ignored by the API server, with a warning at each
/// `kubectl apply`.
pub(crate) fn tidy(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for property in properties.values_mut() {
        let Value::Object(property) = property else {
            continue;
        };
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                property.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(mut forms)) = property.remove("anyOf") {
            forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
            for form in forms {
                if let Value::Object(form) = form {
                    for (key, value) in form {
                        // What the field says of itself goes before what its type says.
                        property.entry(key).or_insert(value);
                    }
                }
            }
        }
        if property.get("format").is_some_and(|name| name == "uint32") {
            property.insert("format".to_owned(), "int64".into());
        }
    }
}
