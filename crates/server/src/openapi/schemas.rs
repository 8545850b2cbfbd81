//! The schemas of a document, each under one name.
//!
//! [`Word`](crate::wire::Word) and [`Fields`](crate::wire::Fields) are ways of reading and no shapes of their own: in the document the one is
//! a string and the other what it holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};

/// Where references to schemas point to.
const PREFIX: &str = "#/components/schemas/";
/// The name of the reader of strings.
const WORD: &str = "Word";
/// What stands before the name of what is read of an object only.
const FIELDS: &str = "Fields_";

/// Schemas by their names.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Takes them up. Two types must not have one name: the one would be documented as the other.
    pub(super) fn add(&mut self, schemas: Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in schemas {
            let known = self.0.insert(name.clone(), schema.clone());
            debug_assert!(known.is_none_or(|known| known == schema), "two schemas have the name {name}");
        }
    }

    pub(super) fn into_inner(self) -> BTreeMap<String, RefOr<Schema>> {
        self.0
    }
}

/// Puts in place of the ways of reading what is read. The value is a document; it is as deep as its schemas are written.
pub(super) fn unwrap(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in std::mem::take(schemas) {
            match name.strip_prefix(FIELDS) {
                Some(held) => drop(schemas.insert(held.to_owned(), schema)),
                None if name == WORD => {}
                None => drop(schemas.entry(name).or_insert(schema)),
            }
        }
    }
    references(document);
}

fn references(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(references),
        Value::Object(fields) => {
            fields.values_mut().for_each(references);
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(PREFIX));
            match name {
                Some(WORD) => {
                    fields.remove("$ref");
                    fields.insert("type".to_owned(), json!("string"));
                }
                Some(name) => {
                    if let Some(held) = name.strip_prefix(FIELDS) {
                        let to = format!("{PREFIX}{held}");
                        fields.insert("$ref".to_owned(), Value::from(to));
                    }
                }
                None => {}
            }
            optional_string(fields);
        }
        _ => {}
    }
}

/// Writes "one of a string and null" as a type that may be null, which is how other optional texts are written.
fn optional_string(fields: &mut serde_json::Map<String, Value>) {
    let Some([Value::Object(one), Value::Object(other)]) =
        fields.get("oneOf").and_then(Value::as_array).map(Vec::as_slice)
    else {
        return;
    };
    let is =
        |fields: &serde_json::Map<String, Value>, kind: &str| fields.get("type").is_some_and(|found| found == kind);
    let text = match (is(one, "null"), is(other, "null")) {
        (true, false) if is(other, "string") => other,
        (false, true) if is(one, "string") => one,
        _ => return,
    };
    let mut text = text.clone();
    text.insert("type".to_owned(), json!(["string", "null"]));
    fields.remove("oneOf");
    fields.extend(text);
}
