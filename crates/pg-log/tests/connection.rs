//! Connections: bounded waits, typed refusals, and nothing dirty ever lent, on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use futures_util::FutureExt;
use pg_log::{Pg, PgConfig, PgErrorKind};
use support::{Database, until};

async fn backend(client: &tokio_postgres::Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_connection_is_lent_again() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let first = backend(&pg.exclusive().await.unwrap()).await;
    until("given back", async || pg.statistics().in_use == 0).await;
    assert_eq!(backend(&pg.exclusive().await.unwrap()).await, first);
    assert_eq!(pg.statistics().opened, 1);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_before_the_connection_is_lent_again() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let first = {
        let exclusive = pg.exclusive().await.unwrap();
        exclusive.batch_execute("CREATE TABLE seen (n int)").await.unwrap();
        exclusive.batch_execute("BEGIN; INSERT INTO seen VALUES (1)").await.unwrap();
        backend(&exclusive).await
    };
    until("given back", async || pg.statistics().in_use == 0).await;
    let again = pg.exclusive().await.unwrap();
    assert_eq!(backend(&again).await, first, "it was rolled back, not closed");
    let row = again.query_one("SELECT count(*), pg_current_xact_id_if_assigned()::text FROM seen", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Option<String>>(1)), (0, None));
    assert_eq!(pg.statistics().discarded, 0);
}

#[tokio::test]
async fn a_statement_that_was_queued_but_not_sent_is_not_left_to_the_next_user() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    {
        let exclusive = pg.exclusive().await.unwrap();
        // Polled once: it lies in the queue of the client, and nothing was written.
        assert!(exclusive.batch_execute("BEGIN; CREATE TABLE left_behind (n int)").now_or_never().is_none());
    }
    until("given back", async || pg.statistics().in_use == 0).await;
    let exclusive = pg.exclusive().await.unwrap();
    let row = exclusive.query_one("SELECT to_regclass('left_behind') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn a_statement_that_does_not_end_is_cancelled_and_its_connection_closed() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new({
        let mut config = database.config();
        config.exclusive_max = 1;
        config
    })
    .unwrap();
    let first = {
        let exclusive = pg.exclusive().await.unwrap();
        let first = backend(&exclusive).await;
        assert!(exclusive.batch_execute("SELECT pg_sleep(60)").now_or_never().is_none());
        first
    };
    // The only one that may be open: this waits for the place of the first.
    let next = pg.exclusive().await.unwrap();
    assert_ne!(backend(&next).await, first);
    assert_eq!(pg.statistics().discarded, 1);
    let running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
    until("cancelled at the server", async || next.query_one(running, &[&first]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_of_aborted_futures_every_connection_is_idle_and_in_no_transaction() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new({
        let mut config = database.config();
        config.exclusive_max = 4;
        config.application_name = "storm".to_owned();
        config
    })
    .unwrap();
    pg.exclusive().await.unwrap().batch_execute("CREATE TABLE t (n int)").await.unwrap();
    let tasks: Vec<_> = (0..400_u64)
        .map(|n| {
            let pg = pg.clone();
            tokio::spawn(async move {
                let work = async {
                    let mut exclusive = pg.exclusive().await?;
                    if n % 2 == 0 {
                        exclusive.batch_execute("BEGIN").await.ok();
                        exclusive.execute("INSERT INTO t VALUES (1)", &[]).await.ok();
                        exclusive.batch_execute("COMMIT").await.ok();
                    } else if let Ok(transaction) = exclusive.transaction().await {
                        transaction.execute("INSERT INTO t VALUES (1)", &[]).await.ok();
                        transaction.query("SELECT pg_sleep(0.001)", &[]).await.ok();
                        transaction.commit().await.ok();
                    }
                    Ok::<_, pg_log::PgError>(())
                };
                tokio::time::timeout(Duration::from_micros(n * 37 % 9_000), work).await.ok();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    until("all given back", async || pg.statistics().in_use == 0).await;
    let foreign = database.foreign().await;
    let states = foreign
        .query("SELECT state FROM pg_stat_activity WHERE application_name = 'storm' AND state <> 'idle'", &[])
        .await
        .unwrap();
    assert!(states.is_empty(), "{states:?}");
    let mut held = Vec::new();
    for _ in 0..4 {
        let exclusive = pg.exclusive().await.unwrap();
        let row = exclusive.query_one("SELECT pg_current_xact_id_if_assigned()::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, Option<String>>(0), None);
        held.push(exclusive);
    }
}

#[tokio::test]
async fn copy_leaves_a_connection_clean_whether_it_ends_or_is_dropped() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let exclusive = pg.exclusive().await.unwrap();
    exclusive.batch_execute("CREATE TABLE t (n int)").await.unwrap();
    for finished in [true, false] {
        let exclusive = pg.exclusive().await.unwrap();
        let mut sink = Box::pin(exclusive.copy_in::<_, bytes::Bytes>("COPY t FROM STDIN").await.unwrap());
        futures_util::SinkExt::send(&mut sink, bytes::Bytes::from_static(b"1\n")).await.unwrap();
        if finished {
            sink.as_mut().finish().await.unwrap();
        }
        drop(sink);
        drop(exclusive);
        until("given back", async || pg.statistics().in_use == 1).await;
    }
    assert_eq!(exclusive.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!((pg.statistics().discarded, pg.statistics().opened), (0, 2));
}

#[tokio::test]
async fn a_session_that_holds_something_is_closed_when_it_is_dropped() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    {
        let mut exclusive = pg.exclusive().await.unwrap();
        exclusive.single_use();
        exclusive.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    }
    let next = pg.exclusive().await.unwrap();
    until("the lock is free", async || {
        next.query_one("SELECT pg_try_advisory_lock(7)", &[]).await.unwrap().get::<_, bool>(0)
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_too_long_is_told_which_bound_it_was() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new({
        let mut config = database.config();
        config.exclusive_max = 1;
        config.max_waiting = 1;
        config.wait = Duration::from_millis(30);
        config
    })
    .unwrap();
    let held = pg.exclusive().await.unwrap();
    let waiting = tokio::spawn({
        let pg = pg.clone();
        async move { pg.exclusive().await.map(drop) }
    });
    until("one waits", async || pg.statistics().waiting == 1).await;
    let refused = pg.exclusive().await.unwrap_err();
    assert_eq!(refused.kind(), PgErrorKind::Busy);
    assert!(refused.to_string().contains("1 callers wait already; raise exclusive_max"), "{refused}");
    let late = waiting.await.unwrap().unwrap_err();
    assert_eq!(late.kind(), PgErrorKind::Busy);
    assert!(pg.statistics().advice().unwrap().contains("raise it above 1"));
    drop(held);
    pg.exclusive().await.unwrap();
}

#[tokio::test]
async fn callers_are_served_in_the_order_they_came() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new({
        let mut config = database.config();
        config.exclusive_max = 1;
        config
    })
    .unwrap();
    let held = pg.exclusive().await.unwrap();
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..20 {
        let (caller, served) = (pg.clone(), served.clone());
        tokio::spawn(async move {
            let _exclusive = caller.exclusive().await.unwrap();
            served.send(n).unwrap();
        });
        until("queued", async || pg.statistics().waiting == n + 1).await;
    }
    drop(held);
    for n in 0..20 {
        assert_eq!(order.recv().await, Some(n));
    }
}

#[tokio::test]
async fn shared_connections_are_shared_and_come_back_after_they_were_killed() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let foreign = database.foreign().await;
    let mut pids = Vec::new();
    for _ in 0..10 {
        let shared = pg.shared().await.unwrap();
        let statement = shared.prepared("SELECT pg_backend_pid()").await.unwrap();
        pids.push(shared.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0));
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 2);
    for pid in &pids {
        foreign.query_one("SELECT pg_terminate_backend($1)", &[pid]).await.unwrap();
    }
    until("answered by a new one", async || {
        let shared = pg.shared().await.unwrap();
        shared.query_one("SELECT 1", &[]).await.is_ok() && pg.statistics().opened == 4
    })
    .await;
}

/// As a user of the server who may have only so many connections. Roles belong to the server, which other tests share.
async fn limited(database: &Database, role: &str, connections: usize) -> PgConfig {
    let foreign = database.foreign().await;
    foreign.batch_execute(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}")).await.ok();
    foreign.batch_execute(&format!("ALTER ROLE {role} PASSWORD '{role}'")).await.unwrap();
    let mut config = database.config();
    let place = config.url.rsplit_once('@').unwrap().1.to_owned();
    config.url = format!("postgres://{role}:{role}@{place}");
    config
}

#[tokio::test]
async fn no_place_at_the_server_is_an_error_of_its_own_kind() {
    let Some(database) = Database::empty() else { return };
    let mut config = limited(&database, "few", 1).await;
    config.wait = Duration::from_millis(50);
    let pg = Pg::new(config).unwrap();
    let _one = pg.exclusive().await.unwrap();
    let error = pg.exclusive().await.unwrap_err();
    assert_eq!(error.kind(), PgErrorKind::TooManyConnections);
    assert!(error.is_retryable() && error.to_string().contains("raise max_connections"), "{error}");
}

#[tokio::test]
async fn where_the_server_has_no_place_left_the_connections_that_are_there_go_round() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new(limited(&database, "fewer", 1).await).unwrap();
    for _ in 0..3 {
        let held = pg.exclusive().await.unwrap();
        let pid = backend(&held).await;
        let mut next = tokio::spawn({
            let pg = pg.clone();
            async move { backend(&pg.exclusive().await.unwrap()).await }
        });
        let early = tokio::time::timeout(Duration::from_millis(100), &mut next).await;
        assert!(early.is_err(), "it waits for the only one");
        drop(held);
        assert_eq!(next.await.unwrap(), pid);
    }
}

#[tokio::test]
async fn where_the_server_has_no_place_left_that_of_a_connection_that_has_ended_is_taken() {
    let Some(database) = Database::empty() else { return };
    let pg = Pg::new(limited(&database, "fewest", 1).await).unwrap();
    let mut held = pg.exclusive().await.unwrap();
    let pid = backend(&held).await;
    // It is closed when it is dropped, and nobody gets it back.
    held.single_use();
    let next = tokio::spawn({
        let pg = pg.clone();
        async move { backend(&pg.exclusive().await.unwrap()).await }
    });
    until("the server has refused another one", async || pg.statistics().open_failures > 0).await;
    drop(held);
    assert_ne!(next.await.unwrap(), pid);
}

#[tokio::test]
async fn a_server_that_is_down_is_told_at_once_and_named_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let pg = Pg::new(PgConfig::new(format!("postgres://ann:s3cret@{address}/app"))).unwrap();
    let started = tokio::time::Instant::now();
    for _ in 0..1_000 {
        let error = pg.exclusive().await.unwrap_err();
        assert_eq!(error.kind(), PgErrorKind::Unavailable);
        assert!(
            error.to_string().contains(&format!("{address}/app")) && !error.to_string().contains("s3cret"),
            "{error}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(pg.statistics().open_failures < 20, "a call for each would be a storm: {:?}", pg.statistics());
}

#[tokio::test]
async fn sessions_are_bounded_and_marked() {
    let Some(database) = Database::empty() else { return };
    let exclusive = database.pg().exclusive().await.unwrap();
    for (name, value) in [
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("application_name", "tiergate"),
        ("tiergate.writer", "on"),
    ] {
        let row = exclusive.query_one(&format!("SHOW {name}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{name}");
    }
}

#[tokio::test]
async fn conflicts_and_timeouts_have_their_kinds() {
    use pg_log::PgContext;
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let exclusive = pg.exclusive().await.unwrap();
    let kind = async |sql: &str| exclusive.batch_execute(sql).await.during("try it").unwrap_err().kind();
    assert_eq!(kind("SET statement_timeout = 10; SELECT pg_sleep(5)").await, PgErrorKind::Timeout);
    assert_eq!(kind("DO $$ BEGIN RAISE serialization_failure; END $$").await, PgErrorKind::Conflict);
    assert_eq!(kind("DO $$ BEGIN RAISE deadlock_detected; END $$").await, PgErrorKind::Conflict);
    assert_eq!(kind("DO $$ BEGIN RAISE unique_violation; END $$").await, PgErrorKind::Constraint);
    assert_eq!(kind("DO $$ BEGIN RAISE insufficient_privilege; END $$").await, PgErrorKind::Refused);
    assert_eq!(kind("SELECT nothing FROM nowhere").await, PgErrorKind::Schema);
    assert_eq!(kind("SELECT 1/0").await, PgErrorKind::Unexpected);
}
