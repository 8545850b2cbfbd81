//! What stands beside relationships: properties of objects, and assertions about models.

use authz::condition::Context;
use authz::relation::Object;
use authz::store::{
    Change, ChangeFilter, MAX_ASSERTIONS_BYTES, MAX_PROPERTIES_BYTES, MAX_WRITE_BATCH, ModelId, PageRequest, Store,
    StoreError, StoreId, TupleAnswer, TupleRead, WriteConflict,
};
use ulid::Ulid;

use crate::support::{Fixture, World, context};

super::laws!(
    properties_are_replaced_whole,
    properties_belong_to_a_snapshot_and_a_store,
    properties_are_told_to_the_sink,
    properties_that_stay_the_same_are_no_change,
    properties_are_listed_by_type_and_id,
    properties_that_are_too_much_are_refused,
    properties_and_assertions_go_with_their_store,
    properties_are_no_change_of_a_relationship,
    assertions_are_replaced_whole,
    assertions_need_their_model,
    assertions_that_are_too_large_are_refused,
);

fn object(text: &str) -> Object {
    Object::parse(text).unwrap()
}

fn model(n: u64) -> ModelId {
    ModelId(Ulid::from_parts(n, 0))
}

async fn describe<S: Store>(world: &World<S>, given: &[(&str, &str)]) {
    let given = given.iter().map(|(name, json)| (object(name), context(json))).collect();
    world.origin.write_properties(world.store, given).await.unwrap();
}

async fn of<S: Store>(world: &World<S>, store: StoreId, name: &str) -> Context {
    let mut snapshot = world.origin.snapshot().await.unwrap();
    match snapshot.read(store, vec![TupleRead::Properties(object(name))]).await.unwrap().remove(0) {
        TupleAnswer::Properties(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn properties_are_replaced_whole<F: Fixture>() {
    let world = F::open().await;
    assert!(of(&world, world.store, "user:ann").await.is_empty());
    describe(&world, &[("user:ann", r#"{"age": 3, "b": {"c": [1.5, null]}}"#), ("user:a", r#"{"x": 1}"#)]).await;
    assert_eq!(of(&world, world.store, "user:ann").await, context(r#"{"age": 3, "b": {"c": [1.5, null]}}"#));
    describe(&world, &[("user:ann", r#"{"age": 4}"#)]).await;
    assert_eq!(of(&world, world.store, "user:ann").await, context(r#"{"age": 4}"#));
    assert_eq!(of(&world, world.store, "user:a").await, context(r#"{"x": 1}"#));
    describe(&world, &[("user:ann", "{}")]).await;
    assert!(of(&world, world.store, "user:ann").await.is_empty());
}

async fn properties_belong_to_a_snapshot_and_a_store<F: Fixture>() {
    let world = F::open().await;
    let other = StoreId(Ulid::from_parts(2, 2));
    world.origin.create_store(other, "second").await.unwrap();
    describe(&world, &[("user:ann", r#"{"age": 3}"#)]).await;
    let mut before = world.settled().await;
    describe(&world, &[("user:ann", r#"{"age": 4}"#)]).await;
    let read = before.read(world.store, vec![TupleRead::Properties(object("user:ann"))]).await.unwrap();
    assert_eq!(read, [TupleAnswer::Properties(context(r#"{"age": 3}"#))]);
    assert!(of(&world, other, "user:ann").await.is_empty());
}

async fn properties_are_told_to_the_sink<F: Fixture>() {
    let world = F::open().await;
    let before = world.sink.applied().len();
    let given = vec![(object("user:ann"), context(r#"{"age": 3}"#)), (object("user:bob"), context(r#"{"age": 3}"#))];
    let committed = world.origin.write_properties(world.store, given).await.unwrap();
    describe(&world, &[("user:ann", r#"{"age": 4}"#)]).await;
    describe(&world, &[("user:ann", "{}")]).await;
    let told = world.sink.applied().split_off(before);
    let names = ["user:ann", "user:bob", "user:ann", "user:ann"];
    let expected = names.map(|name| Change::PropertiesChanged(world.store, object(name)));
    assert_eq!(told.iter().map(|logged| logged.change.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(told[1].revision, committed.revision);
    let mut snapshot = world.settled().await;
    assert!(F::may_be_held_back() || snapshot.stamp().contains(told[3].revision));
    let read = snapshot.read(world.store, vec![TupleRead::Properties(object("user:ann"))]).await.unwrap();
    assert_eq!(read, [TupleAnswer::Properties(Context::default())]);
}

async fn properties_that_stay_the_same_are_no_change<F: Fixture>() {
    let world = F::open().await;
    describe(&world, &[("user:ann", r#"{"a": 1, "b": 2}"#)]).await;
    let before = world.origin.snapshot().await.unwrap().stamp();
    describe(&world, &[("user:ann", r#"{"b": 2, "a": 1}"#), ("user:nobody", "{}")]).await;
    describe(&world, &[]).await;
    assert_eq!(world.origin.snapshot().await.unwrap().stamp(), before);
}

async fn properties_are_listed_by_type_and_id<F: Fixture>() {
    let world = F::open().await;
    let names = ["doc:z", "docs:a", "user:a", "user:ann", "user:b"];
    let mut given = names.map(|name| (name, r#"{"x": 1}"#));
    given.reverse();
    describe(&world, &given).await;
    for limit in 1..=6 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = world.origin.properties(world.store, PageRequest { after, limit }).await.unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items.into_iter().map(|(object, values)| {
                assert_eq!(values, context(r#"{"x": 1}"#));
                object.to_string()
            }));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, names, "by {limit}");
    }
    let between = PageRequest { after: Some(object("docs:zzz")), limit: 1 };
    assert_eq!(world.origin.properties(world.store, between).await.unwrap().items[0].0, object("user:a"));
}

async fn properties_that_are_too_much_are_refused<F: Fixture>() {
    let world = F::open().await;
    let refused = async |given: Vec<(Object, Context)>| match world.origin.write_properties(world.store, given).await {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    };
    let some = context(r#"{"x": 1}"#);
    let many = |count: usize| (0..count).map(|n| (object(&format!("user:{n}")), some.clone())).collect::<Vec<_>>();
    let given = MAX_WRITE_BATCH + 1;
    assert_eq!(refused(many(given)).await, WriteConflict::TooManyObjects { given });
    let twice = vec![(object("user:a"), some.clone()), (object("user:a"), Context::default())];
    assert_eq!(refused(twice).await, WriteConflict::RepeatedObject(object("user:a")));
    let sized = |bytes: usize| context(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8)));
    let large = vec![(object("user:a"), some.clone()), (object("user:b"), sized(MAX_PROPERTIES_BYTES + 1))];
    let expected = WriteConflict::PropertiesTooLarge { object: object("user:b"), given: MAX_PROPERTIES_BYTES + 1 };
    assert_eq!(refused(large).await, expected);
    let deep = context(&format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100)));
    let deep = vec![(object("user:a"), some.clone()), (object("user:b"), deep)];
    assert_eq!(refused(deep).await, WriteConflict::PropertiesTooDeep(object("user:b")));
    assert!(of(&world, world.store, "user:a").await.is_empty(), "all or nothing");

    world.origin.write_properties(world.store, many(MAX_WRITE_BATCH)).await.unwrap();
    world.origin.write_properties(world.store, vec![(object("user:b"), sized(MAX_PROPERTIES_BYTES))]).await.unwrap();
    let nowhere = StoreId(Ulid::from_parts(9, 9));
    assert!(matches!(world.origin.write_properties(nowhere, vec![]).await, Err(StoreError::UnknownStore(_))));
    let page = PageRequest { after: None, limit: 1 };
    assert!(matches!(world.origin.properties(nowhere, page).await, Err(StoreError::UnknownStore(_))));
}

async fn properties_and_assertions_go_with_their_store<F: Fixture>() {
    let world = F::open().await;
    describe(&world, &[("user:ann", r#"{"age": 3}"#)]).await;
    world.origin.write_model(world.store, model(1), "{}").await.unwrap();
    world.origin.write_assertions(world.store, model(1), "[]").await.unwrap();
    let before = world.sink.applied().len();
    world.origin.delete_store(world.store).await.unwrap().unwrap();
    assert_eq!(world.sink.applied().len(), before + 1, "one change stands for all of it");
    assert!(of(&world, world.store, "user:ann").await.is_empty());
    world.origin.create_store(world.store, "second life").await.unwrap();
    world.origin.write_model(world.store, model(1), "{}").await.unwrap();
    assert!(of(&world, world.store, "user:ann").await.is_empty());
    assert_eq!(world.origin.assertions(world.store, model(1)).await.unwrap(), None);
}

async fn properties_are_no_change_of_a_relationship<F: Fixture>() {
    let world = F::open().await;
    describe(&world, &[("user:ann", r#"{"age": 3}"#)]).await;
    let page = PageRequest { after: None, limit: 10 };
    assert!(world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap().items.is_empty());
}

async fn assertions_are_replaced_whole<F: Fixture>() {
    let world = F::open().await;
    for n in [1, 2] {
        world.origin.write_model(world.store, model(n), "{}").await.unwrap();
    }
    assert_eq!(world.origin.assertions(world.store, model(1)).await.unwrap(), None);
    let before = world.origin.snapshot().await.unwrap().stamp();
    for body in ["[1]", "[2]"] {
        world.origin.write_assertions(world.store, model(1), body).await.unwrap();
        assert_eq!(world.origin.assertions(world.store, model(1)).await.unwrap().as_deref(), Some(body));
    }
    assert_eq!(world.origin.assertions(world.store, model(2)).await.unwrap(), None);
    assert_eq!(world.origin.snapshot().await.unwrap().stamp(), before, "no decision reads them");
}

async fn assertions_need_their_model<F: Fixture>() {
    let world = F::open().await;
    let other = StoreId(Ulid::from_parts(2, 2));
    world.origin.create_store(other, "second").await.unwrap();
    world.origin.write_model(other, model(1), "{}").await.unwrap();
    let refused = world.origin.write_assertions(world.store, model(1), "[]").await;
    assert!(matches!(refused, Err(StoreError::UnknownModel(id)) if id == model(1)), "{refused:?}");
    assert_eq!(world.origin.assertions(world.store, model(1)).await.unwrap(), None);
    let nowhere = StoreId(Ulid::from_parts(9, 9));
    let refused = world.origin.write_assertions(nowhere, model(1), "[]").await;
    assert!(matches!(refused, Err(StoreError::UnknownStore(id)) if id == nowhere), "{refused:?}");
    assert!(matches!(world.origin.assertions(nowhere, model(1)).await, Err(StoreError::UnknownStore(_))));
    world.origin.health().await.unwrap();
}

async fn assertions_that_are_too_large_are_refused<F: Fixture>() {
    let world = F::open().await;
    world.origin.write_model(world.store, model(1), "{}").await.unwrap();
    let given = MAX_ASSERTIONS_BYTES + 1;
    let refused = world.origin.write_assertions(world.store, model(1), &"x".repeat(given)).await;
    match refused {
        Err(StoreError::Conflict(conflict)) => assert_eq!(conflict, WriteConflict::AssertionsTooLarge { given }),
        other => panic!("{other:?}"),
    }
    world.origin.write_assertions(world.store, model(1), &"x".repeat(MAX_ASSERTIONS_BYTES)).await.unwrap();
}
