//! Bulk loading.

use authz::relation::{Presence, Tuple};
use authz::store::{Change, ChangeFilter, PageRequest, Store, StoreError, StoreId, TupleAnswer, TupleRead};
use ulid::Ulid;

use super::{config, place};
use crate::support::{open_sqlite, tuple, with};

fn many(count: usize) -> impl Iterator<Item = Tuple> {
    (0..count).map(|n| tuple(&format!("doc:{n:05}#viewer@user:ann")))
}

#[tokio::test]
async fn a_load_is_told_as_one_change_for_each_chunk() {
    let (_directory, path) = place();
    let mut small = config(&path);
    small.load_chunk = 100;
    let world = open_sqlite(small, None).await;
    world.write(&["doc:00007#viewer@user:ann"]).await;
    let before = world.sink.applied().len();
    let mut steps = Vec::new();
    let (total, committed) = world.origin.load(world.store, many(250), |step| steps.push(step.read)).await.unwrap();
    assert_eq!((total.read, total.added), (250, 249), "what was there stays");
    assert_eq!(steps, [100, 200, 250]);
    let told = world.sink.applied().split_off(before);
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|logged| logged.change == Change::StoreReplaced(world.store)));
    assert_eq!(told[2].revision, committed.revision);
    assert!(world.has("doc:00249#viewer@user:ann").await);
}

#[tokio::test]
async fn a_load_is_listed_among_the_changes() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.origin.load(world.store, many(3), |_| {}).await.unwrap();
    world.write(&["doc:x#viewer@user:ann"]).await;
    let page = PageRequest { after: None, limit: 10 };
    let listed = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap();
    assert_eq!(listed.items.len(), 4);
    assert!(listed.items.iter().all(|change| change.inserted));
    let told = world.sink.applied();
    assert_eq!(told.last().unwrap().change, Change::Inserted(world.store, tuple("doc:x#viewer@user:ann")));
}

#[tokio::test]
async fn a_load_keeps_conditions() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let given = with("doc:1#viewer@user:ann", "c", r#"{"n": 1}"#);
    world.origin.load(world.store, [given.clone()], |_| {}).await.unwrap();
    let again = [with("doc:1#viewer@user:ann", "d", "{}")];
    let (total, _) = world.origin.load(world.store, again, |_| {}).await.unwrap();
    assert_eq!(total.added, 0, "what was there stays as it is");
    let read = vec![TupleRead::Point(given.tuple)];
    let answer = world.origin.snapshot().await.unwrap().read(world.store, read).await.unwrap();
    assert_eq!(answer, [TupleAnswer::Found(Presence::of(given.condition.clone()))]);
    let page = PageRequest { after: None, limit: 10 };
    let listed = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap();
    assert_eq!(listed.items[0].condition, given.condition);
}

#[tokio::test]
async fn a_load_into_nothing_is_refused() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let nowhere = StoreId(Ulid::from_parts(7, 7));
    for count in [0, 5] {
        let refused = world.origin.load(nowhere, many(count), |_| {}).await;
        assert!(matches!(refused, Err(StoreError::UnknownStore(id)) if id == nowhere));
    }
}
