//! What a new process finds.

use std::sync::Arc;

use authz::store::sqlite::SqliteStore;
use authz::store::{
    Change, InvalidationScope, LoggedChange, ModelId, PageRequest, Store, StoreError, SystemWallClock, TupleFilter,
};
use cache_core::Revision;
use ulid::Ulid;

use super::{config, place};
use crate::support::{Recorder, World, open_sqlite, tuple, writes};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&["doc:1#viewer@user:ann", "doc:1#viewer@user:bob"]).await;
    world.delete(&["doc:1#viewer@user:bob"]).await;
    world.origin.write_model(world.store, ModelId(Ulid::from_parts(3, 3)), "{}").await.unwrap();
    let last = world.origin.append(InvalidationScope::All).await.unwrap();
    let (before, epoch) = (world.sink.applied(), world.origin.log_epoch().to_owned());
    world.origin.close().await;

    let again = open_sqlite(config(&path), Some(directory)).await;
    assert!(again.has("doc:1#viewer@user:ann").await);
    assert!(!again.has("doc:1#viewer@user:bob").await);
    let model = again.origin.snapshot().await.unwrap().latest_model(again.store).await.unwrap();
    assert_eq!(model, Some(Some(ModelId(Ulid::from_parts(3, 3)))));
    assert_eq!(again.origin.log_epoch(), epoch);
    assert_eq!(*again.sink.joined.lock().unwrap(), [(Revision::ZERO, before, last.revision.stamp_after())]);
    let next = again.origin.write(again.store, writes(&["doc:2#viewer@user:ann"])).await.unwrap();
    assert_eq!(next.revision, Revision::new(last.revision.get() + 1));
}

#[tokio::test]
async fn a_restart_without_closing_finds_what_was_acknowledged() {
    let (directory, path) = place();
    let copy = directory.path().join("copy.db");
    let world = open_sqlite(config(&path), None).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    // What a dead process leaves: the files as they are at this moment, without a last checkpoint.
    for suffix in ["", "-wal"] {
        std::fs::copy(format!("{}{suffix}", path.display()), format!("{}{suffix}", copy.display())).unwrap();
    }
    let after = open_sqlite(config(&copy), None).await;
    assert!(after.has("doc:1#viewer@user:ann").await);
}

#[tokio::test]
async fn a_short_replay_names_the_floor_under_it() {
    let (directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&["doc:1#viewer@user:ann", "doc:2#viewer@user:ann", "doc:3#viewer@user:ann"]).await;
    world.origin.close().await;
    for (replay, floor, told) in [(2, 2, 2), (3, 1, 3), (4, 0, 4), (5, 0, 4), (0, 4, 0)] {
        let mut short = config(&path);
        short.replay = replay;
        let origin = SqliteStore::open(short, Arc::new(SystemWallClock)).unwrap();
        let sink = Recorder::new();
        origin.attach(Arc::clone(&sink) as _).await.unwrap();
        let joined = sink.joined.lock().unwrap().pop().unwrap();
        assert_eq!(
            (joined.0, joined.1.len(), joined.2),
            (Revision::new(floor), told, Revision::new(4).stamp_after()),
            "{replay}"
        );
        origin.close().await;
    }
    drop(directory);
}

#[tokio::test]
async fn what_was_written_before_the_sink_came_is_told_to_it() {
    let (_directory, path) = place();
    let origin = SqliteStore::open(config(&path), Arc::new(SystemWallClock)).unwrap();
    let store = authz::store::StoreId(Ulid::from_parts(1, 1));
    origin.create_store(store, "x").await.unwrap();
    let committed = origin.write(store, writes(&["doc:1#viewer@user:ann"])).await.unwrap();
    let sink = Recorder::new();
    origin.attach(Arc::clone(&sink) as _).await.unwrap();
    let told =
        LoggedChange { revision: committed.revision, change: Change::Inserted(store, tuple("doc:1#viewer@user:ann")) };
    assert!(sink.joined.lock().unwrap()[0].1.contains(&told));
    assert!(sink.applied().is_empty());
}

#[tokio::test]
async fn a_write_that_was_answered_as_failed_leaves_nothing() {
    let (directory, path) = place();
    let world = open_sqlite(config(&path), Some(directory)).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let World { origin, store, .. } = &world;
    let refused = origin.write(*store, writes(&["doc:2#viewer@user:ann", "doc:1#viewer@user:ann"])).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    origin.close().await;
    let again = open_sqlite(config(&path), None).await;
    let page = PageRequest { after: None, limit: 10 };
    let found = again.origin.read_tuples(*store, TupleFilter::default(), page).await.unwrap();
    assert_eq!(found.items.len(), 1);
}
