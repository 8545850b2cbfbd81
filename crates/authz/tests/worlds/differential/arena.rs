//! A world's origin, its decision points, and what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency, DecisionPoint};
use authz::model::Model;
use authz::relation::{Relationship, Text};
use authz::store::memory::MemoryStore;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{MAX_WRITE_BATCH, ModelId, Store, StoreId, SystemWallClock, UnixMillis, WallClock, WriteBatch};
use cache_core::testing::TestClock;
use cache_core::{HorizonConfig, Revision, TierStatistics};
use cache_l1::{MemoryConfig, MemoryLayer};
use fastrand::Rng;
use tempfile::TempDir;
use ulid::Ulid;

use super::{Difference, Place, SMALLEST_HORIZON, Setting};
use crate::conditions::{BEGIN, Surroundings};
use crate::coverage::Coverage;
use crate::generator::{Change, Question, State};
use crate::origin::{Pauses, SharedOrigin};
use crate::postgres::Database;
use crate::tiers::{Fault, Servers};

/// What a world happens in.
pub(super) struct Arena<'s> {
    servers: Option<&'s Servers>,
    pub(super) seed: u64,
    pub(super) setting: Setting,
    origin: Arc<SharedOrigin>,
    pub(super) pauses: Arc<Pauses>,
    clock: Arc<TestClock>,
    /// The time that conditions read.
    wall: Arc<Wall>,
    pub(super) cached: DecisionPoint,
    pub(super) uncached: DecisionPoint,
    pub(super) store: StoreId,
    /// Ids of stores and models are counted, so that a run is the same each time.
    ids: u128,
    /// The versions of the store's model, the newest one last.
    pub(super) models: Vec<(ModelId, Model)>,
    database: Option<Database>,
    _directory: Option<TempDir>,
}

impl<'s> Arena<'s> {
    pub(super) async fn open(seed: u64, setting: Setting, pauses: u64, servers: Option<&'s Servers>) -> Self {
        let (mut database, mut directory) = (None, None);
        let inner: Arc<dyn Store> = match setting.place {
            Place::Memory => Arc::new(MemoryStore::default()),
            Place::Sqlite => {
                let path = directory.insert(TempDir::new().expect("a temporary directory")).path().join("world.db");
                let store = SqliteStore::open(SqliteConfig::new(path), Arc::new(SystemWallClock));
                Arc::new(store.expect("a new file opens"))
            }
            Place::Postgres => Arc::clone(&database.insert(Database::open().await).origin) as _,
        };
        let pauses = Pauses::new(pauses);
        let origin = SharedOrigin::new(inner, Arc::clone(&pauses)).await;
        let clock = Arc::new(TestClock::default());
        let wall = Arc::new(Wall(AtomicU64::new(BEGIN)));
        let cached = cached(&origin, setting, servers, database.as_ref(), &clock, &wall).await;
        let uncached = DecisionPoint::builder(origin.clone())
            .horizon(HorizonConfig { budget_bytes: SMALLEST_HORIZON, max_rules: 4 })
            .limits(setting.limits)
            .wall_clock(wall.clone())
            .build()
            .await
            .expect("the parts fit");
        let store = StoreId(Ulid(0));
        Self {
            servers,
            seed,
            setting,
            origin,
            pauses,
            clock,
            wall,
            cached,
            uncached,
            store,
            ids: 0,
            models: Vec::new(),
            database,
            _directory: directory,
        }
    }

    /// Lets something happen to the tiers.
    pub(super) async fn befall(&mut self, rng: &mut Rng) {
        let Some(servers) = self.servers else { return };
        if servers.befall(rng, &self.cached, self.database.as_ref()).await == Some(Fault::Restarted) {
            servers.count(&self.cached);
            let database = self.database.as_ref();
            self.cached = cached(&self.origin, self.setting, self.servers, database, &self.clock, &self.wall).await;
        }
    }

    pub(super) fn next_id(&mut self) -> Ulid {
        self.ids += 1;
        Ulid(self.ids)
    }

    /// Fills a new store.
    pub(super) async fn begin(&mut self, state: &State) {
        self.store = StoreId(self.next_id());
        self.fill(state).await;
    }

    pub(super) async fn fill(&mut self, state: &State) {
        self.origin.create_store(self.store, "world").await.expect("the id is free");
        self.models.clear();
        self.write_model(&state.model).await;
        if !state.around.trust.is_empty() {
            let trust = state.around.trust.iter().map(|(object, trust)| (object.clone(), trusted(Some(*trust))));
            self.origin.write_properties(self.store, trust.collect()).await.expect("the store is there");
        }
        let relationships = state
            .tuples
            .iter()
            .map(|(tuple, condition)| Relationship { tuple: tuple.clone(), condition: condition.clone() });
        let relationships: Vec<Relationship> = relationships.collect();
        for chunk in relationships.chunks(MAX_WRITE_BATCH) {
            let batch = WriteBatch::of(chunk.iter().cloned());
            self.cached.write(self.store, None, batch).await.expect("the model allows what was drawn");
        }
    }

    pub(super) async fn write_model(&mut self, model: &Model) {
        let id = ModelId(self.next_id());
        let body = model.to_json().to_string();
        self.origin.write_model(self.store, id, &body).await.expect("the id is free");
        self.models.push((id, model.clone()));
    }

    pub(super) async fn apply(&mut self, change: &Change, state: &State, rng: &mut Rng) {
        match (change, &self.database) {
            (Change::Write(batch), Some(database)) if rng.bool() => database.write(self.store, batch).await,
            _ => self.apply_here(change, state).await,
        }
    }

    async fn apply_here(&mut self, change: &Change, state: &State) {
        match change {
            Change::Write(batch) => {
                self.cached.write(self.store, None, batch.clone()).await.expect("the batch fits the state");
            }
            Change::Model(model) => self.write_model(model).await,
            Change::Invalidate(scope) => {
                self.cached.invalidate(scope.clone()).await.expect("the scope can be read");
            }
            Change::Replace { tuples, same_id } => {
                self.cached.delete_store(self.store).await.expect("the store is there");
                if !same_id {
                    self.store = StoreId(self.next_id());
                }
                let around = Surroundings { trust: BTreeMap::new(), ..state.around.clone() };
                self.fill(&State { model: state.model.clone(), tuples: tuples.clone(), around }).await;
            }
            Change::Trust { object, trust } => {
                let properties = vec![(object.clone(), trusted(*trust))];
                self.origin.write_properties(self.store, properties).await.expect("the store is there");
            }
            Change::Wait { ms } => {
                self.clock.advance(Duration::from_millis(*ms));
                self.wall.0.fetch_add(*ms, Ordering::SeqCst);
            }
        }
    }

    pub(super) fn request(&self, question: &Question, consistency: Consistency) -> CheckRequest {
        let Question { subject, relation, object, context } = question.clone();
        CheckRequest {
            store: self.store,
            model: None,
            subject,
            relation,
            object,
            contextual_tuples: Vec::new(),
            context,
            properties: Default::default(),
            consistency,
        }
    }

    pub(super) fn difference(&self, step: usize, question: &Question, said: String) -> Box<Difference> {
        Box::new(Difference { seed: self.seed, step, question: question.to_string(), said })
    }

    pub(super) async fn end(self, coverage: &mut Coverage) {
        let statistics = self.cached.statistics();
        if let Some(servers) = self.servers {
            servers.count(&self.cached);
        }
        coverage.worlds_on_disk += usize::from(self.setting.place == Place::Sqlite);
        coverage.worlds_with_concurrency += usize::from(self.setting.concurrent);
        // Invalidating everything raises the floor as well; a horizon that forgot has one below the newest revision.
        coverage.worlds_with_a_raised_floor += usize::from(
            statistics.horizon.floor > Revision::ZERO && self.setting.horizon.budget_bytes == SMALLEST_HORIZON,
        );
        coverage.probes += statistics.tiers.iter().take(1).map(TierStatistics::probes_total).sum::<u64>();
        coverage.hits += statistics.tiers.iter().map(TierStatistics::hits).sum::<u64>();
        if self.setting.place != Place::Memory {
            self.origin.close().await;
        }
    }
}

/// The decision point with caches, as a process that has just started has it.
async fn cached(
    origin: &Arc<SharedOrigin>,
    setting: Setting,
    servers: Option<&Servers>,
    database: Option<&Database>,
    clock: &Arc<TestClock>,
    wall: &Arc<Wall>,
) -> DecisionPoint {
    let mut builder = DecisionPoint::builder(origin.clone());
    if setting.which.l1 {
        let memory = MemoryConfig {
            budget_bytes: setting.memory_bytes,
            shards: Some(1),
            expected_entry_bytes: 400,
            ..MemoryConfig::default()
        };
        builder = builder.tier(MemoryLayer::new(memory).expect("the settings are within their bounds"));
    }
    if let Some(servers) = servers {
        builder = servers.add(setting.which, builder, clock.clone(), wall.clone());
    }
    if let Some(database) = database
        && setting.which.l3
    {
        builder = builder.tier(database.layer());
    }
    let builder = builder.horizon(setting.horizon).limits(setting.limits).clock(clock.clone()).wall_clock(wall.clone());
    builder.build().await.expect("the parts fit")
}

/// The time of the wall, as a world tells it.
struct Wall(AtomicU64);

impl WallClock for Wall {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }
}

fn trusted(trust: Option<u8>) -> Context {
    Context::new(trust.map(|trust| (Text::from("trust"), serde_json::json!(trust))))
}
