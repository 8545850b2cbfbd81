//! Migrations: in their turn, once, within bounds, and beside other releases.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use pg_log::{Exclusive, Migration, PgErrorKind, migrate};
use support::{Database, until};

/// More than all attempts take.
const BOUND: Duration = Duration::from_secs(30);

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "make a table", sql: "CREATE TABLE {schema}.things (n int)", needs: 0 },
    Migration { version: 2, name: "widen it", sql: "ALTER TABLE {schema}.things ADD m int", needs: 0 },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_run_once_though_many_start_them() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let pg = pg.clone();
            tokio::spawn(async move {
                let mut exclusive = pg.exclusive().await?;
                migrate(&mut exclusive, "tiergate", "things", MIGRATIONS).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let exclusive = pg.exclusive().await.unwrap();
    let row = exclusive.query_one("SELECT count(*) FROM tiergate.migrations", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_itself() {
    let Some(database) = Database::empty() else { return };
    let mut exclusive = database.pg().exclusive().await.unwrap();
    let broken = [
        MIGRATIONS[0],
        Migration { version: 2, name: "break", sql: "CREATE TABLE {schema}.more (n int); SELECT 1/0", needs: 0 },
    ];
    assert!(migrate(&mut exclusive, "tiergate", "things", &broken).await.is_err());
    let row = exclusive.query_one("SELECT to_regclass('tiergate.more') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    migrate(&mut exclusive, "tiergate", "things", MIGRATIONS).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_gets_no_lock_ends_and_names_who_holds_it() {
    let Some(database) = Database::empty() else { return };
    let mut exclusive = database.pg().exclusive().await.unwrap();
    migrate(&mut exclusive, "tiergate", "things", &MIGRATIONS[..1]).await.unwrap();
    let reads = database.foreign().await;
    reads
        .batch_execute("SET application_name = 'a report'; BEGIN; LOCK TABLE tiergate.things IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let migrated = tokio::time::timeout(BOUND, migrate(&mut exclusive, "tiergate", "things", MIGRATIONS)).await;
    let error = migrated.expect("it waits without end").unwrap_err();
    assert_eq!(error.kind(), PgErrorKind::Timeout);
    assert!(error.to_string().contains("(a report, idle in transaction)"), "{error}");
    assert!(error.to_string().contains("step 2 of things (widen it)"), "{error}");
    assert!(!is_wide(&exclusive).await);
    reads.batch_execute("COMMIT").await.unwrap();
    migrate(&mut exclusive, "tiergate", "things", MIGRATIONS).await.unwrap();
    assert!(is_wide(&exclusive).await);
}

#[tokio::test]
async fn a_lock_that_is_given_back_soon_is_waited_for_and_readers_get_on_meanwhile() {
    let Some(database) = Database::empty() else { return };
    let pg = database.pg();
    let mut exclusive = pg.exclusive().await.unwrap();
    migrate(&mut exclusive, "tiergate", "things", &MIGRATIONS[..1]).await.unwrap();
    let (reads, others) = (database.foreign().await, database.foreign().await);
    reads.batch_execute("BEGIN; LOCK TABLE tiergate.things IN ACCESS SHARE MODE").await.unwrap();
    let migrating = tokio::spawn(async move {
        let result = migrate(&mut exclusive, "tiergate", "things", MIGRATIONS).await;
        (exclusive, result)
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tiergate.things'::regclass";
    until("the migration waits", async || others.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1).await;
    // Behind the migration, which gives way.
    others.batch_execute("SELECT FROM tiergate.things").await.unwrap();
    reads.batch_execute("COMMIT").await.unwrap();
    let (exclusive, result) = migrating.await.unwrap();
    result.unwrap();
    assert!(is_wide(&exclusive).await);
}

async fn is_wide(client: &Exclusive) -> bool {
    let sql = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'tiergate.things'::regclass AND attname = 'm'";
    client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
}

/// A later release: it adds first, and takes away once nobody needs it who knows step 2.
const LATER: &[Migration] = &[
    MIGRATIONS[0],
    MIGRATIONS[1],
    Migration { version: 3, name: "add another", sql: "ALTER TABLE {schema}.things ADD k int", needs: 0 },
    Migration { version: 4, name: "drop the first", sql: "ALTER TABLE {schema}.things DROP n", needs: 2 },
    Migration { version: 5, name: "add a table", sql: "CREATE TABLE {schema}.more (n int)", needs: 0 },
];

#[tokio::test]
async fn an_older_release_runs_beside_a_newer_one_until_something_it_needs_is_taken_away() {
    let Some(database) = Database::empty() else { return };
    let mut client = database.pg().exclusive().await.unwrap();
    let mut run = async |known: usize| migrate(&mut client, "tiergate", "things", &LATER[..known]).await;
    run(1).await.unwrap();
    run(3).await.unwrap();
    run(1).await.expect("nothing was taken away yet");
    run(4).await.unwrap();
    for known in [2, 3] {
        run(known).await.expect("it can do without");
    }
    for newest in [4, 5] {
        run(newest).await.unwrap();
        let error = run(1).await.unwrap_err();
        assert_eq!(error.kind(), PgErrorKind::Schema);
        assert!(error.to_string().contains("for releases that know 2 at least, and this one knows 1"), "{error}");
    }
    run(2).await.expect("a step that adds refuses nobody, and readmits nobody");
}

#[tokio::test]
async fn a_step_that_left_no_word_refuses_whoever_does_not_know_it() {
    let Some(database) = Database::empty() else { return };
    let mut client = database.pg().exclusive().await.unwrap();
    migrate(&mut client, "tiergate", "things", &LATER[..2]).await.unwrap();
    // As a release before this rule left it.
    client.batch_execute("ALTER TABLE tiergate.migrations DROP needs").await.unwrap();
    let error = migrate(&mut client, "tiergate", "things", &LATER[..1]).await.unwrap_err();
    assert_eq!(error.kind(), PgErrorKind::Schema);
    migrate(&mut client, "tiergate", "things", &LATER[..2]).await.unwrap();
    // And the next one goes on from there.
    migrate(&mut client, "tiergate", "things", &LATER[..3]).await.unwrap();
    migrate(&mut client, "tiergate", "things", &LATER[..2]).await.unwrap();
    assert!(migrate(&mut client, "tiergate", "things", &LATER[..1]).await.is_err());
}
