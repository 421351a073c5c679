//! Changes of a payload: keys set, at the top or at a path, and what is at
//! some paths taken away. Every replica makes the same change to the same text.
//!
//! What a change does not touch keeps the text in which the client wrote it: a
//! number that no float can hold must not come out as another one.

use crate::path::{BadPath, Path, Step};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A change of a point's payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// These keys are to be there with these values, those with null are not to
    /// be there, and others stay as they are.
    Set {
        /// In the object at this path, which is made if it is not there; `None`:
        /// in the payload itself. Elements of arrays are not made.
        at: Option<Path>,
        /// A JSON object as text.
        values: String,
    },
    /// The payload is to be this JSON object; empty for none.
    Replace(String),
    /// What is at these paths is not to be there.
    Remove(Vec<Path>),
}

/// Objects and arrays of a payload within each other. What is nested deeper
/// could not be read again.
pub const MAX_PAYLOAD_DEPTH: usize = 64;

/// An edit that must not be applied to any payload.
#[derive(Debug, thiserror::Error)]
pub enum BadEdit {
    /// A path is none.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// The values are no JSON object.
    #[error("the values are no JSON object: {0}")]
    Values(#[from] serde_json::Error),
    /// It would make payloads too deep.
    #[error(
        "objects and arrays would be nested deeper than {MAX_PAYLOAD_DEPTH}: make the payload flatter"
    )]
    Deep,
    /// It is of a kind that this version does not know.
    #[error("an edit of a kind that this version does not know")]
    Unknown,
}

type Keys = BTreeMap<String, Box<RawValue>>;

impl Edit {
    /// Shows that the edit makes a payload out of every payload.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self) -> Result<(), BadEdit> {
        let (at, text) = match self {
            Self::Remove(_) => return Ok(()),
            Self::Replace(text) if text.is_empty() => return Ok(()),
            Self::Replace(text) => (0, text),
            Self::Set { at, values } => (at.as_ref().map_or(0, Path::depth), values),
        };
        let values: Map<String, Value> = serde_json::from_str(text)?;
        if at + depth(&Value::Object(values)) > MAX_PAYLOAD_DEPTH {
            return Err(BadEdit::Deep);
        }
        Ok(())
    }

    /// A payload after the change, as the text of a JSON object; empty for none.
    ///
    /// # Errors
    /// The payload or the values are no JSON object.
    pub fn apply(&self, payload: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Replace(text) => text_of(&keys_of(text.as_bytes())?),
            Self::Set { at, values } => {
                let mut keys = keys_of(payload)?;
                match at {
                    None => merge(&mut keys, keys_of(values.as_bytes())?),
                    Some(path) => {
                        let values: Map<String, Value> = serde_json::from_str(values)?;
                        change(&mut keys, path, |value, steps| set(value, steps, &values))?;
                    }
                }
                text_of(&keys)
            }
            Self::Remove(paths) => {
                let mut keys = keys_of(payload)?;
                for path in paths {
                    if path.rest().is_empty() {
                        keys.remove(path.first());
                    } else if keys.contains_key(path.first()) {
                        change(&mut keys, path, |value, steps| {
                            if let Some(value) = value {
                                remove(value, steps);
                            }
                        })?;
                    }
                }
                text_of(&keys)
            }
        }
    }
}

/// How many objects and arrays lie within each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        Value::Array(array) => 1 + array.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn keys_of(payload: &[u8]) -> Result<Keys, serde_json::Error> {
    match payload {
        [] => Ok(Keys::new()),
        text => serde_json::from_slice(text),
    }
}

fn text_of(keys: &Keys) -> Result<Vec<u8>, serde_json::Error> {
    if keys.is_empty() {
        Ok(Vec::new())
    } else {
        serde_json::to_vec(keys)
    }
}

fn merge(keys: &mut Keys, values: Keys) {
    for (key, value) in values {
        if value.get() == "null" {
            keys.remove(&key);
        } else {
            keys.insert(key, value);
        }
    }
}

/// Changes the value of a path's first key; the rest of the path is for the
/// change itself.
fn change(
    keys: &mut Keys,
    path: &Path,
    change: impl FnOnce(&mut Option<Value>, &[Step]),
) -> Result<(), serde_json::Error> {
    let text = keys.get(path.first()).map(|raw| raw.get());
    let mut value: Option<Value> = text.map(serde_json::from_str).transpose()?;
    let before = value.clone();
    change(&mut value, path.rest());
    if value != before
        && let Some(value) = value
    {
        let raw = serde_json::value::to_raw_value(&value)?;
        keys.insert(path.first().to_owned(), raw);
    }
    Ok(())
}

/// Sets keys in the objects that some steps lead to.
fn set(value: &mut Option<Value>, steps: &[Step], values: &Map<String, Value>) {
    let Some((step, rest)) = steps.split_first() else {
        if !matches!(value, Some(Value::Object(_))) {
            *value = Some(Value::Object(Map::new()));
        }
        if let Some(Value::Object(object)) = value {
            for (key, value) in values {
                match value {
                    Value::Null => object.remove(key),
                    value => object.insert(key.clone(), value.clone()),
                };
            }
        }
        return;
    };
    match step {
        Step::Key(key) => {
            if !matches!(value, Some(Value::Object(_))) {
                // Only objects are made, and only all of them on the way.
                if rest.iter().any(|step| !matches!(step, Step::Key(_))) {
                    return;
                }
                *value = Some(Value::Object(Map::new()));
            }
            if let Some(Value::Object(object)) = value {
                let mut inner = object.remove(key);
                set(&mut inner, rest, values);
                object.extend(inner.map(|inner| (key.clone(), inner)));
            }
        }
        Step::Index(index) => {
            if let Some(Value::Array(array)) = value
                && let Some(element) = array.get_mut(*index)
            {
                set_element(element, rest, values);
            }
        }
        Step::All => {
            if let Some(Value::Array(array)) = value {
                for element in array {
                    set_element(element, rest, values);
                }
            }
        }
    }
}

fn set_element(element: &mut Value, steps: &[Step], values: &Map<String, Value>) {
    let mut value = Some(element.take());
    set(&mut value, steps, values);
    *element = value.unwrap_or_default();
}

/// Takes away what some steps lead to.
fn remove(value: &mut Value, steps: &[Step]) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    match (step, value) {
        (Step::Key(key), Value::Object(object)) => {
            if rest.is_empty() {
                object.remove(key);
            } else if let Some(value) = object.get_mut(key) {
                remove(value, rest);
            }
        }
        // Not the element itself: done twice, it would take away another one.
        (Step::Index(index), Value::Array(array)) if !rest.is_empty() => {
            if let Some(element) = array.get_mut(*index) {
                remove(element, rest);
            }
        }
        (Step::All, Value::Array(array)) => {
            if rest.is_empty() {
                array.clear();
            } else {
                for element in array {
                    remove(element, rest);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn after(payload: &str, edit: &Edit) -> String {
        String::from_utf8(edit.apply(payload.as_bytes()).unwrap()).unwrap()
    }

    fn set(at: &str, values: &Value) -> Edit {
        let at = (!at.is_empty()).then(|| at.parse().unwrap());
        let values = values.to_string();
        Edit::Set { at, values }
    }

    fn remove(paths: &[&str]) -> Edit {
        Edit::Remove(paths.iter().map(|p| p.parse().unwrap()).collect())
    }

    #[test]
    fn keys_are_set_where_the_path_leads_and_the_others_stay() {
        let x = json!({"x": 1});
        for (payload, at, values, expected) in [
            ("", "", &x, r#"{"x":1}"#),
            ("", "", &json!({}), ""),
            (r#"{"x":{"y":0},"z":2}"#, "", &x, r#"{"x":1,"z":2}"#),
            (r#"{"a":{"b":1}}"#, "a", &x, r#"{"a":{"b":1,"x":1}}"#),
            (r#"{"z":0}"#, "a.b", &x, r#"{"a":{"b":{"x":1}},"z":0}"#),
            (r#"{"a":7}"#, "a.b", &x, r#"{"a":{"b":{"x":1}}}"#),
            (
                r#"{"x":1,"y":2}"#,
                "",
                &json!({"x": null, "z": null}),
                r#"{"y":2}"#,
            ),
            (
                r#"{"a":{"x":1,"y":2}}"#,
                "a",
                &json!({"x": null}),
                r#"{"a":{"y":2}}"#,
            ),
            (
                "",
                "a",
                &json!({"x": null, "y": {"z": null}}),
                r#"{"a":{"y":{"z":null}}}"#,
            ),
            (r#"{"a":{"b":null}}"#, "a.b", &x, r#"{"a":{"b":{"x":1}}}"#),
            (
                r#"{"a":[{"b":1},2]}"#,
                "a[0]",
                &x,
                r#"{"a":[{"b":1,"x":1},2]}"#,
            ),
            (
                r#"{"a":[{"b":1},2]}"#,
                "a[]",
                &x,
                r#"{"a":[{"b":1,"x":1},{"x":1}]}"#,
            ),
            (r#"{"a":[{}]}"#, "a[].c", &x, r#"{"a":[{"c":{"x":1}}]}"#),
            // Elements are not made, nor what would be only on the way to one.
            (r#"{"a":[]}"#, "a[0]", &x, r#"{"a":[]}"#),
            ("", "a[0]", &x, ""),
            (r#"{"a":7}"#, "a.b[].c", &x, r#"{"a":7}"#),
            (r#"{"a":{}}"#, "a.b[].c", &x, r#"{"a":{}}"#),
        ] {
            assert_eq!(after(payload, &set(at, values)), expected, "{payload} {at}");
        }
    }

    #[test]
    fn what_paths_lead_to_is_taken_away_and_nothing_else() {
        let payload = r#"{"a":{"b":1,"c":[1,2,3]},"d":[{"e":1,"f":2},{"e":3}],"g":4}"#;
        for (paths, expected) in [
            (&["a"][..], r#"{"d":[{"e":1,"f":2},{"e":3}],"g":4}"#),
            (&["g", "d", "a.c"], r#"{"a":{"b":1}}"#),
            (&["a.c[1]", "d"], r#"{"a":{"b":1,"c":[1,2,3]},"g":4}"#),
            (&["a", "d[0].e", "g"], r#"{"d":[{"f":2},{"e":3}]}"#),
            (&["a.c[]", "d", "g"], r#"{"a":{"b":1,"c":[]}}"#),
            (&["a", "d[].e", "g"], r#"{"d":[{"f":2},{}]}"#),
            (&["x", "a.x", "a.b.x", "g[]", "d[5]"], payload),
            (&["a", "d", "g"], ""),
        ] {
            assert_eq!(after(payload, &remove(paths)), expected, "{paths:?}");
        }
    }

    #[test]
    fn a_payload_is_replaced_as_a_whole() {
        let edit = Edit::Replace(r#"{"b": 2}"#.into());
        assert_eq!(after(r#"{"a":1}"#, &edit), r#"{"b":2}"#);
        for nothing in ["", "{}"] {
            assert_eq!(after(r#"{"a":1}"#, &Edit::Replace(nothing.into())), "");
        }
    }

    #[test]
    fn what_is_not_touched_keeps_its_text() {
        let payload = r#"{"big":123456789012345678901234567890,"float":1.10,"a":{"b": 1}}"#;
        let edited = after(payload, &set("a", &json!({"c": 2})));
        let (big, float) = (r#""big":123456789012345678901234567890"#, r#""float":1.10"#);
        assert!(edited.contains(big) && edited.contains(float), "{edited}");
        let edited = after(payload, &remove(&["a.x"]));
        assert!(edited.contains(r#""a":{"b": 1}"#), "{edited}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (payload, edit) in [
            ("[1]", set("", &json!({}))),
            ("{", remove(&["a"])),
            ("{}", set("", &json!([1]))),
            ("{}", Edit::Replace("7".into())),
        ] {
            assert!(
                edit.apply(payload.as_bytes()).is_err(),
                "{payload} {edit:?}"
            );
        }
    }
}
