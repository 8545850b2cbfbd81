//! `tiergate model validate`

use std::path::Path;
use std::process::ExitCode;

use authz::model::{Model, ModelErrorKind};

use super::{NO, YES, fail, say};

pub(super) fn run(file: &Path) -> ExitCode {
    match Model::load(file).and_then(|model| model.validate().map(|()| model)) {
        Ok(model) => {
            let relations: usize = model.types.iter().map(|definition| definition.relations.len()).sum();
            say(format!("{}: valid, {} types, {relations} relations", file.display(), model.types.len()));
            YES
        }
        Err(errors) if errors.iter().any(|error| error.kind == ModelErrorKind::File) => {
            fail(format!("{}: {errors}", file.display()))
        }
        Err(errors) => {
            errors.iter().for_each(|error| say(format!("{}: {error}", file.display())));
            ExitCode::from(NO)
        }
    }
}
