//! Real store files, written by others for OpenFGA, are read: each either makes sense, or needs only conditions or modules.
//!
//! The files are not a part of this repository. They are looked for where `TIERGATE_TEST_DATA` says, and else beside the
//! workspace; where they are absent, the test says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use authz::model::Model;
use authz::storefile::{StoreFile, Unsupported};

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn samples() -> Option<PathBuf> {
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
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
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
fn every_sample_store_makes_sense_or_needs_conditions_or_modules() {
    let Some(stores) = samples() else { return };
    let files = files(&stores, ".fga.yaml");
    assert!(!files.is_empty());
    let (mut served, mut checks, mut skipped) = (0, 0, BTreeMap::<Unsupported, usize>::new());
    for path in &files {
        let file = StoreFile::load(path).unwrap_or_else(|error| panic!("{error}"));
        let unsupported = file.unsupported();
        let name = path.strip_prefix(&stores).unwrap().display();
        if unsupported.is_empty() {
            let model = file.model.unwrap_or_else(|errors| panic!("{name}: {errors}"));
            let again = Model::from_value(&model.to_json()).unwrap();
            again.validate().unwrap();
            let printed = Model::from_dsl(&model.to_dsl()).unwrap();
            assert_eq!(printed.to_json(), model.to_json(), "{name}");
            served += 1;
            checks += file.tests.iter().map(|test| test.checks.len()).sum::<usize>();
            for (what, count) in file.tests.iter().flat_map(|test| &test.skipped) {
                *skipped.entry(*what).or_default() += count;
            }
        } else {
            let needs: Vec<String> = unsupported.iter().map(ToString::to_string).collect();
            assert!(
                unsupported.iter().all(|what| matches!(what, Unsupported::Conditions | Unsupported::Modules)),
                "{name} needs {needs:?}"
            );
            println!("unsupported: {name} needs {}", needs.join(" and "));
        }
    }
    println!("{served} of {} store files are served, with {checks} checks; skipped in them: {skipped:?}", files.len());
}

#[test]
fn every_sample_model_makes_sense_or_needs_modules() {
    let Some(stores) = samples() else { return };
    for path in files(&stores, ".fga") {
        let text = std::fs::read_to_string(&path).unwrap();
        match Model::from_dsl(&text) {
            Ok(model) => model.validate().unwrap_or_else(|errors| panic!("{}: {errors}", path.display())),
            Err(errors) => assert!(errors.unsupported().is_some(), "{}: {errors}", path.display()),
        }
    }
}
