//! Which module and which file a part of the model comes from: `{"module": "wiki", "source_info": {"file": "wiki.fga"}}`.

use serde_json::{Map, Value};

use super::fields::{Parsed, expected, member, name, optional_object};
use super::path::Path;
use crate::model::Module;
use crate::relation::{Text, check_type};

/// A file without a module says nothing, as OpenFGA has it.
pub(super) fn module_of(metadata: &Map<String, Value>, at: &Path<'_>) -> Parsed<Option<Module>> {
    if member(metadata, &["module"]).is_none() {
        return Ok(None);
    }
    let module = name(metadata, "module", at, check_type)?;
    let source_at = at.key("source_info");
    let file = match optional_object(metadata, &["source_info", "sourceInfo"], &source_at)? {
        Some(source) => match member(source, &["file"]) {
            None => None,
            Some(Value::String(file)) => Some(Text::from(&**file)),
            Some(other) => return Err(expected(&source_at.key("file"), "a string", other)),
        },
        None => None,
    };
    Ok(Some(Module { name: module, file }))
}
