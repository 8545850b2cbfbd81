//! How long it takes from a commit until a change is in force on all of three instances: calm, and while a transaction stays open that has a number and
//! a view of a million rows is refreshed.
//!
//! A PostgreSQL of its own with `fsync` on, over loopback. `cargo xtask bench in_force`, or with `--quick` a short form.

#![allow(clippy::disallowed_methods, reason = "it measures in real time, and sleeps between two changes")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::testing::measure::{Arguments, Report, percentile, time};
use pg_log::{COMPONENT, LogReader, Pg, PgConfig, attach_sql, migrate, migrations};
use support::{Nobody, connect};
use test_services::{Postgres, PostgresOptions};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, SimpleQueryMessage};

const INSTANCES: usize = 3;
const ROWS: u32 = 1_000_000;
/// Between two changes.
const REST: Duration = Duration::from_millis(15);
/// Between two looks at the positions.
const LOOK: Duration = Duration::from_micros(50);
/// Longer than any change may take to be in force.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let arguments = Arguments::read();
    let Some(server) = Postgres::start(&PostgresOptions::default().durable()) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let url = server.url();
    runtime.block_on(prepare(&url, if arguments.quick { ROWS / 50 } else { ROWS }));
    let readers: Vec<_> = runtime.block_on(async {
        let pgs = (0..INSTANCES).map(|_| Pg::new(PgConfig::new(&url)).expect("the URL"));
        let readers: Vec<_> = pgs.map(|pg| LogReader::start(pg, Arc::new(Nobody))).collect();
        for reader in &readers {
            reader.joined().await;
            reader.leased().await;
        }
        readers
    });
    let lasts = Duration::from_secs(if arguments.quick { 2 } else { 60 });
    let mut report = Report::new("From a commit until in force on 3 instances (fsync on)", arguments);
    measure("calm", &runtime, &url, &readers, lasts, &mut report);
    let (stop, busy) = (Arc::new(AtomicBool::new(false)), runtime.block_on(connect(&url)));
    let refreshing = runtime.spawn({
        let stop = Arc::clone(&stop);
        async move {
            let mut refreshed = 0;
            while !stop.load(Ordering::Relaxed) {
                busy.batch_execute("REFRESH MATERIALIZED VIEW CONCURRENTLY large_view").await.expect("a refresh");
                refreshed += 1;
            }
            refreshed
        }
    });
    let open = runtime.block_on(connect(&url));
    runtime.block_on(open.batch_execute("BEGIN; SELECT pg_current_xact_id()")).expect("a transaction");
    measure("a transaction open, a view refreshed", &runtime, &url, &readers, lasts, &mut report);
    stop.store(true, Ordering::Relaxed);
    let refreshed: u32 = runtime.block_on(refreshing).expect("the refreshes");
    report.figure("refreshes meanwhile, the last one to its end", refreshed);
    runtime.block_on(open.batch_execute("ROLLBACK")).expect("its end");
    for reader in readers {
        runtime.block_on(reader.stop());
    }
    report.end();
}

async fn prepare(url: &str, rows: u32) {
    let mut client = connect(url).await;
    migrate(&mut client, "tiergate", COMPONENT, migrations()).await.expect("the log's tables");
    let sql = format!(
        "CREATE TABLE logged (id bigserial PRIMARY KEY, object text NOT NULL, subject text NOT NULL);
         CREATE TABLE large AS SELECT n AS id, md5(n::text) AS value FROM generate_series(1, {rows}) n;
         CREATE MATERIALIZED VIEW large_view AS SELECT * FROM large;
         CREATE UNIQUE INDEX ON large_view (id)"
    );
    client.batch_execute(&sql).await.expect("tables");
    let attach = attach_sql("tiergate", "logged", "relationship", &["object", "subject"]).expect("names");
    client.batch_execute(&attach).await.expect("triggers");
}

/// Changes a row, and says in which transaction.
async fn change(client: &Client) -> u64 {
    let sql = "BEGIN; INSERT INTO logged (object, subject) VALUES ('document:1', 'user:ann'); \
               SELECT pg_current_xact_id(); COMMIT";
    let told = client.simple_query(sql).await.expect("a commit");
    let number = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    number.expect("the number of the transaction")
}

fn measure(name: &str, runtime: &Runtime, url: &str, readers: &[Arc<LogReader>], lasts: Duration, report: &mut Report) {
    let (stranger, ours) = runtime.block_on(async { (connect(url).await, connect(url).await) });
    runtime.block_on(ours.batch_execute("SET tiergate.writer = on")).expect("the mark");
    let (mut foreign, mut acknowledged, mut spent) = (Vec::new(), Vec::new(), Duration::ZERO);
    while spent < lasts {
        let (took, ()) = time(|| {
            // As `psql` would: nobody is told but by the triggers.
            let number = runtime.block_on(change(&stranger));
            let (took, ()) = time(|| everywhere(readers, number));
            foreign.push(took.as_secs_f64() * 1e3);
            std::thread::sleep(REST);
            // As the server does: from the beginning of the write to the acknowledgement by all.
            let (took, standing) = time(|| {
                runtime.block_on(async {
                    let number = change(&ours).await;
                    readers[0].wake();
                    readers[0].in_force(number, PATIENCE).await
                })
            });
            assert!(standing.expect("a judge").is_in_force(), "not in force in time");
            acknowledged.push(took.as_secs_f64() * 1e3);
            std::thread::sleep(REST);
        });
        spent += took;
    }
    report.figure(&format!("{name}: changes of each kind"), foreign.len());
    for (what, mut figures, goals) in [
        ("by a stranger, commit to in force", foreign, [5.0, 10.0]),
        ("by us, written and acknowledged by all", acknowledged, [15.0, 15.0]),
    ] {
        for (share, goal, named) in [(0.5, goals[0], "p50"), (0.99, goals[1], "p99")] {
            let value = percentile(&mut figures, share);
            report.goal(&format!("{name}: {what}, {named} (ms)"), value, value < goal, &format!("< {goal}"));
        }
    }
}

/// Waits until every instance has applied it.
fn everywhere(readers: &[Arc<LogReader>], number: u64) {
    while !readers.iter().all(|reader| reader.position().is_some_and(|position| position.sees(number))) {
        std::thread::sleep(LOOK);
    }
}
