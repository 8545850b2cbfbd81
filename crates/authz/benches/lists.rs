//! Lists: how long it takes to find the 1,000 documents, of 100,000, that a subject may view.
//!
//! Each list is asked for by another subject, so that none is cached; it is searched for in SQLite. A third of what a subject may view is shared
//! with it directly, a third with groups that it is in (one of them through another), a third lies in folders three levels below one that is
//! shared with it. `cargo xtask bench lists`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::path::Path;
use std::sync::Arc;

use authz::decide::{Consistency, DecisionPoint, ListObjectsRequest};
use authz::model::Model;
use authz::relation::{Object, Subject, Text, Tuple};
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock};
use cache_core::Source;
use cache_core::testing::measure::{Arguments, Report, median, percentile};
use cache_l1::{MemoryConfig, MemoryLayer};

const MODEL: &str = "\
model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type folder
  relations
    define parent: [folder]
    define viewer: [user, group#member] or viewer from parent
type document
  relations
    define parent: [folder]
    define blocked: [user]
    define viewer: [user, group#member] or viewer from parent
    define can_view: viewer but not blocked
";

/// Documents that one subject may view. They are strewn over all of them: document `n` belongs to region `n % regions`.
const REGION: usize = 1_000;
/// Of those, the ones that are shared with the subject itself, and the ones that are shared with groups. The others lie in folders.
const DIRECT: usize = 334;
const BY_GROUP: usize = 333;
/// Groups of a region. The first is the subject's own; it is a member of the second; the subject is in the third as well.
const GROUPS: usize = 3;
/// Folders below each folder of a region, two levels deep: 1, 3 and 9 of them.
const BRANCHES: usize = 3;
/// The goal.
const MOST_MS: f64 = 50.0;

#[derive(Clone, Copy)]
struct Size {
    regions: usize,
    /// Subjects of a region: each asks once.
    subjects: usize,
}

fn main() {
    let arguments = Arguments::read();
    let size = if arguments.quick { Size { regions: 20, subjects: 4 } } else { Size { regions: 100, subjects: 4 } };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (model, store) = (Model::from_dsl(MODEL).unwrap(), fill(size, directory.path(), arguments).await);
        assert!(model.validate().is_ok(), "the model makes sense");
        // Opened anew, so that no connection has pages of the file in its cache.
        let point = open(directory.path()).await.1;
        let mut report = Report::new("List objects (SQLite, a new subject each time)", arguments);
        let half = size.subjects / 2;
        for (relation, subjects) in [("viewer", 0..half), ("can_view", half..size.subjects)] {
            let mut figures = Vec::new();
            let mut first = 0.0;
            for subject in subjects {
                for region in 0..size.regions {
                    let took = list(&point, store, size, (region, subject), relation).await;
                    if figures.is_empty() {
                        first = took;
                    }
                    figures.push(took);
                }
            }
            let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
            let p50 = median(figures.clone());
            let name = format!("{REGION} of {} documents by '{relation}', p50 (ms)", size.regions * REGION);
            report.goal(&name, p50, p50 < MOST_MS, "< 50");
            let p99 = percentile(&mut figures, 0.99);
            report.figure("  least / p99 / the very first (ms)", format!("{least:.1} / {p99:.1} / {first:.1}"));
        }
        report.end();
        point.close().await;
    });
}

async fn open(directory: &Path) -> (Arc<SqliteStore>, DecisionPoint) {
    let config = SqliteConfig::new(directory.join("lists.sqlite"));
    let origin = Arc::new(SqliteStore::open(config, Arc::new(SystemWallClock)).unwrap());
    let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
    let point = DecisionPoint::builder(origin.clone()).tier(tier).build().await.unwrap();
    (origin, point)
}

async fn fill(size: Size, directory: &Path, arguments: Arguments) -> StoreId {
    let (origin, point) = open(directory).await;
    let store = point.create_store("lists").await.unwrap().id;
    point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let tuples: Vec<Tuple> = (0..size.regions).flat_map(|region| tuples(size, region)).collect();
    let report = Report::new("A world of documents", arguments);
    report.figure("documents / relationships", format!("{} / {}", size.regions * REGION, tuples.len()));
    origin.load(store, tuples, |_| {}).await.unwrap();
    point.close().await;
    store
}

/// The relationships of a region.
fn tuples(size: Size, region: usize) -> Vec<Tuple> {
    let mut tuples = Vec::new();
    let mut add = |object: &str, relation: &str, subject: &str| {
        tuples.push(Tuple::parse(object, relation, subject).unwrap());
    };
    let folder = |level: usize, at: usize| format!("folder:{region}-{level}-{at}");
    let group = |at: usize| format!("group:{region}-{at}");
    add(&group(1), "member", &format!("{}#member", group(0)));
    for level in 1..=2_usize {
        for at in 0..BRANCHES.pow(level as u32) {
            add(&folder(level, at), "parent", &folder(level - 1, at / BRANCHES));
        }
    }
    let leaves = BRANCHES.pow(2);
    for at in 0..REGION {
        let document = format!("document:{}", document(size, region, at));
        match at {
            0..DIRECT => {}
            at if at < DIRECT + BY_GROUP => add(&document, "viewer", &format!("{}#member", group(at % GROUPS))),
            _ => add(&document, "parent", &folder(2, at % leaves)),
        }
    }
    for subject in 0..size.subjects {
        let subject = user(region, subject);
        add(&group(0), "member", &subject);
        add(&group(2), "member", &subject);
        add(&folder(0, 0), "viewer", &subject);
        for at in 0..DIRECT {
            add(&format!("document:{}", document(size, region, at)), "viewer", &subject);
        }
    }
    tuples
}

fn user(region: usize, subject: usize) -> String {
    format!("user:{region}-{subject}")
}

fn document(size: Size, region: usize, at: usize) -> String {
    format!("d{:06}", at * size.regions + region)
}

/// Asks for one list, sees that it is right, and says how many milliseconds it took.
async fn list(
    point: &DecisionPoint,
    store: StoreId,
    size: Size,
    (region, subject): (usize, usize),
    relation: &str,
) -> f64 {
    let request = ListObjectsRequest {
        store,
        model: None,
        subject: Subject::Object(Object::parse(&user(region, subject)).unwrap()),
        relation: Text::from(relation),
        object_type: Text::from("document"),
        contextual_tuples: Vec::new(),
        context: Default::default(),
        properties: Default::default(),
        consistency: Consistency::MinimizeLatency,
    };
    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
    let start = std::time::Instant::now();
    let listed = point.list_objects(&request).await.unwrap();
    let took = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(listed.source, Source::Origin, "nobody has asked for it before");
    let right = (0..REGION).map(|at| document(size, region, at));
    assert!(listed.items.iter().map(|id| &**id).eq(right), "the list of {relation} in region {region} is another one");
    took
}
