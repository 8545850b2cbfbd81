//! When the sink hears of a change.

use std::sync::{Arc, Mutex};

use authz::relation::Presence;
use authz::store::{
    Change, ChangeSink, InvalidationScope, LoggedChange, ModelId, Past, Store, StoreId, TupleAnswer, TupleRead,
};
use cache_core::{Revision, Stamp};
use ulid::Ulid;

use crate::support::{Fixture, Recorder, context, deletes, tuple, writes};

super::laws!(
    a_change_is_applied_before_its_writer_is_answered,
    a_change_is_applied_although_its_writer_went_away,
    a_snapshot_is_never_ahead_of_the_sink,
    every_kind_of_change_is_told,
    there_is_one_sink,
);

async fn a_change_is_applied_before_its_writer_is_answered<F: Fixture>() {
    let world = F::open().await;
    for n in 0..50 {
        let name = format!("doc:{n}#viewer@user:ann");
        let added = world.origin.write(world.store, writes(&[&name])).await.unwrap();
        let logged = LoggedChange { revision: added.revision, change: Change::Inserted(world.store, tuple(&name)) };
        assert!(world.sink.applied().contains(&logged));
        let removed = world.origin.write(world.store, deletes(&[&name])).await.unwrap();
        let logged = LoggedChange { revision: removed.revision, change: Change::Deleted(world.store, tuple(&name)) };
        assert!(world.sink.applied().contains(&logged));
    }
}

async fn a_change_is_applied_although_its_writer_went_away<F: Fixture>() {
    let world = F::open().await;
    for n in 0..20 {
        let name = format!("doc:{n}#viewer@user:ann");
        // Polled once, so that it is on its way, and dropped.
        let write = world.origin.write(world.store, writes(&[&name]));
        let mut write = std::pin::pin!(write);
        let _ = futures_util::poll!(&mut write);
    }
    for n in 0..20 {
        world.sink.wait_for(&Change::Inserted(world.store, tuple(&format!("doc:{n}#viewer@user:ann")))).await;
    }
}

async fn a_snapshot_is_never_ahead_of_the_sink<F: Fixture>() {
    let world = F::open().await;
    let (origin, store) = (&world.origin, world.store);
    let writing = futures_util::future::join_all((0..100).map(|n| async move {
        origin.write(store, writes(&[&format!("doc:{n}#viewer@user:ann")])).await.unwrap();
    }));
    let reading = async {
        for _ in 0..100 {
            let mut snapshot = world.settled().await;
            let all = (0..100).map(|n| tuple(&format!("doc:{n}#viewer@user:ann"))).collect::<Vec<_>>();
            let reads = all.iter().cloned().map(TupleRead::Point).collect();
            let answers = snapshot.read(store, reads).await.unwrap();
            for (tuple, answer) in all.into_iter().zip(answers) {
                if answer == TupleAnswer::Found(Presence::Present) {
                    assert!(
                        world.sink.has(&Change::Inserted(store, tuple)),
                        "it is in the snapshot and was not applied"
                    );
                }
            }
        }
    };
    tokio::join!(writing, reading);
}

async fn every_kind_of_change_is_told<F: Fixture>() {
    let world = F::open().await;
    let (origin, store) = (&world.origin, world.store);
    world.write(&["doc:1#viewer@team:9#member"]).await;
    world.write(&["doc:1#viewer@user:*"]).await;
    world.delete(&["doc:1#viewer@user:*"]).await;
    origin.write_properties(store, vec![(tuple("doc:1#viewer@user:*").object, context("{\"a\": 1}"))]).await.unwrap();
    origin.write_model(store, ModelId(Ulid::from_parts(1, 0)), "{}").await.unwrap();
    let scope = InvalidationScope::Pattern { pattern: "generation_rights:*".to_owned() };
    origin.append(scope.clone()).await.unwrap();
    origin.append(InvalidationScope::All).await.unwrap();
    let last = origin.delete_store(store).await.unwrap().unwrap();

    let applied = world.sink.applied();
    let told: Vec<Change> = applied.iter().map(|logged| logged.change.clone()).collect();
    assert_eq!(
        told,
        [
            Change::StoreReplaced(store),
            Change::Inserted(store, tuple("doc:1#viewer@team:9#member")),
            Change::Inserted(store, tuple("doc:1#viewer@user:*")),
            Change::Deleted(store, tuple("doc:1#viewer@user:*")),
            Change::PropertiesChanged(store, tuple("doc:1#viewer@user:*").object),
            Change::ModelWritten(store),
            Change::Invalidated(scope),
            Change::Invalidated(InvalidationScope::All),
            Change::StoreReplaced(store),
        ]
    );
    assert_eq!(applied.last().unwrap().revision, last.revision);
}

async fn there_is_one_sink<F: Fixture>() {
    let world = F::open().await;
    assert!(world.origin.attach(Recorder::new()).await.is_err());
    world.origin.create_store(StoreId(Ulid::from_parts(5, 5)), "x").await.unwrap();
    assert!(world.sink.has(&Change::StoreReplaced(StoreId(Ulid::from_parts(5, 5)))));
}

/// A late sink is told of the past when it joins.
#[tokio::test]
async fn the_past_is_told_at_the_start() {
    #[derive(Default)]
    struct Late(Mutex<Vec<(Revision, usize, Stamp)>>);
    impl ChangeSink for Late {
        fn joined(&self, past: Past<'_>) {
            self.0.lock().unwrap().push((past.floor, past.changes.len(), past.stamp));
        }
        fn apply(&self, _: &[LoggedChange]) {}
        fn advance(&self, _: Stamp) {}
        fn forget(&self, _: Revision) {}
    }
    let origin = authz::store::memory::MemoryStore::default();
    let store = StoreId(Ulid::from_parts(1, 1));
    origin.create_store(store, "x").await.unwrap();
    origin.write(store, writes(&["doc:1#viewer@user:ann"])).await.unwrap();
    let late = Arc::new(Late::default());
    origin.attach(Arc::clone(&late) as _).await.unwrap();
    assert_eq!(*late.0.lock().unwrap(), [(Revision::ZERO, 2, Revision::new(2).stamp_after())]);
}
