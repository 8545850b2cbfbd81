//! A chain whose log lies in PostgreSQL: what one process invalidates is in force in the others, and so is what anybody changes in attached tables.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cache_core::testing::{ALPHA, BETA, FakeLayer, TYPES, TestKey, TestValue};
use cache_core::{Chain, ErrorKind, Identity, Kill, KillSink, Log, Lookup, Position, Revision, Stamp, tag};
use pg_log::{Pg, PgLog};
use support::process::{Process, thing};
use support::{Database, SOON, until};
use test_services::{Postgres, PostgresOptions};

#[tokio::test]
async fn what_one_process_invalidates_is_dead_there_at_once_and_soon_in_the_other() {
    let Some(database) = Database::with_log() else { return };
    let (here, there) = (Process::start(database.pg()).await, Process::start(database.pg()).await);
    assert_eq!(here.log.identity(), there.log.identity());
    let (mine, other) = (here.cache("a", tag!("user", 1)).await, here.cache("b", tag!("user", 2)).await);
    let theirs = there.cache("a", tag!("user", 1)).await;
    here.chain.invalidate(tag!("user", 1)).await.unwrap();
    assert!(!here.holds(&mine) && here.holds(&other));
    until("dead there", async || !there.holds(&theirs)).await;
    // And it can be cached again, with a stamp that contains the change.
    here.cache("a", tag!("user", 1)).await;
}

#[tokio::test]
async fn types_and_everything_go_by_the_log_as_well() {
    let Some(database) = Database::with_log() else { return };
    let (here, there) = (Process::start(database.pg()).await, Process::start(database.pg()).await);
    let key = there.cache("a", tag!("user", 1)).await;
    here.chain.invalidate_all_of(vec![Kill::Type(BETA)]).await.unwrap();
    here.chain.invalidate_all_of(vec![Kill::Type(ALPHA)]).await.unwrap();
    until("its type is dead", async || !there.holds(&key)).await;
    let key = there.cache("a", tag!("user", 1)).await;
    here.chain.invalidate_all_of(vec![Kill::All]).await.unwrap();
    until("everything is dead", async || !there.holds(&key)).await;
}

#[tokio::test]
async fn a_change_of_an_attached_table_kills_what_was_computed_from_it() {
    let Some(database) = Database::with_log() else { return };
    let process = Process::start(database.pg()).await;
    let (killed, other) = (process.cache("a", tag!("thing", "a")).await, process.cache("b", tag!("thing", "b")).await);
    let psql = database.foreign().await;
    psql.batch_execute("INSERT INTO things VALUES ('a', 'ann', '')").await.unwrap();
    until("dead", async || !process.holds(&killed)).await;
    assert!(process.holds(&other));
    psql.batch_execute("TRUNCATE things").await.unwrap();
    until("dead", async || !process.holds(&other)).await;
}

#[tokio::test]
async fn nothing_is_cached_before_the_past_is_known() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    server.stop();
    let log = PgLog::start(database.pg(), TYPES.to_vec());
    let chain = Chain::builder().tier(FakeLayer::local("memory")).log(log.clone()).build().unwrap();
    let key = TestKey::new(ALPHA, "a");
    let load = |_| async { Ok::<_, std::io::Error>(TestValue::new("loaded")) };
    chain.get_or_load(&key, load).await.unwrap();
    assert!(!matches!(chain.get_now(&key), Lookup::Hit(_)));
    assert_eq!((log.identity(), log.stamp()), (None, Stamp::OLDEST));
    let error = log.append(vec![Kill::All]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(log.read(None).await.is_err());
    server.restart().unwrap();
    tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
    until("cached", async || {
        chain.get_or_load(&key, load).await.unwrap();
        matches!(chain.get_now(&key), Lookup::Hit(_))
    })
    .await;
}

#[derive(Default)]
struct Listening {
    told: Mutex<Vec<(Revision, Vec<Kill>)>>,
    bound: Mutex<Vec<Identity>>,
}

impl KillSink for Listening {
    fn apply(&self, revision: Revision, kills: &[Kill]) {
        self.told.lock().unwrap().push((revision, kills.to_vec()));
    }

    fn bind(&self, identity: Identity) {
        self.bound.lock().unwrap().push(identity);
    }
}

#[tokio::test]
async fn who_attaches_late_takes_everything_before_for_dead() {
    let Some(database) = Database::with_log() else { return };
    let log = PgLog::start(database.pg(), TYPES.to_vec());
    tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
    let before = log.append(vec![Kill::Tag(tag!("a"))]).await.unwrap();
    let late = Arc::new(Listening::default());
    log.attach(Arc::downgrade(&late) as Weak<dyn KillSink>);
    let told = late.told.lock().unwrap().clone();
    assert!(told.iter().any(|(revision, kills)| *revision >= before && *kills == [Kill::All]), "{told:?}");
    let after = log.append(vec![Kill::Tag(tag!("b"))]).await.unwrap();
    assert!(late.told.lock().unwrap().contains(&(after, vec![Kill::Tag(tag!("b"))])));
    assert_eq!(*late.bound.lock().unwrap(), [log.identity().unwrap()]);
    // Another history: nothing that is cached anywhere under the old identity means anything.
    database.foreign().await.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    until("bound anew", async || late.bound.lock().unwrap().len() == 2).await;
    let bound = late.bound.lock().unwrap().clone();
    assert_ne!(bound[0], bound[1]);
    assert_eq!(log.identity(), Some(bound[1]));
}

#[tokio::test]
async fn a_position_says_what_happened_after_it_and_what_it_covers() {
    let Some(database) = Database::with_log() else { return };
    let log = PgLog::start_with(database.pg(), TYPES.to_vec(), thing);
    tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
    let start = log.read(None).await.unwrap().position;
    let mut open = database.foreign().await;
    let open = open.transaction().await.unwrap();
    open.execute("INSERT INTO things VALUES ('late', 'ann', '')", &[]).await.unwrap();
    let late = Revision::new(support::xid(&open).await);
    let first = log.append(vec![Kill::Tag(tag!("a"))]).await.unwrap();
    let delta = log.read(Some(&start)).await.unwrap();
    assert_eq!(delta.changes.len(), 1);
    assert_eq!((delta.changes[0].0, &*delta.changes[0].1), (first, [Kill::Tag(tag!("a"))].as_slice()));
    let position = delta.position;
    assert!(log.covers(&position, first) && !log.covers(&start, first) && !log.covers(&position, late));
    open.commit().await.unwrap();
    let delta = log.read(Some(&position)).await.unwrap();
    assert_eq!(delta.changes.len(), 1, "the one with the lower number is told though a higher one was told before");
    assert_eq!((delta.changes[0].0, delta.floor), (late, None));
    assert!(log.covers(&delta.position, late));
    assert!(log.read(Some(&Position::from_bytes(*b"other"))).await.is_err());
    assert!(!log.covers(&Position::from_bytes(*b"other"), first));
}

#[tokio::test]
async fn an_append_that_is_not_seen_in_time_is_no_success() {
    let Some(database) = Database::with_log() else { return };
    let mut config = database.config();
    config.log.apply_timeout = Duration::from_millis(100);
    let log = PgLog::start(Pg::new(config).unwrap(), TYPES.to_vec());
    tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
    log.reader().stop().await;
    let error = log.append(vec![Kill::All]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("is committed, and was not applied here"), "{error}");
}

#[tokio::test]
async fn an_append_whose_number_was_given_before_a_crash_is_in_force_when_it_is_answered() {
    // What nobody waits for stays in memory until the crash, however slow the machine is.
    let lazy = PostgresOptions::default().setting("wal_writer_delay", "10000");
    let Some(server) = Postgres::start(&lazy) else { return };
    let database = Database::with_log_on(&server);
    let mut config = database.config();
    // Nothing is noticed by polling.
    config.log.poll_interval = Duration::from_secs(3_600);
    config.log.member.lease = Duration::from_secs(3_600);
    let log = PgLog::start(Pg::new(config).unwrap(), TYPES.to_vec());
    tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
    let sink = Arc::new(Listening::default());
    log.attach(Arc::downgrade(&sink) as Weak<dyn KillSink>);
    // These end without ever reaching the disk.
    let mut psql = database.foreign().await;
    let mut lost = 0;
    for _ in 0..200 {
        let transaction = psql.transaction().await.unwrap();
        lost = support::xid(&transaction).await;
        transaction.rollback().await.unwrap();
    }
    until("the position has seen them", async || {
        log.reader().wake();
        log.reader().position().unwrap().sees(lost)
    })
    .await;
    server.kill();
    server.restart().unwrap();
    let kill = vec![Kill::Tag(tag!("revoked"))];
    let mut appended = None;
    until("appended", async || {
        appended = log.append(kill.clone()).await.ok();
        appended.is_some()
    })
    .await;
    let told = sink.told.lock().unwrap().clone();
    let revision = appended.unwrap();
    assert!(revision.get() <= lost, "the number is a new one: the test shows nothing ({revision:?} > {lost})");
    let in_force = |(at, kills): &(Revision, Vec<Kill>)| {
        (*at >= revision && *kills == [Kill::All]) || (*at == revision && *kills == kill)
    };
    assert!(told.iter().any(in_force), "{revision:?} is answered and not in force: {told:?}");
}
