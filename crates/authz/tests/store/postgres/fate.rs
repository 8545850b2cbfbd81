//! Commits whose answers are lost.

use std::net::SocketAddr;
use std::sync::Arc;

use authz::store::postgres::PostgresStore;
use authz::store::{Committed, Store, StoreError};
use fault_proxy::{Direction, Fault, Proxy};
use pg_log::tokio_postgres::Client;
use test_services::{Postgres as Server, PostgresOptions, TestDatabase};
use tokio::task::JoinHandle;

use super::until;
use crate::support::{Postgres, World, writes};

const ANN: &str = "doc:1#viewer@user:ann";

/// What its commit waits for.
const HOLD: &str = "
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON tiergate.tuples DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
    SELECT pg_advisory_lock(42)";

struct Stage {
    world: World<PostgresStore>,
    proxy: Proxy,
    psql: Client,
    server: Server,
    database: TestDatabase,
}

impl Stage {
    /// A server of its own, behind a proxy, whose commits are held.
    async fn set() -> Option<Self> {
        let made = tokio::task::spawn_blocking(|| {
            let server = Server::start(&PostgresOptions::default())?;
            let database = TestDatabase::create_on(&server.url(), Postgres::template()).unwrap();
            Some((server, database))
        });
        let (server, database) = made.await.unwrap()?;
        let proxy = Proxy::start(server.address()).unwrap();
        let url = database.url().replace(&server.address().to_string(), &proxy.address().to_string());
        let world = Postgres::with(Postgres::config(&url)).await;
        let psql = super::psql(database.url()).await;
        psql.batch_execute(HOLD).await.unwrap();
        Some(Self { world, proxy, psql, server, database })
    }

    /// A write that has sent its commit.
    async fn write(&self) -> JoinHandle<Result<Committed, StoreError>> {
        let (origin, store) = (Arc::clone(&self.world.origin), self.world.store);
        let writing = tokio::spawn(async move { origin.write(store, writes(&[ANN])).await });
        until("its commit waits", async || self.waiting().await.is_some()).await;
        writing
    }

    async fn waiting(&self) -> Option<i32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query = 'COMMIT'";
        self.psql.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_out() {
    let Some(stage) = Stage::set().await else { return };
    let writing = stage.write().await;
    stage.proxy.set_in(Direction::Replies, Fault::Hold);
    stage.psql.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    until("it is committed", async || stage.waiting().await.is_none()).await;
    stage.proxy.reset();
    stage.proxy.set(Fault::None);
    let committed = writing.await.unwrap().unwrap();
    assert!(stage.world.sink.applied().iter().any(|logged| logged.revision == committed.revision), "and in force");
    assert!(stage.world.has(ANN).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_server_broke_off_has_written_nothing() {
    let Some(stage) = Stage::set().await else { return };
    let writing = stage.write().await;
    let pid = stage.waiting().await.unwrap();
    stage.psql.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let refused = writing.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("nothing was written"), "{refused}");
    assert!(!stage.world.has(ANN).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_which_the_server_crashed_is_not_known() {
    let Some(stage) = Stage::set().await else { return };
    let writing = stage.write().await;
    stage.server.kill();
    stage.server.restart().unwrap();
    let refused = writing.await.unwrap();
    assert!(matches!(refused, Err(StoreError::FateUnknown { .. })), "{refused:?}");
    let address: SocketAddr = stage.server.address();
    assert_ne!(address, stage.proxy.address());
}

/// The log is locked from the commit on, so that whoever has written can't read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_after_which_the_log_cannot_be_read_is_told_as_stored() {
    let Some(stage) = Stage::set().await else { return };
    let writing = stage.write().await;
    let other = super::psql(stage.database.url()).await;
    let locking = tokio::spawn(async move {
        other.batch_execute("BEGIN; LOCK TABLE tiergate.log IN ACCESS EXCLUSIVE MODE").await.unwrap();
        other
    });
    let waits = "SELECT 1 FROM pg_locks WHERE relation = 'tiergate.log'::regclass AND NOT granted";
    until("the lock is waited for", async || stage.psql.query_opt(waits, &[]).await.unwrap().is_some()).await;
    stage.psql.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    let refused = writing.await.unwrap();
    assert!(matches!(refused, Err(StoreError::NotApplied { .. })), "{refused:?}");
    locking.await.unwrap().batch_execute("ROLLBACK").await.unwrap();
    assert!(stage.world.has(ANN).await);
}

/// Commits wait for a replica that there is not, until somebody cancels them: the administrator, or the limit of time for a statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_no_replica_has_confirmed_is_not_known() {
    let Some(stage) = Stage::set().await else { return };
    stage.psql.batch_execute("SET synchronous_commit = off; SELECT pg_advisory_unlock(42)").await.unwrap();
    stage.psql.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.unwrap();
    stage.psql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' AND query = 'COMMIT'";
    let waits = async || stage.psql.query_opt(waiting, &[]).await.unwrap().map(|row| row.get::<_, i32>(0));
    let (origin, store) = (Arc::clone(&stage.world.origin), stage.world.store);
    let writing = tokio::spawn(async move { origin.write(store, writes(&[ANN])).await });
    until("its commit waits for a replica", async || waits().await.is_some()).await;
    let pid = waits().await.unwrap();
    stage.psql.execute("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap();
    let refused = writing.await.unwrap();
    assert!(matches!(refused, Err(StoreError::FateUnknown { .. })), "{refused:?}");
}
