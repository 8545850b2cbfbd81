//! A data file whose history changes while it is served.

use std::time::Duration;

use authz::store::{Change, InvalidationScope, Store, StoreError};
use diesel::connection::SimpleConnection;

use super::{config, place, shell};
use crate::support::{Sqlite, World, open_sqlite, writes};

const EVERYTHING: Change = Change::Invalidated(InvalidationScope::All);
/// What the restoring of a backup does to the log, as far as another connection can see.
const SET_BACK: &str = "DROP TRIGGER changes_are_kept; DROP TRIGGER changes_do_not_change;
                        DELETE FROM changes WHERE revision > 2;
                        UPDATE sqlite_sequence SET seq = 2 WHERE name = 'changes';";

type Origin = <Sqlite as crate::support::Fixture>::Origin;

fn assert_replaced<T>(answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Unusable(message)) => assert!(message.contains("replaced or set back"), "{message}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("went on with another history"),
    }
}

async fn assert_out_of_use(world: &World<Origin>) {
    assert_replaced(world.origin.snapshot().await);
    assert_replaced(world.origin.write(world.store, writes(&["doc:9#viewer@user:ann"])).await);
    assert_replaced(world.origin.health().await);
    let newest =
        world.sink.applied().into_iter().filter(|logged| logged.change == EVERYTHING).map(|it| it.revision).max();
    assert_eq!(newest.unwrap().get(), u64::MAX / 2, "what was cached under any stamp is dead");
}

/// An origin that looks only when it is asked, with four revisions.
async fn blind() -> (tempfile::TempDir, std::path::PathBuf, World<Origin>) {
    let (directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let world = open_sqlite(blind, None).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    world.write(&["doc:2#viewer@user:ann"]).await;
    world.write(&["doc:3#viewer@user:ann"]).await;
    (directory, path, world)
}

#[tokio::test]
async fn a_log_that_was_set_back_ends_the_service_at_the_next_snapshot() {
    let (_directory, path, world) = blind().await;
    shell(&path).batch_execute(SET_BACK).unwrap();
    assert_replaced(world.origin.snapshot().await);
    assert_out_of_use(&world).await;
}

#[tokio::test]
async fn a_log_that_was_set_back_refuses_the_next_write_and_stores_nothing_of_it() {
    let (_directory, path, world) = blind().await;
    shell(&path).batch_execute(SET_BACK).unwrap();
    assert_replaced(world.origin.write(world.store, writes(&["doc:9#viewer@user:ann"])).await);
    assert_out_of_use(&world).await;
    world.origin.close().await;
    let again = open_sqlite(config(&path), None).await;
    assert!(!again.has("doc:9#viewer@user:ann").await);
    again.write(&["doc:9#viewer@user:ann"]).await;
}

#[tokio::test]
async fn a_log_that_was_set_back_is_noticed_without_any_request() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&["doc:1#viewer@user:ann", "doc:2#viewer@user:ann"]).await;
    shell(&path).batch_execute(SET_BACK).unwrap();
    world.sink.wait_for(&EVERYTHING).await;
    assert_out_of_use(&world).await;
}

#[tokio::test]
async fn a_log_that_was_set_back_and_grew_past_its_old_end_is_noticed() {
    for extra in [2, 20] {
        let (_directory, path, world) = blind().await;
        let mut shell = shell(&path);
        shell.batch_execute(SET_BACK).unwrap();
        for n in 0..extra {
            shell
                .batch_execute(&format!(
                    "INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_id)
                 SELECT id, 'doc', 'new{n}', 'viewer', 'user', 'bob' FROM stores"
                ))
                .unwrap();
        }
        assert_replaced(world.origin.snapshot().await);
        assert_out_of_use(&world).await;
    }
}

#[tokio::test]
async fn a_last_row_that_is_gone_is_noticed_though_the_log_is_longer() {
    let (_directory, path, world) = blind().await;
    shell(&path)
        .batch_execute(
            "DROP TRIGGER changes_are_kept; INSERT INTO changes (kind) VALUES ('replaced');
             DELETE FROM changes WHERE revision = 4",
        )
        .unwrap();
    assert_replaced(world.origin.snapshot().await);
    assert_out_of_use(&world).await;
}

#[tokio::test]
async fn a_file_with_another_log_in_it_ends_the_service() {
    let (_directory, path, world) = blind().await;
    shell(&path).batch_execute("UPDATE meta SET log_epoch = 'another'").unwrap();
    assert_out_of_use(&world).await;
}

#[tokio::test]
async fn a_file_that_lost_its_tables_ends_the_service() {
    let (_directory, path, world) = blind().await;
    shell(&path).batch_execute("DROP TABLE changes; DROP TABLE meta").unwrap();
    assert_replaced(world.origin.snapshot().await);
}

#[tokio::test]
async fn deleting_a_store_is_no_other_history() {
    let (_directory, path, world) = blind().await;
    world.origin.delete_store(world.store).await.unwrap().unwrap();
    drop(world.origin.snapshot().await.unwrap());
    world.origin.create_store(world.store, "again").await.unwrap();
    world.write(&["doc:1#viewer@user:ann"]).await;
    shell(&path).batch_execute("DELETE FROM stores").unwrap();
    drop(world.origin.snapshot().await.unwrap());
    world.origin.health().await.unwrap();
    world.origin.create_store(world.store, "once more").await.unwrap();
}
