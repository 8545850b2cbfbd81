//! Relationships in and out of a running server: import and export.
//!
//! Both speak the public API as any client does; only a direct import writes to PostgreSQL itself. An import is safe to repeat: what is there already
//! stays, and a journal remembers how far it came.

mod direct;
mod export;
mod import;
mod input;
mod journal;
mod pool;

pub use direct::{DirectImport, DirectImportError};
pub use export::{ExportError, Format, export};
pub use import::{Import, ImportError, Imported};
pub use input::Input;

use authz::relation::{Relationship, Tuple};
use serde_json::{Map, Value, json};

/// A relationship as the API has it.
pub(crate) fn tuple_key(relationship: &Relationship) -> Value {
    let Relationship { tuple: Tuple { object, relation, subject }, condition } = relationship;
    let mut key = json!({"user": subject.to_string(), "relation": &**relation, "object": object.to_string()});
    if let Some(condition) = condition {
        let context: Map<String, Value> =
            condition.context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        key["condition"] = json!({"name": &*condition.name, "context": context});
    }
    key
}
