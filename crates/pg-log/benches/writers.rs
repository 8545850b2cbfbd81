//! What the log costs those who write, and what a poll costs the server.
//!
//! A PostgreSQL of its own with `fsync` on, as it would be in production: a commit waits for the disk, and what triggers add has to be seen
//! beside that. Writers insert into two equal tables, one of which is attached, in turn and for the same time each.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::measure::{Arguments, Report, median, pairs, time};
use pg_log::{COMPONENT, LogReader, Pg, PgConfig, attach_sql, migrate, migrations};
use support::{Nobody, connect};
use test_services::{Postgres, PostgresOptions};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

const WRITERS: usize = 16;

fn main() {
    let arguments = Arguments::read();
    let Some(server) = Postgres::start(&PostgresOptions::default().durable()) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let url = server.url();
    runtime.block_on(prepare(&url));
    let mut report = Report::new("The log of PostgreSQL (fsync on)", arguments);
    let round = Duration::from_millis(if arguments.quick { 300 } else { 2_000 });
    writers(&runtime, &server, round, &arguments, &mut report);
    polls(&runtime, &url, &arguments, &report);
    report.end();
}

async fn prepare(url: &str) {
    let mut client = connect(url).await;
    migrate(&mut client, "tiergate", COMPONENT, migrations()).await.expect("the log's tables");
    for table in ["bare", "logged"] {
        let sql = format!(
            "CREATE TABLE {table} (
                 store text NOT NULL, object text NOT NULL, relation text NOT NULL, subject text NOT NULL,
                 PRIMARY KEY (store, object, relation, subject));
             CREATE INDEX ON {table} (store, subject, relation)"
        );
        client.batch_execute(&sql).await.expect("a table");
    }
    // A row as the log's, in a table that nothing is asked of.
    client
        .batch_execute(
            "CREATE TABLE second (LIKE tiergate.log INCLUDING DEFAULTS); CREATE INDEX ON second (xid) WHERE NOT loaded",
        )
        .await
        .expect("a table");
    let attach = attach_sql("tiergate", "logged", "relationship", &["store", "object", "relation", "subject"]);
    client.batch_execute(&attach.expect("names")).await.expect("triggers");
}

/// Commits a second of writers who each insert one row in a transaction, into `table`.
fn commits(runtime: &Runtime, clients: &[Arc<Client>], table: &str, round: Duration) -> f64 {
    commits_of(runtime, clients, &format!("INSERT INTO {table} VALUES ('store', $1, 'viewer', $2)"), round)
}

/// Commits a second of writers who each run a statement in a transaction, for an object and a subject.
fn commits_of(runtime: &Runtime, clients: &[Arc<Client>], sql: &str, round: Duration) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let stop = Arc::new(AtomicBool::new(false));
    let (took, done) = time(|| {
        runtime.block_on(async {
            let tasks: Vec<_> = clients
                .iter()
                .map(|client| {
                    let (client, stop, sql) = (Arc::clone(client), Arc::clone(&stop), sql.to_owned());
                    tokio::spawn(async move {
                        let statement = client.prepare(&sql).await.expect("the statement");
                        let mut done = 0_u64;
                        while !stop.load(Ordering::Relaxed) {
                            let n = NEXT.fetch_add(1, Ordering::Relaxed);
                            let (object, subject) = (format!("document:{n}"), format!("user:{}", n % 10_000));
                            client.execute(&statement, &[&object, &subject]).await.expect("an insert");
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
                done += task.await.expect("a writer");
            }
            done
        })
    });
    done as f64 / took.as_secs_f64()
}

fn writers(runtime: &Runtime, server: &Postgres, round: Duration, arguments: &Arguments, report: &mut Report) {
    let url = &server.url();
    let ours: Vec<_> = (0..WRITERS).map(|_| Arc::new(runtime.block_on(connect(url)))).collect();
    for client in &ours {
        runtime.block_on(client.batch_execute("SET tiergate.writer = on")).expect("the mark");
    }
    let strangers: Vec<_> = (0..WRITERS).map(|_| Arc::new(runtime.block_on(connect(url)))).collect();

    let alone = pairs(
        arguments.pairs(),
        || commits(runtime, &ours, "logged", round),
        || commits(runtime, &ours, "bare", round),
    );
    report.ratio_at_least("commits of 16 writers, with the triggers to without", "commits/s", &alone, 0.9);

    let second = "WITH written AS (INSERT INTO bare VALUES ('store', $1, 'viewer', $2) RETURNING *)
        INSERT INTO second (kind, op, fields) SELECT 'relationship', '+', ARRAY[store, object, relation, subject] FROM written";
    let floor = pairs(
        arguments.pairs(),
        || commits_of(runtime, &ours, second, round),
        || commits(runtime, &ours, "bare", round),
    );
    report.figure(
        "what no log of rows can do better than: another row by the statement itself, to without",
        format!("{:.3} x ({:.3} to {:.3})", floor.ratio, floor.range.0, floor.range.1),
    );

    // Where others use the machine at the same time, this is the steadier figure of the two.
    let used = |table: &str| {
        let before = processors(server);
        let (took, rate) = time(|| commits(runtime, &ours, table, round));
        processors(server)
            .zip(before)
            .map_or(f64::NAN, |(after, before)| (after - before) * 1e6 / (rate * took.as_secs_f64()))
    };
    let processor = pairs(arguments.pairs(), || used("logged"), || used("bare"));
    report.ratio_at_most("the server's processor time for a commit, the same", "us", &processor, 1.15);

    let pg = Pg::new(PgConfig::new(url)).expect("the URL");
    let readers = runtime.block_on(async {
        let readers: Vec<_> = (0..3).map(|_| LogReader::start(pg.clone(), Arc::new(Nobody))).collect();
        for reader in &readers {
            reader.joined().await;
        }
        readers
    });
    let followed = pairs(
        arguments.pairs(),
        || {
            let stop = Arc::new(AtomicBool::new(false));
            // What a server does after each of its commits; the reader makes few wake-ups of them.
            let waker = runtime.spawn({
                let (reader, stop) = (Arc::clone(&readers[0]), Arc::clone(&stop));
                async move {
                    while !stop.load(Ordering::Relaxed) {
                        reader.wake();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
            let done = commits(runtime, &ours, "logged", round);
            stop.store(true, Ordering::Relaxed);
            runtime.block_on(waker).expect("the waker");
            done
        },
        || commits(runtime, &ours, "bare", round),
    );
    report.ratio_at_least("the same, while 3 instances follow and wake one another", "commits/s", &followed, 0.5);
    let notifying = pairs(
        arguments.pairs().min(3),
        || commits(runtime, &strangers, "logged", round),
        || commits(runtime, &ours, "logged", round),
    );
    report.figure(
        "commits of 16 strangers, who notify inside, to ours",
        format!("{:.3} x ({:.0} against {:.0} commits/s)", notifying.ratio, notifying.left, notifying.right),
    );
    for reader in readers {
        runtime.block_on(reader.stop());
    }
}

fn polls(runtime: &Runtime, url: &str, arguments: &Arguments, report: &Report) {
    let pg = Pg::new(PgConfig::new(url)).expect("the URL");
    let count = if arguments.quick { 500 } else { 10_000 };
    runtime.block_on(async {
        let reader = LogReader::start(pg.clone(), Arc::new(Nobody));
        reader.joined().await;
        let exclusive = pg.exclusive().await.expect("a connection");
        let pid: i32 = exclusive.query_one("SELECT pg_backend_pid()", &[]).await.expect("its number").get(0);
        let poll = reader.poll_statement().expect("joined");
        let statement = exclusive.prepared(poll.sql()).await.expect("the poll");
        let one = exclusive.prepared("SELECT 1").await.expect("a statement");
        for (name, polling) in [("a poll that brings nothing", true), ("SELECT 1", false)] {
            let before = processor(pid);
            let mut waits = Vec::with_capacity(count);
            for _ in 0..count {
                // The position of now: what was asked at the start of a long run would bring more and more.
                let poll = reader.poll_statement().expect("joined");
                let start = tokio::time::Instant::now();
                if polling {
                    exclusive.query(&statement, &poll.params()).await.expect("an answer");
                } else {
                    exclusive.query(&one, &[]).await.expect("an answer");
                }
                waits.push(start.elapsed().as_secs_f64() * 1e6);
            }
            let server = processor(pid).zip(before).map(|(after, before)| (after - before) / count as f64 * 1e6);
            report.figure(
                name,
                format!(
                    "{:.0} us round trip, {} of the server's processor",
                    median(waits),
                    server.map_or_else(|| "?".to_owned(), |us| format!("{us:.0} us"))
                ),
            );
        }
    });
}

/// The seconds of processor time that a server's processes have used.
fn processors(server: &Postgres) -> Option<f64> {
    let parent = server.pid()?.to_string();
    let mut seconds = 0.0;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of_parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(&*parent);
        if of_parent {
            seconds += processor(pid).unwrap_or(0.0);
        }
    }
    Some(seconds)
}

/// The seconds of processor time that a process has used, where the system says; it counts in hundredths.
fn processor(pid: i32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
