//! What a thousand revocations a second, in batches as a platform sends them, cost those whom they do not concern: the share of questions that the
//! memory answers, with them and without.
//!
//! `cargo xtask bench revocations`, or with `--quick` a short form. PostgreSQL of its own with `fsync` on.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authz::decide::{CheckRequest, DecisionPoint};
use authz::demo::{self, Size, World};
use authz::relation::Tuple;
use authz::store::postgres::PostgresStore;
use authz::store::{Store, StoreId, SystemWallClock, WriteBatch};
use cache_core::testing::measure::{Arguments, Report, percentile};
use cache_core::{Policy, Source};
use cache_l1::{MemoryConfig, MemoryLayer};
use pg_log::PgConfig;
use test_services::{Postgres, PostgresOptions};
use tokio::time::Instant;

const A_SECOND: usize = 1_000;
const BATCH: usize = 50;
/// Questions a second, which the rest of the machine's time is for.
const ASKED: u32 = 5_000;
const ASKERS: u32 = 4;

fn main() {
    let arguments = Arguments::read();
    let Some(server) = Postgres::start(&PostgresOptions::default().durable()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&server.url(), arguments));
}

/// Whoever is revoked: each may view a document of the demo world by a relationship of their own.
fn revoked(number: usize, size: Size) -> Tuple {
    let object = format!("project:p{}", number % size.projects);
    Tuple::parse(&object, "viewer", &format!("user:leaving-{number}")).unwrap()
}

async fn run(url: &str, arguments: Arguments) {
    let mut report = Report::new("1,000 revocations a second (demo world, PostgreSQL)", arguments);
    let (size, seconds) = if arguments.quick { (Size::SMALL, 2) } else { (Size::FULL, 60) };
    let origin = Arc::new(PostgresStore::new(PgConfig::new(url), Arc::new(SystemWallClock)).unwrap());
    let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
    // What is over by its time would be asked for anew, revocations or not.
    let policy = Policy::default().default_ttl(Duration::from_secs(86_400));
    let point = DecisionPoint::builder(origin.clone()).tier(tier).policy(policy).build().await.unwrap();
    let point = Arc::new(point);
    let store = point.create_store("bench").await.unwrap().id;
    point.write_model(store, &demo::model()).await.unwrap();
    let world = World::new(size);
    origin.load(store, world.tuples(), |_| {}).await.unwrap();
    let all = A_SECOND * seconds;
    origin.load(store, (0..all).map(|number| revoked(number, size)), |_| {}).await.unwrap();
    let questions: Vec<CheckRequest> = world
        .questions(31)
        .take(if arguments.quick { 2_000 } else { 20_000 })
        .map(|question| CheckRequest::new(store, question.subject, question.relation, question.object))
        .collect();
    for _ in 0..2 {
        for question in &questions {
            point.check(question).await.unwrap();
        }
    }
    let lasts = Duration::from_secs(seconds as u64);
    let without = ask(&point, &questions, lasts).await;
    let stop = Arc::new(AtomicBool::new(false));
    let revoking = tokio::spawn(revoke(Arc::clone(&origin), store, size, all, Arc::clone(&stop)));
    let with = ask(&point, &questions, lasts).await;
    stop.store(true, Ordering::Relaxed);
    let (done, mut took) = revoking.await.unwrap();
    report.figure("questions a second, asked without and with", format!("{:.0}, {:.0}", without.1, with.1));
    report.figure("revocations a second", format!("{:.0}", done as f64 / lasts.as_secs_f64()));
    report.figure("a batch of 50, committed and applied here, p99 (ms)", format!("{:.1}", percentile(&mut took, 0.99)));
    report.figure("hit rate without (%)", format!("{:.2}", without.0 * 100.0));
    report.figure("hit rate with (%)", format!("{:.2}", with.0 * 100.0));
    let lost = (without.0 - with.0) * 100.0;
    report.goal("hit rate lost (points)", lost, lost <= 1.0, "<= 1");
    report.end();
    point.close().await;
}

/// The share of questions that the memory answered, and how many there were a second.
async fn ask(point: &Arc<DecisionPoint>, questions: &[CheckRequest], lasts: Duration) -> (f64, f64) {
    let parts = questions.chunks(questions.len().div_ceil(ASKERS as usize));
    let asking: Vec<_> = parts.map(|part| tokio::spawn(ask_some(Arc::clone(point), part.to_vec(), lasts))).collect();
    let (mut asked, mut hits) = (0, 0);
    for some in asking {
        let (of_asked, of_hits) = some.await.unwrap();
        asked += of_asked;
        hits += of_hits;
    }
    (f64::from(hits) / f64::from(asked.max(1)), f64::from(asked) / lasts.as_secs_f64())
}

async fn ask_some(point: Arc<DecisionPoint>, questions: Vec<CheckRequest>, lasts: Duration) -> (u32, u32) {
    let (begun, mut asked, mut hits) = (Instant::now(), 0_u32, 0_u32);
    for question in questions.iter().cycle() {
        let due = begun + Duration::from_secs(1) * ASKERS * asked / ASKED;
        if asked.is_multiple_of(16) {
            tokio::time::sleep_until(due).await;
        }
        if begun.elapsed() >= lasts {
            break;
        }
        let decision = match point.check_now(question) {
            Some(decision) => decision,
            None => point.check(question).await.unwrap(),
        };
        asked += 1;
        hits += u32::from(matches!(decision.source, Source::Tier(_)));
    }
    (asked, hits)
}

/// Revokes until it is told to stop, and says how many, and how long each batch took.
async fn revoke(
    origin: Arc<PostgresStore>,
    store: StoreId,
    size: Size,
    all: usize,
    stop: Arc<AtomicBool>,
) -> (usize, Vec<f64>) {
    let (mut ticks, mut took) =
        (tokio::time::interval(Duration::from_secs(1) * BATCH as u32 / A_SECOND as u32), Vec::new());
    let mut done = 0;
    while done < all && !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let deletes = (done..done + BATCH).map(|number| revoked(number, size)).collect();
        let begun = Instant::now();
        origin.write(store, WriteBatch { deletes, ..WriteBatch::default() }).await.unwrap();
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        done += BATCH;
    }
    (done, took)
}
