//! Store files hold over HTTP: with the memory tier on, and with it off.
//!
//! They are this repository's own, those below `TIERGATE_TEST_DATA` (beside the workspace, unless it says where), and those of `TIERGATE_TEST_STORES`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "../combinations.rs"]
mod combinations;
#[path = "../killable.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use combinations::{Backends, COMBINATIONS};
use process::Process;

/// Where store files may lie.
fn directories() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("TIERGATE_TEST_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let samples = data.join("openfga-sample-stores/stores");
    let mut directories = vec![workspace.join("crates/authz/stores")];
    if samples.is_dir() {
        directories.push(samples);
    } else {
        println!("SKIPPED sample stores: {} is absent; set TIERGATE_TEST_DATA", samples.display());
    }
    directories.extend(std::env::var_os("TIERGATE_TEST_STORES").map(PathBuf::from));
    directories
}

fn store_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(store_files(&path));
        } else if path.to_string_lossy().ends_with(".fga.yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn hold_over_http(settings: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), settings);
    for directory in directories() {
        let output = Command::new(env!("CARGO_BIN_EXE_tiergate"))
            .args(["model", "test", "--url", &format!("http://{}", server.address())])
            .args(store_files(&directory))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{} {settings:?} {said}", directory.display());
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(" 0 passed"), "files of which nothing was asked show nothing");
    }
}

#[test]
fn store_files_hold_with_the_memory_tier_on() {
    hold_over_http(&[]);
}

#[test]
fn store_files_hold_with_the_memory_tier_off() {
    hold_over_http(&["--set", "cache.l1.enabled=false"]);
}

#[test]
fn store_files_hold_on_postgresql_with_every_combination_of_tiers() {
    let Some(backends) = Backends::new() else { return };
    for (name, on) in COMBINATIONS {
        println!("{name}:");
        let arguments = backends.arguments(on);
        hold_over_http(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
