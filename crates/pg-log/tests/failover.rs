//! A replica beside the primary: what reaches it in the place of its primary is refused, and where it takes that place without the last commits,
//! nothing from before is used any more, and nothing is acknowledged as long as somebody may not have noticed.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, FakeLayer, TYPES, TestKey, TestValue};
use cache_core::{Chain, Kill, Log, Lookup, tag};
use pg_log::{LogReader, Pg, PgConfig, PgErrorKind, PgLog, read_identity};
use support::process::Process;
use support::{Database, Recorder, SOON, connect, reader, until, xid};
use test_services::{Postgres, PostgresOptions, ReplicatedPostgres};
use tokio_postgres::Client;

const LEASE: Duration = Duration::from_millis(600);
/// Longer than any lease here.
const PATIENCE: Duration = Duration::from_secs(20);
/// A floor above every stamp.
const EVERYTHING: u64 = 1 << 62;
/// Of several servers, the one that takes writes.
const THE_PRIMARY: &str = "?target_session_attrs=read-write";

/// A primary with the log, and a replica of it.
struct Pair {
    // Dropped first: it belongs to the primary.
    database: Database,
    servers: ReplicatedPostgres,
}

impl Pair {
    fn start() -> Option<Self> {
        let servers = ReplicatedPostgres::start(&PostgresOptions::default())?;
        let database = Database::with_log_on(servers.primary());
        servers.catch_up().unwrap();
        Some(Self { database, servers })
    }

    fn primary(&self) -> &Postgres {
        self.servers.primary()
    }

    fn replica(&self) -> &Postgres {
        self.servers.replica()
    }

    /// The way to the database over these servers, in this order.
    fn url(&self, servers: &[&Postgres], parameters: &str) -> String {
        let (credentials, place) = self.database.url.rsplit_once('@').unwrap();
        let (_, name) = place.rsplit_once('/').unwrap();
        let hosts: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
        format!("{credentials}@{}/{name}{parameters}", hosts.join(","))
    }

    fn at(&self, servers: &[&Postgres], parameters: &str) -> PgConfig {
        let mut config = PgConfig::new(self.url(servers, parameters));
        config.log.member.lease = LEASE;
        config
    }

    /// As somebody writes it who expects a failover.
    fn both(&self) -> PgConfig {
        self.at(&[self.primary(), self.replica()], THE_PRIMARY)
    }

    async fn psql(&self, server: &Postgres) -> Client {
        connect(&self.url(&[server], "")).await
    }

    fn fail_over(&self) {
        self.primary().kill();
        self.servers.promote().unwrap();
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // One that stands still, or waits for its replica, would never drop its database, which ends with it anyway.
        self.primary().kill();
    }
}

fn member(mut config: PgConfig, name: &str) -> Pg {
    config.log.member.name = name.to_owned();
    Pg::new(config).unwrap()
}

/// One that holds a lease, with a tier that outlives it.
async fn process(pg: Pg) -> (Process, FakeLayer) {
    let shared = FakeLayer::remote("shared").durable();
    (Process::start_with(pg, |_| (), Some(&shared)).await, shared)
}

fn trouble(reader: &LogReader) -> String {
    reader.trouble().map(|trouble| trouble.to_string()).unwrap_or_default()
}

/// Loads a value as if nothing was cached.
async fn load(chain: &Chain<TestValue>, name: &str) -> TestKey {
    let key = TestKey::new(ALPHA, name);
    let load = async |load: cache_core::Load| {
        load.read(tag!("thing", name));
        Ok::<_, std::io::Error>(TestValue::new("loaded"))
    };
    chain.get_or_load(&key, load).await.unwrap();
    key
}

/// Caches what was computed from the thing of that name.
async fn cache(process: &Process, name: &str) -> TestKey {
    process.cache(name, tag!("thing", name)).await
}

/// Changes something, and says by which transaction.
async fn change(psql: &Client, name: &str) -> u64 {
    psql.batch_execute(&format!("BEGIN; INSERT INTO things VALUES ('{name}', 'ann', '')")).await.unwrap();
    let number = xid(psql).await;
    psql.batch_execute("COMMIT").await.unwrap();
    number
}

async fn count(psql: &Client, which: &str) -> i64 {
    psql.query_one(&format!("SELECT count(*) FROM {which}"), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cached_in_a_future_that_was_lost_outlives_no_revocation_that_is_given_a_number_of_then() {
    let Some(pair) = Pair::start() else { return };
    let (before, shared) = process(member(pair.both(), "before")).await;
    let kept = cache(&before, "kept").await;
    pair.servers.catch_up().unwrap();
    pair.servers.cut_off().unwrap();
    let psql = pair.psql(pair.primary()).await;
    let mut lost = 0;
    for n in 0..50 {
        lost = change(&psql, &format!("lost {n}")).await;
    }
    assert!(before.reader().in_force(lost, PATIENCE).await.unwrap().is_in_force(), "and yet it is lost");
    until("a value would contain them", async || before.log.stamp().get() > lost).await;
    let revoked = cache(&before, "revoked").await;
    let history = before.log.identity();
    assert_eq!(shared.bound(), history, "what is put there is named by it");

    // Sessions outlive a promotion: this one is there before anybody else is.
    let psql = pair.psql(pair.replica()).await;
    pair.primary().kill();
    psql.batch_execute("SELECT pg_promote(false)").await.unwrap();
    until("it takes writes", async || {
        !psql.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get::<_, bool>(0)
    })
    .await;
    let number = change(&psql, "revoked").await;
    // After this nothing goes back visibly, and whoever asks for what its position has not seen is told nothing of the revocation.
    psql.batch_execute("DO $$ BEGIN FOR n IN 1..200 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        .await
        .unwrap();
    assert!(number <= lost, "no number was given twice: the test shows nothing ({number} > {lost})");
    assert_eq!(count(&psql, "things WHERE name LIKE 'lost %'").await, 0);

    until("it is used no more", async || !before.holds(&revoked) && !before.reader().is_joined()).await;
    assert!(trouble(before.reader()).contains("another history"), "{}", trouble(before.reader()));
    assert!(!before.holds(&kept), "nobody can tell what else is of that future");
    assert!(tokio::time::timeout(SOON, before.reader().lost()).await.is_ok(), "nobody is told to start it again");
    load(&before.chain, "revoked").await;
    assert!(!before.holds(&revoked));
    assert!(before.reader().in_force(number, PATIENCE).await.is_err(), "it can't know who is there");

    // What was put into a shared tier is found by no process of now, and by none of before.
    let (after, shared_now) = process(member(pair.both(), "after")).await;
    assert!(after.log.identity() != history && shared_now.bound() == after.log.identity());
    assert!(shared.bound() != history && shared.bound() != shared_now.bound());
    cache(&after, "revoked").await;
    assert!(after.reader().in_force(number, PATIENCE).await.unwrap().is_in_force());
}

/// A member joins after the replica was cut off, so that the new history has never heard of it, and can't reach that. `known`: the replica knows that
/// there was somebody before.
async fn a_lost_member(known: bool) {
    let Some(pair) = Pair::start() else { return };
    let lease = |mut config: PgConfig| {
        config.log.member.lease = Duration::from_secs(3);
        config
    };
    if known {
        Process::start(member(pair.both(), "known")).await.reader().stop().await;
        pair.servers.catch_up().unwrap();
    }
    pair.servers.cut_off().unwrap();
    let lost = Process::start(member(lease(pair.at(&[pair.primary()], "")), "lost")).await;
    let key = cache(&lost, "revoked").await;
    let psql = pair.psql(pair.replica()).await;
    // As in a copy of a server that ran: numbers that may have been given are used up first, as after a crash.
    psql.batch_execute("SELECT pg_stat_reset_shared('bgwriter')").await.unwrap();
    pair.fail_over();

    let after = Process::start(member(lease(pair.both()), "after")).await;
    assert_eq!(count(&psql, "tiergate.members WHERE name = 'lost'").await, 0);
    let number = change(&psql, "revoked").await;
    let early = after.reader().in_force(number, Duration::ZERO).await.unwrap();
    assert!(!early.is_in_force() && early.silence > Duration::ZERO, "{early:?}");
    let again = Process::start(member(lease(pair.both()), "again")).await;
    let standing = after.reader().in_force(number, PATIENCE).await.unwrap();
    let used = lost.holds(&key);
    assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
    assert!(!used, "it is acknowledged, and somebody answers from before");
    // From now on as ever.
    let cached = cache(&again, "next").await;
    let number = change(&psql, "next").await;
    let standing = after.reader().in_force(number, Duration::from_secs(1)).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 2 && !again.holds(&cached), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_while_a_member_that_the_new_history_has_never_heard_of_may_hold_a_lease() {
    a_lost_member(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_has_lost_all_who_ever_joined_is_not_taken_for_the_first_one() {
    a_lost_member(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_primary_that_was_replaced_no_lease_is_renewed_where_commits_wait_for_the_replica() {
    let Some(pair) = Pair::start() else { return };
    let psql = pair.psql(pair.primary()).await;
    psql.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    psql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    until("commits wait", async || count(&psql, "pg_stat_replication WHERE sync_state = 'sync'").await == 1).await;
    let left = Process::start(member(pair.at(&[pair.primary()], ""), "left behind")).await;
    let key = cache(&left, "revoked").await;
    pair.servers.cut_off().unwrap();
    pair.servers.promote().unwrap();
    until("its lease is over", async || !left.holds(&key)).await;
    let after = Process::start(member(pair.at(&[pair.replica()], ""), "after")).await;
    let number = change(&pair.psql(pair.replica()).await, "revoked").await;
    assert!(after.reader().in_force(number, PATIENCE).await.unwrap().is_in_force());
    // Not even where somebody loses patience: that is a success with a warning. The log itself can be read there as ever.
    let cancel =
        "(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' OFFSET 0) AS cancelled";
    let mut cancelled = 0;
    until("several waits were cancelled", async || {
        assert!(!left.holds(&key), "it is acknowledged, and somebody answers from before");
        cancelled += count(&psql, cancel).await;
        cancelled > 5
    })
    .await;
    assert!(left.reader().is_joined() && !left.holds(&key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_lagging_replica_first_in_its_url_a_member_asks_the_primary_for_everything() {
    let Some(pair) = Pair::start() else { return };
    let psql = pair.psql(pair.primary()).await;
    pair.servers.pause_replay().unwrap();
    let pg = member(pair.at(&[pair.replica(), pair.primary()], THE_PRIMARY), "here");
    let process = Process::start(pg.clone()).await;
    for round in 0..3 {
        let (polled, told) =
            (cache(&process, &format!("polled {round}")).await, cache(&process, &format!("told {round}")).await);
        // What a reading transaction sees first, and is then filled by.
        let exclusive = pg.exclusive().await.unwrap();
        exclusive.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
        let poll = process.reader().poll_statement().unwrap();
        change(&psql, &format!("polled {round}")).await;
        let answer = exclusive.query(poll.sql(), &poll.params()).await.unwrap();
        process.reader().apply_polled(&answer).unwrap();
        assert!(!process.holds(&polled), "round {round}: it was asked elsewhere");
        drop(exclusive);
        let number = change(&psql, &format!("told {round}")).await;
        let standing = process.reader().in_force(number, PATIENCE).await.unwrap();
        assert!(standing.is_in_force() && standing.confirmed_by == 1 && !process.holds(&told), "{standing:?}");
        process.log.append(vec![Kill::All]).await.unwrap();
        // Whoever has lost its sessions opens others.
        psql.batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiergate'",
        )
        .await
        .unwrap();
        until("it has sessions again", async || process.log.append(vec![Kill::All]).await.is_ok()).await;
    }
    let at_the_replica = pair.psql(pair.replica()).await;
    assert_eq!(count(&at_the_replica, "tiergate.members").await, 0, "it does not lag: the test shows nothing");
    let sessions = "pg_stat_activity WHERE application_name = 'tiergate'";
    until("nobody stays at the replica", async || count(&at_the_replica, sessions).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_leads_to_a_replica_is_told_so_and_answered_nothing() {
    let Some(pair) = Pair::start() else { return };
    let joined = Process::start(member(pair.at(&[pair.primary()], ""), "joined")).await;
    let held = cache(&joined, "held").await;
    pair.servers.catch_up().unwrap();
    let [primary, replica] = [pair.primary(), pair.replica()];
    for (servers, parameters, kind, said) in [
        (&[replica][..], "", PgErrorKind::Refused, "is a standby"),
        (&[replica, primary][..], "", PgErrorKind::Refused, "target_session_attrs=read-write finds it among several"),
        (&[replica][..], THE_PRIMARY, PgErrorKind::Unavailable, "does not allow writes"),
    ] {
        let mut config = pair.at(servers, parameters);
        config.log.apply_timeout = Duration::from_millis(100);
        let (pg, shared_tier) = (member(config, "lost"), FakeLayer::remote("shared").durable());
        let log = PgLog::start(pg.clone(), TYPES.to_vec());
        let tiers = Chain::builder().tier(FakeLayer::local("memory")).tier(shared_tier.clone());
        let chain = tiers.log(log.clone()).build().unwrap();
        let reader = log.reader();
        until("it is told", async || trouble(reader).contains(said)).await;
        assert_eq!(reader.trouble().unwrap().kind(), kind);
        assert!(!reader.is_joined() && log.identity().is_none() && shared_tier.bound().is_none());
        let key = load(&chain, "a").await;
        assert!(!matches!(chain.get(&key).await, Lookup::Hit(_)) && shared_tier.is_empty());
        assert!(log.append(vec![Kill::All]).await.is_err() && log.read(None).await.is_err());
        assert!(reader.in_force(1, Duration::ZERO).await.is_err());
        assert!(reader.applied(1).await.is_err() && reader.caught_up(None).await.is_err());
        // And the same of sessions that have a position to ask by.
        let (position, poll) = (joined.reader().position().unwrap(), joined.reader().poll_statement().unwrap());
        let (Ok(shared), Ok(exclusive)) = (pg.shared().await, pg.exclusive().await) else {
            assert_eq!(parameters, THE_PRIMARY);
            continue;
        };
        assert_eq!(read_identity(&exclusive, "tiergate").await.unwrap_err().kind(), PgErrorKind::Refused);
        let answer = shared.query(poll.sql(), &poll.params()).await.unwrap();
        let refused = joined.reader().apply_polled(&answer).unwrap_err();
        assert!(refused.kind() == PgErrorKind::Refused && refused.to_string().contains("is a standby"), "{refused}");
        assert!(joined.reader().position().unwrap().covers(&position) && joined.holds(&held));
    }
    assert_eq!(count(&pair.psql(primary).await, "tiergate.members").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_promoted_under_open_sessions_is_a_replica_or_another_history_at_every_moment() {
    let Some(pair) = Pair::start() else { return };
    let pair = Arc::new(pair);
    let (of_the_primary, recorder) = reader(&member(pair.at(&[pair.primary()], ""), "here")).await;
    let identity = of_the_primary.identity().unwrap();
    let elsewhere = member(pair.at(&[pair.replica()], ""), "there");
    let waiting = Arc::new(Recorder::default());
    let waits = LogReader::start(elsewhere.clone(), waiting.clone());
    until("it is refused", async || {
        waits.trouble().is_some_and(|trouble| trouble.to_string().contains("is a standby"))
    })
    .await;
    let (shared, exclusive) = (elsewhere.shared().await.unwrap(), elsewhere.exclusive().await.unwrap());
    let poll = of_the_primary.poll_statement().unwrap();
    let mut promoting = Some(tokio::task::spawn_blocking({
        let pair = Arc::clone(&pair);
        move || pair.servers.promote()
    }));
    let (mut refused, mut seen) = (0, Vec::new());
    until("it was asked often enough", async || {
        match read_identity(&exclusive, "tiergate").await {
            Ok(identity) => seen.push(identity),
            Err(error) => {
                assert!(seen.is_empty() && error.kind() == PgErrorKind::Refused, "{error}");
                refused += 1;
            }
        }
        let answer = shared.query(poll.sql(), &poll.params()).await.unwrap();
        let error = of_the_primary.apply_polled(&answer).expect_err("no answer of a replica is one of its primary");
        assert_eq!(error.kind(), PgErrorKind::Refused);
        if seen.len() < 20 {
            return false;
        }
        promoting.take().unwrap().await.unwrap().unwrap();
        true
    })
    .await;
    assert!(refused > 0, "it was promoted before anybody asked: the test shows nothing");
    assert!(seen.iter().all(|one| *one == seen[0] && *one != identity), "{seen:?} after {identity:?}");
    // Who asked for what its position had not seen was told that there is nothing to be had by it any more.
    assert!(!of_the_primary.is_joined() && recorder.told().floor > EVERYTHING);
    tokio::time::timeout(SOON, waits.joined()).await.unwrap();
    assert_eq!(
        waiting.told().joined,
        [seen[0]],
        "who waits for a primary joins the history that it writes, and no other"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_passed_over_for_the_one_that_has_taken_its_place() {
    let Some(pair) = Pair::start() else { return };
    let patient = |name: &str, patience: Duration| {
        let mut config = pair.both();
        config.connect_timeout = patience;
        config.log.poll_timeout = Duration::from_millis(300);
        member(config, name)
    };
    let before = Process::start(patient("before", Duration::from_millis(300))).await;
    let key = cache(&before, "a").await;
    pair.servers.cut_off().unwrap();
    pair.primary().pause();
    pair.servers.promote().unwrap();
    until("another history is seen", async || trouble(before.reader()).contains("another history")).await;
    assert!(!before.holds(&key));
    // As long as a judge may take for one look: whoever tried the one that hangs first, each time, would never get to the other.
    let after = Process::start(patient("after", Duration::from_secs(2))).await;
    let psql = pair.psql(pair.replica()).await;
    cache(&after, "a").await;
    psql.batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiergate'")
        .await
        .unwrap();
    let number = change(&psql, "a").await;
    assert!(after.reader().in_force(number, PATIENCE).await.unwrap().is_in_force());
}

#[tokio::test]
async fn a_replica_that_is_down_keeps_nobody_from_the_primary() {
    let Some(pair) = Pair::start() else { return };
    pair.replica().kill();
    let [primary, replica] = [pair.primary(), pair.replica()];
    for servers in [[primary, replica], [replica, primary]] {
        for parameters in ["", THE_PRIMARY, "?sslmode=prefer", "?sslmode=disable"] {
            let pg = member(pair.at(&servers, parameters), "here");
            let opened = pg.exclusive().await;
            assert!(opened.is_ok(), "{parameters:?}: {opened:?}");
        }
    }
}

#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn a_failover_without_an_identity_is_found() {
        let test =
            super::what_was_cached_in_a_future_that_was_lost_outlives_no_revocation_that_is_given_a_number_of_then;
        finds(Mistake::IdentityMissing, test);
    }

    #[test]
    fn a_failover_without_silence_is_found() {
        let test =
            super::nothing_is_acknowledged_while_a_member_that_the_new_history_has_never_heard_of_may_hold_a_lease;
        finds(Mistake::NoSilenceAfterAFailover, test);
    }
}
