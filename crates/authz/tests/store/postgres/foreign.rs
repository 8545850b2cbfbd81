//! Other programs that write to the tables while they are served.

use std::time::Duration;

use authz::relation::Object;
use authz::store::{Change, InvalidationScope, ModelId, Store};
use pg_log::tokio_postgres::Client;
use ulid::Ulid;

use super::{SOON, world};
use crate::support::{Postgres, database, tuple};

const ANN: &str = "doc:1#viewer@user:ann";
const INSERT_ANN: &str = "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id) \
                          SELECT id, 'doc', '1', 'viewer', 'user', 'ann' FROM tiergate.stores";
/// More than are told one by one.
const INSERT_MANY: &str = "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id) \
                           SELECT id, 'doc', n, 'viewer', 'user', 'ann' FROM tiergate.stores, generate_series(1, 2001) n";
const EVERYTHING: Change = Change::Invalidated(InvalidationScope::All);

async fn run(psql: &Client, sql: &str) {
    psql.batch_execute(sql).await.unwrap();
}

#[tokio::test]
async fn a_foreign_write_is_noticed_without_any_request() {
    let (world, psql) = world!();
    run(&psql, INSERT_ANN).await;
    world.sink.wait_for(&Change::Inserted(world.store, tuple(ANN))).await;
    run(&psql, "UPDATE tiergate.tuples SET subject_id = 'bob'").await;
    world.sink.wait_for(&Change::Deleted(world.store, tuple(ANN))).await;
    world.sink.wait_for(&Change::Inserted(world.store, tuple("doc:1#viewer@user:bob"))).await;
    run(&psql, "DELETE FROM tiergate.tuples").await;
    world.sink.wait_for(&Change::Deleted(world.store, tuple("doc:1#viewer@user:bob"))).await;
}

#[tokio::test]
async fn whoever_follows_is_woken_by_a_foreign_write() {
    if !Postgres::is_there() {
        return;
    }
    let database = database().await;
    let mut sleepy = Postgres::config(database.url());
    sleepy.log.poll_interval = Duration::from_secs(3_600);
    sleepy.log.member.lease = Duration::from_secs(3_600);
    let world = Postgres::with(sleepy).await;
    let psql = super::psql(database.url()).await;
    for (sql, change) in [
        (INSERT_ANN, Change::Inserted(world.store, tuple(ANN))),
        ("DELETE FROM tiergate.tuples", Change::Deleted(world.store, tuple(ANN))),
        (INSERT_MANY, Change::StoreReplaced(world.store)),
        (
            "INSERT INTO tiergate.properties SELECT id, 'user', 'ann', '{}' FROM tiergate.stores",
            Change::PropertiesChanged(world.store, Object::parse("user:ann").unwrap()),
        ),
        (
            "INSERT INTO tiergate.models (store, id, body) SELECT id, id, 'new' FROM tiergate.stores",
            Change::ModelWritten(world.store),
        ),
        ("DELETE FROM tiergate.models", Change::StoreReplaced(world.store)),
        ("TRUNCATE tiergate.tuples", EVERYTHING),
        ("SELECT tiergate.begin_bulk()", EVERYTHING),
    ] {
        let before = world.sink.applied().len();
        run(&psql, sql).await;
        let told = async {
            while !world.sink.applied()[before..].iter().any(|logged| logged.change == change) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(SOON, told).await.is_ok(), "{sql}: nobody was woken");
    }
}

#[tokio::test]
async fn a_removal_without_row_triggers_ends_everything_within_one_poll() {
    for table in ["tuples", "properties", "models CASCADE"] {
        let (world, psql) = world!();
        let before = world.sink.applied().len();
        // Nobody is woken by it.
        run(&psql, "SET tiergate.writer = 'on'").await;
        run(&psql, &format!("TRUNCATE tiergate.{table}")).await;
        let since = tokio::time::Instant::now();
        let told = async {
            while !world.sink.applied()[before..].iter().any(|logged| logged.change == EVERYTHING) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SOON, told).await.expect("it is not told");
        println!("TRUNCATE {table}: in force after {} ms", since.elapsed().as_millis());
    }
}

#[tokio::test]
async fn a_snapshot_applies_a_foreign_write_before_it_is_handed_out() {
    if !Postgres::is_there() {
        return;
    }
    let database = database().await;
    let mut blind = Postgres::config(database.url());
    blind.log.poll_interval = Duration::from_secs(3_600);
    blind.log.member.lease = Duration::from_secs(3_600);
    let world = Postgres::with(blind).await;
    let psql = super::psql(database.url()).await;
    // Without the mark of our sessions it would be notified.
    run(&psql, "SET tiergate.writer = 'on'").await;
    run(&psql, INSERT_ANN).await;
    assert!(!world.sink.has(&Change::Inserted(world.store, tuple(ANN))));
    assert!(world.has(ANN).await);
    assert!(world.sink.has(&Change::Inserted(world.store, tuple(ANN))));
}

#[tokio::test]
async fn the_position_after_a_read_makes_whoever_gets_it_apply_what_was_read() {
    if !Postgres::is_there() {
        return;
    }
    let database = database().await;
    let blind = || {
        let mut blind = Postgres::config(database.url());
        blind.log.poll_interval = Duration::from_secs(3_600);
        blind.log.member.lease = Duration::from_secs(3_600);
        blind
    };
    let (one, two) = (Postgres::with(blind()).await, Postgres::with(blind()).await);
    let psql = super::psql(database.url()).await;
    let position = |hits| one.origin.applied(one.origin.applied_number(hits).unwrap()).unwrap();
    run(&psql, "SET tiergate.writer = 'on'").await;
    // As if something had been taken from a tier that others fill: what it contains is not known here.
    let before = position(0);
    let ahead = position(1);
    run(&psql, INSERT_ANN).await;
    let change = Change::Inserted(one.store, tuple(ANN));
    two.origin.apply_position(&before).await.unwrap();
    assert!(!two.sink.has(&change), "nothing newer was asked for");
    two.origin.apply_position(&ahead).await.unwrap();
    assert!(two.sink.has(&change), "it may have been in what was taken");
    run(&psql, "DELETE FROM tiergate.tuples").await;
    let change = Change::Deleted(one.store, tuple(ANN));
    assert!(!one.has(ANN).await);
    assert!(!two.sink.has(&change));
    two.origin.apply_position(&position(0)).await.unwrap();
    assert!(two.sink.has(&change), "it was read there");
}

#[tokio::test]
async fn a_flood_is_told_as_one_change_of_its_store() {
    let (world, psql) = world!();
    let before = world.sink.applied().len();
    run(
        &psql,
        "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id)
         SELECT stores.id, 'doc', n, 'viewer', 'user', 'ann' FROM tiergate.stores, generate_series(1, 25000) n",
    )
    .await;
    assert!(world.has("doc:25000#viewer@user:ann").await);
    let told = world.sink.applied().split_off(before);
    let coarse = [Change::StoreReplaced(world.store), EVERYTHING];
    assert!(told.iter().any(|logged| coarse.contains(&logged.change)), "{} changes", told.len());
    assert!(told.len() <= 2_001, "{} changes", told.len());
}

#[tokio::test]
async fn a_store_that_psql_deletes_is_one_change_and_takes_everything_along() {
    let (world, psql) = world!();
    world.write(&[ANN]).await;
    let before = world.sink.applied().len();
    run(&psql, "DELETE FROM tiergate.stores").await;
    assert!(!world.has(ANN).await);
    let told: Vec<Change> = world.sink.applied().split_off(before).into_iter().map(|logged| logged.change).collect();
    assert_eq!(told, [Change::StoreReplaced(world.store)]);
    assert_eq!(world.origin.store(world.store).await.unwrap(), None);
    let left = psql.query_one("SELECT count(*) FROM tiergate.changes", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn what_a_transaction_does_after_the_deletion_of_a_store_is_told() {
    let (world, psql) = world!();
    let other = authz::store::StoreId(Ulid::from_parts(2, 2));
    world.origin.create_store(other, "second").await.unwrap();
    run(&psql, &format!("BEGIN; DELETE FROM tiergate.stores WHERE id = '{}'; {INSERT_ANN}; COMMIT", world.store.0))
        .await;
    world.sink.wait_for(&Change::Inserted(other, tuple(ANN))).await;
}

#[tokio::test]
async fn triggers_that_are_switched_off_for_replication_still_tell() {
    let (world, psql) = world!();
    run(&psql, "SET session_replication_role = replica").await;
    run(&psql, INSERT_ANN).await;
    world.sink.wait_for(&Change::Inserted(world.store, tuple(ANN))).await;
}

#[tokio::test]
async fn a_flag_that_is_left_over_keeps_no_trigger_from_telling() {
    let (world, psql) = world!();
    let number = psql.query_one("SELECT pg_current_xact_id()::text", &[]).await.unwrap();
    let number: String = number.get(0);
    run(&psql, &format!("SET tiergate.bulk = '{number}'; SET tiergate.coarse = '{number} {}'", world.store.0)).await;
    run(&psql, INSERT_ANN).await;
    world.sink.wait_for(&Change::Inserted(world.store, tuple(ANN))).await;
}

#[tokio::test]
async fn whoever_may_change_relationships_and_no_more_can_silence_nothing() {
    let (world, psql) = world!();
    become_clerk(&psql).await;
    let own = "pg_current_xact_id()::text";
    let store = world.store.0;
    for (claim, user) in [
        (format!("SELECT set_config('tiergate.bulk', {own}, true)"), "a"),
        (format!("SELECT set_config('tiergate.coarse', {own} || ' {store}', true)"), "b"),
        (format!("SET LOCAL tiergate.coarse = '(0,1) {store}'"), "c"),
        // A row of this very transaction lies there, and is told for itself alone.
        (
            format!(
                "{}; SELECT set_config('tiergate.bulk', {own}, true), set_config('tiergate.coarse', '(0,2) {store}', true)",
                INSERT_ANN.replace("'ann'", "'zoe'")
            ),
            "d",
        ),
        ("SET LOCAL tiergate.told = '-2000000000'".to_owned(), "e"),
    ] {
        let insert = INSERT_ANN.replace("'ann'", &format!("'{user}'"));
        run(&psql, &format!("BEGIN; {claim}; {insert}; COMMIT")).await;
        world.sink.wait_for(&Change::Inserted(world.store, tuple(&format!("doc:1#viewer@user:{user}")))).await;
    }
    for refused in [
        "INSERT INTO tiergate.log (kind) VALUES ('all')",
        "INSERT INTO tiergate.changes (store, inserted, object_type, object_id, relation, subject_type, subject_relation, subject_id, at)
         SELECT store, false, object_type, object_id, relation, subject_type, subject_relation, subject_id, 0 FROM tiergate.tuples",
        "SELECT tiergate.begin_store_bulk('01ARZ3NDEKTSV4RRFFQ69G5FAV')",
        "DELETE FROM tiergate.stores",
        "TRUNCATE tiergate.tuples",
    ] {
        let error = psql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{refused}: {error:?}");
    }
    // A flood of its own is told as any flood, also where it says that it was told of already.
    let before = world.sink.applied().len();
    run(
        &psql,
        "BEGIN; SET LOCAL tiergate.told = '2000';
         INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id)
         SELECT store, 'doc', n, 'viewer', 'user', 'ann' FROM (SELECT DISTINCT store FROM tiergate.tuples) s, generate_series(1, 100) n;
         COMMIT",
    )
    .await;
    assert!(world.has("doc:100#viewer@user:ann").await);
    let told: Vec<Change> = world.sink.applied().split_off(before).into_iter().map(|logged| logged.change).collect();
    assert_eq!(told, [Change::StoreReplaced(world.store)]);
}

/// Goes on as somebody who may change relationships, and no more.
async fn become_clerk(psql: &pg_log::tokio_postgres::Client) {
    run(
        psql,
        "DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT USAGE ON SCHEMA tiergate TO clerk; GRANT SELECT ON tiergate.stores TO clerk;
         GRANT SELECT, INSERT, UPDATE, DELETE ON tiergate.tuples TO clerk; SET ROLE clerk",
    )
    .await;
}

#[tokio::test]
async fn a_log_row_that_cannot_be_read_counts_as_everything() {
    let (world, psql) = world!();
    for row in ["'from the future', '{}'", "'invalidated', '{broken}'", "'inserted', '{}'"] {
        let before = world.sink.applied().len();
        run(&psql, &format!("INSERT INTO tiergate.log (kind, fields) VALUES ({row})")).await;
        drop(world.settled().await);
        let told = world.sink.applied().split_off(before);
        assert!(told.iter().any(|logged| logged.change == EVERYTHING), "{row}: {told:?}");
    }
}

#[tokio::test]
async fn what_would_break_the_origin_is_refused_for_everybody() {
    let (world, psql) = world!();
    world.write(&[ANN]).await;
    let model = ModelId(Ulid::from_parts(1, 0));
    world.origin.write_model(world.store, model, "old").await.unwrap();
    for statement in [
        "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id)
         VALUES ('00000000000000000000000000', 'doc', '1', 'viewer', 'user', 'ann')",
        "UPDATE tiergate.tuples SET store = '00000000000000000000000000'",
        "UPDATE tiergate.tuples SET subject_id = ''",
        "UPDATE tiergate.tuples SET subject_id = '*', subject_relation = 'member'",
        "UPDATE tiergate.tuples SET condition = 'c', condition_context = '{'",
        "UPDATE tiergate.tuples SET condition = 'c', condition_context = '[]'",
        "UPDATE tiergate.tuples SET condition_context = '{}'",
        "INSERT INTO tiergate.properties VALUES ('00000000000000000000000000', 'user', 'ann', '{}')",
        "INSERT INTO tiergate.assertions SELECT id, '00000000000000000000000000', '[]' FROM tiergate.stores",
        "UPDATE tiergate.models SET body = 'new'",
        "INSERT INTO tiergate.models (store, id, body) SELECT store, id, 'new' FROM tiergate.models
         ON CONFLICT (store, id) DO UPDATE SET body = 'new'",
        "UPDATE tiergate.stores SET id = '00000000000000000000000001'",
        "TRUNCATE tiergate.stores",
        "DELETE FROM tiergate.changes",
        "UPDATE tiergate.changes SET at = 0",
        "TRUNCATE tiergate.changes",
    ] {
        assert!(psql.batch_execute(statement).await.is_err(), "{statement}");
    }
    assert_eq!(world.origin.model(world.store, model).await.unwrap().as_deref(), Some("old"));
    assert!(world.has(ANN).await);
}

#[tokio::test]
async fn triggers_are_not_switched_off_by_anybody_while_the_guard_is_there() {
    let (world, psql) = world!();
    world.write(&[ANN]).await;
    for refused in [
        "ALTER TABLE tiergate.tuples DISABLE TRIGGER ALL; DELETE FROM tiergate.tuples",
        "ALTER TABLE tiergate.tuples DISABLE TRIGGER tuples_changed",
        "ALTER TABLE tiergate.tuples ENABLE TRIGGER tuples_truncated",
        "ALTER TRIGGER tuples_changed ON tiergate.tuples RENAME TO other",
        "ALTER TABLE tiergate.properties DISABLE TRIGGER USER",
        "ALTER TABLE tiergate.models ENABLE REPLICA TRIGGER models_changed",
        "ALTER TABLE tiergate.stores DISABLE TRIGGER stores_changed",
        "ALTER TABLE tiergate.tuples SET UNLOGGED",
        "CREATE TABLE public.child () INHERITS (tiergate.tuples)",
        "DROP TRIGGER tuples_changed ON tiergate.tuples",
        "DROP FUNCTION tiergate.truncated() CASCADE",
        "DROP TABLE tiergate.tuples",
        "ALTER TABLE tiergate.tuples RENAME TO old; CREATE TABLE tiergate.tuples (LIKE tiergate.old INCLUDING ALL)",
        "ALTER TABLE tiergate.tuples SET SCHEMA public",
        "CREATE TABLE public.parent (LIKE tiergate.tuples); ALTER TABLE tiergate.tuples INHERIT public.parent",
        "ALTER TABLE tiergate.tuples ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE tiergate.tuples FORCE ROW LEVEL SECURITY",
        "CREATE OR REPLACE TRIGGER tuples_changed AFTER INSERT ON tiergate.tuples FOR EACH ROW EXECUTE FUNCTION tiergate.tuples_changed()",
        "CREATE OR REPLACE TRIGGER tuples_changed AFTER INSERT OR UPDATE OR DELETE ON tiergate.tuples FOR EACH ROW
         EXECUTE FUNCTION tiergate.properties_changed()",
    ] {
        let error = psql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("55006"), "{refused}: {error:?}");
        let message = error.as_db_error().unwrap().message();
        assert!(message.contains("tiergate.unguard_table first"), "{refused}: {message}");
    }
    assert!(world.has(ANN).await);
    // What does not touch the triggers goes on, and so does all of it once it is asked for by name.
    run(&psql, "ALTER TABLE tiergate.tuples SET (fillfactor = 90)").await;
    run(
        &psql,
        "SELECT tiergate.unguard_table('tiergate.tuples'); ALTER TABLE tiergate.tuples DISABLE TRIGGER tuples_changed",
    )
    .await;
    let early = "SELECT tiergate.guard_table('tiergate.tuples', ARRAY['tuples_changed'])";
    assert!(psql.batch_execute(early).await.is_err(), "a trigger that is off guards nothing");
}
