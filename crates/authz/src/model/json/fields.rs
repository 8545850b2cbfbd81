//! Members of JSON objects: present under one of several names, and of the right type.

use serde_json::{Map, Value};

use super::path::Path;
use crate::model::error::{ModelError, ModelErrorKind};
use crate::relation::{IdentError, Text, check_relation};

/// Either a value, or a fault that makes its surroundings useless.
pub(super) type Parsed<T> = Result<T, ModelError>;

/// A member under any of its names, where it is neither missing nor `null` nor `""`.
pub(super) fn member<'v>(fields: &'v Map<String, Value>, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|name| fields.get(*name)).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    })
}

pub(super) fn optional_object<'v>(
    fields: &'v Map<String, Value>,
    names: &[&str],
    at: &Path<'_>,
) -> Parsed<Option<&'v Map<String, Value>>> {
    member(fields, names).map(|value| object(value, at)).transpose()
}

pub(super) fn object<'v>(value: &'v Value, at: &Path<'_>) -> Parsed<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| expected(at, "an object", value))
}

pub(super) fn array<'v>(value: &'v Value, at: &Path<'_>, max: usize, of: &str) -> Parsed<&'v Vec<Value>> {
    let array = value.as_array().ok_or_else(|| expected(at, "a list", value))?;
    if array.len() > max {
        return Err(too_large(at, of, max, "split it"));
    }
    Ok(array)
}

pub(super) fn name_of_relation(fields: &Map<String, Value>, key: &str, at: &Path<'_>) -> Parsed<Text> {
    name(fields, key, at, check_relation)
}

pub(super) fn name(
    fields: &Map<String, Value>,
    key: &str,
    at: &Path<'_>,
    check: fn(&str) -> Result<Text, IdentError>,
) -> Parsed<Text> {
    let at = at.key(key);
    match member(fields, &[key]) {
        None => Err(syntax(&at, "a name is missing", "give it as a string")),
        Some(Value::String(text)) => check(text).map_err(|error| ModelError::name(text, &error).under(at)),
        Some(other) => Err(expected(&at, "a string", other)),
    }
}

pub(super) fn expected(at: &Path<'_>, what: &str, found: &Value) -> ModelError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    syntax(at, &format!("expected {what}, found {found}"), &format!("give {what}"))
}

pub(super) fn syntax(at: &Path<'_>, what: &str, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Syntax, what, remedy).under(at)
}

pub(super) fn too_large(at: &Path<'_>, of: &str, max: usize, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::TooLarge, format!("there are more than {max} {of}"), remedy).under(at)
}
