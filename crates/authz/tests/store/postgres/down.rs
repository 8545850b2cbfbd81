//! A server that is not there, at the start or in the middle.

use std::sync::Arc;

use authz::store::postgres::PostgresStore;
use authz::store::{Store, StoreError, StoreId, SystemWallClock};
use ulid::Ulid;

use super::{server, until};
use crate::support::{Postgres, Recorder, writes};

const ANN: &str = "doc:1#viewer@user:ann";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_at_the_start_is_no_error_and_joined_later() {
    let Some((server, database)) = server().await else { return };
    server.stop();
    let origin = PostgresStore::new(Postgres::config(database.url()), Arc::new(SystemWallClock)).unwrap();
    let sink = Recorder::new();
    origin.attach(sink.clone()).await.unwrap();
    let store = StoreId(Ulid::from_parts(1, 1));
    for refused in [
        origin.snapshot().await.map(drop),
        origin.health().await,
        origin.create_store(store, "x").await.map(drop),
        origin.store(store).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
    assert!(sink.joined.lock().unwrap().is_empty());
    server.restart().unwrap();
    until("it joins", async || origin.health().await.is_ok()).await;
    assert_eq!(sink.joined.lock().unwrap().len(), 1);
    origin.create_store(store, "x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_is_used_again_and_has_lost_nothing() {
    let Some((server, database)) = server().await else { return };
    let world = Postgres::with(Postgres::config(database.url())).await;
    world.write(&[ANN]).await;
    let mut open = world.settled().await;
    server.kill();
    assert!(open.latest_model(world.store).await.is_err(), "an error, and no answer");
    let refused = world.origin.write(world.store, writes(&["doc:2#viewer@user:ann"])).await;
    assert!(refused.is_err());
    server.restart().unwrap();
    until("writes go on", async || world.origin.write(world.store, writes(&["doc:3#viewer@user:ann"])).await.is_ok())
        .await;
    assert!(world.has(ANN).await, "what was acknowledged is there");
    assert!(!world.has("doc:2#viewer@user:ann").await, "what was refused is not");
    until("it is well", async || world.origin.health().await.is_ok()).await;
    assert_eq!(world.sink.joined.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_was_begun() {
    if !Postgres::is_there() {
        return;
    }
    let world = Postgres::on(crate::support::database().await).await;
    let names: Vec<String> = (0..20).map(|n| format!("doc:{n}#viewer@user:ann")).collect();
    let tasks: Vec<_> = names
        .iter()
        .map(|name| {
            let (origin, store, batch) = (Arc::clone(&world.origin), world.store, writes(&[name]));
            tokio::spawn(async move { origin.write(store, batch).await })
        })
        .collect();
    tokio::task::yield_now().await;
    world.origin.close().await;
    let mut written = Vec::new();
    for (name, task) in names.iter().zip(tasks) {
        match task.await.unwrap() {
            Ok(_) => written.push(name.clone()),
            Err(StoreError::Closed) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let again = Postgres::with(Postgres::config(world.database.as_ref().unwrap().url())).await;
    for name in &names {
        assert_eq!(again.has(name).await, written.contains(name), "{name}");
    }
}
