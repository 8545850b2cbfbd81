//! The guard runs within the statements of superusers, so nothing of anybody else's runs in it.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use support::{Database, plain};
use test_services::{Postgres, PostgresOptions};
use tokio_postgres::Client;

const GUARDS: &str = "SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'tiergate_guard%'";

async fn guards(psql: &Client) -> i64 {
    psql.query_one(GUARDS, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn functions_of_a_role_that_is_no_superuser_are_never_installed_as_a_guard() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let (database, _pg) = plain(&server, "").await;
    let psql = database.foreign().await;
    let install = async || psql.query_one("SELECT tiergate.install_guard()", &[]).await.unwrap().get::<_, bool>(0);
    assert!(!install().await, "its owner could put another function in the guard's place");
    // The functions alone are not enough: in the schema others can be put in their place.
    psql.batch_execute(
        "DO $$ DECLARE f regprocedure; BEGIN
             FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'tiergate'::regnamespace LOOP
                 EXECUTE format('ALTER ROUTINE %s OWNER TO postgres', f);
             END LOOP; END $$",
    )
    .await
    .unwrap();
    assert!(!install().await);
    assert_eq!(guards(&psql).await, 0);
    psql.batch_execute("ALTER SCHEMA tiergate OWNER TO postgres").await.unwrap();
    assert!(install().await);
    assert_eq!(guards(&psql).await, 2);
}

#[tokio::test]
async fn the_guard_of_a_superuser_is_there_from_the_first_migration_on() {
    let Some(database) = Database::with_log() else { return };
    assert_eq!(guards(&database.foreign().await).await, 2);
}
