//! Values by name, as a relationship or a question brings them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::relation::Text;

/// Values by name. Cheap to clone; equal where all names and values are, in whatever order they came.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context(Option<Arc<Values>>);

/// The values, and what they take: measured once, because both are asked for often.
#[derive(Debug)]
struct Values {
    by_name: BTreeMap<Text, Value>,
    size_bytes: usize,
    heap_bytes: usize,
}

impl Eq for Context {}

impl PartialEq for Values {
    /// What they take depends on how they came to be.
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl Context {
    /// Of these values; the last one counts where a name comes twice.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (Text, Value)>) -> Self {
        let by_name: BTreeMap<Text, Value> = values.into_iter().collect();
        if by_name.is_empty() {
            return Self(None);
        }
        let size_bytes = by_name.iter().map(|(name, value)| name.len() + size_of_value(value)).sum();
        let heap_bytes = by_name.iter().map(|(name, value)| NODE + name.len() + heap_of_value(value)).sum();
        Self(Some(Arc::new(Values { by_name, size_bytes, heap_bytes })))
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.by_name.get(name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All values, by their names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().flat_map(|values| values.by_name.iter())
    }

    /// How large it is, by the names, texts and numbers in it. Near to the length of its JSON, and cheaper than writing that.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |values| values.size_bytes)
    }

    /// The memory that it takes, by estimate and rather too much than too little.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |values| size_of::<Values>() + values.heap_bytes)
    }
}

impl From<serde_json::Map<String, Value>> for Context {
    fn from(values: serde_json::Map<String, Value>) -> Self {
        Self::new(values.into_iter().map(|(name, value)| (Text::from(name), value)))
    }
}

/// Of a number, a truth value, or the marks around an item.
const SMALL: usize = 8;
/// What an entry of a map takes besides its texts: name, value, and its part of nodes that are half empty.
const NODE: usize = 2 * (size_of::<String>() + size_of::<Value>());

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SMALL,
        Value::String(text) => SMALL + text.len(),
        Value::Array(items) => SMALL + items.iter().map(size_of_value).sum::<usize>(),
        Value::Object(fields) => {
            SMALL + fields.iter().map(|(name, value)| name.len() + size_of_value(value)).sum::<usize>()
        }
    }
}

/// What lies behind a value.
fn heap_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(items) => items.capacity() * size_of::<Value>() + items.iter().map(heap_of_value).sum::<usize>(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| NODE + name.capacity() + heap_of_value(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_context_knows_what_it_takes() {
        let context = |value: Value| Context::new([(Text::from("x"), value)]);
        let long = context(json!("a".repeat(30_000)));
        assert!(long.size_bytes() >= 30_000 && long.heap_bytes() >= 30_000);
        let many = context(json!((0..1_000).collect::<Vec<_>>()));
        assert!(many.heap_bytes() >= 1_000 * size_of::<Value>());
        assert_eq!((Context::default().size_bytes(), Context::default().heap_bytes()), (0, 0));
    }
}
