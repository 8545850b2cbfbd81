//! Relationships under conditions: a condition is never lost, and is part of what makes two relationships the same.

use authz::relation::{Member, Presence, Relationship, Text};
use authz::store::{
    ChangeFilter, MAX_CONTEXT_BYTES, OnConflict, PageRequest, Store, StoreError, TupleAnswer, TupleFilter, TupleRead,
    WriteBatch, WriteConflict,
};

use crate::support::{Fixture, World, condition, enumerate, ids, reverse, tuple, with};

super::laws!(
    a_condition_comes_back_with_its_values,
    a_condition_is_among_the_changes,
    another_condition_is_another_relationship,
    the_same_condition_is_a_duplicate,
    a_condition_is_deleted_with_its_tuple,
    values_that_are_too_large_are_refused,
);

const VALUES: &str = r#"{"list": [1, 2.5, "é\n\"", null, {"b": true, "a": {}}], "n": 18446744073709551615, "f": 0.1}"#;

async fn read<S: Store>(world: &World<S>, reads: Vec<TupleRead>) -> Vec<TupleAnswer> {
    world.origin.snapshot().await.unwrap().read(world.store, reads).await.unwrap()
}

fn member(id: &str, name: &str, json: &str) -> Member {
    Member { id: Text::from(id), condition: Some(condition(name, json)) }
}

async fn a_condition_comes_back_with_its_values<F: Fixture>() {
    let world = F::open().await;
    let given = vec![
        with("doc:1#viewer@user:ann", "in_office", VALUES),
        with("doc:1#viewer@user:bob", "in_office", "{}"),
        Relationship::from(tuple("doc:1#viewer@user:eve")),
        with("doc:1#viewer@user:*", "in_office", VALUES),
        with("doc:2#viewer@user:ann", "at_night", r#"{"n": 1}"#),
    ];
    world.origin.write(world.store, WriteBatch::of(given.clone())).await.unwrap();
    let points = given.iter().map(|relationship| TupleRead::Point(relationship.tuple.clone())).collect();
    let expected: Vec<TupleAnswer> =
        given.iter().map(|relationship| TupleAnswer::Found(Presence::of(relationship.condition.clone()))).collect();
    assert_eq!(read(&world, points).await, expected);
    assert_eq!(
        read(&world, vec![enumerate("doc:1", "viewer", "user"), reverse("user:ann", "doc", "viewer")]).await,
        [
            TupleAnswer::Members(vec![
                member("ann", "in_office", VALUES),
                member("bob", "in_office", "{}"),
                Member::from("eve")
            ]),
            TupleAnswer::Members(vec![member("1", "in_office", VALUES), member("2", "at_night", r#"{"n": 1}"#)]),
        ]
    );
    let page = PageRequest { after: None, limit: 100 };
    let listed = world.origin.read_tuples(world.store, TupleFilter::default(), page).await.unwrap();
    for stored in listed.items {
        let relationship = given.iter().find(|relationship| relationship.tuple == stored.tuple).unwrap();
        assert_eq!(stored.condition, relationship.condition, "{}", stored.tuple);
    }
}

async fn a_condition_is_among_the_changes<F: Fixture>() {
    let world = F::open().await;
    world.origin.write(world.store, WriteBatch::of([with("doc:1#viewer@user:ann", "c", VALUES)])).await.unwrap();
    world.delete(&["doc:1#viewer@user:ann"]).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let page = PageRequest { after: None, limit: 10 };
    let told = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap().items;
    let told: Vec<_> = told.into_iter().map(|change| (change.inserted, change.condition)).collect();
    assert_eq!(told, [(true, Some(condition("c", VALUES))), (false, None), (true, None)]);
}

/// Writes one relationship over another one.
async fn over<F: Fixture>(
    before: &Relationship,
    after: &Relationship,
    on_duplicate: OnConflict,
) -> Result<(), WriteConflict> {
    let world = F::open().await;
    world.origin.write(world.store, WriteBatch::of([before.clone()])).await.unwrap();
    let other = Relationship::from(tuple("doc:0#viewer@user:new"));
    let batch = WriteBatch { on_duplicate, ..WriteBatch::of([other, after.clone()]) };
    let told = world.sink.applied().len();
    let answer = world.origin.write(world.store, batch).await;
    let found = read(&world, vec![TupleRead::Point(before.tuple.clone())]).await;
    assert_eq!(found, [TupleAnswer::Found(Presence::of(before.condition.clone()))], "what was there stays");
    assert_eq!(world.has("doc:0#viewer@user:new").await, answer.is_ok(), "all or nothing");
    assert_eq!(world.sink.applied().len(), told + usize::from(answer.is_ok()));
    match answer {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict(conflict)) => Err(conflict),
        Err(other) => panic!("{other:?}"),
    }
}

const ANN: &str = "doc:1#viewer@user:ann";

async fn another_condition_is_another_relationship<F: Fixture>() {
    let all = [
        Relationship::from(tuple(ANN)),
        with(ANN, "c", "{}"),
        with(ANN, "d", "{}"),
        with(ANN, "c", r#"{"n": 1}"#),
        with(ANN, "c", r#"{"n": 1.0}"#),
        with(ANN, "c", r#"{"n": "1"}"#),
    ];
    for (at, before) in all.iter().enumerate() {
        for after in all.iter().skip(at + 1) {
            for (before, after) in [(before, after), (after, before)] {
                let refused = over::<F>(before, after, OnConflict::Ignore).await;
                assert_eq!(refused, Err(WriteConflict::Differs(tuple(ANN))), "{before:?} over {after:?}");
            }
        }
    }
    let refused = over::<F>(&all[0], &all[1], OnConflict::Error).await;
    assert_eq!(refused, Err(WriteConflict::Duplicate(tuple(ANN))));
}

async fn the_same_condition_is_a_duplicate<F: Fixture>() {
    let one = with(ANN, "c", r#"{"a": {"x": 1, "y": 0.30000000000000004}, "b": 2}"#);
    let same = with(ANN, "c", r#"{"b": 2, "a": {"y": 0.30000000000000004, "x": 1}}"#);
    assert_eq!(over::<F>(&one, &same, OnConflict::Ignore).await, Ok(()));
    assert_eq!(over::<F>(&one, &same, OnConflict::Error).await, Err(WriteConflict::Duplicate(tuple(ANN))));
    assert_eq!(over::<F>(&with(ANN, "c", "{}"), &with(ANN, "c", "{}"), OnConflict::Ignore).await, Ok(()));
}

async fn a_condition_is_deleted_with_its_tuple<F: Fixture>() {
    let world = F::open().await;
    world.origin.write(world.store, WriteBatch::of([with(ANN, "c", VALUES)])).await.unwrap();
    world.delete(&[ANN]).await;
    assert_eq!(
        read(&world, vec![TupleRead::Point(tuple(ANN)), reverse("user:ann", "doc", "viewer")]).await,
        [TupleAnswer::Found(Presence::Absent), ids(&[])]
    );
    world.write(&[ANN]).await;
    assert!(world.has(ANN).await);
}

async fn values_that_are_too_large_are_refused<F: Fixture>() {
    let world = F::open().await;
    // {"a":"…"}
    let sized = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let fits = with(ANN, "c", &sized(MAX_CONTEXT_BYTES));
    let large = with("doc:2#viewer@user:ann", "c", &sized(MAX_CONTEXT_BYTES + 1));
    let deep = with("doc:2#viewer@user:ann", "c", &format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100)));
    let tuple_of = large.tuple.clone();
    for (refused, expected) in [
        (large, WriteConflict::ContextTooLarge { tuple: tuple_of.clone(), given: MAX_CONTEXT_BYTES + 1 }),
        (deep, WriteConflict::ContextTooDeep(tuple_of)),
    ] {
        match world.origin.write(world.store, WriteBatch::of([fits.clone(), refused])).await {
            Err(StoreError::Conflict(conflict)) => assert_eq!(conflict, expected),
            other => panic!("{other:?}"),
        }
    }
    world.origin.write(world.store, WriteBatch::of([fits.clone()])).await.unwrap();
    assert_eq!(
        read(&world, vec![TupleRead::Point(tuple(ANN))]).await,
        [TupleAnswer::Found(Presence::of(fits.condition))]
    );
}
