//! Connections that are all in use, callers that went away, and others who write the same.

use std::sync::Arc;
use std::time::Duration;

use authz::store::{OnConflict, Snapshot, Store, StoreError, TupleRead, WriteBatch};

use super::{until, world};
use crate::support::{Postgres, database, has, tuple, writes};

const ANN: &str = "doc:1#viewer@user:ann";
const BOB: &str = "doc:1#viewer@user:bob";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_aborted_calls_leaves_every_connection_idle() {
    let (world, psql) = world!();
    world.write(&[ANN]).await;
    let reads: Vec<TupleRead> =
        (0..2_000).map(|n| TupleRead::Point(tuple(&format!("doc:{n}#viewer@user:ann")))).collect();
    for round in 0..200_u32 {
        let (origin, store, reads) = (Arc::clone(&world.origin), world.store, reads.clone());
        let task = tokio::spawn(async move {
            if round % 2 == 0 {
                let mut snapshot = origin.snapshot().await.unwrap();
                let _ = snapshot.read(store, reads).await;
            } else {
                let _ = origin.write(store, writes(&[&format!("doc:w{round}#viewer@user:ann")])).await;
            }
        });
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _ = task.await;
    }
    until("every connection is idle", async || {
        let busy = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'";
        // The poll of the log comes and goes.
        psql.query_one(busy, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    until("every connection was given back", async || world.origin.pg().statistics().in_use == 0).await;
    let mut open: Vec<Box<dyn Snapshot>> = Vec::new();
    for _ in 0..4 {
        let mut snapshot = world.origin.snapshot().await.unwrap();
        assert!(has(&mut *snapshot, world.store, ANN).await, "a connection that was left in an old state");
        open.push(snapshot);
    }
}

#[tokio::test]
async fn a_snapshot_whose_read_was_abandoned_answers_no_more() {
    let (world, _psql) = world!();
    let mut snapshot = world.origin.snapshot().await.unwrap();
    {
        let mut read = snapshot.read(world.store, vec![TupleRead::Point(tuple(ANN))]);
        assert!(futures_util::poll!(&mut read).is_pending());
    }
    assert!(snapshot.read(world.store, vec![TupleRead::Point(tuple(ANN))]).await.is_err());
    assert!(!world.has(ANN).await, "another one does");
}

#[tokio::test]
async fn readers_beyond_the_connections_wait_and_are_then_refused() {
    if !Postgres::is_there() {
        return;
    }
    let database = database().await;
    let mut small = Postgres::config(database.url());
    small.exclusive_max = 1;
    small.wait = Duration::from_millis(50);
    let world = Postgres::with(small).await;
    let held = world.settled().await;
    let mut other = world.origin.snapshot().await.unwrap();
    let refused = other.latest_model(world.store).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    drop(held);
    assert!(world.origin.pg().statistics().advice().unwrap().contains("raise it above 1"));
    assert!(!world.has(ANN).await);
}

#[tokio::test]
async fn a_deadlock_with_somebody_else_is_tried_again() {
    let (world, psql) = world!();
    let insert = |id: &str| {
        format!(
            "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id)
             SELECT id, 'doc', '1', 'viewer', 'user', '{id}' FROM tiergate.stores ON CONFLICT DO NOTHING"
        )
    };
    psql.batch_execute(&format!("SET deadlock_timeout = '1h'; BEGIN; {}", insert("bob"))).await.unwrap();
    // It writes ann first and waits for bob; then the other side waits for ann.
    let batch = WriteBatch { on_duplicate: OnConflict::Ignore, ..writes(&[BOB, ANN]) };
    let (origin, store) = (Arc::clone(&world.origin), world.store);
    let writing = tokio::spawn(async move { origin.write(store, batch).await });
    let watch = super::psql(world.database.as_ref().unwrap().url()).await;
    until("it waits", async || {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        watch.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    psql.batch_execute(&format!("{}; COMMIT", insert("ann"))).await.unwrap();
    writing.await.unwrap().unwrap();
    assert!(world.has(ANN).await && world.has(BOB).await);
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_an_error_that_says_so() {
    if !Postgres::is_there() {
        return;
    }
    let database = database().await;
    let mut impatient = Postgres::config(database.url());
    impatient.lock_timeout = Duration::from_millis(50);
    let world = Postgres::with(impatient).await;
    let psql = super::psql(database.url()).await;
    psql.batch_execute("BEGIN; LOCK TABLE tiergate.tuples IN SHARE MODE").await.unwrap();
    let refused = world.origin.write(world.store, writes(&[ANN])).await.unwrap_err();
    assert!(refused.to_string().contains("lock"), "{refused}");
    assert!(!world.has(ANN).await, "reads go on");
    psql.batch_execute("ROLLBACK").await.unwrap();
    world.write(&[ANN]).await;
}
