//! What the tests share: a recording sink, origins to try, and short ways to say things.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authz::condition::Context;
use authz::relation::{
    Member, Object, Presence, Relationship, RelationshipCondition, Subject, SubjectKind, Text, Tuple,
};
use authz::store::memory::MemoryStore;
use authz::store::postgres::PostgresStore;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{
    Change, ChangeSink, LoggedChange, Past, Snapshot, Store, StoreError, StoreId, TupleAnswer, TupleRead, UnixMillis,
    WallClock, WriteBatch, WriteConflict,
};
use cache_core::{Revision, Stamp};
use pg_log::PgConfig;
use tempfile::TempDir;
use test_services::TestDatabase;
use tokio::sync::watch;
use ulid::Ulid;

/// Remembers what it was told.
pub(crate) struct Recorder {
    pub(crate) joined: Mutex<Vec<(Revision, Vec<LoggedChange>, Stamp)>>,
    seen: watch::Sender<Vec<LoggedChange>>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { joined: Mutex::default(), seen: watch::Sender::new(Vec::new()) })
    }

    /// Each change once, in the order in which they came first: a change may come twice, because the thread that looks for foreign
    /// writes may see one of ours before the writer has applied it.
    pub(crate) fn applied(&self) -> Vec<LoggedChange> {
        let mut known: BTreeMap<Revision, Vec<Change>> = BTreeMap::new();
        let mut all = self.seen.borrow().clone();
        all.retain(|logged| {
            let same = known.entry(logged.revision).or_default();
            let first = !same.contains(&logged.change);
            if first {
                same.push(logged.change.clone());
            }
            first
        });
        all
    }

    pub(crate) fn has(&self, change: &Change) -> bool {
        self.seen.borrow().iter().any(|logged| logged.change == *change)
    }

    /// Waits for a change itself, not for a time.
    pub(crate) async fn wait_for(&self, change: &Change) {
        let mut seen = self.seen.subscribe();
        seen.wait_for(|seen| seen.iter().any(|logged| logged.change == *change)).await.unwrap();
    }
}

impl ChangeSink for Recorder {
    fn joined(&self, past: Past<'_>) {
        self.joined.lock().unwrap().push((past.floor, past.changes.to_vec(), past.stamp));
    }

    fn advance(&self, _: Stamp) {}

    fn forget(&self, _: Revision) {}

    fn apply(&self, changes: &[LoggedChange]) {
        self.seen.send_modify(|seen| seen.extend_from_slice(changes));
    }
}

/// A clock that a test sets.
#[derive(Default)]
pub(crate) struct FixedClock(pub(crate) AtomicU64);

impl WallClock for FixedClock {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a law gets an origin.
#[async_trait]
pub(crate) trait Fixture {
    type Origin: Store;
    async fn open() -> World<Self::Origin>;

    /// Whether a transaction elsewhere may keep stamps low, which costs misses and is no fault: tests beside this one share its server.
    fn may_be_held_back() -> bool {
        false
    }
}

/// An origin with a sink and one store.
pub(crate) struct World<S> {
    pub(crate) origin: Arc<S>,
    pub(crate) sink: Arc<Recorder>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) store: StoreId,
    /// Kept until the end of the test.
    _directory: Option<TempDir>,
    pub(crate) database: Option<TestDatabase>,
}

pub(crate) struct Memory;
pub(crate) struct Sqlite;
pub(crate) struct Postgres;

#[async_trait]
impl Fixture for Memory {
    type Origin = MemoryStore;
    async fn open() -> World<MemoryStore> {
        let clock = Arc::new(FixedClock::default());
        World::of(MemoryStore::new(Arc::clone(&clock) as _), clock, None).await
    }
}

#[async_trait]
impl Fixture for Sqlite {
    type Origin = SqliteStore;
    async fn open() -> World<SqliteStore> {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::new(directory.path().join("origin.db"));
        open_sqlite(config, Some(directory)).await
    }
}

impl Postgres {
    /// Says that it is skipped where there is no server.
    pub(crate) fn is_there() -> bool {
        test_services::shared_postgres().is_some()
    }

    /// The origin on a database of its own.
    pub(crate) async fn on(database: TestDatabase) -> World<PostgresStore> {
        let clock = Arc::new(FixedClock::default());
        let mut config = PgConfig::new(database.url());
        config.exclusive_max = 4;
        config.shared_connections = 1;
        let store = PostgresStore::new(config, Arc::clone(&clock) as _).unwrap();
        let mut world = World::of(store, clock, None).await;
        world.database = Some(database);
        world
    }
}

#[async_trait]
impl Fixture for Postgres {
    type Origin = PostgresStore;
    async fn open() -> World<PostgresStore> {
        Self::on(database().await).await
    }

    fn may_be_held_back() -> bool {
        true
    }
}

/// A new database, empty.
pub(crate) async fn database() -> TestDatabase {
    tokio::task::spawn_blocking(|| TestDatabase::create("SELECT").expect("the server was there just now"))
        .await
        .unwrap()
}

pub(crate) async fn open_sqlite(config: SqliteConfig, directory: Option<TempDir>) -> World<SqliteStore> {
    let clock = Arc::new(FixedClock::default());
    World::of(SqliteStore::open(config, Arc::clone(&clock) as _).unwrap(), clock, directory).await
}

impl<S: Store> World<S> {
    async fn of(origin: S, clock: Arc<FixedClock>, directory: Option<TempDir>) -> Self {
        let sink = Recorder::new();
        origin.attach(Arc::clone(&sink) as _).await.unwrap();
        clock.0.store(1_000, Ordering::Relaxed);
        let store = StoreId(Ulid::from_parts(1, 1));
        match origin.create_store(store, "first").await {
            Ok(_) | Err(StoreError::Conflict(WriteConflict::StoreExists(_))) => {}
            Err(error) => panic!("{error}"),
        }
        Self { origin: Arc::new(origin), sink, clock, store, _directory: directory, database: None }
    }

    pub(crate) async fn write(&self, tuples: &[&str]) {
        self.origin.write(self.store, writes(tuples)).await.unwrap();
    }

    pub(crate) async fn delete(&self, tuples: &[&str]) {
        self.origin.write(self.store, deletes(tuples)).await.unwrap();
    }

    /// A snapshot whose state is settled: a read does that, whether or not the origin settles it before.
    pub(crate) async fn settled(&self) -> Box<dyn Snapshot> {
        let mut snapshot = self.origin.snapshot().await.unwrap();
        snapshot.latest_model(self.store).await.unwrap();
        snapshot
    }

    pub(crate) async fn has(&self, tuple: &str) -> bool {
        has(&mut *self.origin.snapshot().await.unwrap(), self.store, tuple).await
    }
}

pub(crate) async fn has(snapshot: &mut dyn Snapshot, store: StoreId, text: &str) -> bool {
    snapshot.read(store, vec![TupleRead::Point(tuple(text))]).await.unwrap() == [TupleAnswer::Found(Presence::Present)]
}

/// `document:1#viewer@user:ann`, also with a userset or a wildcard.
pub(crate) fn tuple(text: &str) -> Tuple {
    let (object, rest) = text.split_once('#').unwrap();
    let (relation, subject) = rest.split_once('@').unwrap();
    Tuple::parse(object, relation, subject).unwrap()
}

pub(crate) fn writes(tuples: &[&str]) -> WriteBatch {
    WriteBatch::of(tuples.iter().map(|text| tuple(text)))
}

pub(crate) fn deletes(tuples: &[&str]) -> WriteBatch {
    WriteBatch { deletes: tuples.iter().map(|text| tuple(text)).collect(), ..WriteBatch::default() }
}

/// `enumerate("team:9", "member", "user")`, `enumerate("team:9", "member", "team#member")`
pub(crate) fn enumerate(object: &str, relation: &str, kind: &str) -> TupleRead {
    let (type_name, of) = kind.split_once('#').map_or((kind, None), |(name, of)| (name, Some(of)));
    TupleRead::Enumerate {
        object: Object::parse(object).unwrap(),
        relation: Text::from(relation),
        kind: SubjectKind { type_name: Text::from(type_name), relation: of.map(Text::from) },
    }
}

pub(crate) fn ids(expected: &[&str]) -> TupleAnswer {
    TupleAnswer::Members(expected.iter().map(|id| Member::from(*id)).collect())
}

/// `reverse("team:9#member", "doc", "viewer")`
pub(crate) fn reverse(subject: &str, object_type: &str, relation: &str) -> TupleRead {
    TupleRead::Reverse {
        subject: Subject::parse(subject).unwrap(),
        object_type: Text::from(object_type),
        relation: Text::from(relation),
    }
}

/// `context(r#"{"a": 1}"#)`
pub(crate) fn context(json: &str) -> Context {
    Context::from(serde_json::from_str::<serde_json::Map<_, _>>(json).unwrap())
}

pub(crate) fn condition(name: &str, json: &str) -> Arc<RelationshipCondition> {
    Arc::new(RelationshipCondition { name: Text::from(name), context: context(json) })
}

/// `with("doc:1#viewer@user:ann", "in_office", r#"{"net": "10.0.0.0/8"}"#)`
pub(crate) fn with(text: &str, name: &str, json: &str) -> Relationship {
    Relationship { tuple: tuple(text), condition: Some(condition(name, json)) }
}
