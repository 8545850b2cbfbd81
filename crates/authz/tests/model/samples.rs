//! Real store files, written by others for OpenFGA, are read, and make sense.
//!
//! The files are not a part of this repository. They are looked for where `TIERGATE_TEST_DATA` says, and else beside the
//! workspace; where they are absent, the test says so.

use std::path::{Path, PathBuf};

use authz::model::Model;
use authz::storefile::StoreFile;

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
pub(crate) fn samples() -> Option<PathBuf> {
    let data = match std::env::var("TIERGATE_TEST_DATA") {
        Ok(data) => PathBuf::from(data),
        Err(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let stores = data.join("openfga-sample-stores/stores");
    if !stores.is_dir() {
        println!("SKIPPED sample stores: {} is absent; set TIERGATE_TEST_DATA", stores.display());
        return None;
    }
    Some(stores)
}

/// The files below a directory with this ending, in the order of their names.
pub(crate) fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut open = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_sample_store_makes_sense() {
    let Some(stores) = samples() else { return };
    let files = files(&stores, ".fga.yaml");
    assert!(!files.is_empty());
    let (mut checks, mut lists, mut conditions) = (0, 0, 0);
    for path in &files {
        let file = StoreFile::load(path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.strip_prefix(&stores).unwrap().display();
        let model = file.model.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let again = Model::from_value(&model.to_json()).unwrap();
        again.validate().unwrap();
        assert_eq!(again.to_json(), model.to_json(), "{name}");
        let printed = Model::from_dsl(&model.to_dsl()).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        if model.types.iter().all(|definition| definition.module.is_none()) {
            assert_eq!(printed.to_json(), model.to_json(), "{name}");
        }
        checks += file.tests.iter().map(|test| test.checks.len()).sum::<usize>();
        lists += file.tests.iter().map(|test| test.list_objects.len() + test.list_users.len()).sum::<usize>();
        conditions += model.conditions.len();
    }
    println!("{} store files with {conditions} conditions, {checks} checks and {lists} lists", files.len());
}

#[test]
fn every_sample_model_makes_sense() {
    let Some(stores) = samples() else { return };
    for ending in [".fga", ".mod"] {
        for path in files(&stores, ending) {
            // A part of a modular model is read by way of its list.
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.trim_start().starts_with("module ") {
                let read = Model::load(&path).and_then(|model| model.validate());
                read.unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
            }
        }
    }
}
