//! Values by name, as a relationship or a question brings them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::relation::Text;

/// Values by name. Cheap to clone; equal where all names and values are, in whatever order they came.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context(Option<Arc<BTreeMap<Text, Value>>>);

impl Eq for Context {}

impl Context {
    /// Of these values; the last one counts where a name comes twice.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (Text, Value)>) -> Self {
        let values: BTreeMap<Text, Value> = values.into_iter().collect();
        Self((!values.is_empty()).then(|| Arc::new(values)))
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What it takes, by the names, texts and numbers in it. Cheaper than writing it down.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
    }

    /// All values, by their names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().flat_map(|values| values.iter())
    }
}

impl From<serde_json::Map<String, Value>> for Context {
    fn from(values: serde_json::Map<String, Value>) -> Self {
        Self::new(values.into_iter().map(|(name, value)| (Text::from(name), value)))
    }
}

fn size_of_value(value: &Value) -> usize {
    /// Of a number, a truth value, or the marks around an item.
    const SMALL: usize = 8;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SMALL,
        Value::String(text) => SMALL + text.len(),
        Value::Array(items) => SMALL + items.iter().map(size_of_value).sum::<usize>(),
        Value::Object(fields) => {
            SMALL + fields.iter().map(|(name, value)| name.len() + size_of_value(value)).sum::<usize>()
        }
    }
}
