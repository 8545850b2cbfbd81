//! Stores and models as wholes, and the end.

use authz::store::{
    Change, ChangeFilter, ModelId, PageRequest, Store, StoreError, StoreId, TupleFilter, WriteConflict,
};
use ulid::Ulid;

use crate::support::{Fixture, has};

super::laws!(
    stores_are_listed_by_id,
    an_id_names_one_store,
    a_deleted_store_is_gone_with_all_that_it_held,
    a_deleted_store_is_one_change,
    an_open_snapshot_outlives_the_deletion_of_a_store,
    models_are_listed_newest_first,
    a_model_does_not_change,
    a_closed_origin_says_so,
);

fn store(n: u64) -> StoreId {
    StoreId(Ulid::from_parts(n, 0))
}

fn model(n: u64) -> ModelId {
    ModelId(Ulid::from_parts(n, 0))
}

async fn stores_are_listed_by_id<F: Fixture>() {
    let world = F::open().await;
    for n in [30, 10, 20] {
        world.origin.create_store(store(n), &format!("store {n}")).await.unwrap();
    }
    let first = world.origin.stores(PageRequest { after: None, limit: 3 }).await.unwrap();
    assert_eq!(first.items.iter().map(|record| &*record.name).collect::<Vec<_>>(), ["first", "store 10", "store 20"]);
    assert_eq!(first.next, Some(store(20)));
    let second = world.origin.stores(PageRequest { after: first.next, limit: 3 }).await.unwrap();
    assert_eq!(second.items.iter().map(|record| record.id).collect::<Vec<_>>(), [store(30)]);
    assert_eq!(second.next, None);
}

async fn an_id_names_one_store<F: Fixture>() {
    let world = F::open().await;
    let again = world.origin.create_store(world.store, "again").await;
    assert!(matches!(again, Err(StoreError::Conflict(WriteConflict::StoreExists(id))) if id == world.store));
    assert_eq!(world.origin.store(world.store).await.unwrap().unwrap().name, "first");
}

async fn a_deleted_store_is_gone_with_all_that_it_held<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    world.origin.write_model(world.store, model(1), "{}").await.unwrap();
    world.origin.delete_store(world.store).await.unwrap().unwrap();
    assert_eq!(world.origin.store(world.store).await.unwrap(), None);
    assert!(!world.has("doc:1#viewer@user:ann").await);
    assert_eq!(world.origin.delete_store(world.store).await.unwrap(), None);

    world.origin.create_store(world.store, "second life").await.unwrap();
    assert!(!world.has("doc:1#viewer@user:ann").await);
    let page = || PageRequest { after: None, limit: 10 };
    assert!(world.origin.changes(world.store, ChangeFilter::default(), page()).await.unwrap().items.is_empty());
    let tuples = world.origin.read_tuples(world.store, TupleFilter::default(), PageRequest { after: None, limit: 10 });
    assert!(tuples.await.unwrap().items.is_empty());
    assert_eq!(world.origin.snapshot().await.unwrap().latest_model(world.store).await.unwrap(), Some(None));
}

async fn a_deleted_store_is_one_change<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann", "doc:2#viewer@user:ann"]).await;
    let before = world.sink.applied().len();
    let committed = world.origin.delete_store(world.store).await.unwrap().unwrap();
    let after = world.sink.applied();
    assert_eq!(after.len(), before + 1);
    assert_eq!(after[before].change, Change::StoreReplaced(world.store));
    assert_eq!(after[before].revision, committed.revision);
}

async fn an_open_snapshot_outlives_the_deletion_of_a_store<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let mut snapshot = world.settled().await;
    world.origin.delete_store(world.store).await.unwrap().unwrap();
    assert!(has(&mut *snapshot, world.store, "doc:1#viewer@user:ann").await);
}

async fn models_are_listed_newest_first<F: Fixture>() {
    let world = F::open().await;
    for n in [5, 9, 1] {
        world.origin.write_model(world.store, model(n), &format!("{{\"n\":{n}}}")).await.unwrap();
    }
    let first = world.origin.models(world.store, PageRequest { after: None, limit: 2 }).await.unwrap();
    assert_eq!(first.items, [(model(1), "{\"n\":1}".to_owned()), (model(9), "{\"n\":9}".to_owned())]);
    assert_eq!(first.next, Some(model(9)));
    let second = world.origin.models(world.store, PageRequest { after: first.next, limit: 2 }).await.unwrap();
    assert_eq!(second.items, [(model(5), "{\"n\":5}".to_owned())]);
    assert_eq!(second.next, None);
    let unknown = PageRequest { after: Some(model(77)), limit: 2 };
    assert!(world.origin.models(world.store, unknown).await.unwrap().items.is_empty());
}

async fn a_model_does_not_change<F: Fixture>() {
    let world = F::open().await;
    world.origin.write_model(world.store, model(1), "old").await.unwrap();
    let again = world.origin.write_model(world.store, model(1), "new").await;
    assert!(matches!(again, Err(StoreError::Conflict(WriteConflict::ModelExists(id))) if id == model(1)));
    assert_eq!(world.origin.model(world.store, model(1)).await.unwrap().as_deref(), Some("old"));
    assert_eq!(world.origin.model(world.store, model(2)).await.unwrap(), None);
}

async fn a_closed_origin_says_so<F: Fixture>() {
    let world = F::open().await;
    world.origin.health().await.unwrap();
    world.origin.close().await;
    world.origin.close().await;
    assert!(matches!(world.origin.health().await, Err(StoreError::Closed)));
    assert!(matches!(world.origin.snapshot().await.map(drop), Err(StoreError::Closed)));
    assert!(matches!(world.origin.create_store(store(9), "x").await, Err(StoreError::Closed)));
}
