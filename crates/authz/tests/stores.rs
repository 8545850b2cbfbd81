//! Store files hold: our own, one for each operator and habit of the language, whose expectations are the reference engine's answers; and
//! those of others, where they are at hand. Each is run without a cache, and with one whose second answers come from it.
//!
//! The files of others are no part of this repository. `TIERGATE_TEST_DATA` says where they lie (else beside the workspace), and
//! `TIERGATE_TEST_STORES` names one more directory of store files to run.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail and tell like tests")]

use std::path::{Path, PathBuf};

use authz::decide::DecisionPointBuilder;
use authz::model::Model;
use authz::relation::{Object, Subject, Tuple};
use authz::storefile::{Check, Decider, Fault, InProcess, Report, StoreFile, StoreTest, Unsupported};
use cache_l1::{MemoryConfig, MemoryLayer};

fn with_memory(builder: DecisionPointBuilder) -> DecisionPointBuilder {
    let config = MemoryConfig { budget_bytes: 1 << 20, shards: Some(1), ..MemoryConfig::default() };
    builder.tier(MemoryLayer::new(config).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn environment(name: &str) -> Option<PathBuf> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The store files below a directory, in the order of their paths.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut open = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(".fga.yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs every store file of a directory without and with a cache.
async fn hold(directory: &Path) -> Report {
    let files = files(directory);
    assert!(!files.is_empty(), "{} has no store files", directory.display());
    let (mut uncached, mut cached) = (Report::default(), Report::default());
    for path in &files {
        uncached.run(path, &mut InProcess::new(|builder| builder)).await;
        cached.run(path, &mut InProcess::new(with_memory)).await;
    }
    println!("{} without a cache: {uncached}", directory.display());
    println!("{} with a cache: {cached}", directory.display());
    assert!(uncached.is_success() && cached.is_success(), "the report above says which answers are wrong");
    assert_eq!(uncached, cached);
    uncached
}

#[tokio::test]
async fn our_store_files_hold() {
    let report = hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("stores")).await;
    assert!(report.files >= 15 && report.skipped.is_empty(), "everything in our own files must be asked");
}

#[tokio::test]
async fn the_store_files_of_others_hold() {
    let data = environment("TIERGATE_TEST_DATA")
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let stores = data.join("openfga-sample-stores/stores");
    if !stores.is_dir() {
        println!("SKIPPED the store files of others: {} is absent; set TIERGATE_TEST_DATA", stores.display());
        return;
    }
    hold(&stores).await;
}

#[tokio::test]
async fn a_named_directory_of_store_files_holds() {
    match environment("TIERGATE_TEST_STORES") {
        Some(stores) => drop(hold(&stores).await),
        None => println!("SKIPPED a named directory of store files: TIERGATE_TEST_STORES is not set"),
    }
}

#[tokio::test]
async fn the_second_answers_come_from_the_cache() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stores/exclusion-of-usersets.fga.yaml");
    let file = StoreFile::load(&path).unwrap();
    let mut decider = InProcess::new(with_memory);
    Report::default().run_file(&path, &StoreFile { tests: file.tests[..1].to_vec(), ..file }, &mut decider).await;
    let statistics = decider.point().unwrap().statistics();
    assert!(statistics.tiers[0].hits() >= 5, "five questions were asked again: {statistics:?}");
}

/// Answers `true`, then `false`, or not at all.
struct Scripted {
    load: Result<(), String>,
    answers: std::sync::Mutex<Vec<Result<bool, String>>>,
}

#[async_trait::async_trait]
impl Decider for Scripted {
    async fn load(&mut self, _: &Model, _: &[Tuple]) -> Result<(), String> {
        self.load.clone()
    }

    async fn check(&self, _: &Check) -> Result<bool, String> {
        self.answers.lock().unwrap().remove(0)
    }
}

/// A file with one test of two questions, of which the first expects a deny and the second an allow.
fn two_questions() -> StoreFile {
    let check = |object: &str, expected, line| Check {
        subject: Subject::parse("user:ann").unwrap(),
        relation: "viewer".into(),
        object: Object::parse(object).unwrap(),
        expected,
        line,
    };
    let skipped = [(Unsupported::ListUsers, 3)].into();
    let checks = vec![check("doc:1", false, 41), check("doc:2", true, 42)];
    let test = StoreTest { name: "who sees what".into(), description: None, tuples: Vec::new(), checks, skipped };
    let model = Model::from_dsl("model\n  schema 1.1\ntype user\n");
    StoreFile { name: None, model, tuples: Vec::new(), tests: vec![test], skipped: Default::default() }
}

async fn report(load: Result<(), String>, answers: Vec<Result<bool, String>>) -> Report {
    let mut report = Report::default();
    let mut decider = Scripted { load, answers: answers.into() };
    report.run_file(Path::new("stores/x.fga.yaml"), &two_questions(), &mut decider).await;
    report
}

#[tokio::test]
async fn a_report_says_where_and_what_was_expected() {
    let report = report(Ok(()), vec![Ok(false), Err("too deep".into()), Ok(true), Ok(true)]).await;
    assert_eq!(
        report.to_string(),
        "FAIL stores/x.fga.yaml:41 test \"who sees what\" user:ann viewer doc:1: expected deny, got allow when it was asked again\n\
         FAIL stores/x.fga.yaml:42 test \"who sees what\" user:ann viewer doc:2: expected allow, got no answer (too deep)\n\
         0 passed, 2 failed, in 1 files; not asked: 3 list_users"
    );
}

#[tokio::test]
async fn an_error_is_no_deny() {
    let report = report(Ok(()), vec![Err("away".into()), Ok(true), Err("away".into()), Ok(true)]).await;
    assert_eq!((report.passed, report.failures.len()), (1, 1));
    assert!(matches!(&report.failures[0].fault, Fault::Answer { expected: false, got: Err(_), .. }));
}

#[tokio::test]
async fn a_world_that_cannot_be_made_fails_its_test() {
    let report = report(Err("the disk is full".into()), Vec::new()).await;
    let told = "FAIL stores/x.fga.yaml test \"who sees what\": the disk is full";
    assert!(report.to_string().starts_with(told), "{report}");
}

#[tokio::test]
async fn a_relationship_that_the_model_refuses_fails_its_test() {
    let file = StoreFile { tuples: vec![Tuple::parse("doc:1", "viewer", "user:ann").unwrap()], ..two_questions() };
    let mut report = Report::default();
    report.run_file(Path::new("x.fga.yaml"), &file, &mut InProcess::new(|builder| builder)).await;
    assert!(report.to_string().contains("type 'doc' is not in the model"), "{report}");
}
