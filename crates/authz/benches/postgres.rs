//! The origin in PostgreSQL: a cold check, a million relationships that are loaded, and what its books cost writers.
//!
//! `cargo xtask bench postgres`, or with `--quick` a short form. A server of its own with `fsync` on, over loopback.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use authz::decide::{CheckRequest, Consistency, DecisionPoint};
use authz::demo::{self, Question, Size, World};
use authz::relation::Tuple;
use authz::store::postgres::PostgresStore;
use authz::store::{Store, StoreId, SystemWallClock, WriteBatch};
use cache_core::Source;
use cache_core::testing::measure::{Arguments, Report, pairs, percentile};
use cache_l1::{MemoryConfig, MemoryLayer};
use pg_log::PgConfig;
use pg_log::tokio_postgres::{Client, NoTls, connect};
use test_services::{Postgres, PostgresOptions};

const WRITERS: usize = 16;
const LOADED: usize = 1_000_000;

fn main() {
    let arguments = Arguments::read();
    let Some(server) = Postgres::start(&PostgresOptions::default().durable()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let url = server.url();
    let (origin, point, store) = runtime.block_on(open(&url));
    runtime.block_on(checks(&origin, &point, store, arguments));
    runtime.block_on(load(&origin, &point, arguments));
    runtime.block_on(writes(&origin, store, arguments));
    books(&runtime, &url, store, arguments);
    runtime.block_on(point.close());
}

async fn open(url: &str) -> (Arc<PostgresStore>, DecisionPoint, StoreId) {
    let origin = Arc::new(PostgresStore::new(PgConfig::new(url), Arc::new(SystemWallClock)).unwrap());
    let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
    let point = DecisionPoint::builder(origin.clone()).tier(tier).build().await.unwrap();
    let store = point.create_store("bench").await.unwrap().id;
    point.write_model(store, &demo::model()).await.unwrap();
    (origin, point, store)
}

#[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// What nobody asked before, in the demo world.
async fn checks(origin: &PostgresStore, point: &DecisionPoint, store: StoreId, arguments: Arguments) {
    let mut report = Report::new("A cold check on PostgreSQL (demo world)", arguments);
    let world = World::new(if arguments.quick { Size::SMALL } else { Size::FULL });
    origin.load(store, world.tuples(), |_| {}).await.unwrap();
    let count = if arguments.quick { 300 } else { 5_000 };
    for (name, consistency, seed) in
        [("without any cached part", Consistency::Full, 11), ("with cached parts", Consistency::MinimizeLatency, 12)]
    {
        for round in 0..2 {
            let (mut figures, before) = (Vec::with_capacity(count), origin.round_trips());
            for Question { subject, relation, object } in world.questions(seed + round * 100).take(count) {
                let request = CheckRequest { consistency, ..CheckRequest::new(store, subject, relation, object) };
                let start = now();
                let decision = point.check(&request).await.unwrap();
                if decision.source == Source::Origin {
                    figures.push(start.elapsed().as_secs_f64() * 1e6);
                }
            }
            // The first round prepares the statements and warms the pages.
            if round == 1 && !figures.is_empty() {
                let trips = (origin.round_trips() - before) as f64 / figures.len() as f64;
                let p50 = percentile(&mut figures, 0.5);
                report.goal(&format!("{name}, p50 (us)"), p50, p50 < 3_000.0, "< 3000");
                report.figure(&format!("{name}, p99 (us)"), format!("{:.0}", percentile(&mut figures, 0.99)));
                report.figure(&format!("{name}, round trips each"), format!("{trips:.2}"));
            }
        }
    }
    report.end();
}

async fn load(origin: &PostgresStore, point: &DecisionPoint, arguments: Arguments) {
    let mut report = Report::new("Loading by COPY", arguments);
    let store = point.create_store("loaded").await.unwrap().id;
    let count = if arguments.quick { LOADED / 20 } else { LOADED };
    let tuples = (0..count).map(|n| {
        let (object, subject) = (format!("document:{}", n % 100_003), format!("user:{}", n / 11));
        Tuple::parse(&object, "viewer", &subject).unwrap()
    });
    let start = now();
    let (total, _) = origin.load(store, tuples, |_| {}).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    report.figure("relationships", total.added);
    report.figure("a second", (total.added as f64 / seconds) as u64);
    report.goal("seconds for 1,000,000", seconds / count as f64 * 1e6, seconds / count as f64 * 1e6 < 30.0, "< 30");
    report.end();
}

/// Writes through the origin, each of one relationship, durable and applied here before it is answered.
async fn writes(origin: &Arc<PostgresStore>, store: StoreId, arguments: Arguments) {
    let report = Report::new("Writes through the origin (fsync on)", arguments);
    let length = Duration::from_millis(if arguments.quick { 500 } else { 4_000 });
    for writers in [1, WRITERS] {
        let stop = Arc::new(AtomicBool::new(false));
        let start = now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let (origin, stop) = (Arc::clone(origin), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut done = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        let object = format!("document:w{writers}-{writer}-{done}");
                        let tuple = Tuple::parse(&object, "viewer", "user:ann").unwrap();
                        origin.write(store, WriteBatch::of([tuple])).await.unwrap();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        for task in tasks {
            done += task.await.unwrap();
        }
        report.figure(
            &format!("writes a second, {writers} writers"),
            (done as f64 / start.elapsed().as_secs_f64()) as u64,
        );
    }
    report.end();
}

const INSERT: &str = "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id) \
                      VALUES ($1, 'document', $2, 'viewer', 'user', 'ann')";

/// What history and log cost: commits with them, by the statement itself and by triggers, and without.
fn books(runtime: &tokio::runtime::Runtime, url: &str, store: StoreId, arguments: Arguments) {
    let mut report = Report::new("Commits of 16 writers (fsync on)", arguments);
    let with_books = format!(
        "WITH added AS ({INSERT} RETURNING *),
         kept AS (INSERT INTO tiergate.changes (store, inserted, object_type, object_id, relation, subject_type, subject_relation,
                      subject_id, condition, condition_context, at)
                  SELECT store, true, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                      condition, condition_context, written_at FROM added)
         INSERT INTO tiergate.log (kind, fields) SELECT 'inserted', ARRAY[store, object_type, object_id, relation, subject_type,
             subject_relation, subject_id] FROM added"
    );
    let clients: Vec<Arc<Client>> = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..WRITERS {
            let (client, connection) = connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            clients.push(Arc::new(client));
        }
        clients
    });
    let round = Duration::from_millis(if arguments.quick { 300 } else { 2_000 });
    let run = |sql: &str, quiet: bool| runtime.block_on(commits(&clients, sql, quiet, store, round));
    let by_itself = pairs(arguments.pairs(), || run(&with_books, true), || run(INSERT, true));
    report.ratio_at_least("with its own books : without any", "commits/s", &by_itself, 0.9);
    let by_triggers = pairs(arguments.pairs(), || run(INSERT, false), || run(INSERT, true));
    report.ratio_at_least("by triggers : without any", "commits/s", &by_triggers, 0.6);
    report.end();
}

async fn commits(clients: &[Arc<Client>], sql: &str, quiet: bool, store: StoreId, round: Duration) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let stop = Arc::new(AtomicBool::new(false));
    let begin = if quiet {
        "BEGIN; SELECT set_config('tiergate.bulk', pg_current_xact_id()::text, true)"
    } else {
        "BEGIN; SELECT set_config('tiergate.none', pg_current_xact_id()::text, true)"
    };
    let start = now();
    let tasks: Vec<_> = clients
        .iter()
        .map(|client| {
            let (client, stop, sql, store) =
                (Arc::clone(client), Arc::clone(&stop), sql.to_owned(), store.0.to_string());
            tokio::spawn(async move {
                client.batch_execute("SET tiergate.writer = 'on'").await.unwrap();
                let statement = client.prepare(&sql).await.unwrap();
                let mut done = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let object = format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed));
                    let (begun, inserted, committed) = futures_util::future::join3(
                        client.batch_execute(begin),
                        client.execute(&statement, &[&store, &object]),
                        client.batch_execute("COMMIT"),
                    )
                    .await;
                    begun.unwrap();
                    inserted.unwrap();
                    committed.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    tokio::time::sleep(round).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / start.elapsed().as_secs_f64()
}
