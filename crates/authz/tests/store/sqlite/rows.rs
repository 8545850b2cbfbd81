//! Rows that somebody wrote past us: conditions and properties, right ones and broken ones.

use std::time::Duration;

use authz::relation::{Object, Presence};
use authz::store::{
    Change, ChangeFilter, OnConflict, PageRequest, Store, StoreError, TupleAnswer, TupleFilter, TupleRead, WriteBatch,
};
use diesel::connection::SimpleConnection;

use super::{config, place, shell};
use crate::support::{condition, context, enumerate, open_sqlite, reverse, tuple, with};

const ANN: &str = "doc:1#viewer@user:ann";
const DESCRIBE: &str = "INSERT INTO properties (store, object_type, object_id, body) \
                        SELECT id, 'user', 'ann', '{\"age\": 3}' FROM stores";

#[tokio::test]
async fn a_condition_that_a_shell_changes_is_a_deletion_and_an_insertion() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&[ANN]).await;
    let before = world.sink.applied().len();
    shell(&path).batch_execute("UPDATE tuples SET condition = 'c', condition_context = '{ \"n\" : 1 }'").unwrap();
    let answer = world.origin.snapshot().await.unwrap().read(world.store, vec![TupleRead::Point(tuple(ANN))]).await;
    let expected = condition("c", r#"{"n": 1}"#);
    assert_eq!(answer.unwrap(), [TupleAnswer::Found(Presence::Conditional(expected.clone()))]);
    let told: Vec<Change> = world.sink.applied().into_iter().skip(before).map(|logged| logged.change).collect();
    assert_eq!(told, [Change::Deleted(world.store, tuple(ANN)), Change::Inserted(world.store, tuple(ANN))]);
    let page = PageRequest { after: None, limit: 10 };
    let listed = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap().items;
    let listed: Vec<_> = listed.into_iter().map(|change| (change.inserted, change.condition)).collect();
    assert_eq!(listed, [(true, None), (false, None), (true, Some(expected))]);
    let same = WriteBatch { on_duplicate: OnConflict::Ignore, ..WriteBatch::of([with(ANN, "c", r#"{"n": 1}"#)]) };
    world.origin.write(world.store, same).await.unwrap();
}

#[tokio::test]
async fn properties_that_a_shell_writes_are_told_to_the_sink() {
    let (_directory, path) = place();
    let mut blind = config(&path);
    blind.poll_interval = Duration::from_secs(3_600);
    let world = open_sqlite(blind, None).await;
    let mut shell = shell(&path);
    let told = async |statement: &str| {
        let before = world.sink.applied().len();
        shell.batch_execute(statement).unwrap();
        drop(world.origin.snapshot().await.unwrap());
        world.sink.applied().into_iter().skip(before).map(|logged| logged.change).collect::<Vec<_>>()
    };
    let mut told = told;
    let changed = |id: &str| Change::PropertiesChanged(world.store, Object::new("user", id).unwrap());
    assert_eq!(told(DESCRIBE).await, [changed("ann")]);
    assert_eq!(told("UPDATE properties SET body = '{}'").await, [changed("ann")]);
    let mut moved = told("UPDATE properties SET object_id = 'bob'").await;
    moved.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(moved, [changed("ann"), changed("bob")]);
    let replace = "REPLACE INTO properties SELECT store, object_type, object_id, '{\"age\": 4}' FROM properties";
    assert_eq!(told(replace).await, [changed("bob")]);
    let read = vec![TupleRead::Properties(Object::new("user", "bob").unwrap())];
    let answer = world.origin.snapshot().await.unwrap().read(world.store, read).await.unwrap();
    assert_eq!(answer, [TupleAnswer::Properties(context(r#"{"age": 4}"#))]);
    assert_eq!(told("DELETE FROM properties").await, [changed("bob")]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_for_everybody() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.origin.write(world.store, WriteBatch::of([with(ANN, "c", r#"{"n": 1}"#)])).await.unwrap();
    let mut shell = shell(&path);
    shell.batch_execute(DESCRIBE).unwrap();
    for statement in [
        "UPDATE tuples SET condition_context = '{'",
        "UPDATE tuples SET condition_context = '[]'",
        "UPDATE tuples SET condition_context = '{a: 1}'",
        "UPDATE tuples SET condition = ''",
        "UPDATE tuples SET condition = NULL",
        "UPDATE properties SET body = ''",
        "UPDATE properties SET body = '1'",
        "UPDATE properties SET object_id = '*'",
        "UPDATE properties SET store = '00000000000000000000000000'",
        "INSERT INTO properties VALUES ('00000000000000000000000000', 'user', 'ann', '{}')",
        "INSERT INTO assertions SELECT id, '00000000000000000000000000', '[]' FROM stores",
    ] {
        assert!(shell.batch_execute(statement).is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_never_without_its_condition() {
    for broken in [
        "condition_context = '{'",
        "condition_context = '[]'",
        "condition_context = 'null'",
        "condition_context = '{a: 1}'",
        "condition = ''",
    ] {
        let (_directory, path) = place();
        let world = open_sqlite(config(&path), None).await;
        world.origin.write(world.store, WriteBatch::of([with(ANN, "c", r#"{"n": 1}"#)])).await.unwrap();
        world.write(&["doc:2#viewer@user:bob"]).await;
        shell(&path)
            .batch_execute(&format!(
                "PRAGMA ignore_check_constraints = ON; UPDATE tuples SET {broken} WHERE object_id = '1'"
            ))
            .unwrap();
        for read in
            [TupleRead::Point(tuple(ANN)), enumerate("doc:1", "viewer", "user"), reverse("user:ann", "doc", "viewer")]
        {
            let answer = world.origin.snapshot().await.unwrap().read(world.store, vec![read.clone()]).await;
            let message = answer.expect_err(broken).to_string();
            assert!(
                message.contains("condition that cannot be read") || message.contains("it has values"),
                "{message}"
            );
            assert!(message.contains("correct or delete it there"), "{message}");
        }
        let page = || PageRequest { after: None, limit: 10 };
        let listed = PageRequest { after: None, limit: 10 };
        assert!(world.origin.read_tuples(world.store, TupleFilter::default(), listed).await.is_err(), "{broken}");
        assert!(world.origin.changes(world.store, ChangeFilter::default(), page()).await.is_err(), "{broken}");
        let again = WriteBatch { on_duplicate: OnConflict::Ignore, ..WriteBatch::of([tuple(ANN)]) };
        let refused = world.origin.write(world.store, again).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        assert!(world.has("doc:2#viewer@user:bob").await, "other rows are as good as before");
        world.delete(&[ANN]).await;
        world.origin.health().await.expect("the file is sound, whatever one row said");
    }
}

#[tokio::test]
async fn properties_that_cannot_be_read_are_an_error_and_never_none() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let mut shell = shell(&path);
    shell.batch_execute(DESCRIBE).unwrap();
    shell.batch_execute("PRAGMA ignore_check_constraints = ON; UPDATE properties SET body = '{broken'").unwrap();
    let ann = Object::new("user", "ann").unwrap();
    let read = vec![TupleRead::Properties(ann.clone())];
    let answer = world.origin.snapshot().await.unwrap().read(world.store, read.clone()).await;
    let message = answer.unwrap_err().to_string();
    assert!(message.contains("the properties of an object that cannot be read"), "{message}");
    let page = PageRequest { after: None, limit: 10 };
    assert!(world.origin.properties(world.store, page).await.is_err());
    world.origin.write_properties(world.store, vec![(ann, context(r#"{"a": 1}"#))]).await.unwrap();
    let mended = world.origin.snapshot().await.unwrap().read(world.store, read).await.unwrap();
    assert_eq!(mended, [TupleAnswer::Properties(context(r#"{"a": 1}"#))]);
}
