//! Other programs that write to the data file while it is served.

use std::time::Duration;

use authz::store::{Change, InvalidationScope, Store, StoreError};
use diesel::connection::SimpleConnection;

use super::{config, place, shell};
use crate::support::{open_sqlite, tuple, writes};

const ANN: &str = "doc:1#viewer@user:ann";
const INSERT_ANN: &str = "INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_id) \
                          SELECT id, 'doc', '1', 'viewer', 'user', 'ann' FROM stores";

#[tokio::test]
async fn a_foreign_write_is_noticed_without_any_request() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let mut shell = shell(&path);
    shell.batch_execute(INSERT_ANN).unwrap();
    world.sink.wait_for(&Change::Inserted(world.store, tuple(ANN))).await;
    shell.batch_execute("UPDATE tuples SET subject_id = 'bob'").unwrap();
    world.sink.wait_for(&Change::Deleted(world.store, tuple(ANN))).await;
    world.sink.wait_for(&Change::Inserted(world.store, tuple("doc:1#viewer@user:bob"))).await;
    shell.batch_execute("DELETE FROM tuples").unwrap();
    world.sink.wait_for(&Change::Deleted(world.store, tuple("doc:1#viewer@user:bob"))).await;
}

#[tokio::test]
async fn a_snapshot_applies_a_foreign_write_before_it_is_handed_out() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let world = open_sqlite(blind, None).await;
    shell(&path).batch_execute(INSERT_ANN).unwrap();
    assert!(!world.sink.has(&Change::Inserted(world.store, tuple(ANN))));
    assert!(world.has(ANN).await);
    assert!(world.sink.has(&Change::Inserted(world.store, tuple(ANN))));
}

#[tokio::test]
async fn a_write_applies_foreign_ones_that_came_before_it() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let world = open_sqlite(blind, None).await;
    shell(&path).batch_execute(INSERT_ANN).unwrap();
    world.write(&["doc:2#viewer@user:ann"]).await;
    let revisions: Vec<u64> = world.sink.applied().iter().map(|logged| logged.revision.get()).collect();
    assert_eq!(revisions, [1, 2, 3]);
}

#[tokio::test]
async fn a_flood_of_foreign_writes_is_applied_whole() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let world = open_sqlite(blind, None).await;
    shell(&path)
        .batch_execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
             INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_id)
             SELECT stores.id, 'doc', n.i, 'viewer', 'user', 'ann' FROM stores, n",
        )
        .unwrap();
    assert!(world.has("doc:25000#viewer@user:ann").await);
    assert_eq!(world.sink.applied().len(), 25_001);
}

#[tokio::test]
async fn a_store_that_a_shell_deletes_is_one_change_and_takes_everything_along() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&[ANN]).await;
    let before = world.sink.applied().len();
    shell(&path).batch_execute("DELETE FROM stores").unwrap();
    assert!(!world.has(ANN).await);
    let told: Vec<Change> = world.sink.applied().into_iter().skip(before).map(|logged| logged.change).collect();
    let everything = Change::Invalidated(InvalidationScope::All);
    assert!(told.contains(&Change::StoreReplaced(world.store)), "{told:?}");
    // The last row that was applied went with the store, so nothing shows that the rest of the history is the same.
    assert!(told.iter().all(|change| [&Change::StoreReplaced(world.store), &everything].contains(&change)), "{told:?}");
    world.origin.health().await.unwrap();
    assert_eq!(world.origin.store(world.store).await.unwrap(), None);
}

#[tokio::test]
async fn a_log_row_that_cannot_be_read_counts_as_everything() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let mut shell = shell(&path);
    for row in ["('from the future', NULL)", "('invalidated', '{broken')", "('inserted', NULL)"] {
        let before = world.sink.applied().len();
        shell.batch_execute(&format!("INSERT INTO changes (kind, scope) VALUES {row}")).unwrap();
        drop(world.origin.snapshot().await.unwrap());
        let told: Vec<Change> = world.sink.applied().into_iter().skip(before).map(|logged| logged.change).collect();
        assert!(told.contains(&Change::Invalidated(InvalidationScope::All)), "{row}: {told:?}");
    }
}

#[tokio::test]
async fn what_would_break_the_log_is_refused_for_everybody() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&[ANN]).await;
    let model = authz::store::ModelId(ulid::Ulid::from_parts(1, 0));
    world.origin.write_model(world.store, model, "old").await.unwrap();
    let mut shell = shell(&path);
    for statement in [
        "INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_id)
         VALUES ('00000000000000000000000000', 'doc', '1', 'viewer', 'user', 'ann')",
        "UPDATE tuples SET store = '00000000000000000000000000'",
        "UPDATE tuples SET subject_id = ''",
        "UPDATE tuples SET subject_id = '*', subject_relation = 'member'",
        "UPDATE models SET body = 'new'",
        "REPLACE INTO models (store, id, body) SELECT store, id, 'new' FROM models",
        "UPDATE stores SET id = '00000000000000000000000001'",
        "DELETE FROM changes",
        "DELETE FROM changes WHERE revision = (SELECT max(revision) FROM changes)",
        "UPDATE changes SET kind = 'loaded'",
        "UPDATE changes SET at = 0",
        "REPLACE INTO changes (revision, kind) SELECT max(revision), 'loaded' FROM changes",
    ] {
        assert!(shell.batch_execute(statement).is_err(), "{statement}");
    }
    assert_eq!(world.origin.model(world.store, model).await.unwrap().as_deref(), Some("old"));
}

#[tokio::test]
async fn a_foreign_writer_that_holds_the_lock_is_waited_for_within_bounds() {
    let (_directory, path) = place();
    let mut impatient = config(&path);
    impatient.busy_timeout = Duration::from_millis(20);
    let world = open_sqlite(impatient, None).await;
    let mut shell = shell(&path);
    shell.batch_execute("BEGIN IMMEDIATE").unwrap();
    let refused = world.origin.write(world.store, writes(&[ANN])).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    assert!(!world.has(ANN).await, "reads go on");
    assert!(world.origin.health().await.is_err());
    shell.batch_execute("ROLLBACK").unwrap();
    world.write(&[ANN]).await;
    assert!(world.has(ANN).await);
    world.origin.health().await.unwrap();
}
