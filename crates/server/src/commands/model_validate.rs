//! `tiergate model validate`

use std::path::Path;
use std::process::ExitCode;

use authz::model::{Model, ModelErrorKind, ModelErrors};
use authz::storefile::StoreFile;

use super::{NO, YES, fail, is_store_file, say};

pub(super) fn run(file: &Path) -> ExitCode {
    if is_store_file(file) {
        return match StoreFile::load(file) {
            Ok(StoreFile { model: Ok(model), .. }) => valid(file, &model),
            Ok(StoreFile { model: Err(errors), .. }) => faulty(file, &errors),
            Err(error) => fail(error),
        };
    }
    match Model::load(file).and_then(|model| model.validate().map(|()| model)) {
        Ok(model) => valid(file, &model),
        Err(errors) if errors.iter().any(|error| error.kind == ModelErrorKind::File) => {
            fail(format!("{}: {errors}", file.display()))
        }
        Err(errors) => faulty(file, &errors),
    }
}

fn valid(file: &Path, model: &Model) -> ExitCode {
    let relations: usize = model.types.iter().map(|definition| definition.relations.len()).sum();
    say(format!("{}: valid, {} types, {relations} relations", file.display(), model.types.len()));
    YES
}

fn faulty(file: &Path, errors: &ModelErrors) -> ExitCode {
    errors.iter().for_each(|error| say(format!("{}: {error}", file.display())));
    ExitCode::from(NO)
}
