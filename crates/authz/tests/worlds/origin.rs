//! An origin that two decision points share, and that takes its time where it is told to.
//!
//! An origin has one sink. Here that one passes everything on, so that a decision point with caches and one without see the same changes of the same data.
//! Where others are to get between, each access gives way to them a few times, drawn from a seed: on one thread a run is the same each time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use authz::condition::Context;
use authz::relation::{Object, Tuple};
use authz::store::{
    ChangeFilter, ChangePlace, ChangeSink, Committed, InvalidationScope, LoggedChange, ModelId, Page, PageRequest,
    Past, Snapshot, Store, StoreError, StoreId, StoreRecord, StoredTuple, TupleAnswer, TupleChange, TupleFilter,
    TupleRead, WriteBatch,
};
use cache_core::{Identity, Lease, Position, Revision, Stamp, Standing};
use fastrand::Rng;

/// When to give way, and how often.
#[derive(Debug)]
pub(crate) struct Pauses {
    on: AtomicBool,
    rng: Mutex<Rng>,
}

impl Pauses {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { on: AtomicBool::new(false), rng: Mutex::new(Rng::with_seed(seed)) })
    }

    pub(crate) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    pub(crate) async fn up_to(&self, times: usize) {
        if !self.on.load(Ordering::SeqCst) {
            return;
        }
        let times = self.rng.lock().unwrap_or_else(PoisonError::into_inner).usize(..=times);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Default)]
struct Sinks {
    all: Mutex<Vec<Arc<dyn ChangeSink>>>,
    identity: Mutex<Option<Identity>>,
    /// What was ever told, for whoever comes later.
    told: Mutex<Vec<LoggedChange>>,
}

impl Sinks {
    fn each(&self, tell: impl Fn(&dyn ChangeSink)) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|sink| tell(sink.as_ref()));
    }
}

impl ChangeSink for Sinks {
    fn joined(&self, past: Past<'_>) {
        assert!(past.changes.is_empty(), "a world begins with an empty origin");
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(past.identity);
    }

    fn advance(&self, stamp: Stamp) {
        self.each(|sink| sink.advance(stamp));
    }

    fn forget(&self, through: Revision) {
        self.each(|sink| sink.forget(through));
    }

    fn apply(&self, changes: &[LoggedChange]) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(changes);
        self.each(|sink| sink.apply(changes));
    }
}

pub(crate) struct SharedOrigin {
    inner: Arc<dyn Store>,
    sinks: Arc<Sinks>,
    pauses: Arc<Pauses>,
}

impl SharedOrigin {
    pub(crate) async fn new(inner: Arc<dyn Store>, pauses: Arc<Pauses>) -> Arc<Self> {
        let sinks = Arc::new(Sinks::default());
        inner.attach(sinks.clone()).await.expect("nobody else attaches");
        Arc::new(Self { inner, sinks, pauses })
    }
}

#[async_trait]
impl Store for SharedOrigin {
    async fn attach(&self, sink: Arc<dyn ChangeSink>) -> Result<(), StoreError> {
        let identity = *self.sinks.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = identity.expect("the origin has joined its log");
        // First among those who are told, then the past: what happens in between comes twice.
        self.sinks.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&sink));
        let told = self.sinks.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sink.joined(Past { identity, floor: Revision::ZERO, changes: &told, stamp: Stamp::OLDEST });
        Ok(())
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.pauses.up_to(2).await;
        let inner = self.inner.snapshot().await?;
        Ok(Box::new(Slow { inner, pauses: Arc::clone(&self.pauses) }))
    }

    fn lease(&self) -> Arc<Lease> {
        self.inner.lease()
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        self.pauses.up_to(2).await;
        self.inner.catch_up().await
    }

    async fn write(&self, store: StoreId, batch: WriteBatch) -> Result<Committed, StoreError> {
        self.pauses.up_to(4).await;
        let committed = self.inner.write(store, batch).await;
        self.pauses.up_to(2).await;
        committed
    }

    async fn create_store(&self, id: StoreId, name: &str) -> Result<(StoreRecord, Committed), StoreError> {
        self.inner.create_store(id, name).await
    }

    async fn store(&self, id: StoreId) -> Result<Option<StoreRecord>, StoreError> {
        self.inner.store(id).await
    }

    async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, StoreError> {
        self.inner.stores(page).await
    }

    async fn delete_store(&self, id: StoreId) -> Result<Option<Committed>, StoreError> {
        self.inner.delete_store(id).await
    }

    async fn write_model(&self, store: StoreId, id: ModelId, body: &str) -> Result<Committed, StoreError> {
        self.inner.write_model(store, id, body).await
    }

    async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        self.pauses.up_to(1).await;
        self.inner.model(store, id).await
    }

    async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, StoreError> {
        self.inner.models(store, page).await
    }

    async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, StoreError> {
        self.inner.read_tuples(store, filter, page).await
    }

    async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
        self.inner.changes(store, filter, page).await
    }

    async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), StoreError> {
        self.inner.write_assertions(store, model, body).await
    }

    async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, StoreError> {
        self.inner.assertions(store, model).await
    }

    async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, StoreError> {
        self.pauses.up_to(3).await;
        self.inner.write_properties(store, properties).await
    }

    async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, StoreError> {
        self.inner.properties(store, page).await
    }

    async fn append(&self, scope: InvalidationScope) -> Result<Committed, StoreError> {
        self.inner.append(scope).await
    }

    async fn in_force(&self, revision: Revision, patience: Duration) -> Result<Standing, StoreError> {
        self.inner.in_force(revision, patience).await
    }

    async fn apply_through(&self, revision: Revision) -> Result<(), StoreError> {
        self.inner.apply_through(revision).await
    }

    fn applied_number(&self, remote_hits: u64) -> Option<u64> {
        self.inner.applied_number(remote_hits)
    }

    fn applied(&self, number: u64) -> Option<Position> {
        self.inner.applied(number)
    }

    async fn apply_position(&self, position: &Position) -> Result<(), StoreError> {
        self.inner.apply_position(position).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.inner.health().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// A snapshot that gives way before each level.
struct Slow {
    inner: Box<dyn Snapshot>,
    pauses: Arc<Pauses>,
}

#[async_trait]
impl Snapshot for Slow {
    fn stamp(&self) -> Stamp {
        self.inner.stamp()
    }

    async fn read(&mut self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        self.pauses.up_to(3).await;
        let answers = self.inner.read(store, reads).await;
        self.pauses.up_to(2).await;
        answers
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        self.inner.latest_model(store).await
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        self.pauses.up_to(1).await;
        self.inner.model(store, id).await
    }
}
