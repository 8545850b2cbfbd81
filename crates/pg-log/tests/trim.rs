//! Trimming is housekeeping: it keeps nobody from following the log, and finds what it deletes.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use support::{Database, brief, reader, until};
use test_services::{Postgres, PostgresOptions};
use tokio_postgres::Client;

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
