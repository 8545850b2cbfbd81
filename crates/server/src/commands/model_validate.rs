//! `tiergate model validate`

use std::path::Path;
use std::process::ExitCode;

use authz::model::{Model, ModelErrors};

use super::{NO, YES, fail, say};

pub(super) fn run(file: &Path) -> ExitCode {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return fail(format!("{}: {error}", file.display())),
    };
    match read(&text) {
        Ok(model) => {
            let relations: usize = model.types.iter().map(|definition| definition.relations.len()).sum();
            say(format!("{}: valid, {} types, {relations} relations", file.display(), model.types.len()));
            YES
        }
        Err(errors) => {
            errors.iter().for_each(|error| say(format!("{}: {error}", file.display())));
            ExitCode::from(NO)
        }
    }
}

/// A model that begins with a brace is JSON; the other language has none there.
fn read(text: &str) -> Result<Model, ModelErrors> {
    let model = if text.trim_start().starts_with('{') { Model::from_json(text) } else { Model::from_dsl(text) }?;
    model.validate()?;
    Ok(model)
}
