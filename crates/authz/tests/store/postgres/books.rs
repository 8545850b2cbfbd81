//! A write keeps its books by itself, and triggers keep them for everybody else: the rows have to be the same.

use std::sync::atomic::Ordering;

use authz::store::{Store, WriteBatch};
use pg_log::tokio_postgres::Client;

use super::world;
use crate::support::{tuple, with};

async fn rows(psql: &Client, sql: &str) -> Vec<String> {
    psql.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The books without what differs each time: ids and numbers of transactions.
async fn books(psql: &Client) -> (Vec<String>, Vec<String>) {
    let history = "SELECT (to_jsonb(c) - '{id,xid}'::text[])::text FROM tiergate.changes c ORDER BY id";
    // Its rows have no order.
    let log = "SELECT (to_jsonb(l) - '{xid,at}'::text[])::text FROM tiergate.log l WHERE kind IN ('inserted', 'deleted') ORDER BY 1";
    (rows(psql, history).await, rows(psql, log).await)
}

#[tokio::test]
async fn books_of_a_write_are_those_of_the_triggers() {
    let (ours, psql) = world!();
    let (theirs, foreign) = world!();
    for world in [&ours, &theirs] {
        world.clock.0.store(5_000, Ordering::Relaxed);
    }
    let given = [
        with("doc:1#viewer@user:ann", "c", r#"{"n": 1}"#),
        tuple("doc:2#viewer@team:9#member").into(),
        tuple("doc:3#viewer@user:*").into(),
    ];
    ours.origin.write(ours.store, WriteBatch::of(given.clone())).await.unwrap();
    ours.delete(&["doc:2#viewer@team:9#member", "doc:1#viewer@user:ann"]).await;
    foreign
        .batch_execute(&format!(
            "SET tiergate.now = '5000';
             INSERT INTO tiergate.tuples VALUES
                 ('{0}', 'doc', '1', 'viewer', 'user', '', 'ann', 5000, 'c', '{{\"n\":1}}'),
                 ('{0}', 'doc', '2', 'viewer', 'team', 'member', '9', 5000, '', ''),
                 ('{0}', 'doc', '3', 'viewer', 'user', '', '*', 5000, '', '');
             DELETE FROM tiergate.tuples WHERE object_id = '1'; DELETE FROM tiergate.tuples WHERE object_id = '2'",
            theirs.store.0
        ))
        .await
        .unwrap();
    let (kept, told) = books(&psql).await;
    assert_eq!((kept.len(), told.len()), (5, 5), "{kept:?} {told:?}");
    assert_eq!((kept, told), books(&foreign).await);
}
