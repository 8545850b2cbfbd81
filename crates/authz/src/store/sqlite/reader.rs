//! The pool of reading connections.
//!
//! Invariant: a connection in the pool is in no transaction. It comes back through the drop of its [`Lease`], whatever happened
//! to the caller in the meantime, and one that cannot be rolled back is closed instead.

use std::sync::{Arc, Mutex, PoisonError};

use cache_core::Revision;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::StoreError;
use super::failure::{broken, running};
use super::log::Log;
use super::{SqliteConfig, open};

/// Connections that read, at most [`SqliteConfig::readers`] of them.
pub(super) struct Pool {
    path: String,
    config: SqliteConfig,
    log: Arc<Log>,
    idle: Mutex<Vec<SqliteConnection>>,
    places: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(path: String, config: SqliteConfig, log: Arc<Log>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.readers.max(1)));
        Arc::new(Self { path, config, log, idle: Mutex::default(), places })
    }

    /// A connection in a read transaction, with the newest revision that it sees. The sink has applied everything up to there.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<(Lease, Revision), StoreError> {
        let place = self.place().await?;
        let pool = Arc::clone(self);
        hop(move || pool.noted(place)).await?
    }

    /// One read in a transaction of its own.
    pub(super) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = self.place().await?;
        let pool = Arc::clone(self);
        hop(move || {
            let log = Arc::clone(&pool.log);
            let (mut lease, _) = pool.noted(place)?;
            log.note(read(lease.connection()?))
        })
        .await?
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.config.reader_wait, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Busy { what: "every reading connection is in use" }),
        }
    }

    fn noted(self: Arc<Self>, place: OwnedSemaphorePermit) -> Result<(Lease, Revision), StoreError> {
        let log = Arc::clone(&self.log);
        log.note(self.open(place))
    }

    fn open(self: Arc<Self>, place: OwnedSemaphorePermit) -> Result<(Lease, Revision), StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path, &self.config)?,
        };
        let log = Arc::clone(&self.log);
        let mut lease = Lease { connection: Some(connection), pool: self, _place: place };
        let connection = lease.connection()?;
        connection.batch_execute("BEGIN").map_err(|error| running("beginning a read", &error))?;
        // The first read fixes the state, so the revision is that of the state.
        let through = log.catch_up(connection)?;
        Ok((lease, through))
    }

    /// Waits for the leases that are out, for a while, and gives no new ones.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.config.readers.max(1)).unwrap_or(u32::MAX);
        let waited = tokio::time::timeout(self.config.close_wait, self.places.acquire_many(all)).await;
        self.places.close();
        drop(waited);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take_back(&self, mut connection: SqliteConnection) {
        if connection.batch_execute("ROLLBACK").is_ok() && !self.places.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// A connection in a read transaction, and a place in the pool.
pub(super) struct Lease {
    connection: Option<SqliteConnection>,
    pool: Arc<Pool>,
    // Declared last: it is given back after the connection is.
    _place: OwnedSemaphorePermit,
}

impl Lease {
    /// Remembers a failure that speaks of damage.
    pub(super) fn note<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.log.note(answer)
    }

    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.connection.as_mut().ok_or(StoreError::Closed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.take_back(connection);
        }
    }
}

/// Runs blocking work off the threads that drive requests. It goes on to its end where the caller is dropped.
pub(super) async fn hop<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| if error.is_cancelled() { StoreError::Closed } else { broken("reading", "a reader panicked") })
}
