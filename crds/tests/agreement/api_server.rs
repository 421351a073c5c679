//! Judges objects as the API server does, from the CRD alone:
//! defaults, then OpenAPI bounds, then CEL rules. It panics on whatever the CRD
//! has that it does not know, so that no bound is skipped in silence.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cel::{Context, Env, Program};
use serde_json::{Map, Value};

/// The judge.
pub struct ApiServer {
    schema: Value,
    env: Arc<Env>,
    programs: HashMap<String, Program>,
}

impl ApiServer {
    /// From a CRD.
    pub fn new(crd: &Value) -> Self {
        let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        assert!(schema.is_object(), "the CRD has a schema");
        // Every object has these; a CRD's schema does not say them.
        for (key, kind) in [
            ("apiVersion", "string"),
            ("kind", "string"),
            ("metadata", "object"),
        ] {
            schema["properties"][key] = serde_json::json!({ "type": kind });
        }
        let env = Arc::new(Env::stdlib());
        let mut programs = HashMap::new();
        for rule in rules_in(&schema) {
            let program = env.compile(&rule).unwrap_or_else(|e| panic!("{rule}: {e}"));
            programs.insert(rule, program);
        }
        Self {
            schema,
            env,
            programs,
        }
    }

    /// How many CEL rules there are.
    pub fn rules(&self) -> usize {
        self.programs.len()
    }

    /// The object with the schema's defaults filled in.
    pub fn with_defaults(&self, object: &Value) -> Value {
        let mut object = object.clone();
        fill(&self.schema, &mut object);
        object
    }

    /// Everything that speaks against the object, as an update of `old` if there is one. Both
    /// without defaults.
    pub fn objections(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let object = self.with_defaults(object);
        let old = old.map(|old| self.with_defaults(old));
        let mut found = Vec::new();
        self.judge("", &self.schema, &object, old.as_ref(), &mut found);
        found
    }

    fn judge(
        &self,
        path: &str,
        schema: &Value,
        value: &Value,
        old: Option<&Value>,
        found: &mut Vec<String>,
    ) {
        let before = found.len();
        let mut object = |what: String| found.push(format!("{path}: {value} {what}"));
        let of_type = match schema["type"].as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("{path}: unknown type {other}"),
        };
        if !of_type {
            return object(format!("is not of type {}", schema["type"]));
        }
        for (keyword, bound) in schema.as_object().unwrap() {
            let number = || bound.as_f64().unwrap();
            let broken = match keyword.as_str() {
                // They bound nothing, or are gone through elsewhere here.
                "type"
                | "description"
                | "title"
                | "default"
                | "format"
                | "properties"
                | "items"
                | "x-kubernetes-validations"
                | "x-kubernetes-list-map-keys" => false,
                "minimum" => value.as_f64().unwrap() < number(),
                "maximum" => value.as_f64().unwrap() > number(),
                "minLength" => length(value) < number(),
                "maxLength" => length(value) > number(),
                "minItems" => items(value) < number(),
                "maxItems" => items(value) > number(),
                "enum" => !bound.as_array().unwrap().contains(value),
                "pattern" => !self.matches(value.as_str().unwrap(), bound.as_str().unwrap()),
                "required" => {
                    let keys = bound.as_array().unwrap();
                    keys.iter()
                        .any(|key| value.get(key.as_str().unwrap()).is_none())
                }
                "x-kubernetes-list-type" => {
                    assert_eq!(bound, "map", "{path}");
                    has_twins(value, &schema["x-kubernetes-list-map-keys"])
                }
                other => panic!("{path}: unknown keyword {other}"),
            };
            if broken {
                object(format!("breaks {keyword} {bound}"));
            }
        }
        match value {
            Value::Object(fields) => {
                if let Some(known) = schema.get("properties") {
                    for (key, value) in fields {
                        let path = format!("{path}.{key}");
                        let old = old.and_then(|old| old.get(key));
                        match known.get(key) {
                            Some(schema) => self.judge(&path, schema, value, old, found),
                            None => found.push(format!("{path}: unknown field")),
                        }
                    }
                }
            }
            Value::Array(list) => {
                let rules = rules_in(&schema["items"]);
                assert!(
                    !rules.iter().any(|rule| rule.contains("oldSelf")),
                    "{path}: this judge does not pair the items of old and new lists"
                );
                for (index, value) in list.iter().enumerate() {
                    self.judge(
                        &format!("{path}[{index}]"),
                        &schema["items"],
                        value,
                        None,
                        found,
                    );
                }
            }
            _ => {}
        }
        // As the API server does: rules may rely on the shape.
        if found.len() == before {
            self.apply_rules(path, schema, value, old, found);
        }
    }

    fn apply_rules(
        &self,
        path: &str,
        schema: &Value,
        value: &Value,
        old: Option<&Value>,
        found: &mut Vec<String>,
    ) {
        let rules = schema
            .get("x-kubernetes-validations")
            .and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            let text = rule["rule"].as_str().unwrap();
            // A rule about the change does not run where there was nothing.
            if text.contains("oldSelf") && old.is_none() {
                continue;
            }
            let mut context = Context::with_env(Arc::clone(&self.env));
            context.add_variable_from_value("self", cel_value(value));
            if let Some(old) = old {
                context.add_variable_from_value("oldSelf", cel_value(old));
            }
            match self.programs[text].execute(&context) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(cel::Value::Bool(false)) => {
                    found.push(format!("{path}: {}", rule["message"].as_str().unwrap()));
                }
                other => panic!("{path}: {text} on {value} gives {other:?}"),
            }
        }
    }

    fn matches(&self, text: &str, pattern: &str) -> bool {
        let program = self.env.compile("text.matches(pattern)").unwrap();
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("text", text);
        context.add_variable_from_value("pattern", pattern);
        program.execute(&context) == Ok(cel::Value::Bool(true))
    }
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let known = schema.get("properties").and_then(Value::as_object);
            for (key, schema) in known.into_iter().flatten() {
                if let Some(default) = schema.get("default")
                    && fields.get(key).is_none_or(Value::is_null)
                {
                    fields.insert(key.clone(), default.clone());
                }
                if let Some(value) = fields.get_mut(key) {
                    fill(schema, value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill(&schema["items"], item);
            }
        }
        _ => {}
    }
}

fn rules_in(schema: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "x-kubernetes-validations" {
                    let texts = value.as_array().unwrap().iter();
                    rules.extend(texts.map(|rule| rule["rule"].as_str().unwrap().to_owned()));
                } else {
                    rules.extend(rules_in(value));
                }
            }
        }
        Value::Array(items) => rules.extend(items.iter().flat_map(rules_in)),
        _ => {}
    }
    rules
}

#[allow(clippy::cast_precision_loss)]
fn length(value: &Value) -> f64 {
    value.as_str().unwrap().chars().count() as f64
}

#[allow(clippy::cast_precision_loss)]
fn items(value: &Value) -> f64 {
    value.as_array().unwrap().len() as f64
}

fn has_twins(list: &Value, keys: &Value) -> bool {
    let keys: Vec<&str> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    let mut seen = HashSet::new();
    let mut items = list.as_array().unwrap().iter();
    items.any(|item| {
        let id: Vec<String> = keys.iter().map(|key| item[*key].to_string()).collect();
        !seen.insert(id)
    })
}

/// Integers become CEL's `int`, as in the API server; the `cel` crate by itself
/// would make `uint` of them, which equals no literal of a rule.
fn cel_value(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => cel::Value::Int(number.as_i64().unwrap()),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(cel_value).collect::<Vec<_>>().into(),
        Value::Object(fields) => cel_map(fields),
    }
}

fn cel_map(fields: &Map<String, Value>) -> cel::Value {
    let fields: HashMap<String, cel::Value> = fields
        .iter()
        .map(|(key, value)| (key.clone(), cel_value(value)))
        .collect();
    fields.into()
}
