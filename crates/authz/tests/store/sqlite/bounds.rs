//! Queues that are full, callers that went away, and a sink that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authz::store::sqlite::SqliteStore;
use authz::store::{
    Change, ChangeSink, LoggedChange, Past, Snapshot, Store, StoreError, StoreId, SystemWallClock, TupleRead,
};
use cache_core::{Revision, Stamp};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use ulid::Ulid;

use super::{config, place, shell};
use crate::support::{Recorder, has, open_sqlite, tuple, writes};

const ANN: &str = "doc:1#viewer@user:ann";

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = BigInt)]
    busy: i64,
    #[diesel(sql_type = BigInt)]
    log: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_aborted_reads_leaves_every_connection_clean() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&[ANN]).await;
    let reads: Vec<TupleRead> =
        (0..2_000).map(|n| TupleRead::Point(tuple(&format!("doc:{n}#viewer@user:ann")))).collect();
    for round in 0..400_u32 {
        let (origin, store, reads) = (Arc::clone(&world.origin), world.store, reads.clone());
        let task = tokio::spawn(async move {
            let mut snapshot = origin.snapshot().await.unwrap();
            let _ = snapshot.read(store, reads).await;
        });
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _ = task.await;
    }
    world.write(&["doc:2#viewer@user:ann"]).await;
    let mut open: Vec<Box<dyn Snapshot>> = Vec::new();
    for _ in 0..4 {
        open.push(world.origin.snapshot().await.unwrap());
    }
    for snapshot in &mut open {
        assert!(
            has(&mut **snapshot, world.store, "doc:2#viewer@user:ann").await,
            "a place that was left in an old state"
        );
    }
    drop(open);
    // A checkpoint that empties the log gets past no open transaction, so this is what SQLite itself says of it.
    let state: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(&mut shell(&path)).unwrap();
    assert_eq!((state.busy, state.log), (0, 0));
}

#[tokio::test]
async fn a_snapshot_whose_read_was_abandoned_answers_no_more() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let mut snapshot = world.origin.snapshot().await.unwrap();
    {
        // So much that it can't have ended before it was looked at.
        let mut read = snapshot.read(world.store, vec![TupleRead::Point(tuple(ANN)); 10_000]);
        assert!(futures_util::poll!(&mut read).is_pending());
    }
    assert!(snapshot.read(world.store, vec![TupleRead::Point(tuple(ANN))]).await.is_err());
}

#[tokio::test]
async fn readers_beyond_the_pool_wait_and_are_then_refused() {
    let (_directory, path) = place();
    let mut narrow = config(&path);
    narrow.readers = 2;
    narrow.reader_wait = Duration::from_millis(20);
    let world = open_sqlite(narrow, None).await;
    let first = world.origin.snapshot().await.unwrap();
    let second = world.origin.snapshot().await.unwrap();
    assert!(matches!(world.origin.snapshot().await.map(drop), Err(StoreError::Busy { .. })));
    world.write(&[ANN]).await;
    drop(first);
    assert!(world.has(ANN).await);
    drop(second);
}

#[tokio::test]
async fn writes_beyond_the_queue_are_refused_at_once() {
    let (_directory, path) = place();
    let mut narrow = config(&path);
    narrow.max_queued_writes = 2;
    let world = open_sqlite(narrow, None).await;
    let mut blocker = shell(&path);
    blocker.batch_execute("BEGIN IMMEDIATE").unwrap();
    let attempts = futures_util::future::join_all((0..10).map(|n| {
        let (origin, store) = (&world.origin, world.store);
        async move { origin.write(store, writes(&[&format!("doc:{n}#viewer@user:ann")])).await }
    }));
    let unblock = async {
        tokio::task::yield_now().await;
        blocker.batch_execute("ROLLBACK").unwrap();
    };
    let (answers, ()) = tokio::join!(attempts, unblock);
    let refused = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Busy { .. }))).count();
    // The writer may have taken up to one group from the queue in the meantime.
    assert!((1..=8).contains(&refused), "{answers:?}");
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(world.has(&format!("doc:{n}#viewer@user:ann")).await, answer.is_ok());
    }
}

#[tokio::test]
async fn closing_finishes_what_was_queued() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let names: Vec<String> = (0..50).map(|n| format!("doc:{n}#viewer@user:ann")).collect();
    let writing =
        futures_util::future::join_all(names.iter().map(|name| world.origin.write(world.store, writes(&[name]))));
    let (answers, ()) = tokio::join!(writing, world.origin.close());
    let again = open_sqlite(config(&path), None).await;
    for (name, answer) in names.iter().zip(answers) {
        assert!(answer.is_ok());
        assert!(again.has(name).await);
    }
}

/// Panics at its first change.
#[derive(Default)]
struct Fragile {
    broken: AtomicBool,
    applied: std::sync::Mutex<Vec<LoggedChange>>,
}

impl ChangeSink for Fragile {
    fn joined(&self, _: Past<'_>) {}
    fn advance(&self, _: Stamp) {}
    fn forget(&self, _: Revision) {}
    fn apply(&self, changes: &[LoggedChange]) {
        assert!(self.broken.swap(true, Ordering::Relaxed), "on purpose");
        self.applied.lock().unwrap().extend_from_slice(changes);
    }
}

#[tokio::test]
async fn a_change_that_could_not_be_applied_is_not_acknowledged_and_is_applied_later() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let origin = SqliteStore::open(blind, Arc::new(SystemWallClock)).unwrap();
    let sink = Arc::new(Fragile::default());
    origin.attach(Arc::clone(&sink) as _).await.unwrap();
    let store = StoreId(Ulid::from_parts(1, 1));
    let answer = origin.create_store(store, "x").await;
    assert!(matches!(answer, Err(StoreError::FateUnknown { .. })), "{answer:?}");
    let stamp = origin.snapshot().await.unwrap().stamp();
    assert!(stamp.contains(Revision::new(1)), "the change is stored");
    assert_eq!(sink.applied.lock().unwrap().len(), 1, "and no snapshot shows it before it is applied");
    origin.write(store, writes(&[ANN])).await.unwrap();
}

/// Applies at once, except for the writer's own thread, which waits at the gate first.
struct Gate {
    gate: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    arrived: tokio::sync::Notify,
    recorder: Arc<Recorder>,
}

impl ChangeSink for Gate {
    fn joined(&self, _: Past<'_>) {}
    fn advance(&self, _: Stamp) {}
    fn forget(&self, _: Revision) {}
    fn apply(&self, changes: &[LoggedChange]) {
        let relationship = |logged: &LoggedChange| matches!(logged.change, Change::Inserted(..));
        if std::thread::current().name() == Some("origin-writer") && changes.iter().any(relationship) {
            self.arrived.notify_one();
            self.gate.lock().unwrap().recv().unwrap();
        }
        self.recorder.apply(changes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_between_commit_and_apply_applies_the_change_itself() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let origin = Arc::new(SqliteStore::open(blind, Arc::new(SystemWallClock)).unwrap());
    let (open, gate) = std::sync::mpsc::channel();
    let recorder = Recorder::new();
    let sink = Arc::new(Gate {
        gate: std::sync::Mutex::new(gate),
        arrived: tokio::sync::Notify::new(),
        recorder: Arc::clone(&recorder),
    });
    origin.attach(Arc::clone(&sink) as _).await.unwrap();
    let store = StoreId(Ulid::from_parts(1, 1));
    origin.create_store(store, "x").await.unwrap();
    let change = Change::Inserted(store, tuple(ANN));

    let writer = Arc::clone(&origin);
    let write = tokio::spawn(async move { writer.write(store, writes(&[ANN])).await });
    sink.arrived.notified().await;
    assert!(!recorder.has(&change));
    let mut snapshot = origin.snapshot().await.unwrap();
    assert!(has(&mut *snapshot, store, ANN).await, "it is committed");
    assert!(recorder.has(&change), "and so it was applied before anybody could see it");
    assert!(!write.is_finished(), "nobody is answered before the writer has applied it");
    open.send(()).unwrap();
    write.await.unwrap().unwrap();
}
