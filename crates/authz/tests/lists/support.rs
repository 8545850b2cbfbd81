//! A decision point with a world in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authz::condition::Context;
use authz::decide::{
    CheckError, CheckRequest, Consistency, DecisionPoint, ListObjectsRequest, ListUsersRequest, Listed,
};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Relationship, Subject, SubjectKind, Text};
use authz::store::memory::MemoryStore;
use authz::store::{Store, StoreId, UnixMillis, WallClock, WriteBatch};
use cache_core::testing::TestClock;
use cache_l1::{MemoryConfig, MemoryLayer};
use serde_json::json;

use super::conditions::BEGIN;
use super::generator::State;

/// The most relationships of one write.
const BATCH: usize = authz::store::MAX_WRITE_BATCH;

pub(crate) struct World {
    pub(crate) point: DecisionPoint,
    pub(crate) store: StoreId,
    pub(crate) origin: Arc<MemoryStore>,
    pub(crate) contextual: Vec<Relationship>,
    pub(crate) context: Context,
    clock: Arc<TestClock>,
    wall: Arc<Wall>,
}

/// The time that conditions read. It stands still but for [`World::wait`].
#[derive(Debug)]
struct Wall(AtomicU64);

impl WallClock for Wall {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }
}

impl World {
    pub(crate) async fn new(limits: Limits, model: &Model) -> Self {
        let tier = MemoryLayer::new(MemoryConfig { budget_bytes: 4 << 20, ..MemoryConfig::default() }).unwrap();
        let origin = Arc::new(MemoryStore::default());
        let (clock, wall) = (Arc::new(TestClock::default()), Arc::new(Wall(AtomicU64::new(BEGIN))));
        let builder = DecisionPoint::builder(Arc::clone(&origin) as Arc<dyn Store>).tier(tier).limits(limits);
        let point = builder.clock(clock.clone()).wall_clock(wall.clone()).build().await.unwrap();
        let store = point.create_store("lists").await.unwrap().id;
        point.write_model(store, model).await.unwrap();
        Self { point, store, origin, contextual: Vec::new(), context: Context::default(), clock, wall }
    }

    /// Time passes, by both clocks.
    pub(crate) fn wait(&self, time: Duration) {
        self.clock.advance(time);
        self.wall.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) async fn write(&self, tuples: impl IntoIterator<Item = impl Into<Relationship>>) {
        let tuples: Vec<Relationship> = tuples.into_iter().map(Into::into).collect();
        for part in tuples.chunks(BATCH) {
            self.point.write(self.store, None, WriteBatch::of(part.to_vec())).await.unwrap();
        }
    }

    /// With all that a random world begins with.
    pub(crate) async fn of(limits: Limits, state: &State) -> Self {
        let world = Self::new(limits, &state.model).await;
        let trust = state
            .around
            .trust
            .iter()
            .map(|(object, trust)| (object.clone(), Context::new([("trust".into(), json!(trust))])));
        world.properties(trust.collect()).await;
        world.write(relationships(state)).await;
        world
    }

    pub(crate) async fn properties(&self, properties: Vec<(Object, Context)>) {
        if !properties.is_empty() {
            self.origin.write_properties(self.store, properties).await.unwrap();
        }
    }

    pub(crate) async fn check(&self, subject: &Subject, relation: &Text, object: &Object) -> Result<bool, CheckError> {
        let request = CheckRequest {
            store: self.store,
            model: None,
            subject: subject.clone(),
            relation: relation.clone(),
            object: object.clone(),
            contextual_tuples: self.contextual.clone(),
            context: self.context.clone(),
            properties: Default::default(),
            consistency: Consistency::Full,
        };
        self.point.check(&request).await.map(|decision| decision.allowed)
    }

    pub(crate) async fn objects(
        &self,
        subject: &Subject,
        relation: &str,
        object_type: &str,
        consistency: Consistency,
    ) -> Result<Listed<Text>, CheckError> {
        let request = ListObjectsRequest {
            store: self.store,
            model: None,
            subject: subject.clone(),
            relation: relation.into(),
            object_type: object_type.into(),
            contextual_tuples: self.contextual.clone(),
            context: self.context.clone(),
            properties: Default::default(),
            consistency,
        };
        self.point.list_objects(&request).await
    }

    pub(crate) async fn users(
        &self,
        object: &Object,
        relation: &str,
        filter: SubjectKind,
        consistency: Consistency,
    ) -> Result<Listed<Subject>, CheckError> {
        let request = ListUsersRequest {
            store: self.store,
            model: None,
            object: object.clone(),
            relation: relation.into(),
            filters: vec![filter],
            contextual_tuples: self.contextual.clone(),
            context: self.context.clone(),
            properties: Default::default(),
            consistency,
        };
        self.point.list_users(&request).await
    }
}

pub(crate) fn relationships(state: &State) -> Vec<Relationship> {
    let stored = state.tuples.iter();
    stored.map(|(tuple, condition)| Relationship { tuple: tuple.clone(), condition: condition.clone() }).collect()
}
