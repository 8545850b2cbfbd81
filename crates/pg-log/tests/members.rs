//! Who follows the log, how long each trusts what it has, and when a change is in force with all of them.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]
#![expect(clippy::disallowed_methods, reason = "leases are timed by the machine's clock")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::{Clock, Standing, SystemClock};
use pg_log::{LogReader, MemberConfig, Pg};
use support::{Database, Recorder, reader, until, xid};
use test_services::{Postgres, PostgresOptions};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(10);

fn holds(reader: &LogReader) -> bool {
    reader.lease().holds(SystemClock.now())
}

fn member(database: &Database, name: &str, lease_ms: u64) -> Pg {
    let mut config = database.config();
    config.log.member = MemberConfig::new(name);
    config.log.member.lease = Duration::from_millis(lease_ms);
    Pg::new(config).unwrap()
}

async fn follow(database: &Database, name: &str, lease_ms: u64) -> (Arc<LogReader>, Arc<Recorder>) {
    let (reader, recorder) = reader(&member(database, name, lease_ms)).await;
    reader.leased().await;
    (reader, recorder)
}

/// Changes something, and says by which transaction.
async fn change(psql: &Client, name: &str) -> u64 {
    psql.batch_execute(&format!("BEGIN; INSERT INTO things VALUES ('{name}', 'ann', '')")).await.unwrap();
    let xid = xid(psql).await;
    psql.batch_execute("COMMIT").await.unwrap();
    xid
}

fn names(standing: &Standing) -> Vec<&str> {
    standing.lagging.iter().map(|laggard| laggard.name.as_str()).collect()
}

async fn count(psql: &Client, which: &str) -> i64 {
    psql.query_one(&format!("SELECT count(*) FROM tiergate.members WHERE {which}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_change_is_in_force_once_every_member_has_applied_it() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 1_000).await;
    let (_second, recorder) = follow(&database, "second", 1_000).await;
    let psql = database.foreign().await;
    for round in 0..20 {
        let name = format!("thing {round}");
        let xid = change(&psql, &name).await;
        let standing = first.in_force(xid, PATIENCE).await.unwrap();
        assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
        assert!(recorder.knows(&name), "it was reported before it was applied");
    }
}

#[tokio::test]
async fn a_member_that_is_gone_is_fenced_when_its_lease_is_over_for_sure_and_not_before() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 1_000).await;
    let psql = database.foreign().await;
    psql.batch_execute("SELECT tiergate.join_members('gone', 400)").await.unwrap();
    let xid = change(&psql, "a").await;
    let early = first.in_force(xid, Duration::from_millis(100)).await.unwrap();
    assert_eq!((early.confirmed_by, names(&early)), (1, vec!["gone"]));
    let begun = Instant::now();
    let standing = first.in_force(xid, PATIENCE).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 1, "{standing:?}");
    // It was watched since the first look, 100 ms before.
    assert!(begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
    assert_eq!(count(&psql, "name = 'gone' AND fenced").await, 1);
}

/// Members that have joined and will never renew.
async fn gone(psql: &Client, many: usize) {
    psql.batch_execute(&format!("SELECT tiergate.join_members('gone ' || n, 400) FROM generate_series(1, {many}) n"))
        .await
        .unwrap();
}

#[tokio::test]
async fn members_that_are_gone_together_are_fenced_together() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 1_000).await;
    let psql = database.foreign().await;
    // Renewals set other columns.
    psql.batch_execute(
        "CREATE TABLE fencings (at timestamptz);
         CREATE FUNCTION count_fencing() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.fencings VALUES (clock_timestamp()); RETURN NULL; END $$;
         CREATE TRIGGER count_fencing AFTER UPDATE OF fenced ON tiergate.members EXECUTE FUNCTION count_fencing()",
    )
    .await
    .unwrap();
    gone(&psql, 40).await;
    let xid = change(&psql, "a").await;
    let standing = first.in_force(xid, PATIENCE).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 1, "{standing:?}");
    assert_eq!(count(&psql, "fenced").await, 40);
    let statements: i64 = psql.query_one("SELECT count(*) FROM fencings", &[]).await.unwrap().get(0);
    assert_eq!(statements, 1, "whoever waits stands behind each of them");
}

#[tokio::test]
async fn a_member_whose_row_is_held_keeps_nobody_else_from_being_fenced() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 1_000).await;
    let (psql, holder) = (database.foreign().await, database.foreign().await);
    gone(&psql, 3).await;
    // As a renewal does that waits for a replica.
    holder.batch_execute("BEGIN; SELECT FROM tiergate.members WHERE name = 'gone 1' FOR UPDATE").await.unwrap();
    let xid = change(&psql, "a").await;
    let fenced = async {
        until("the others are fenced", async || count(&psql, "fenced").await == 2).await;
        assert_eq!(count(&psql, "fenced AND name = 'gone 1'").await, 0);
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (standing, ()) = tokio::join!(first.in_force(xid, PATIENCE), fenced);
    assert!(standing.unwrap().is_in_force());
    assert_eq!(count(&psql, "fenced").await, 3);
}

#[tokio::test]
async fn a_silent_member_that_renews_after_all_is_waited_for() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 1_000).await;
    let psql = database.foreign().await;
    psql.batch_execute("SELECT tiergate.join_members('late', 300)").await.unwrap();
    let xid = change(&psql, "a").await;
    let renewing = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            psql.batch_execute("UPDATE tiergate.members SET counter = counter + 1 WHERE name = 'late' AND NOT fenced")
                .await
                .unwrap();
        }
    };
    let (standing, ()) = tokio::join!(first.in_force(xid, Duration::from_millis(700)), renewing);
    assert_eq!(names(&standing.unwrap()), ["late"]);
    assert_eq!(count(&psql, "fenced").await, 0);
}

#[tokio::test]
async fn a_member_that_was_fenced_uses_nothing_until_it_has_joined_anew() {
    let Some(database) = Database::with_log() else { return };
    let (first, recorder) = follow(&database, "first", 300).await;
    let psql = database.foreign().await;
    psql.batch_execute("UPDATE tiergate.members SET fenced = true").await.unwrap();
    until("a new member", async || count(&psql, "NOT fenced").await == 1).await;
    first.leased().await;
    let xid = change(&psql, "after").await;
    let standing = first.in_force(xid, PATIENCE).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 1 && recorder.knows("after"));
    until("it holds", async || holds(&first)).await;
    assert_eq!(count(&psql, "fenced").await, 1);
}

#[tokio::test]
async fn whoever_leaves_closes_the_gate_and_is_waited_for_by_nobody() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 60_000).await;
    let (second, _) = follow(&database, "second", 60_000).await;
    let psql = database.foreign().await;
    assert!(holds(&second));
    second.stop().await;
    assert!(!holds(&second));
    assert_eq!(count(&psql, "true").await, 1);
    let xid = change(&psql, "a").await;
    assert!(first.in_force(xid, Duration::from_secs(2)).await.unwrap().is_in_force());
}

#[tokio::test]
async fn a_process_that_can_apply_nothing_lets_its_lease_run_out() {
    let Some(database) = Database::with_log() else { return };
    let (first, recorder) = follow(&database, "first", 300).await;
    assert!(holds(&first));
    // Whoever follows does so on a thread of their own, whatever keeps the others busy.
    let holds_after = |_| {
        std::thread::sleep(Duration::from_millis(700));
        holds(&first)
    };
    assert!((0..10).any(holds_after));
    let stuck = recorder.stuck();
    std::thread::sleep(Duration::from_millis(700));
    assert!(!holds(&first), "renewed by somebody who has applied nothing");
    drop(stuck);
    first.leased().await;
    until("it holds again", async || holds(&first)).await;
}

#[tokio::test]
async fn what_a_reading_transaction_has_applied_is_reported_too() {
    let Some(database) = Database::with_log() else { return };
    let (first, recorder) = follow(&database, "first", 60_000).await;
    let psql = database.foreign().await;
    let exclusive = member(&database, "reader", 60_000).exclusive().await.unwrap();
    for round in 0..20 {
        let name = format!("thing {round}");
        let poll = first.poll_statement().unwrap();
        let xid = change(&psql, &name).await;
        let answer = exclusive.query(poll.sql(), &poll.params()).await.unwrap();
        first.apply_polled(&answer).unwrap();
        assert!(recorder.knows(&name));
        assert!(first.in_force(xid, PATIENCE).await.unwrap().is_in_force());
    }
}

#[tokio::test]
async fn a_lease_ends_without_postgres_and_is_renewed_when_that_is_back() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let (first, _) = follow(&database, "first", 500).await;
    let mut patient = database.config();
    patient.log.member = MemberConfig::new("patient");
    patient.log.member.lease = Duration::from_millis(500);
    patient.log.member.max_outage_stale = Duration::from_secs(60);
    let (second, _) = reader(&Pg::new(patient).unwrap()).await;
    second.leased().await;
    let begun = Instant::now();
    server.kill();
    until("the lease ends", async || !holds(&first)).await;
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    assert!(holds(&second), "an outage of a minute was allowed for");
    server.restart().unwrap();
    until("the lease is renewed", async || holds(&first)).await;
    let psql = database.foreign().await;
    let xid = change(&psql, "after").await;
    assert!(first.in_force(xid, PATIENCE).await.unwrap().is_in_force());
}

#[tokio::test]
async fn another_history_ends_the_lease_for_good() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&database, "first", 60_000).await;
    database.foreign().await.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    until("it ends", async || !holds(&first)).await;
    assert!(first.in_force(1, Duration::from_secs(1)).await.is_err());
}

#[tokio::test]
async fn an_older_copy_in_the_place_of_the_database_is_noticed_however_many_transactions_it_has_begun_since() {
    for older in ["UPDATE tiergate.members SET counter = counter - 1", "DELETE FROM tiergate.members"] {
        let Some(database) = Database::with_log() else { return };
        let (first, _) = follow(&database, "first", 300).await;
        let psql = database.foreign().await;
        until("it has renewed", async || count(&psql, "counter > 2").await == 1).await;
        psql.batch_execute(older).await.unwrap();
        until("it ends", async || first.trouble().is_some()).await;
        assert!(!holds(&first), "{older}");
        let trouble = first.trouble().unwrap().to_string();
        assert!(trouble.contains("an older copy of the database"), "{older}: {trouble}");
    }
}

#[tokio::test]
async fn a_machine_that_slept_for_longer_than_its_row_is_kept_joins_anew() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    // To the server two hours lie between each renewal and whatever comes after it; to this process no time at all, as where its clock stood still.
    psql.batch_execute(
        "CREATE FUNCTION long_ago() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.renewed_at := clock_timestamp() - interval '2 hours'; RETURN NEW; END $$;
         CREATE TRIGGER long_ago BEFORE UPDATE OF renewed_at ON tiergate.members FOR EACH ROW EXECUTE FUNCTION long_ago()",
    )
    .await
    .unwrap();
    let (first, _) = follow(&database, "first", 300).await;
    until("it has renewed", async || count(&psql, "counter > 0").await == 1).await;
    // It is fenced as silent, and the next one who joins clears away what was fenced long ago.
    psql.batch_execute(
        "BEGIN; UPDATE tiergate.members SET fenced = true WHERE name = 'first'; SELECT tiergate.join_members('next', 300); COMMIT",
    )
    .await
    .unwrap();
    assert_eq!(count(&psql, "name = 'first' AND fenced").await, 0, "it was not cleared away: the test shows nothing");
    until("it joins anew, or never again", async || {
        first.trouble().is_some() || count(&psql, "name = 'first' AND counter > 0").await == 1
    })
    .await;
    assert!(first.trouble().is_none(), "it slept: {}", first.trouble().unwrap());
    first.leased().await;
}

#[tokio::test]
async fn in_a_history_that_others_may_not_have_seen_the_end_of_nothing_is_acknowledged_for_one_lease() {
    let Some(database) = Database::with_log() else { return };
    let (before, _) = follow(&database, "before", 800).await;
    before.stop().await;
    let psql = database.foreign().await;
    psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    let begun = Instant::now();
    let (after, _) = follow(&database, "after", 800).await;
    let xid = change(&psql, "a").await;
    let early = after.in_force(xid, Duration::ZERO).await.unwrap();
    assert!(!early.is_in_force() && early.lagging.is_empty(), "{early:?}");
    assert!(after.in_force(xid, PATIENCE).await.unwrap().is_in_force());
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
    // The first of all histories has nobody before it, and the same history is no new one.
    let (again, _) = follow(&database, "again", 800).await;
    assert!(again.in_force(xid, Duration::from_millis(300)).await.unwrap().is_in_force());
}

#[tokio::test]
async fn a_history_that_nobody_has_registered_has_only_just_begun() {
    let Some(database) = Database::with_log() else { return };
    let (member, _) = follow(&database, "member", 800).await;
    let psql = database.foreign().await;
    let xid = change(&psql, "a").await;
    assert!(member.in_force(xid, PATIENCE).await.unwrap().is_in_force());
    // As after a failover that lost the rows of whoever was there.
    psql.batch_execute("DELETE FROM tiergate.members; DELETE FROM tiergate.histories").await.unwrap();
    let standing = member.in_force(xid, Duration::ZERO).await.unwrap();
    assert!(!standing.is_in_force() && standing.silence >= Duration::from_millis(800), "{standing:?}");
}

#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn a_history_that_begins_without_silence_is_found() {
        let test = super::in_a_history_that_others_may_not_have_seen_the_end_of_nothing_is_acknowledged_for_one_lease;
        finds(Mistake::NoSilenceAfterAFailover, test);
    }
}
