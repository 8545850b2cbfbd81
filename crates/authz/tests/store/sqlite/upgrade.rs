//! A data file of an older release: it opens, keeps what it holds, and is brought up to date.

use std::path::Path;

use authz::relation::Presence;
use authz::store::{
    Change, ChangeFilter, InvalidationScope, ModelId, PageRequest, Store, TupleAnswer, TupleFilter, TupleRead,
    WriteBatch,
};
use diesel::connection::SimpleConnection;
use ulid::Ulid;

use super::{config, place, shell};
use crate::support::{World, condition, context, ids, open_sqlite, reverse, tuple, with};

/// The migrations of the release before conditions, as it recorded them.
const BEFORE: [(&str, &str); 2] = [
    ("0001", include_str!("../../../migrations/sqlite/0001_origin/up.sql")),
    ("0002", include_str!("../../../migrations/sqlite/0002_log_stays/up.sql")),
];
const DOWN: &str = include_str!("../../../migrations/sqlite/0003_conditions/down.sql");

/// What that release left behind. The store is the one of every test.
fn old_file(path: &Path) {
    let mut shell = shell(path);
    shell
        .batch_execute(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL,
                                                      run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);",
        )
        .unwrap();
    for (version, sql) in BEFORE {
        shell.batch_execute(sql).unwrap();
        shell.batch_execute(&format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')")).unwrap();
    }
    let store = Ulid::from_parts(1, 1);
    shell
        .batch_execute(&format!(
            "INSERT INTO stores (id, name, created_at) VALUES ('{store}', 'old', 7);
             INSERT INTO models (store, id, body) VALUES ('{store}', '{}', '{{}}');
             INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_relation, subject_id, written_at)
             VALUES ('{store}', 'doc', '1', 'viewer', 'user', '', 'ann', 11),
                    ('{store}', 'doc', '2', 'viewer', 'user', '', 'ann', 12),
                    ('{store}', 'doc', '3', 'viewer', 'team', 'member', '9', 13);
             DELETE FROM tuples WHERE object_id = '2';",
            Ulid::from_parts(3, 3)
        ))
        .unwrap();
}

#[tokio::test]
async fn a_file_of_the_release_before_keeps_what_it_holds_and_takes_what_is_new() {
    let (_directory, path) = place();
    old_file(&path);
    let world = open_sqlite(config(&path), None).await;
    let World { origin, store, .. } = &world;
    assert_eq!(origin.store(*store).await.unwrap().unwrap().name, "old");
    assert_eq!(origin.model(*store, ModelId(Ulid::from_parts(3, 3))).await.unwrap().as_deref(), Some("{}"));
    let page = PageRequest { after: None, limit: 10 };
    let listed = origin.read_tuples(*store, TupleFilter::default(), page).await.unwrap().items;
    let listed: Vec<_> = listed.into_iter().map(|it| (it.tuple.to_string(), it.condition, it.written_at)).collect();
    assert_eq!(
        listed,
        [("doc:1#viewer@user:ann".to_owned(), None, 11), ("doc:3#viewer@team:9#member".to_owned(), None, 13)]
    );
    let page = PageRequest { after: None, limit: 10 };
    let changes = origin.changes(*store, ChangeFilter::default(), page).await.unwrap().items;
    assert_eq!(changes.iter().map(|change| change.inserted).collect::<Vec<_>>(), [true, true, true, false]);
    assert!(changes.iter().all(|change| change.condition.is_none()));
    let joined = world.sink.joined.lock().unwrap()[0].1.clone();
    assert!(joined.iter().all(|logged| logged.change != Change::Invalidated(InvalidationScope::All)), "{joined:?}");

    let under = with("doc:2#viewer@user:ann", "c", r#"{"n": 1}"#);
    origin.write(*store, WriteBatch::of([under.clone()])).await.unwrap();
    let object = tuple("doc:1#viewer@user:ann").object;
    origin.write_properties(*store, vec![(object.clone(), context(r#"{"a": 1}"#))]).await.unwrap();
    origin.write_assertions(*store, ModelId(Ulid::from_parts(3, 3)), "[]").await.unwrap();
    let reads = vec![
        TupleRead::Point(tuple("doc:1#viewer@user:ann")),
        TupleRead::Point(under.tuple),
        TupleRead::Properties(object),
        reverse("team:9#member", "doc", "viewer"),
    ];
    let answers = origin.snapshot().await.unwrap().read(*store, reads).await.unwrap();
    assert_eq!(
        answers,
        [
            TupleAnswer::Found(Presence::Present),
            TupleAnswer::Found(Presence::Conditional(condition("c", r#"{"n": 1}"#))),
            TupleAnswer::Properties(context(r#"{"a": 1}"#)),
            ids(&["3"]),
        ]
    );
}

/// An upgraded file has what a new one has, to the name of a trigger.
#[tokio::test]
async fn an_upgraded_file_is_like_a_new_one_and_can_be_taken_back() {
    use diesel::prelude::*;
    #[derive(diesel::QueryableByName, PartialEq, Debug)]
    struct Entry {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        sql: Option<String>,
    }
    let schema = |path: &Path| {
        diesel::sql_query("SELECT name, sql FROM sqlite_schema ORDER BY name").load::<Entry>(&mut shell(path)).unwrap()
    };
    let (_one, old) = place();
    old_file(&old);
    let before = schema(&old);
    let world = open_sqlite(config(&old), None).await;
    world.origin.write(world.store, WriteBatch::of([with("doc:7#viewer@user:ann", "c", "{}")])).await.unwrap();
    world.origin.close().await;
    let (_two, new) = place();
    open_sqlite(config(&new), None).await.origin.close().await;
    let name = |entry: &Entry| entry.name.clone();
    assert_eq!(schema(&old).iter().map(name).collect::<Vec<_>>(), schema(&new).iter().map(name).collect::<Vec<_>>());

    shell(&old).batch_execute(DOWN).unwrap();
    assert_eq!(schema(&old).iter().map(name).collect::<Vec<_>>(), before.iter().map(name).collect::<Vec<_>>());
    shell(&old).batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '0003'").unwrap();
    let again = open_sqlite(config(&old), None).await;
    assert!(again.has("doc:1#viewer@user:ann").await);
    let gone = TupleRead::Point(tuple("doc:7#viewer@user:ann"));
    let answer = again.origin.snapshot().await.unwrap().read(again.store, vec![gone]).await.unwrap();
    assert_eq!(answer, [TupleAnswer::Found(Presence::Absent)], "what was under a condition does not come back without");
}
