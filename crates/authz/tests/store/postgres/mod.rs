//! What only an origin in PostgreSQL can do wrong.

mod books;
mod bounds;
mod down;
mod fate;
mod foreign;
mod load;
mod order;
mod plans;
mod trips;

use std::time::Duration;

use pg_log::tokio_postgres::{Client, NoTls, connect};
use test_services::{Postgres as Server, PostgresOptions, TestDatabase};

use crate::support::Postgres;

/// A bound for what has to happen at all.
const SOON: Duration = Duration::from_secs(20);

/// A client that is none of ours, as `psql` would be.
async fn psql(url: &str) -> Client {
    let (client, connection) = connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A server of the test's own, and a database on it.
async fn server() -> Option<(Server, TestDatabase)> {
    tokio::task::spawn_blocking(|| {
        let server = Server::start(&PostgresOptions::default())?;
        let database = TestDatabase::create_on(&server.url(), Postgres::template()).unwrap();
        Some((server, database))
    })
    .await
    .unwrap()
}

/// Waits for something that can only be asked for.
async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !happened().await {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A world on the shared server, and a client beside it; ends the test where there is no server.
macro_rules! world {
    () => {{
        if !crate::support::Postgres::is_there() {
            return;
        }
        let world = crate::support::Postgres::on(crate::support::database().await).await;
        let psql = super::psql(world.database.as_ref().unwrap().url()).await;
        (world, psql)
    }};
}
use world;
