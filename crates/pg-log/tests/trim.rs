//! Trimming is housekeeping: it keeps nobody from following the log, finds what it deletes, and nobody who has missed what went takes it for never
//! having been.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::time::Duration;

use cache_core::testing::{FakeLayer, TestKey};
use cache_core::{Kill, KillSink, Log, Revision, Standing, tag};
use pg_log::{LogReader, MemberConfig, Pg, PgLog};
use support::process::Process;
use support::{Database, SOON, brief, reader, until, xid};
use test_services::{Postgres, PostgresOptions};
use tokio_postgres::Client;

/// Longer than any test: polls are then made for a reason, and leases are renewed at a third of this.
const HOUR: Duration = Duration::from_secs(3_600);

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_trim_that_waits_keeps_no_change_from_being_in_force() {
    let Some(database) = Database::with_log() else { return };
    let (holder, psql) = (database.foreign().await, database.foreign().await);
    holder.batch_execute("BEGIN; LOCK TABLE tiergate.log_marks IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // Longer than this test waits for anything.
    let pg = brief(&database, |config| config.lock_timeout = Duration::from_secs(3_600));
    let (reader, recorder) = reader(&pg).await;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tiergate.log_marks'::regclass";
    until("a trim waits", async || number(&psql, waits).await > 0).await;
    psql.batch_execute("INSERT INTO things VALUES ('meanwhile', 'ann', '')").await.unwrap();
    until("applied", async || recorder.knows("meanwhile")).await;
    assert!(number(&psql, waits).await > 0, "the trim does not wait any more: the test shows nothing");
    assert!(reader.trouble().is_none());
    // And who stops does not wait for it either.
    reader.stop().await;
}

#[tokio::test]
async fn a_trim_that_fails_is_tried_again_later_and_the_connection_that_follows_stays() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    psql.batch_execute(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM nextval('public.tries'); RAISE EXCEPTION 'no space left'; END $$;
         CREATE TRIGGER fail BEFORE INSERT ON tiergate.log_marks FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    .await
    .unwrap();
    let (reader, recorder) = reader(&brief(&database, |_| ())).await;
    let listeners = "SELECT coalesce(sum(pid), 0) FROM pg_stat_activity
                     WHERE datname = current_database() AND (query LIKE '%.poll(%' OR query LIKE '%.positions SET%' OR query LIKE '%pg_notify(%') AND pid <> pg_backend_pid()";
    until("it polls", async || number(&psql, listeners).await > 0).await;
    let follows = number(&psql, listeners).await;
    until("tried several times", async || number(&psql, "SELECT last_value FROM tries").await >= 4).await;
    psql.batch_execute("INSERT INTO things VALUES ('meanwhile', 'ann', '')").await.unwrap();
    until("applied", async || recorder.knows("meanwhile")).await;
    assert_eq!(number(&psql, listeners).await, follows, "another connection follows now");
    assert!(reader.trouble().is_none(), "{:?}", reader.trouble());
    psql.batch_execute("DROP TRIGGER fail ON tiergate.log_marks").await.unwrap();
    let floor = "SELECT trimmed_below::text::bigint FROM tiergate.log_state";
    until("it trims once it can", async || number(&psql, floor).await > 0).await;
}

#[tokio::test]
async fn what_is_trimmed_is_found_by_an_index_whether_polls_read_it_or_not() {
    // Of its own: a transaction that is open in any database keeps rows from being old.
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    // Nobody reads the whole log unless there is no other way.
    psql.batch_execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_seqscan = off', current_database()); END $$;
         INSERT INTO things SELECT 'told' || n, 'ann', '' FROM generate_series(1, 100) n;
         BEGIN; SELECT tiergate.begin_bulk(keep_history => true);
         INSERT INTO things SELECT 'loaded' || n, 'ann', '' FROM generate_series(1, 100) n; COMMIT",
    )
    .await
    .unwrap();
    let counted = async |what: &str| {
        let sql = format!("SELECT {what} FROM pg_stat_user_tables WHERE relid = 'tiergate.log'::regclass");
        number(&psql, &sql).await
    };
    psql.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    until("counted", async || counted("n_tup_ins").await >= 200).await;
    let whole = counted("seq_scan").await;
    let (reader, _recorder) = reader(&brief(&database, |_| ())).await;
    until("deleted", async || counted("n_tup_del").await >= 200).await;
    reader.stop().await;
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tiergate'";
    until("what they did is counted", async || number(&psql, others).await == 0).await;
    assert_eq!(counted("seq_scan").await, whole, "a trim has read the whole log");
}

/// One that polls and renews for a reason only, and trims nothing.
fn away(database: &Database, lease: Duration) -> Pg {
    let mut config = database.config();
    (config.log.poll_interval, config.log.trims) = (HOUR, false);
    config.log.member = MemberConfig::new("away");
    config.log.member.lease = lease;
    Pg::new(config).unwrap()
}

/// Changes a thing, and wakes nobody.
async fn change(psql: &Client, name: &str) -> u64 {
    let change = format!("SET tiergate.writer = on; BEGIN; INSERT INTO things VALUES ('{name}', 'ann', '')");
    psql.batch_execute(&change).await.unwrap();
    let number = xid(psql).await;
    psql.batch_execute("COMMIT").await.unwrap();
    number
}

/// Trims until the log has forgotten a transaction: it is below the floor, and no row is left. Whoever did it can judge.
async fn trimmed_past(database: &Database, missed: u64) -> Arc<LogReader> {
    let (trimming, _recorder) = reader(&brief(database, |config| config.log.member.lease = HOUR)).await;
    let psql = database.foreign().await;
    let gone = format!(
        "SELECT count(*) FROM tiergate.log_state
         WHERE trimmed_below > '{missed}'::xid8 AND NOT EXISTS (SELECT FROM tiergate.log)"
    );
    until("trimmed", async || number(&psql, &gone).await == 1).await;
    trimming
}

/// Who is a member under the name of the one that was away: its incarnation, and whether it was fenced.
async fn members(psql: &Client) -> Vec<(String, bool)> {
    let sql = "SELECT incarnation::text, fenced FROM tiergate.members WHERE name = 'away' ORDER BY joined_at";
    psql.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Two values: one that is computed from what changes while nobody looks, and one that no change concerns.
async fn cached(process: &Process) -> [TestKey; 2] {
    [process.cache("revoked", tag!("thing", "revoked")).await, process.cache("other", tag!("thing", "other")).await]
}

fn lagging(standing: &Standing) -> Vec<&str> {
    standing.lagging.iter().map(|laggard| laggard.name.as_str()).collect()
}

/// Whether the position contained what was missed before the floor was told that stands for it.
#[derive(Default)]
struct Order {
    reader: OnceLock<Arc<LogReader>>,
    missed: AtomicU64,
    was_late: OnceLock<bool>,
}

impl KillSink for Order {
    fn apply(&self, revision: Revision, _: &[Kill]) {
        let missed = self.missed.load(Ordering::SeqCst);
        if missed > 0 && revision >= Revision::new(missed) {
            let position = self.reader.get().and_then(|reader| reader.position());
            self.was_late.get_or_init(|| position.is_some_and(|position| position.sees(missed)));
        }
    }
}

#[tokio::test]
async fn a_member_whose_position_is_older_than_the_floor_serves_nothing_of_before_once_it_looks_and_keeps_its_lease() {
    // Of its own: a transaction that is open in any database keeps rows from being old.
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    let order = Arc::new(Order::default());
    let listen = |log: &PgLog| {
        let _ = order.reader.set(Arc::clone(log.reader()));
        log.attach(Arc::downgrade(&order) as Weak<dyn KillSink>);
    };
    let away = Process::start_with(away(&database, HOUR), listen, None).await;
    let keys = cached(&away).await;
    let (before, joined) = (away.log.read(None).await.unwrap().position, members(&psql).await);
    let missed = change(&psql, "revoked").await;
    order.missed.store(missed, Ordering::SeqCst);
    let judge = trimmed_past(&database, missed).await;
    assert!(!away.reader().position().unwrap().sees(missed), "it has looked: the test shows nothing");
    assert!(keys.iter().all(|key| away.holds(key)), "nobody was promised anything yet");
    until("it alone is waited for", async || {
        let standing = judge.in_force(missed, Duration::ZERO).await.unwrap();
        assert!(!standing.is_in_force(), "its lease holds, and it has applied nothing: {standing:?}");
        lagging(&standing) == ["away"]
    })
    .await;
    // Whoever reads from there is told that something is missing.
    let delta = away.log.read(Some(&before)).await.unwrap();
    assert!(delta.changes.is_empty() && delta.floor >= Some(Revision::new(missed)), "{delta:?}");

    away.reader().wake();
    until("it has looked", async || away.reader().position().unwrap().sees(missed)).await;
    assert_eq!(order.was_late.get(), Some(&false), "first the floor rises, and then the position says so");
    assert!(keys.iter().all(|key| !away.holds(key)), "its position contains a change that it knows nothing of");
    assert!(away.chain.horizon().usage().floor >= Revision::new(missed));
    let standing = judge.in_force(missed, SOON).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
    assert!(away.is_trusted(), "it can go on: it knows what it does not know");
    assert_eq!(members(&psql).await, joined, "the same member as before");
    cached(&away).await;
}

/// Lets nobody behind it hear of anything while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    reached: AtomicBool,
}

impl Gate {
    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl KillSink for Gate {
    fn apply(&self, _: Revision, _: &[Kill]) {
        let shut = self.shut.lock().unwrap();
        self.reached.fetch_or(*shut, Ordering::SeqCst);
        drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
    }
}

#[tokio::test]
async fn a_member_that_stood_still_while_the_log_was_trimmed_is_fenced_and_joins_anew_with_nothing_of_before() {
    const LEASE: Duration = Duration::from_millis(400);
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    let gate = Arc::new(Gate::default());
    let behind_it = |log: &PgLog| log.attach(Arc::downgrade(&gate) as Weak<dyn KillSink>);
    let away = Process::start_with(away(&database, LEASE), behind_it, None).await;
    let keys = cached(&away).await;
    let joined = members(&psql).await;
    gate.shut(true);
    change(&psql, "something").await;
    until("it stands still", async || gate.reached.load(Ordering::SeqCst)).await;
    let missed = change(&psql, "revoked").await;
    let judge = trimmed_past(&database, missed).await;
    let standing = judge.in_force(missed, SOON).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 1, "{standing:?}");
    assert!(keys.iter().all(|key| !away.holds(key)), "it was acknowledged without this one");
    assert_eq!(members(&psql).await, [(joined[0].0.clone(), true)]);

    gate.shut(false);
    until("it joins anew", async || {
        assert!(
            keys.iter().all(|key| !away.holds(key)),
            "its lease is another one, and its memory is as old as before"
        );
        away.is_trusted()
    })
    .await;
    assert!(keys.iter().all(|key| !away.holds(key)), "its lease is another one, and its memory is as old as before");
    let again = members(&psql).await;
    assert_eq!((again.len(), &again[0], again[1].1), (2, &(joined[0].0.clone(), true), false), "{again:?}");
    // Its lease is short: on a slow machine it may miss one.
    until("it confirms again", async || {
        let next = change(&psql, "next").await;
        let standing = judge.in_force(next, SOON).await.unwrap();
        standing.is_in_force() && standing.confirmed_by == 2
    })
    .await;
    cached(&away).await;
}

#[tokio::test]
async fn whoever_joins_after_the_log_was_trimmed_takes_nothing_of_before_from_a_lower_tier() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    let lower = FakeLayer::remote("shared");
    let first = Process::start_with(away(&database, HOUR), |_| (), Some(&lower)).await;
    let keys = cached(&first).await;
    first.reader().stop().await;
    let missed = change(&psql, "revoked").await;
    let judge = trimmed_past(&database, missed).await;
    let second = Process::start_with(away(&database, HOUR), |_| (), Some(&lower)).await;
    assert!(second.is_trusted() && lower.len() == keys.len(), "there is nothing that could be taken");
    for key in &keys {
        let found = second.chain.get(key).await;
        assert!(found.hit().is_none(), "the row that killed it is gone, and it was taken for never having been");
    }
    let standing = judge.in_force(missed, SOON).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
    cached(&second).await;
}

/// Each of these is found by what is above. See `cargo xtask test` for how they run.
#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn a_horizon_that_is_not_asked_is_found() {
        let test =
            super::a_member_whose_position_is_older_than_the_floor_serves_nothing_of_before_once_it_looks_and_keeps_its_lease;
        finds(Mistake::NoHorizonCheck, test);
    }

    #[test]
    fn a_lease_that_is_not_looked_at_is_found() {
        let test =
            super::a_member_that_stood_still_while_the_log_was_trimmed_is_fenced_and_joins_anew_with_nothing_of_before;
        finds(Mistake::LeaseIgnored, test);
    }

    #[test]
    fn silence_that_is_not_fenced_is_found() {
        let test =
            super::a_member_that_stood_still_while_the_log_was_trimmed_is_fenced_and_joins_anew_with_nothing_of_before;
        finds(Mistake::NoFencing, test);
    }

    #[test]
    fn a_horizon_that_is_not_asked_by_whoever_joins_is_found() {
        finds(
            Mistake::NoHorizonCheck,
            super::whoever_joins_after_the_log_was_trimmed_takes_nothing_of_before_from_a_lower_tier,
        );
    }
}
