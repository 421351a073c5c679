//! Whether a value is as a schema of the document says. Only what the document
//! makes use of is known: a keyword that is not panics, so that none is passed
//! over. (A whole validator takes longer to build than all tests take to run.)

use serde_json::Value;

/// What is wrong with a value, if anything is.
pub fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let inner = |schema: &Value, value: &Value, at: &str| check(document, schema, value, at);
    for (keyword, want) in schema.as_object().unwrap() {
        let is_met = match keyword.as_str() {
            "description" | "format" => true,
            "$ref" => {
                let name = want.as_str().unwrap().rsplit('/').next().unwrap();
                inner(&document["components"]["schemas"][name], value, at)?;
                true
            }
            "type" => {
                let types = want
                    .as_array()
                    .map_or(std::slice::from_ref(want), Vec::as_slice);
                types
                    .iter()
                    .any(|kind| is_of(kind.as_str().unwrap(), value))
            }
            "enum" => want.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|x| x >= want.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|x| x <= want.as_f64().unwrap()),
            "propertyNames" => {
                for name in value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name)
                {
                    inner(want, &Value::from(name.as_str()), at)?;
                }
                true
            }
            "required" => value.as_object().is_none_or(|fields| {
                let mut names = want.as_array().unwrap().iter();
                names.all(|name| fields.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, schema) in want.as_object().unwrap() {
                    if let Some(field) = value.get(name) {
                        inner(schema, field, &format!("{at}.{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{name}");
                    match want {
                        _ if schema["properties"].get(name).is_some() => {}
                        Value::Bool(true) => {}
                        Value::Bool(false) => return Err(format!("{at} is not described")),
                        schema => inner(schema, field, &at)?,
                    }
                }
                true
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    inner(want, item, &format!("{at}[{i}]"))?;
                }
                true
            }
            "anyOf" | "oneOf" => {
                let tried = want.as_array().unwrap().iter();
                let tried: Vec<_> = tried.map(|schema| inner(schema, value, at)).collect();
                let met = tried.iter().filter(|result| result.is_ok()).count();
                if met == 0 {
                    let wrong = tried.into_iter().filter_map(Result::err);
                    return Err(format!("({})", wrong.collect::<Vec<_>>().join(" and ")));
                }
                keyword == "anyOf" || met == 1
            }
            other => panic!("{at}: the keyword {other:?} is not known here"),
        };
        if !is_met {
            return Err(format!("{at} is not of the {keyword} {want}: {value}"));
        }
    }
    Ok(())
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|x| x.fract() == 0.0),
        other => panic!("the type {other:?} is not known here"),
    }
}

#[test]
fn what_is_not_as_described_is_found() {
    use serde_json::json;
    let document = json!({"components": {"schemas": {"Id": {"type": "integer", "minimum": 1}}}});
    let schema = json!({
        "type": "object", "required": ["id"], "additionalProperties": false, "propertyNames": {"type": "string"},
        "properties": {
            "id": {"$ref": "#/components/schemas/Id"},
            "kinds": {"type": ["array", "null"], "items": {"enum": ["a", "b"]}},
            "by_name": {"additionalProperties": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}},
            "one": {"oneOf": [{"type": "number", "maximum": 2}, {"type": "integer"}]},
        },
    });
    for right in [
        json!({"id": 1}),
        json!({"id": 2, "kinds": null, "by_name": {"x": "", "y": true}, "one": 1.5}),
        json!({"id": 2, "kinds": ["a", "b"], "by_name": {}, "one": 3}),
    ] {
        assert_eq!(check(&document, &schema, &right, ""), Ok(()), "{right}");
    }
    for wrong in [
        json!(7),
        json!({}),
        json!({"id": 0}),
        json!({"id": 1.5}),
        json!({"id": 1, "other": 1}),
        json!({"id": 1, "kinds": ["c"]}),
        json!({"id": 1, "kinds": {}}),
        json!({"id": 1, "by_name": {"x": 1}}),
        json!({"id": 1, "one": 1}),
        json!({"id": 1, "one": ""}),
    ] {
        assert!(check(&document, &schema, &wrong, "").is_err(), "{wrong}");
    }
}
