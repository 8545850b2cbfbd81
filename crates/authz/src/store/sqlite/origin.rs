//! [`SqliteStore`]: the parts put together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Identity, Lease, Position, Revision, Standing};
use diesel::prelude::*;

use super::super::batch::{check_assertions, check_properties};
use super::super::dense;
use super::super::{
    ChangeFilter, ChangePlace, ChangeSink, Committed, InvalidationScope, ModelId, Page, PageRequest, Snapshot, Store,
    StoreError, StoreId, StoreRecord, StoredTuple, TupleChange, TupleFilter, WallClock, WriteBatch,
};
use super::failure::{broken, running, unusable};
use super::log::Log;
use super::open::Opened;
use super::poll::Poll;
use super::reader::{Pool, hop};
use super::row::{IdText, StoreRow};
use super::schema::{assertions, stores};
use super::snapshot::SqliteSnapshot;
use super::writer::{Desk, Writer};
use super::{SqliteConfig, changes, job, open, pages, queries};
use crate::condition::Context;
use crate::relation::{Object, Tuple};

/// The embedded origin. Needs a tokio runtime with time. Close it ([`Store::close`]) to wait for its threads; dropped, it
/// lets them end on their own.
pub struct SqliteStore {
    config: SqliteConfig,
    path: String,
    identity: open::Identity,
    log_epoch: String,
    log: Arc<Log>,
    pool: Arc<Pool>,
    writer: Writer,
    poll: Mutex<Option<Poll>>,
}

impl SqliteStore {
    /// Opens a data file, and creates or migrates it where that is needed. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] where the file is served by another process, was made by another program or by a newer version
    /// of this one, is damaged, or cannot be written. Nothing is changed then.
    pub fn open(config: SqliteConfig, clock: Arc<dyn WallClock>) -> Result<Self, StoreError> {
        let Opened { writer, path, identity, log_epoch, lock } = open::open(&config)?;
        let history = Identity::random().map_err(|cause| broken("starting the log", cause))?;
        let log = Arc::new(Log::new(log_epoch.clone(), history));
        let desk = Desk {
            connection: writer,
            lock,
            log: Arc::clone(&log),
            clock,
            max_group: config.max_group.max(1),
            trouble: None,
            undo: None,
        };
        let writer = Writer::start(desk, config.max_queued_writes)?;
        let pool = Pool::new(path.clone(), config.clone(), Arc::clone(&log));
        Ok(Self { config, path, identity, log_epoch, log, pool, writer, poll: Mutex::new(None) })
    }

    /// Who this log is: revisions of files with different epochs mean nothing to each other.
    #[must_use]
    pub fn log_epoch(&self) -> &str {
        &self.log_epoch
    }

    pub(super) fn config(&self) -> &SqliteConfig {
        &self.config
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn attach(&self, sink: Arc<dyn ChangeSink>) -> Result<(), StoreError> {
        let (log, replay) = (Arc::clone(&self.log), self.config.replay);
        let attached = self
            .pool
            .read(move |connection| {
                log.attach(sink, connection, replay).map_err(|error| running("reading the log", &error))
            })
            .await?;
        if !attached {
            return Err(unusable("this origin has a sink already; attach once".to_owned()));
        }
        let (path, config, log) = (self.path.clone(), self.config.clone(), Arc::clone(&self.log));
        let poll = hop(move || {
            let connection = open::reader(&path, &config)?;
            Poll::start(connection, log, config.poll_interval)
        })
        .await??;
        *self.poll.lock().unwrap_or_else(PoisonError::into_inner) = Some(poll);
        Ok(())
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let (lease, through) = self.pool.begin().await?;
        Ok(Box::new(SqliteSnapshot::new(lease, through.stamp_after())))
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::new(Lease::unlimited())
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn write(&self, store: StoreId, batch: WriteBatch) -> Result<Committed, StoreError> {
        // Before the queue: whoever asks for too much makes nobody else wait.
        let contexts = batch.check()?;
        self.writer.submit(move |work| job::write(work, store, &batch, &contexts)).await
    }

    async fn create_store(&self, id: StoreId, name: &str) -> Result<(StoreRecord, Committed), StoreError> {
        let name = name.to_owned();
        self.writer.submit(move |work| job::create_store(work, id, &name)).await
    }

    async fn store(&self, id: StoreId) -> Result<Option<StoreRecord>, StoreError> {
        let found = self.pool.read(move |connection| {
            let row = stores::table.find(IdText::of(id.0).as_str()).first::<StoreRow>(connection).optional();
            row.map_err(|error| running("reading a store", &error))
        });
        Ok(found.await?.map(StoreRecord::from))
    }

    async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, StoreError> {
        let list = move |connection: &mut _| {
            pages::stores(connection, &page).map_err(|error| running("listing stores", &error))
        };
        self.pool.read(list).await
    }

    async fn delete_store(&self, id: StoreId) -> Result<Option<Committed>, StoreError> {
        self.writer.submit_alone(move |work| job::delete_store(work, id)).await
    }

    async fn write_model(&self, store: StoreId, id: ModelId, body: &str) -> Result<Committed, StoreError> {
        let body = body.to_owned();
        self.writer.submit(move |work| job::write_model(work, store, id, &body)).await
    }

    async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        self.in_store(store, "reading a model", move |connection, store| {
            queries::model(connection, store, IdText::of(id.0).as_str())
        })
        .await
    }

    async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, StoreError> {
        self.in_store(store, "listing models", move |connection, store| pages::models(connection, store, &page)).await
    }

    async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, StoreError> {
        self.in_store(store, "listing relationships", move |connection, store| {
            pages::tuples(connection, store, &filter, &page)
        })
        .await
    }

    async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
        let from = ChangePlace::revision(page.after.as_ref())?;
        self.in_store(store, "listing changes", move |connection, store| {
            changes::page(connection, store, &filter, &page, from)
        })
        .await
    }

    async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), StoreError> {
        check_assertions(body)?;
        let body = body.to_owned();
        self.writer.submit(move |work| job::write_assertions(work, store, model, &body)).await
    }

    async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, StoreError> {
        self.in_store(store, "reading assertions", move |connection, store| {
            let id = IdText::of(model.0);
            assertions::table.find((store, id.as_str())).select(assertions::body).first(connection).optional()
        })
        .await
    }

    async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, StoreError> {
        let texts = check_properties(&properties)?;
        let given: Vec<(Object, String)> = properties.into_iter().map(|(object, _)| object).zip(texts).collect();
        self.writer.submit(move |work| job::write_properties(work, store, &given)).await
    }

    async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, StoreError> {
        self.in_store(store, "listing properties", move |connection, store| pages::properties(connection, store, &page))
            .await
    }

    async fn append(&self, scope: InvalidationScope) -> Result<Committed, StoreError> {
        self.writer.submit(move |work| job::append(work, &scope)).await
    }

    async fn in_force(&self, _: Revision, _: Duration) -> Result<Standing, StoreError> {
        Ok(Standing::alone())
    }

    async fn apply_through(&self, _: Revision) -> Result<(), StoreError> {
        Ok(())
    }

    fn applied_number(&self, _: u64) -> Option<u64> {
        Some(self.log.applied_through().get())
    }

    fn applied(&self, number: u64) -> Option<Position> {
        Some(dense::position(number))
    }

    async fn apply_position(&self, position: &Position) -> Result<(), StoreError> {
        dense::applied(position, self.log.applied_through().get())
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.log.health()?;
        let (path, identity) = (self.path.clone(), self.identity);
        hop(move || identity.check(&path)).await??;
        self.pool.read(|_| Ok(())).await?;
        // A failure is remembered until a write succeeds. Where nobody writes, this one finds out.
        if self.writer.trouble().is_some() {
            self.writer.submit(job::probe).await?;
        }
        let poll = self.poll.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Poll::trouble);
        self.writer.trouble().or(poll).map_or(Ok(()), Err)
    }

    async fn close(&self) {
        // Readers first: the last checkpoint of the writer cannot pass a snapshot that is open.
        self.pool.close().await;
        let poll = self.poll.lock().unwrap_or_else(PoisonError::into_inner).take().map(Poll::stop);
        let threads = [poll, self.writer.close()];
        let _ = hop(move || threads.into_iter().flatten().for_each(|thread| drop(thread.join()))).await;
    }
}

impl SqliteStore {
    /// A read of something that belongs to a store, in a state that has this store.
    async fn in_store<T, F>(&self, store: StoreId, operation: &'static str, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut diesel::sqlite::SqliteConnection, &str) -> QueryResult<T> + Send + 'static,
    {
        let read = move |connection: &mut _| {
            let id = IdText::of(store.0);
            match queries::store_exists(connection, id.as_str()) {
                Ok(true) => read(connection, id.as_str()).map_err(|error| running(operation, &error)),
                Ok(false) => Err(StoreError::UnknownStore(store)),
                Err(error) => Err(running(operation, &error)),
            }
        };
        self.pool.read(read).await
    }
}
