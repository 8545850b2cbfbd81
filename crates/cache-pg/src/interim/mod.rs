//! Connections, as pg-log gives them.
#![allow(missing_docs, unreachable_pub, missing_debug_implementations, dead_code)]

mod config;
mod error;
mod migrate;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use config::PgConfig;
pub use error::{PgContext, PgError, PgErrorKind};
pub(crate) use migrate::quote;
pub use migrate::{Migration, migrate};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Statement};

#[derive(Clone)]
pub struct Pg(Arc<Inner>);

struct Inner {
    config: PgConfig,
    shared: Mutex<Vec<Shared>>,
    next: AtomicUsize,
}

#[derive(Clone)]
pub struct Shared(Arc<Connection>);

struct Connection {
    client: Client,
    prepared: Mutex<HashMap<String, Statement>>,
}

pub struct Exclusive(Client);

impl Pg {
    pub fn new(config: PgConfig) -> Result<Self, PgError> {
        Ok(Self(Arc::new(Inner { config, shared: Mutex::default(), next: AtomicUsize::new(0) })))
    }

    pub fn schema(&self) -> &str {
        &self.0.config.schema
    }

    async fn connect(&self) -> Result<Client, PgError> {
        let (client, connection) = tokio_postgres::connect(&self.0.config.url, NoTls).await.during("open a connection")?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    pub async fn exclusive(&self) -> Result<Exclusive, PgError> {
        Ok(Exclusive(self.connect().await?))
    }

    pub async fn shared(&self) -> Result<Shared, PgError> {
        let mut shared = self.0.shared.lock().await;
        shared.retain(|one| !one.0.client.is_closed());
        while shared.len() < self.0.config.shared_connections {
            let client = self.connect().await?;
            shared.push(Shared(Arc::new(Connection { client, prepared: Mutex::default() })));
        }
        let at = self.0.next.fetch_add(1, Ordering::Relaxed) % shared.len();
        Ok(shared[at].clone())
    }
}

impl Shared {
    pub async fn prepared(&self, sql: &str) -> Result<Statement, PgError> {
        if let Some(known) = self.0.prepared.lock().await.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.0.client.prepare(sql).await.during("prepare a statement")?;
        self.0.prepared.lock().await.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Shared {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0.client
    }
}

impl Deref for Exclusive {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

impl std::ops::DerefMut for Exclusive {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.0
    }
}
