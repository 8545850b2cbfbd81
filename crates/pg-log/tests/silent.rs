//! Writers that nobody hears of: a row that was put into the log by hand, a server that can't notify, a connection that is dead and does not say so.
//! The next poll finds what they changed, and nobody acknowledges it before.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::process::Command;
use std::time::Duration;

use cache_core::tag;
use cache_core::testing::TestKey;
use pg_log::{LogReader, MemberConfig, Pg};
use support::process::Process;
use support::{Database, SOON, until, xid};
use test_services::{Postgres, PostgresOptions};
use tokio::time::Instant;
use tokio_postgres::Client;

/// The time between two polls: long beside what a wake-up takes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longer than any test: leases are renewed at a third of this, and each renewal polls.
const HOUR: Duration = Duration::from_secs(3_600);

/// One that polls when its time has come, or when it is woken.
fn polling(database: &Database, name: &str, every: Duration) -> Pg {
    let mut config = database.config();
    config.application_name = name.to_owned();
    config.log.poll_interval = every;
    config.log.poll_timeout = Duration::from_millis(300);
    config.log.member = MemberConfig::new(name);
    config.log.member.lease = HOUR;
    Pg::new(config).unwrap()
}

/// Runs statements in a transaction, and says by which number.
async fn commit(psql: &Client, statements: &str) -> u64 {
    psql.batch_execute(&format!("BEGIN; {statements}")).await.unwrap();
    let number = xid(psql).await;
    psql.batch_execute("COMMIT").await.unwrap();
    number
}

/// Waits for a poll whose time had come, and its answer. Says when it had not been sent yet: whoever is not woken sends none for an interval after that.
async fn polled(reader: &LogReader) -> Instant {
    for _ in 0..10 {
        let (sent, begun) = (reader.polls_sent(), Instant::now());
        let mut before = begun;
        until("polled", async || {
            let looked = Instant::now();
            let goes_on = reader.polls_sent() == sent;
            if goes_on {
                before = looked;
            }
            !goes_on
        })
        .await;
        until("answered", async || reader.has_polled_after(sent)).await;
        // One that came sooner was owed to somebody who was woken, and may not be the last of them.
        if before - begun >= INTERVAL / 2 {
            return before;
        }
    }
    panic!("it polls without a pause");
}

/// Makes a change in the interval after a poll, and demands that it is in force by the next one and acknowledged no earlier.
async fn the_next_poll_finds(process: &Process, key: &TestKey, change: impl Future<Output = u64>) {
    let reader = process.reader();
    assert!(process.holds(key), "there is nothing that could be served");
    let before = polled(reader).await;
    let xid = change.await;
    // Every poll after so many was sent after the commit.
    let sent = reader.polls_sent();
    let early = reader.in_force(xid, Duration::ZERO).await.unwrap();
    assert!(!early.is_in_force() || reader.has_polled_after(sent), "acknowledged, and nobody has looked: {early:?}");
    let acknowledged = async {
        let standing = reader.in_force(xid, SOON).await.unwrap();
        (standing, process.holds(key))
    };
    let found = async {
        until("polled again", async || reader.has_polled_after(sent)).await;
        process.holds(key)
    };
    let ((standing, served), missed) = tokio::join!(acknowledged, found);
    assert!(!missed, "the first poll after the commit has not brought it");
    assert!(standing.is_in_force() && !served, "served after the acknowledgement: {standing:?}");
    // Nothing else than the next poll can have found it.
    assert!(before.elapsed() >= INTERVAL, "somebody was woken: the test shows nothing");
    assert!(process.is_trusted(), "what is cached is used all the time");
}

#[tokio::test]
async fn a_row_that_was_inserted_by_hand_is_found_by_the_next_poll() {
    let Some(database) = Database::with_log() else { return };
    let process = Process::start(polling(&database, "polling", INTERVAL)).await;
    let psql = database.foreign().await;
    let key = process.cache("a", tag!("thing", "a")).await;
    the_next_poll_finds(&process, &key, commit(&psql, "INSERT INTO tiergate.log (kind) VALUES ('all')")).await;
    process.cache("a", tag!("thing", "a")).await;
}

#[tokio::test]
async fn a_row_of_a_thing_that_was_inserted_by_hand_kills_what_was_computed_from_it_and_nothing_else() {
    let Some(database) = Database::with_log() else { return };
    let process = Process::start(polling(&database, "polling", INTERVAL)).await;
    let psql = database.foreign().await;
    let key = process.cache("a", tag!("thing", "a")).await;
    let other = process.cache("b", tag!("thing", "b")).await;
    let row = "INSERT INTO tiergate.log (kind, op, fields) VALUES ('thing', '-', ARRAY['a', 'ann'])";
    the_next_poll_finds(&process, &key, commit(&psql, row)).await;
    assert!(process.holds(&other));
}

#[tokio::test]
async fn a_row_that_was_inserted_by_hand_is_in_force_at_once_where_its_writer_wakes_everybody() {
    let Some(database) = Database::with_log() else { return };
    let process = Process::start(polling(&database, "polling", HOUR)).await;
    let psql = database.foreign().await;
    let key = process.cache("a", tag!("thing", "a")).await;
    let number = commit(&psql, "INSERT INTO tiergate.log (kind) VALUES ('all'); SELECT tiergate.wake()").await;
    assert!(process.reader().in_force(number, SOON).await.unwrap().is_in_force());
    assert!(!process.holds(&key));
}

#[tokio::test]
async fn a_writer_that_leaves_it_to_the_polls_is_found_by_the_next_one() {
    let Some(database) = Database::with_log() else { return };
    let process = Process::start(polling(&database, "polling", INTERVAL)).await;
    let psql = database.foreign().await;
    psql.batch_execute("SET tiergate.writer = 'on'").await.unwrap();
    let key = process.cache("a", tag!("thing", "a")).await;
    the_next_poll_finds(&process, &key, commit(&psql, "INSERT INTO things VALUES ('a', 'ann', '')")).await;
}

#[tokio::test]
async fn where_a_server_can_not_notify_the_next_poll_finds_what_strangers_change() {
    // A transaction that has notified could not be prepared.
    let options = PostgresOptions::default().setting("max_prepared_transactions", "5");
    let Some(server) = Postgres::start(&options) else { return };
    let database = Database::with_log_on(&server);
    let process = Process::start(polling(&database, "polling", INTERVAL)).await;
    let psql = database.foreign().await;
    let key = process.cache("a", tag!("thing", "a")).await;
    the_next_poll_finds(&process, &key, commit(&psql, "INSERT INTO things VALUES ('a', 'ann', '')")).await;
}

/// A process of the server that stands still: its connection is open, and nothing comes over it.
struct Still(i32);

impl Still {
    fn stop(pid: i32) -> Self {
        signal(pid, "STOP");
        Self(pid)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

fn signal(pid: i32, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

/// The processes of the server by which a reader listens and polls, and that have nothing to do.
async fn listeners(psql: &Client, name: &str) -> Vec<i32> {
    let sql =
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle' AND wait_event = 'ClientRead'
               AND (query LIKE '%.poll(%' OR query LIKE '%.positions SET%' OR query LIKE '%pg_notify(%')";
    psql.query(sql, &[&name]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_listener_whose_connection_is_dead_finds_by_its_next_poll_what_others_were_told() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    let deaf = Process::start(polling(&database, "deaf", INTERVAL)).await;
    let hears = Process::start(polling(&database, "hears", HOUR)).await;
    let [key, told] = [deaf.cache("a", tag!("thing", "a")).await, hears.cache("a", tag!("thing", "a")).await];
    let mut still = None;
    let change = async {
        // Not in the middle of something that others wait for.
        let mut found = Vec::new();
        until("it is idle", async || {
            found = listeners(&psql, "deaf").await;
            found.len() == 1
        })
        .await;
        still = Some(Still::stop(found[0]));
        let number = commit(&psql, "INSERT INTO things VALUES ('a', 'ann', '')").await;
        let sent = deaf.reader().polls_sent();
        until("the others are told", async || !hears.holds(&told)).await;
        let lagging = hears.reader().in_force(number, Duration::ZERO).await.unwrap().lagging;
        let waits = deaf.holds(&key) && lagging.iter().any(|laggard| laggard.name == "deaf");
        assert!(waits || deaf.reader().has_polled_after(sent), "it was told, or nobody waits for it: {lagging:?}");
        number
    };
    the_next_poll_finds(&deaf, &key, change).await;
    let dead = still.as_ref().map(|still| still.0);
    until("it goes on by another connection", async || {
        listeners(&psql, "deaf").await.iter().any(|pid| Some(*pid) != dead)
    })
    .await;
}

/// Each of these is found by what is above. See `cargo xtask test` for how they run.
#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn an_acknowledgement_at_the_commit_of_a_row_by_hand_is_found() {
        finds(Mistake::AcknowledgementAtTheCommit, super::a_row_that_was_inserted_by_hand_is_found_by_the_next_poll);
    }

    #[test]
    fn an_acknowledgement_at_the_commit_past_a_dead_listener_is_found() {
        finds(
            Mistake::AcknowledgementAtTheCommit,
            super::a_listener_whose_connection_is_dead_finds_by_its_next_poll_what_others_were_told,
        );
    }
}
