//! Store files hold: our own, one for each operator and habit of the language, whose expectations are the reference engine's answers; and
//! those of others, where they are at hand. Each is run without a cache, and with one whose second answers come from it.
//!
//! The files of others are no part of this repository. `TIERGATE_TEST_DATA` says where they lie (else beside the workspace), and
//! `TIERGATE_TEST_STORES` names one more directory of store files to run.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what tests share fails and tells like tests")]

use std::path::{Path, PathBuf};

use authz::condition::Context;
use authz::decide::DecisionPointBuilder;
use authz::model::Model;
use authz::relation::{Object, Relationship, Subject, SubjectKind, Tuple};
use authz::storefile::{
    Answer, Check, Decider, Fault, InProcess, ListObjectsTest, ListUsersTest, Report, StoreFile, StoreTest,
};
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
    assert!(report.files >= 15, "the files must be found");
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

/// Answers what it was told to, one after the other, or not at all.
struct Scripted {
    load: Result<(), String>,
    answers: std::sync::Mutex<Vec<Result<bool, String>>>,
    lists: std::sync::Mutex<Vec<Result<Vec<&'static str>, String>>>,
}

impl Scripted {
    fn list<T>(&self, read: impl Fn(&str) -> T) -> Result<Vec<T>, String> {
        self.lists.lock().unwrap().remove(0).map(|entries| entries.into_iter().map(read).collect())
    }
}

#[async_trait::async_trait]
impl Decider for Scripted {
    async fn load(&mut self, _: &Model, _: &[Relationship]) -> Result<(), String> {
        self.load.clone()
    }

    async fn check(&self, _: &Check) -> Result<bool, String> {
        self.answers.lock().unwrap().remove(0)
    }

    async fn list_objects(&self, _: &ListObjectsTest) -> Result<Vec<Object>, String> {
        self.list(|text| Object::parse(text).unwrap())
    }

    async fn list_users(&self, _: &ListUsersTest) -> Result<Vec<Subject>, String> {
        self.list(|text| Subject::parse(text).unwrap())
    }
}

/// A file with one test of two questions, of which the first expects a deny and the second an allow.
fn two_questions() -> StoreFile {
    let check = |object: &str, expected, line| Check {
        subject: Subject::parse("user:ann").unwrap(),
        relation: "viewer".into(),
        object: Object::parse(object).unwrap(),
        context: Context::default(),
        expected,
        line,
    };
    let test = StoreTest {
        name: "who sees what".into(),
        description: None,
        tuples: Vec::new(),
        checks: vec![check("doc:1", false, 41), check("doc:2", true, 42)],
        list_objects: Vec::new(),
        list_users: Vec::new(),
        line: 38,
    };
    let model = Model::from_dsl("model\n  schema 1.1\ntype user\n");
    StoreFile { name: None, model, tuples: Vec::new(), tests: vec![test] }
}

async fn report(load: Result<(), String>, answers: Vec<Result<bool, String>>) -> Report {
    let mut report = Report::default();
    let mut decider = Scripted { load, answers: answers.into(), lists: Vec::new().into() };
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
         0 passed, 2 failed, in 1 files"
    );
}

#[tokio::test]
async fn an_error_is_no_deny() {
    let report = report(Ok(()), vec![Err("away".into()), Ok(true), Err("away".into()), Ok(true)]).await;
    assert_eq!((report.passed, report.failures.len()), (1, 1));
    assert!(matches!(&report.failures[0].fault, Fault::Answer { expected: Answer::Allowed(false), got: Err(_), .. }));
}

#[tokio::test]
async fn a_list_is_reported_by_what_is_missing_and_what_is_too_much() {
    let mut file = two_questions();
    let object = |text: &str| Object::parse(text).unwrap();
    let subject = |text: &str| Subject::parse(text).unwrap();
    let test = &mut file.tests[0];
    test.checks.clear();
    test.list_objects = vec![ListObjectsTest {
        subject: subject("user:ann"),
        object_type: "doc".into(),
        relation: "viewer".into(),
        context: Context::default(),
        expected: vec![object("doc:2"), object("doc:1")],
        line: 51,
    }];
    test.list_users = vec![ListUsersTest {
        object: object("doc:1"),
        filter: SubjectKind { type_name: "team".into(), relation: Some("member".into()) },
        relation: "viewer".into(),
        context: Context::default(),
        expected: vec![subject("team:9#member")],
        line: 52,
    }];
    let ask = |answers: Vec<Result<Vec<&'static str>, String>>| {
        let file = file.clone();
        async move {
            let mut report = Report::default();
            let mut decider = Scripted { load: Ok(()), answers: Vec::new().into(), lists: answers.into() };
            report.run_file(Path::new("x.fga.yaml"), &file, &mut decider).await;
            report.to_string()
        }
    };
    let right = || vec![Ok(vec!["doc:1", "doc:2"]), Ok(vec!["team:9#member"])];
    assert_eq!(ask([right(), right()].concat()).await, "2 passed, 0 failed, in 1 files");
    let wrong = vec![Ok(vec!["doc:3", "doc:1", "doc:1"]), Err("too many".into())];
    assert_eq!(
        ask([wrong, right()].concat()).await,
        "FAIL x.fga.yaml:51 test \"who sees what\" user:ann viewer which doc: missing [doc:2], unexpected [doc:1, doc:3]\n\
         FAIL x.fga.yaml:52 test \"who sees what\" which team#member viewer doc:1: expected [team:9#member], got no answer (too many)\n\
         0 passed, 2 failed, in 1 files"
    );
    let later = vec![Ok(vec!["doc:1", "doc:2"]), Ok(vec![])];
    assert_eq!(
        ask([right(), later].concat()).await,
        "FAIL x.fga.yaml:52 test \"who sees what\" which team#member viewer doc:1: missing [team:9#member] when it was asked again\n\
         1 passed, 1 failed, in 1 files"
    );
}

#[tokio::test]
async fn a_world_that_cannot_be_made_fails_its_test() {
    let report = report(Err("the disk is full".into()), Vec::new()).await;
    let told = "FAIL stores/x.fga.yaml:38 test \"who sees what\": the disk is full";
    assert!(report.to_string().starts_with(told), "{report}");
}

#[tokio::test]
async fn a_relationship_that_the_model_refuses_fails_its_test() {
    let file =
        StoreFile { tuples: vec![Tuple::parse("doc:1", "viewer", "user:ann").unwrap().into()], ..two_questions() };
    let mut report = Report::default();
    report.run_file(Path::new("x.fga.yaml"), &file, &mut InProcess::new(|builder| builder)).await;
    assert!(report.to_string().contains("type 'doc' is not in the model"), "{report}");
}
