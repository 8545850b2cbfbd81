//! The log is lost to a process: it is told when, and only when, one that is started anew could follow it.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use pg_log::{MemberConfig, Pg};
use support::{Database, SOON, reader, until};

/// Some looks at what PostgreSQL holds.
const A_WHILE: Duration = Duration::from_secs(3);

fn member(database: &Database) -> Pg {
    let mut config = database.config();
    config.log.member = MemberConfig::new("first");
    config.log.member.lease = Duration::from_millis(300);
    Pg::new(config).unwrap()
}

#[tokio::test]
async fn whoever_met_another_history_is_told_to_start_again_and_joins_it_then() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = reader(&member(&database)).await;
    first.leased().await;
    let psql = database.foreign().await;
    // Somebody waits already, and somebody asks later.
    let (told, ()) = tokio::join!(tokio::time::timeout(SOON, first.lost()), async {
        psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    });
    let told = told.expect("nobody was told, and nothing is answered any more").to_string();
    assert!(told.contains("another history"), "{told}");
    assert_eq!(tokio::time::timeout(SOON, first.lost()).await.unwrap().to_string(), told);
    first.stop().await;
    let (again, _) = reader(&member(&database)).await;
    assert!(tokio::time::timeout(SOON, again.leased()).await.is_ok());
    assert_ne!(again.identity(), first.identity());
}

#[tokio::test]
async fn whoever_met_another_history_for_a_moment_is_told_to_start_again_on_its_own() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = reader(&member(&database)).await;
    first.leased().await;
    let psql = database.foreign().await;
    let epoch: String = psql.query_one("SELECT epoch::text FROM tiergate.log_state", &[]).await.unwrap().get(0);
    psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    until("it is noticed", async || first.trouble().is_some()).await;
    // As a URL of several hosts leads to the right one again.
    psql.batch_execute(&format!("UPDATE tiergate.log_state SET epoch = '{epoch}'")).await.unwrap();
    let told = tokio::time::timeout(SOON, first.lost()).await.expect("it says 503 for ever").to_string();
    assert!(told.contains("another history"), "{told}");
}

#[tokio::test]
async fn in_front_of_an_older_copy_of_its_own_history_nobody_is_told_to_start_again_before_there_is_another() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = reader(&member(&database)).await;
    let psql = database.foreign().await;
    let renewed = "SELECT count(*) FROM tiergate.members WHERE counter > 2";
    until("it has renewed", async || psql.query_one(renewed, &[]).await.unwrap().get::<_, i64>(0) == 1).await;
    psql.batch_execute("UPDATE tiergate.members SET counter = counter - 1").await.unwrap();
    until("it is noticed", async || first.trouble().is_some()).await;
    assert!(first.trouble().unwrap().to_string().contains("new_epoch()"), "{:?}", first.trouble());
    let told = tokio::time::timeout(A_WHILE, first.lost()).await;
    assert!(told.is_err(), "a new process would take what lies in shared tiers for its own past: {told:?}");
    psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    let told = tokio::time::timeout(SOON, first.lost()).await.unwrap().to_string();
    assert!(told.contains("an older copy of the database"), "{told}");
}

#[tokio::test]
async fn a_log_that_is_followed_is_not_lost() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = reader(&member(&database)).await;
    let psql = database.foreign().await;
    // Sessions that end, and silence for longer than the lease, are no loss.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiergate'";
    psql.batch_execute(end).await.unwrap();
    psql.batch_execute("UPDATE tiergate.members SET fenced = true").await.unwrap();
    assert!(tokio::time::timeout(A_WHILE, first.lost()).await.is_err());
    assert!(first.is_joined() && first.trouble().is_none(), "{:?}", first.trouble());
}
