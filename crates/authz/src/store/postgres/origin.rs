//! [`PostgresStore`]: the parts put together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Lease, Position, Revision, Standing};
use pg_log::{LogReader, Migration, Pg, PgConfig, PgError, PgSnapshot};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::super::batch::{check_assertions, check_properties};
use super::super::columns::IdText;
use super::super::{
    ChangeFilter, ChangePlace, ChangeSink, Committed, InvalidationScope, ModelId, Page, PageRequest, Snapshot, Store,
    StoreError, StoreId, StoreRecord, StoredTuple, TupleChange, TupleFilter, WallClock, WriteBatch,
};
use super::failure::{connecting, failed, running};
use super::job::Job;
use super::position::{Ahead, PgPosition};
use super::shared_snapshot::SharedSnapshots;
use super::snapshot::PostgresSnapshot;
use super::transaction::Desk;
use super::{changes, join, pages, reads};
use crate::condition::Context;
use crate::relation::{Object, Tuple};

/// The name of our tables among the migrated components.
pub(super) const COMPONENT: &str = "origin";

/// The migrations of the origin's tables, which build on those of the log.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "stores, models, relationships",
        sql: include_str!("../../../migrations/postgres/0001_origin.sql"),
        needs: 0,
    },
    Migration {
        version: 2,
        name: "secrets",
        sql: include_str!("../../../migrations/postgres/0002_secrets.sql"),
        needs: 0,
    },
    Migration {
        version: 3,
        name: "its tables are guarded",
        sql: include_str!("../../../migrations/postgres/0003_guarded.sql"),
        needs: 0,
    },
    Migration {
        version: 4,
        name: "who is believed",
        sql: include_str!("../../../migrations/postgres/0004_believed.sql"),
        needs: 0,
    },
    Migration {
        version: 5,
        name: "who writes wakes",
        sql: include_str!("../../../migrations/postgres/0005_who_writes_wakes.sql"),
        needs: 0,
    },
    Migration {
        version: 6,
        name: "with another history changes are past",
        sql: include_str!("../../../migrations/postgres/0006_another_history.sql"),
        needs: 0,
    },
];

/// The bytes of a secret that is drawn here.
const SECRET_BYTES: usize = 32;
/// How often it is looked whether the log was joined.
const LOOK: Duration = Duration::from_millis(50);

/// How long closing waits for writes that are under way.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long [`Store::attach`] waits for a PostgreSQL that answers: to migrate, and to read the log that is retained.
const JOIN_WAIT: Duration = Duration::from_secs(5);

/// The origin in PostgreSQL. Needs a tokio runtime with time and network.
pub struct PostgresStore {
    pg: Pg,
    snapshots: Arc<SharedSnapshots>,
    clock: Arc<dyn WallClock>,
    /// How long what the log told may be trusted; kept by its reader, once there is one.
    lease: Arc<Lease>,
    joining: Arc<Joining>,
    task: Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
    /// Each write that is under way holds one; none is given out once the store is closed.
    under_way: Mutex<Option<mpsc::Sender<()>>>,
    /// Tells when the last of them is gone.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
    trips: Arc<AtomicU64>,
    ahead: Ahead,
}

/// What the task that waits for PostgreSQL and whoever asks for its outcome share.
#[derive(Default)]
struct Joining {
    reader: OnceLock<Arc<LogReader>>,
    follows: Notify,
    trouble: Mutex<Option<PgError>>,
    attached: AtomicBool,
}

impl PostgresStore {
    /// Reads the settings. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the URL, the schema or a certificate can't be right.
    pub fn new(config: PgConfig, clock: Arc<dyn WallClock>) -> Result<Self, StoreError> {
        let pg = Pg::new(config).map_err(connecting("reading the settings of PostgreSQL"))?;
        let (under_way, ended) = mpsc::channel(1);
        let trips = Arc::<AtomicU64>::default();
        Ok(Self {
            snapshots: Arc::new(SharedSnapshots::new(pg.clone(), Arc::clone(&trips))),
            pg,
            clock,
            lease: Arc::new(Lease::over()),
            joining: Arc::default(),
            task: Mutex::new(None),
            closed: AtomicBool::new(false),
            under_way: Mutex::new(Some(under_way)),
            ended: tokio::sync::Mutex::new(ended),
            trips,
            ahead: Ahead::default(),
        })
    }

    /// Its connections, for whoever shares them: a tier over its views.
    #[must_use]
    pub fn pg(&self) -> &Pg {
        &self.pg
    }

    /// How many round trips its snapshots have made, those that have ended.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    /// Waits until PostgreSQL has answered and the log was joined; false where the store was closed before.
    pub async fn joined(&self) -> bool {
        while !self.closed.load(Ordering::Acquire) {
            if self.reader().is_ok() {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// A secret that all instances share. Whoever asks first draws it.
    ///
    /// # Errors
    /// As those of a read.
    pub async fn shared_secret(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        const OPERATION: &str = "reading a secret";
        self.reader()?;
        let mut drawn = [0; SECRET_BYTES];
        getrandom::fill(&mut drawn).map_err(|error| StoreError::Unavailable {
            operation: OPERATION,
            cause: Arc::from(error.to_string()),
            remedy: "the operating system has no randomness to give; look at it",
        })?;
        let client = self.pg.shared().await.map_err(connecting(OPERATION))?;
        let schema = self.pg.schema();
        let find = format!("SELECT value FROM {schema}.secrets WHERE name = $1");
        if let Some(row) = client.query_opt(&find, &[&name]).await.map_err(failed(OPERATION))? {
            return Ok(row.get(0));
        }
        let add = format!("INSERT INTO {schema}.secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        client.execute(&add, &[&name, &drawn.as_slice()]).await.map_err(failed(OPERATION))?;
        let row = client.query_one(&find, &[&name]).await.map_err(failed(OPERATION))?;
        Ok(row.get(0))
    }

    /// The reader of the log, once there is nothing of the past that this process does not know.
    fn reader(&self) -> Result<&Arc<LogReader>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        match self.joining.reader.get() {
            Some(reader) if reader.is_joined() => Ok(reader),
            Some(reader) => Err(not_joined(reader)),
            None => {
                let trouble = self.joining.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(unreachable(trouble.as_ref()))
            }
        }
    }

    /// Has a job done by a task of its own: once begun it ends, whether or not anybody waits for it.
    pub(super) async fn submit(&self, job: Job) -> Result<(usize, Committed), StoreError> {
        let operation = job.operation();
        let reader = Arc::clone(self.reader()?);
        let desk = Desk { pg: self.pg.clone(), reader, now: self.clock.unix_millis() };
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(under_way) = under_way else { return Err(StoreError::Closed) };
        let done = tokio::spawn(async move {
            let done = desk.transact(&job).await;
            drop(under_way);
            done
        });
        done.await.unwrap_or_else(|error| {
            // It may have ended after its commit.
            Err(StoreError::FateUnknown { operation, cause: Arc::from(error.to_string()) })
        })
    }

    /// A shared connection, and the text of a store that is there.
    async fn in_store(&self, store: StoreId, operation: &'static str) -> Result<(pg_log::Shared, IdText), StoreError> {
        self.reader()?;
        let client = self.pg.shared().await.map_err(connecting(operation))?;
        let id = IdText::of(store.0);
        let sql = format!("SELECT EXISTS (SELECT FROM {}.stores WHERE id = $1)", self.pg.schema());
        let row = client.query_one(&sql, &[&id.as_str()]).await.map_err(failed(operation))?;
        if row.get(0) { Ok((client, id)) } else { Err(StoreError::UnknownStore(store)) }
    }
}

/// The log is not followed, or not any more.
pub(super) fn not_joined(reader: &LogReader) -> StoreError {
    match reader.trouble() {
        Some(error) => running("following the log", &error),
        None => unreachable(None),
    }
}

fn unreachable(trouble: Option<&PgError>) -> StoreError {
    match trouble {
        Some(error) => running("reaching PostgreSQL", error),
        None => StoreError::Unavailable {
            operation: "reaching PostgreSQL",
            cause: Arc::from("its log has not been read yet"),
            remedy: "try again in a moment",
        },
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn attach(&self, sink: Arc<dyn ChangeSink>) -> Result<(), StoreError> {
        if self.joining.attached.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Unusable(Arc::from("this origin has a sink already; attach once")));
        }
        let (pg, joining, lease) = (self.pg.clone(), Arc::clone(&self.joining), Arc::clone(&self.lease));
        let task = tokio::spawn(async move {
            let trouble = |error| *joining.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error;
            let tell = |error: Option<PgError>| {
                let failed = error.is_some();
                trouble(error);
                if failed {
                    joining.follows.notify_one();
                }
            };
            let reader = join::follow(pg, sink, lease, tell).await;
            reader_joined(&joining, reader).await;
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        // The first answer, or the first failure: who starts with PostgreSQL at hand need not try again.
        let _ = tokio::time::timeout(JOIN_WAIT, self.joining.follows.notified()).await;
        Ok(())
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let reader = Arc::clone(self.reader()?);
        Ok(Box::new(PostgresSnapshot::new(Arc::clone(&self.snapshots), reader)))
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        self.snapshots.catch_up(self.reader()?).await
    }

    async fn write(&self, store: StoreId, batch: WriteBatch) -> Result<Committed, StoreError> {
        let contexts = batch.check()?;
        self.submit(Job::Write(store, batch, contexts)).await.map(|(_, committed)| committed)
    }

    async fn create_store(&self, id: StoreId, name: &str) -> Result<(StoreRecord, Committed), StoreError> {
        let created_at = self.clock.unix_millis();
        let (_, committed) = self.submit(Job::CreateStore(id, name.to_owned(), created_at)).await?;
        Ok((StoreRecord { id, name: name.to_owned(), created_at }, committed))
    }

    async fn store(&self, id: StoreId) -> Result<Option<StoreRecord>, StoreError> {
        self.reader()?;
        let client = self.pg.shared().await.map_err(connecting("reading a store"))?;
        pages::store(&client, self.pg.schema(), id).await
    }

    async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, StoreError> {
        self.reader()?;
        let client = self.pg.shared().await.map_err(connecting("listing stores"))?;
        pages::stores(&client, self.pg.schema(), &page).await
    }

    async fn delete_store(&self, id: StoreId) -> Result<Option<Committed>, StoreError> {
        let (deleted, committed) = self.submit(Job::DeleteStore(id)).await?;
        Ok((deleted > 0).then_some(committed))
    }

    async fn write_model(&self, store: StoreId, id: ModelId, body: &str) -> Result<Committed, StoreError> {
        self.submit(Job::WriteModel(store, id, body.to_owned())).await.map(|(_, committed)| committed)
    }

    async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        const OPERATION: &str = "reading a model";
        let (client, store) = self.in_store(store, OPERATION).await?;
        let (sql, id) = (reads::model_sql(self.pg.schema()), IdText::of(id.0));
        let row = client.query_opt(&sql, &[&store.as_str(), &id.as_str()]).await.map_err(failed(OPERATION))?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, StoreError> {
        let (client, store) = self.in_store(store, "listing models").await?;
        pages::models(&client, self.pg.schema(), store.as_str(), &page).await
    }

    async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, StoreError> {
        // A connection of its own: a filter that matches little makes nobody else wait.
        self.reader()?;
        let client = self.pg.exclusive().await.map_err(connecting("listing relationships"))?;
        pages::tuples(&client, self.pg.schema(), store, &filter, &page).await
    }

    async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
        let reader = self.reader()?;
        let identity = reader.identity().ok_or_else(|| not_joined(reader))?;
        let client = self.pg.exclusive().await.map_err(connecting("listing changes"))?;
        let id = IdText::of(store.0);
        changes::page(&client, self.pg.schema(), (store, id.as_str()), identity, &filter, &page).await
    }

    async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), StoreError> {
        check_assertions(body)?;
        self.submit(Job::WriteAssertions(store, model, body.to_owned())).await.map(drop)
    }

    async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, StoreError> {
        const OPERATION: &str = "reading assertions";
        let (client, store) = self.in_store(store, OPERATION).await?;
        let sql = format!("SELECT body FROM {}.assertions WHERE store = $1 AND model = $2", self.pg.schema());
        let model = IdText::of(model.0);
        let row = client.query_opt(&sql, &[&store.as_str(), &model.as_str()]).await.map_err(failed(OPERATION))?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, StoreError> {
        let texts = check_properties(&properties)?;
        let given = properties.into_iter().map(|(object, _)| object).zip(texts).collect();
        self.submit(Job::WriteProperties(store, given)).await.map(|(_, committed)| committed)
    }

    async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, StoreError> {
        let (client, store) = self.in_store(store, "listing properties").await?;
        pages::properties(&client, self.pg.schema(), store.as_str(), &page).await
    }

    async fn append(&self, scope: InvalidationScope) -> Result<Committed, StoreError> {
        self.submit(Job::Append(scope)).await.map(|(_, committed)| committed)
    }

    async fn in_force(&self, revision: Revision, patience: Duration) -> Result<Standing, StoreError> {
        const OPERATION: &str = "asking where a change is in force";
        self.reader()?.in_force(revision.get(), patience).await.map_err(|error| running(OPERATION, &error))
    }

    async fn apply_through(&self, revision: Revision) -> Result<(), StoreError> {
        const OPERATION: &str = "waiting for a change";
        let reader = self.reader()?;
        if revision.get() < reader.trimmed_below() {
            return Err(StoreError::Expired);
        }
        // By a poll, and never by the position of now: that may be from before a crash of the server, and see a number that was given again since.
        reader.applied(revision.get()).await.map_err(|error| running(OPERATION, &error))?;
        // Once more: the poll may have been the first to hear of a crash.
        if revision.get() < reader.trimmed_below() { Err(StoreError::Expired) } else { Ok(()) }
    }

    fn applied_number(&self, remote_hits: u64) -> Option<u64> {
        let reader = self.joining.reader.get()?;
        // Before the position is looked at: what the poll that settles it contains is published by then.
        let ahead = self.ahead.is_ahead(reader, remote_hits);
        let published = reader.published();
        (published > 0).then_some(published << 1 | u64::from(ahead))
    }

    fn applied(&self, number: u64) -> Option<Position> {
        let snapshot = self.joining.reader.get()?.position()?;
        let whole = number & 1 == 0;
        Some(PgPosition { snapshot: PgSnapshot::clone(&snapshot), whole }.write())
    }

    async fn apply_position(&self, position: &Position) -> Result<(), StoreError> {
        const OPERATION: &str = "waiting for a state";
        let reader = self.reader()?;
        let PgPosition { snapshot, whole } = PgPosition::read(position).ok_or(StoreError::UnknownPosition)?;
        // Every change that it may name is lower than this.
        if snapshot.xmax() < reader.trimmed_below() {
            return Err(StoreError::Expired);
        }
        reader.caught_up(whole.then_some(&snapshot)).await.map_err(|error| running(OPERATION, &error))
    }

    async fn health(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "asking PostgreSQL for its health";
        let reader = self.reader()?;
        if let Some(trouble) = reader.trouble() {
            return Err(running("following the log", &trouble));
        }
        let client = self.pg.shared().await.map_err(connecting(OPERATION))?;
        client.batch_execute("").await.map_err(failed(OPERATION))
    }

    async fn lost(&self) -> StoreError {
        let reader = loop {
            match self.joining.reader.get() {
                Some(reader) => break reader,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        running("following the log", &reader.lost().await)
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // What was begun ends, and its writer is answered: for that the log has to be followed until then.
        drop(self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = async { self.ended.lock().await.recv().await };
        if tokio::time::timeout(CLOSE_WAIT, ended).await.is_err() {
            tracing::warn!("writes to postgres were still under way when the origin was closed");
        }
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        if let Some(reader) = self.joining.reader.get() {
            reader.stop().await;
        }
    }
}

/// Waits for the past, and says that it is known.
async fn reader_joined(joining: &Joining, reader: Arc<LogReader>) {
    let _ = joining.reader.set(Arc::clone(&reader));
    reader.joined().await;
    // Before that nothing cached is used.
    reader.leased().await;
    joining.follows.notify_one();
}
