//! The origin that the settings name, and what only whoever fills it needs to know of it.

use std::path::PathBuf;
use std::sync::Arc;

use authz::relation::Relationship;
use authz::store::postgres::PostgresStore;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{Store, StoreError, StoreId, SystemWallClock};

use super::OpenError;
use crate::config::Settings;

/// The data file within its directory.
const DATA_FILE: &str = "tiergate.db";

/// An origin by its kind.
#[derive(Clone)]
pub enum Origin {
    /// The embedded one, in the data directory.
    Sqlite(Arc<SqliteStore>),
    /// PostgreSQL, which any number of instances share.
    Postgres(Arc<PostgresStore>),
}

impl Origin {
    /// Opens it. Blocks on the disk where it is the embedded one; PostgreSQL is not asked for anything yet.
    ///
    /// # Errors
    /// Where the data can't be used.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let clock = Arc::new(SystemWallClock);
        if let Some(mut config) = settings.postgres.connections() {
            config.log.member.name = settings.server.instance_name(&settings.http);
            return Ok(Self::Postgres(Arc::new(PostgresStore::new(config, clock)?)));
        }
        let mut config = SqliteConfig::new(data_file(settings));
        config.readers = settings.sqlite.readers;
        config.max_queued_writes = settings.sqlite.max_queued_writes;
        Ok(Self::Sqlite(Arc::new(SqliteStore::open(config, clock)?)))
    }

    /// As the decision point knows it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Adds many relationships to a store, and tells how many were read so far; those that are there already stay.
    ///
    /// # Errors
    /// As those of a write.
    pub async fn load<I>(
        &self,
        store: StoreId,
        tuples: I,
        mut progress: impl FnMut(usize) + Send,
    ) -> Result<(), StoreError>
    where
        I: Iterator<Item: Into<Relationship>> + Send,
    {
        match self {
            Self::Sqlite(origin) => origin.load(store, tuples, |loaded| progress(loaded.read)).await.map(drop),
            Self::Postgres(origin) => origin.load(store, tuples, |loaded| progress(loaded.read)).await.map(drop),
        }
    }
}

/// Where the embedded origin's data lies.
#[must_use]
pub fn data_file(settings: &Settings) -> PathBuf {
    settings.data.directory.join(DATA_FILE)
}
