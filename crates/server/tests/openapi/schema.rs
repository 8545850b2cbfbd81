//! Whether a value is as a schema says; the part of JSON Schema that the documents use, and a panic at any other.

use serde_json::{Map, Value};

use super::resolved;

/// Words that say nothing of what a value may be.
const REMARKS: [&str; 6] = ["description", "example", "examples", "default", "title", "format"];

/// What of the value is not as the schema says.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(document, schema, value, "$", &mut found);
    found
}

fn look(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolved(document, schema);
    if *schema == Value::Bool(true) {
        return;
    }
    let words = schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema"));
    for (word, given) in words {
        match word.as_str() {
            "type" if !types(given).any(|kind| is(value, kind)) => found.push(format!("{at} is no {given}: {value}")),
            "type" => {}
            "enum" => {
                if !given.as_array().unwrap().contains(value) {
                    found.push(format!("{at} is none of {given}: {value}"));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|number| number < given.as_f64().unwrap()) {
                    found.push(format!("{at} is less than {given}: {value}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    look(document, given, item, &format!("{at}[{index}]"), found);
                }
            }
            "required" => {
                for name in given.as_array().unwrap() {
                    if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                        found.push(format!("{at} has no {name}: {value}"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in given.as_object().unwrap() {
                    if let Some(field) = value.get(name) {
                        look(document, inner, field, &format!("{at}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => others(document, words, given, value, at, found),
            "oneOf" | "anyOf" => {
                let tried = given.as_array().unwrap().iter().map(|one| faults(document, one, value));
                let fitting = tried.filter(Vec::is_empty).count();
                if fitting == 0 || (word == "oneOf" && fitting > 1) {
                    found.push(format!("{at} is {fitting} of {given}: {value}"));
                }
            }
            "allOf" => given.as_array().unwrap().iter().for_each(|one| look(document, one, value, at, found)),
            "propertyNames" => {}
            remark => assert!(REMARKS.contains(&remark), "{remark} is not known here: {schema}"),
        }
    }
}

fn others(
    document: &Value,
    words: &Map<String, Value>,
    given: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let named = words.get("properties").and_then(Value::as_object);
    for (name, field) in value.as_object().into_iter().flatten() {
        match given {
            _ if named.is_some_and(|named| named.contains_key(name)) => {}
            Value::Bool(false) => found.push(format!("{at} must not have {name}")),
            schema => look(document, schema, field, &format!("{at}.{name}"), found),
        }
    }
}

fn types(given: &Value) -> impl Iterator<Item = &str> {
    let several = given.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(given));
    several.iter().filter_map(Value::as_str)
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}
