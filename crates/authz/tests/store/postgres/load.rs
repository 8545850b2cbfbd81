//! Bulk loading.

use authz::relation::{Presence, Relationship, Subject, Text, Tuple};
use authz::store::{Change, ChangeFilter, PageRequest, Store, StoreError, StoreId, TupleAnswer, TupleRead, WriteBatch};
use ulid::Ulid;

use super::world;
use crate::support::{tuple, with};

fn many(count: usize) -> impl Iterator<Item = Tuple> {
    (0..count).map(|n| tuple(&format!("doc:{n:05}#viewer@user:ann")))
}

#[tokio::test]
async fn a_load_is_told_as_one_change_of_its_store() {
    let (world, _psql) = world!();
    world.write(&["doc:00007#viewer@user:ann"]).await;
    let before = world.sink.applied().len();
    let (total, committed) = world.origin.load(world.store, many(12_000), |_| {}).await.unwrap();
    assert_eq!((total.read, total.added), (12_000, 11_999), "what was there stays");
    let told = world.sink.applied().split_off(before);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0].change, told[0].revision), (&Change::StoreReplaced(world.store), committed.revision));
    assert!(world.has("doc:11999#viewer@user:ann").await);
}

#[tokio::test]
async fn a_load_is_listed_among_the_changes() {
    let (world, _psql) = world!();
    world.origin.load(world.store, many(3), |_| {}).await.unwrap();
    world.write(&["doc:x#viewer@user:ann"]).await;
    let page = PageRequest { after: None, limit: 10 };
    let listed = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap();
    let names: Vec<String> = listed.items.iter().map(|change| change.tuple.object.id.to_string()).collect();
    assert_eq!(names, ["00000", "00001", "00002", "x"]);
    assert!(listed.items.iter().all(|change| change.inserted));
}

#[tokio::test]
async fn a_load_keeps_conditions_and_whatever_an_id_holds() {
    let (world, _psql) = world!();
    let hostile = ["\\N", "\\.", "a\\tb", "\"", "'", "日本語", "\\", "{a,b}", "NULL"];
    let of = |id: &str| Tuple {
        object: authz::relation::Object::new("doc", id).unwrap(),
        relation: Text::from("viewer"),
        subject: Subject::object("user", id).unwrap(),
    };
    let mut given: Vec<Relationship> = hostile.iter().map(|id| of(id).into()).collect();
    given.push(with("doc:1#viewer@user:ann", "c", r#"{"n": "a\tb\\c\n\u0000", "m": [1.5, null]}"#));
    let (total, _) = world.origin.load(world.store, given.clone(), |_| {}).await.unwrap();
    assert_eq!(total.added, given.len());
    let again = [with("doc:1#viewer@user:ann", "d", "{}")];
    assert_eq!(
        world.origin.load(world.store, again, |_| {}).await.unwrap().0.added,
        0,
        "what was there stays as it is"
    );
    let reads = given.iter().map(|relationship| TupleRead::Point(relationship.tuple.clone())).collect();
    let answers = world.origin.snapshot().await.unwrap().read(world.store, reads).await.unwrap();
    for (relationship, answer) in given.iter().zip(answers) {
        assert_eq!(answer, TupleAnswer::Found(Presence::of(relationship.condition.clone())), "{}", relationship.tuple);
    }
}

#[tokio::test]
async fn a_load_into_nothing_is_refused() {
    let (world, _psql) = world!();
    let nowhere = StoreId(Ulid::from_parts(7, 7));
    for count in [0, 5] {
        let refused = world.origin.load(nowhere, many(count), |_| {}).await;
        assert!(matches!(refused, Err(StoreError::UnknownStore(id)) if id == nowhere), "{refused:?}");
    }
    world.origin.write(world.store, WriteBatch::of(many(3))).await.unwrap();
}
