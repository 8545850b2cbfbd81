//! Lists: how long one of a thousand takes that are in a relation to one of 100,000, nothing cached.
//!
//! `cargo xtask bench lists`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::sync::Arc;

use authz::decide::{Consistency, DecisionPoint, ListObjectsRequest, ListUsersRequest};
use authz::model::Model;
use authz::relation::{Object, Subject, SubjectKind, Tuple};
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock};
use cache_core::testing::measure::{Arguments, Report, percentile};
use cache_l1::{MemoryConfig, MemoryLayer};

const MODEL: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type folder
  relations
    define viewer: [user, group#member]
type document
  relations
    define parent: [folder]
    define blocked: [user]
    define viewer: [user, group#member] or viewer from parent
    define can_view: viewer but not blocked
";

/// Documents.
const DOCUMENTS: usize = 100_000;
/// Documents of each folder.
const FOLDER: usize = 100;
/// Ann sees so many documents directly,
const DIRECT: usize = 300;
/// as many by each of her groups,
const BY_GROUP: usize = 20;
/// of which there are so many,
const GROUPS: usize = 20;
/// and all documents of so many folders.
const FOLDERS: usize = 3;

fn tuple(object: String, relation: &str, subject: String) -> Tuple {
    Tuple::parse(&object, relation, &subject).unwrap()
}

/// Ann's documents are spread over all, no two ways lead to the same one; everybody else sees one.
fn world() -> Vec<Tuple> {
    let mut tuples = Vec::new();
    for document in 0..DOCUMENTS {
        tuples.push(tuple(format!("document:{document}"), "parent", format!("folder:{}", document / FOLDER)));
        tuples.push(tuple(format!("document:{document}"), "viewer", format!("user:{document}")));
    }
    for folder in 0..FOLDERS {
        tuples.push(tuple(format!("folder:{folder}"), "viewer", "group:0#member".to_owned()));
    }
    let rest = FOLDERS * FOLDER..DOCUMENTS;
    let spread = rest.step_by(97).collect::<Vec<_>>();
    let (direct, by_group) = spread.split_at(DIRECT);
    for document in direct {
        tuples.push(tuple(format!("document:{document}"), "viewer", "user:ann".to_owned()));
    }
    for group in 0..GROUPS {
        tuples.push(tuple(format!("group:{group}"), "member", "user:ann".to_owned()));
        for document in &by_group[group * BY_GROUP..(group + 1) * BY_GROUP] {
            tuples.push(tuple(format!("document:{document}"), "viewer", format!("group:{group}#member")));
        }
    }
    for user in 0..1_000 {
        tuples.push(tuple("group:large".to_owned(), "member", format!("user:{user}")));
    }
    tuples.push(tuple("document:0".to_owned(), "viewer", "group:large#member".to_owned()));
    tuples
}

fn main() {
    let arguments = Arguments::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::new(directory.path().join("lists.sqlite"));
        let origin = Arc::new(SqliteStore::open(config, Arc::new(SystemWallClock)).unwrap());
        let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
        let point = DecisionPoint::builder(origin.clone()).tier(tier).build().await.unwrap();
        let store = point.create_store("lists").await.unwrap().id;
        origin.load(store, world(), |_| {}).await.unwrap();
        point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
        let rounds = if arguments.quick { 20 } else { 200 };
        let mut report = Report::new("1,000 of 100,000 (SQLite, warm pages)", arguments);
        for (name, relation) in
            [("objects, unions alone", "viewer"), ("objects, each checked for an exclusion", "can_view")]
        {
            let mut figures = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                figures.push(objects(&point, store, relation).await);
            }
            show(&mut report, name, figures);
        }
        let mut figures = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            figures.push(users(&point, store).await);
        }
        show(&mut report, "users, unions alone", figures);
        report.end();
        point.close().await;
    });
}

fn show(report: &mut Report, name: &str, mut figures: Vec<f64>) {
    let p50 = percentile(&mut figures, 0.5);
    report.goal(&format!("{name}, p50 (ms)"), p50, p50 < 50.0, "< 50");
    report.figure(&format!("{name}, p99 (ms)"), format!("{:.1}", percentile(&mut figures, 0.99)));
}

async fn objects(point: &DecisionPoint, store: StoreId, relation: &str) -> f64 {
    let request = ListObjectsRequest {
        store,
        model: None,
        subject: Subject::parse("user:ann").unwrap(),
        relation: relation.into(),
        object_type: "document".into(),
        contextual_tuples: Vec::new(),
        context: Default::default(),
        properties: Default::default(),
        consistency: Consistency::Full,
    };
    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
    let start = std::time::Instant::now();
    let listed = point.list_objects(&request).await.unwrap();
    let took = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(listed.items.len(), DIRECT + BY_GROUP * GROUPS + FOLDERS * FOLDER);
    took
}

async fn users(point: &DecisionPoint, store: StoreId) -> f64 {
    let request = ListUsersRequest {
        store,
        model: None,
        object: Object::parse("document:0").unwrap(),
        relation: "viewer".into(),
        filters: vec![SubjectKind { type_name: "user".into(), relation: None }],
        contextual_tuples: Vec::new(),
        context: Default::default(),
        properties: Default::default(),
        consistency: Consistency::Full,
    };
    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
    let start = std::time::Instant::now();
    let listed = point.list_users(&request).await.unwrap();
    let took = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(listed.items.len(), 1_001);
    took
}
