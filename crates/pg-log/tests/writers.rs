//! Every writer is covered, however it writes and whoever it is.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use futures_util::SinkExt;
use pg_log::{KIND_ALL, LogRow, Operation, PgErrorKind};
use support::{Database, become_clerk, reader, until, xid};
use test_services::{Postgres, PostgresOptions};

fn names(rows: &[LogRow], operation: Operation) -> Vec<String> {
    let mut names: Vec<_> = rows
        .iter()
        .filter(|row| row.operation == Some(operation))
        .filter_map(|row| row.fields.first().cloned().flatten())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_update_tells_both_sides_and_a_delete_what_went() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute(
        "INSERT INTO things VALUES ('a', 'ann', ''), ('b', 'ann', '');
         UPDATE things SET name = 'c' WHERE name = 'a';
         UPDATE things SET note = 'in no field' WHERE name = 'b';
         DELETE FROM things WHERE name = 'b'",
    )
    .await
    .unwrap();
    until("applied", async || !names(&recorder.told().rows, Operation::Delete).is_empty()).await;
    let rows = recorder.told().rows;
    assert_eq!(names(&rows, Operation::Insert), ["a", "b"]);
    assert_eq!(names(&rows, Operation::Before), ["a"]);
    assert_eq!(names(&rows, Operation::After), ["b", "c"], "a change of another column is a change");
    assert_eq!(names(&rows, Operation::Delete), ["b"]);
    assert!(rows.iter().all(|row| row.at > 1_700_000_000_000));
}

#[tokio::test]
async fn a_subtransaction_is_told_by_the_number_of_the_whole_and_only_if_it_was_kept() {
    let Some(database) = Database::with_log() else { return };
    let pg = database.pg();
    let (reader, recorder) = reader(&pg).await;
    let mut exclusive = pg.exclusive().await.unwrap();
    let mut transaction = exclusive.transaction().await.unwrap();
    {
        let kept = transaction.transaction().await.unwrap();
        kept.execute("INSERT INTO things VALUES ('kept', 'ann', '')", &[]).await.unwrap();
        kept.commit().await.unwrap();
    }
    {
        let dropped = transaction.transaction().await.unwrap();
        dropped.execute("INSERT INTO things VALUES ('dropped', 'ann', '')", &[]).await.unwrap();
        dropped.rollback().await.unwrap();
    }
    let top = xid(&transaction).await;
    transaction.commit().await.unwrap();
    reader.wake();
    reader.applied(top).await.unwrap();
    let rows = recorder.told().rows;
    assert_eq!(names(&rows, Operation::Insert), ["kept"]);
    assert_eq!(rows.iter().find(|row| row.operation.is_some()).unwrap().revision.get(), top);
}

#[tokio::test]
async fn a_writer_that_runs_for_long_holds_back_the_stamp_but_no_change() {
    let Some(database) = Database::with_log() else { return };
    let pg = database.pg();
    let (reader, recorder) = reader(&pg).await;
    let mut long = database.foreign().await;
    let long = long.transaction().await.unwrap();
    let oldest = xid(&long).await;
    let exclusive = pg.exclusive().await.unwrap();
    for n in 0..20 {
        exclusive.execute(&format!("INSERT INTO things VALUES ('n{n}', 'ann', '')"), &[]).await.unwrap();
        until("applied though older ones run", async || recorder.knows(&format!("n{n}"))).await;
    }
    let position = reader.position().unwrap();
    // Writers in other databases of the server hold it back as well.
    assert!(position.xmin() <= oldest);
    assert!(recorder.told().stamp <= oldest, "what is read now does not contain the long one");
    assert!(position.xmax() > oldest + 20);
    long.commit().await.unwrap();
    until("the stamp moves on", async || recorder.told().stamp > oldest).await;
}

#[tokio::test]
async fn truncate_kills_everything() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute("INSERT INTO things VALUES ('a', 'ann', ''); TRUNCATE things").await.unwrap();
    until("applied", async || recorder.knows("truncated")).await;
    assert!(recorder.told().rows.iter().any(|row| row.kind == KIND_ALL));
}

#[tokio::test]
async fn copy_tells_each_row() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    let mut sink = Box::pin(psql.copy_in::<_, bytes::Bytes>("COPY things FROM STDIN").await.unwrap());
    let lines: String = (0..500).map(|n| format!("c{n}\tann\t\n")).collect();
    sink.send(bytes::Bytes::from(lines)).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 500);
    until("applied", async || names(&recorder.told().rows, Operation::Insert).len() == 500).await;
}

#[tokio::test]
async fn triggers_fire_where_replication_switches_them_off() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute(
        "SET session_replication_role = replica; SET search_path = '';
         INSERT INTO public.things VALUES ('replicated', 'ann', '')",
    )
    .await
    .unwrap();
    until("applied", async || recorder.knows("replicated")).await;
    psql.batch_execute("TRUNCATE public.things").await.unwrap();
    until("applied", async || recorder.knows("truncated")).await;
}

/// Rows, and a TRUNCATE, that a subscription applies: by a worker that is a replica, and has an empty search path.
#[tokio::test]
async fn what_a_subscription_applies_is_told() {
    let logical = PostgresOptions::default().setting("wal_level", "logical");
    let Some(server) = Postgres::start(&logical) else { return };
    let (source, database) = (Database::on(&server), Database::with_log_on(&server));
    let (_reader, recorder) = reader(&database.pg()).await;
    let (publisher, subscriber) = (source.foreign().await, database.foreign().await);
    publisher
        .batch_execute(
            "CREATE TABLE things (name text, owner text, note text); ALTER TABLE things REPLICA IDENTITY FULL;
             CREATE PUBLICATION things FOR TABLE things",
        )
        .await
        .unwrap();
    // Within one server a subscription can't create the slot itself: it would wait for its own transaction.
    publisher.batch_execute("SELECT pg_create_logical_replication_slot('things', 'pgoutput')").await.unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION things CONNECTION '{}' PUBLICATION things WITH (create_slot = false, copy_data = false)",
        source.url
    );
    subscriber.batch_execute(&subscribe).await.unwrap();
    publisher.batch_execute("INSERT INTO things VALUES ('a', 'ann', ''), ('b', 'bob', '')").await.unwrap();
    until("rows came", async || names(&recorder.told().rows, Operation::Insert) == ["a", "b"]).await;
    publisher
        .batch_execute("UPDATE things SET name = 'c' WHERE name = 'a'; DELETE FROM things WHERE name = 'b'")
        .await
        .unwrap();
    until("a row went", async || names(&recorder.told().rows, Operation::Delete) == ["b"]).await;
    let rows = recorder.told().rows;
    assert_eq!(names(&rows, Operation::Before), ["a"]);
    assert_eq!(names(&rows, Operation::After), ["c"]);
    publisher.batch_execute("TRUNCATE things").await.unwrap();
    until("all went", async || recorder.told().rows.iter().any(|row| row.kind == KIND_ALL)).await;
    subscriber.batch_execute("ALTER SUBSCRIPTION things DISABLE").await.unwrap();
}

#[tokio::test]
async fn a_writer_needs_no_rights_on_the_log() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    become_clerk(&psql, "GRANT INSERT ON things TO clerk").await;
    psql.batch_execute("INSERT INTO things VALUES ('by a clerk', 'ann', '')").await.unwrap();
    assert!(psql.batch_execute("INSERT INTO tiergate.log (kind) VALUES ('all')").await.is_err());
    until("applied", async || recorder.knows("by a clerk")).await;
}

#[tokio::test]
async fn a_prepared_transaction_is_told_once_it_is_committed() {
    let Some(server) = Postgres::start(&PostgresOptions::default().setting("max_prepared_transactions", "5")) else {
        return;
    };
    let database = Database::with_log_on(&server);
    let (reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute("BEGIN; INSERT INTO things VALUES ('prepared', 'ann', '')").await.unwrap();
    let prepared = xid(&psql).await;
    psql.batch_execute("PREPARE TRANSACTION 'p'").await.unwrap();
    psql.batch_execute("INSERT INTO things VALUES ('meanwhile', 'ann', '')").await.unwrap();
    until("applied", async || recorder.knows("meanwhile")).await;
    assert!(!reader.position().unwrap().sees(prepared) && !recorder.knows("prepared"));
    psql.batch_execute("COMMIT PREPARED 'p'").await.unwrap();
    until("applied", async || recorder.knows("prepared")).await;
}

#[tokio::test]
async fn a_bulk_change_is_one_coarse_row_that_commits_with_it() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute("BEGIN; SELECT tiergate.begin_bulk('coarse', ARRAY['store:7'])").await.unwrap();
    psql.batch_execute("INSERT INTO things SELECT 'bulk' || n, 'ann', '' FROM generate_series(1, 5000) n")
        .await
        .unwrap();
    psql.batch_execute("COMMIT").await.unwrap();
    psql.batch_execute("INSERT INTO things VALUES ('after', 'ann', '')").await.unwrap();
    until("applied", async || recorder.knows("after")).await;
    assert_eq!(recorder.fields(), ["after", "attached", "store:7"], "the next transaction is told row by row again");
}

#[tokio::test]
async fn a_bulk_change_may_keep_its_history_which_no_poll_reads() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute(
        "BEGIN; SELECT tiergate.begin_bulk(keep_history => true); INSERT INTO things VALUES ('loaded', 'ann', ''); COMMIT;
         INSERT INTO things VALUES ('after', 'ann', '')",
    )
    .await
    .unwrap();
    until("applied", async || recorder.knows("after")).await;
    assert!(!recorder.knows("loaded"));
    let history = "SELECT count(*) FROM tiergate.log WHERE loaded AND kind = 'thing' AND fields[1] = 'loaded'";
    assert_eq!(psql.query_one(history, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn rows_are_told_again_once_the_savepoint_of_a_bulk_change_is_rolled_back() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute(
        "BEGIN; SAVEPOINT s; SELECT tiergate.begin_bulk(); ROLLBACK TO s;
         INSERT INTO things VALUES ('row by row', 'ann', ''); COMMIT",
    )
    .await
    .unwrap();
    until("applied", async || recorder.knows("row by row")).await;
    // A setting of the session that was left from another transaction silences nothing.
    psql.batch_execute("SET tiergate.writer = '3 quiet'; INSERT INTO things VALUES ('loud', 'ann', '')").await.unwrap();
    until("applied", async || recorder.knows("loud")).await;
}

#[tokio::test]
async fn whoever_may_change_a_table_and_no_more_can_silence_nothing() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    become_clerk(&psql, "GRANT SELECT, INSERT, UPDATE, DELETE ON things TO clerk").await;
    for (name, claim) in [
        ("told 1", "SET LOCAL tiergate.writer = 'quiet'"),
        ("told 2", "SELECT set_config('tiergate.writer', pg_current_xact_id()::text || ' quiet', true)"),
        // A row of its own lies there, and stands for itself alone.
        ("told 3", "INSERT INTO things VALUES ('first', 'ann', ''); SET LOCAL tiergate.writer = '(0,1) quiet'"),
        ("told 4", "INSERT INTO things VALUES ('second', 'ann', ''); SET LOCAL tiergate.writer = '(0,2) history'"),
        ("told 5", "SET LOCAL tiergate.writer = '(99999,1) quiet'"),
    ] {
        psql.batch_execute(&format!("BEGIN; {claim}; INSERT INTO things VALUES ('{name}', 'ann', ''); COMMIT"))
            .await
            .unwrap();
        until("applied", async || recorder.knows(name)).await;
    }
    for refused in [
        "SELECT tiergate.begin_bulk('nothing')",
        "INSERT INTO tiergate.log (kind, op) VALUES ('nothing', '*')",
        "DELETE FROM tiergate.log",
        "ALTER TABLE things DISABLE TRIGGER ALL",
    ] {
        let error = psql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{refused}: {error:?}");
    }
}

#[tokio::test]
async fn nobody_takes_rows_from_the_log_that_a_reader_may_lack() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    psql.batch_execute("INSERT INTO things VALUES ('a', 'ann', '')").await.unwrap();
    let count = async || psql.query_one("SELECT count(*) FROM tiergate.log", &[]).await.unwrap().get::<_, i64>(0);
    let before = count().await;
    for refused in [
        "DELETE FROM tiergate.log",
        "SET session_replication_role = replica; DELETE FROM tiergate.log",
        "UPDATE tiergate.log SET fields = '{}'",
        "TRUNCATE tiergate.log",
        "ALTER TABLE tiergate.log DISABLE TRIGGER log_is_trimmed",
        "ALTER TABLE tiergate.log RENAME TO old",
        "CREATE RULE nothing AS ON INSERT TO tiergate.log DO INSTEAD NOTHING",
        "SET session_replication_role = replica; ALTER TABLE tiergate.log DISABLE TRIGGER ALL",
        "DROP TABLE tiergate.log",
    ] {
        let error = psql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("55006"), "{refused}: {error:?}");
        let message = error.as_db_error().unwrap().message();
        assert!(message.contains("be missed"), "{refused}: {message}");
        psql.batch_execute("RESET session_replication_role").await.unwrap();
    }
    assert_eq!(count().await, before);
    // Whoever raises the floor first tells every reader to forget.
    psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn what_would_go_unseen_is_refused() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    for refused in [
        "ALTER TABLE things DISABLE TRIGGER ALL",
        "ALTER TABLE things DISABLE TRIGGER tiergate_log_delete",
        "ALTER TABLE things ENABLE TRIGGER tiergate_log_truncate",
        "ALTER TABLE things ENABLE REPLICA TRIGGER tiergate_log_delete",
        "DROP TRIGGER tiergate_log_delete ON things",
        "DROP TRIGGER tiergate_log_truncate ON things",
        "DROP TRIGGER tiergate_log_update ON things",
        "ALTER TRIGGER tiergate_log_delete ON things RENAME TO other",
        "DROP TABLE things",
        "DROP FUNCTION tiergate.log_truncate() CASCADE",
        "ALTER TABLE things SET UNLOGGED",
        "CREATE TABLE child () INHERITS (things)",
        "CREATE TABLE parent (name text, owner text, note text) PARTITION BY LIST (name);
         ALTER TABLE parent ATTACH PARTITION things FOR VALUES IN ('a')",
    ] {
        let error = psql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("55006"), "{refused}: {error:?}");
        assert!(error.as_db_error().unwrap().message().contains("revocations in it be missed"), "{refused}");
    }
    // What does not touch the log goes on.
    psql.batch_execute(
        "CREATE TABLE other (n int); ALTER TABLE other ADD m int; DROP TABLE other; ALTER TABLE things ADD more int",
    )
    .await
    .unwrap();
    psql.batch_execute("SELECT tiergate.detach('things'); DROP TABLE things").await.unwrap();
    psql.batch_execute("DROP SCHEMA tiergate CASCADE; CREATE TABLE things (n int); DROP TABLE things").await.unwrap();
}

#[tokio::test]
async fn tables_whose_rows_can_go_without_a_trigger_are_not_attached() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    psql.batch_execute(
        "CREATE TABLE parted (name text) PARTITION BY LIST (name); CREATE TABLE part PARTITION OF parted DEFAULT;
         CREATE UNLOGGED TABLE volatile (name text); CREATE VIEW seen AS SELECT * FROM things;
         CREATE TABLE parent (name text); CREATE TABLE child () INHERITS (parent)",
    )
    .await
    .unwrap();
    for table in ["parted", "part", "volatile", "seen", "parent", "child"] {
        let attach = pg_log::attach_sql("tiergate", table, "thing", &["name"]).unwrap();
        let error = psql.batch_execute(&attach).await.expect_err(table);
        assert!(error.as_db_error().unwrap().message().contains("ordinary, logged tables"), "{table}: {error:?}");
    }
    for (kind, column) in [("all", "name"), ("kill", "name"), ("thing", "nothing")] {
        let attach = pg_log::attach_sql("tiergate", "things", kind, &[column]).unwrap();
        assert!(psql.batch_execute(&attach).await.is_err(), "{kind} {column}");
    }
}

#[tokio::test]
async fn attaching_twice_is_attaching_once_with_the_new_columns() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    let attach = pg_log::attach_sql("tiergate", "public.things", "thing", &["owner"]).unwrap();
    psql.batch_execute(&attach).await.unwrap();
    psql.batch_execute("INSERT INTO things VALUES ('a', 'by owner', '')").await.unwrap();
    until("applied", async || recorder.knows("by owner")).await;
    assert_eq!(recorder.told().rows.iter().filter(|row| row.kind == "thing").count(), 1);
}

#[tokio::test]
async fn a_strangers_commit_wakes_the_reader_and_ours_wakes_the_others_after_it() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let mut config = database.config();
    // So long that nothing is heard of by polling.
    config.log.poll_interval = Duration::from_secs(3_600);
    config.log.member.lease = Duration::from_secs(3_600);
    let pg = pg_log::Pg::new(config).unwrap();
    let (ours, _recorder) = reader(&pg).await;
    let (_theirs, told) = reader(&pg).await;
    let psql = database.foreign().await;
    psql.batch_execute("INSERT INTO things VALUES ('stranger', 'ann', '')").await.unwrap();
    until("woken by the trigger", async || told.knows("stranger")).await;
    let exclusive = pg.exclusive().await.unwrap();
    exclusive.batch_execute("INSERT INTO things VALUES ('server', 'ann', '')").await.unwrap();
    ours.wake();
    until("woken after the commit", async || told.knows("server")).await;
}

#[tokio::test]
async fn a_poll_inside_of_a_transaction_that_wrote_is_refused() {
    let Some(database) = Database::with_log() else { return };
    let pg = database.pg();
    let (reader, _recorder) = reader(&pg).await;
    let mut exclusive = pg.exclusive().await.unwrap();
    let transaction = exclusive.transaction().await.unwrap();
    transaction.execute("INSERT INTO things VALUES ('own', 'ann', '')", &[]).await.unwrap();
    let poll = reader.poll_statement().unwrap();
    let answer = transaction.query(poll.sql(), &poll.params()).await.unwrap();
    assert_eq!(reader.apply_polled(&answer).unwrap_err().kind(), PgErrorKind::Unexpected);
    drop(transaction);
    assert!(reader.trouble().is_none() && reader.is_joined());
}
