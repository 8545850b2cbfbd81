//! What the tests of this crate share: a database of one's own on a real server.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};

use pg_log::{Pg, PgConfig};
use tokio_postgres::NoTls;

/// A database that no other test knows.
pub(crate) struct Database {
    pub(crate) url: String,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Database {
    pub(crate) async fn new() -> Self {
        let (client, connection) =
            tokio_postgres::connect("postgres://postgres@127.0.0.1:54329/postgres", NoTls).await.unwrap();
        let _driver = tokio::spawn(connection);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self { url: format!("postgres://postgres@127.0.0.1:54329/{name}") }
    }

    pub(crate) fn config(&self) -> PgConfig {
        PgConfig::new(&self.url)
    }

    pub(crate) fn pg(&self) -> Pg {
        Pg::new(self.config()).unwrap()
    }

    /// A client that is none of ours: like psql.
    pub(crate) async fn foreign(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}
