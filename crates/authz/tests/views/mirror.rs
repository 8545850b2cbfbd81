//! Relationships in two places: in an origin in memory, which decides what is true and when, and in PostgreSQL, where the views are.
//!
//! One writer, so that the content of a refresh is that of the origin at that moment, and its stamp the origin's own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authz::decide::{CachedValue, DecisionPoint};
use authz::model::Model;
use authz::relation::{Relationship, RelationshipCondition, Tuple};
use authz::store::memory::MemoryStore;
use authz::store::{ModelId, Store, StoreId, WriteBatch};
use authz::views;
use cache_core::telemetry::{Outcome, Telemetry};
use cache_core::testing::TestClock;
use cache_core::{
    CacheLayer, CacheType, Capabilities, Clock, Entry, Error, Fill, Filled, Identity, Key, Now, Policy, Usage,
};
use cache_pg::{View, ViewConfig, ViewLayer, Views};
use pg_log::tokio_postgres::{Client, NoTls};
use pg_log::{Pg, PgConfig};
use ulid::Ulid;

const URL: &str = "postgresql://postgres@127.0.0.1:5477/postgres";

/// The tables that the views look at.
const TABLES: &str = "
    CREATE TABLE models (store text COLLATE \"C\", id text COLLATE \"C\", body text NOT NULL);
    CREATE TABLE tuples (
        store text COLLATE \"C\" NOT NULL, object_type text COLLATE \"C\" NOT NULL, object_id text COLLATE \"C\" NOT NULL,
        relation text COLLATE \"C\" NOT NULL, subject_type text COLLATE \"C\" NOT NULL,
        subject_relation text COLLATE \"C\" NOT NULL DEFAULT '', subject_id text COLLATE \"C\" NOT NULL,
        condition text NOT NULL DEFAULT '', condition_context text NOT NULL DEFAULT '',
        PRIMARY KEY (store, object_type, object_id, relation, subject_type, subject_relation, subject_id));";

static NEXT: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Mirror {
    pub(crate) client: Client,
    pub(crate) schema: String,
    pub(crate) views: Views,
    pub(crate) origin: Arc<MemoryStore>,
    pub(crate) point: DecisionPoint,
    pub(crate) hits: Arc<Hits>,
    pub(crate) store: StoreId,
    models: u128,
    identity: Arc<Mutex<Option<Identity>>>,
    refreshed: bool,
}

/// How often the tier answered, by cache type and sign.
#[derive(Default)]
pub(crate) struct Hits(Mutex<HashMap<(&'static str, &'static str), usize>>);

impl Hits {
    pub(crate) fn of(&self, cache_type: &'static str, outcome: Outcome) -> usize {
        self.0.lock().unwrap().get(&(cache_type, outcome.label())).copied().unwrap_or_default()
    }
}

impl Telemetry for Hits {
    fn probed(&self, tier: &'static str, cache_type: CacheType, outcome: Outcome) {
        if tier == "l3" {
            *self.0.lock().unwrap().entry((cache_type.name(), outcome.label())).or_default() += 1;
        }
    }
}

/// Remembers whose history the tier was told to be of.
struct Overheard {
    inner: ViewLayer<CachedValue>,
    identity: Arc<Mutex<Option<Identity>>>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheLayer<CachedValue> for Overheard {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, identity: Identity) {
        *self.identity.lock().unwrap() = Some(identity);
        self.inner.bind(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<CachedValue> {
        self.inner.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<CachedValue>>>, Error> {
        self.inner.get_many(keys).await
    }

    async fn fill_many(&self, fills: &[Fill<'_, CachedValue>]) -> Result<Filled, Error> {
        self.inner.fill_many(fills).await
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.inner.remove_many(keys).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.inner.clear().await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

pub(crate) async fn connect() -> Client {
    let (client, connection) = pg_log::tokio_postgres::connect(URL, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

impl Mirror {
    /// An empty store. With `memory` there is a memory tier before the views, into which rows are copied.
    pub(crate) async fn new(memory: bool) -> Self {
        let client = connect().await;
        let schema = format!("authz_views_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        client
            .batch_execute(&format!(
                "SET client_min_messages = warning; SET jit = off; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};
                 SET search_path = {schema}; {TABLES} {}",
                views::access_patterns::MIGRATION.replace("{schema}", &schema)
            ))
            .await
            .unwrap();
        let pg = Pg::new(PgConfig::new(URL).schema(&schema)).unwrap();
        let all = views::all(pg.schema()).into_iter().map(view).collect();
        let views = Views::new(pg, all).unwrap();
        views.migrate().await.unwrap();

        let (origin, identity) = (Arc::new(MemoryStore::default()), Arc::default());
        let (clock, hits): (Arc<dyn Clock>, Arc<Hits>) = (Arc::new(TestClock::default()), Arc::default());
        let config = ViewConfig { recheck_ms: 10, ..ViewConfig::default() };
        let inner = views.layer(config, Arc::new(cache_core::SystemClock)).unwrap();
        let mut builder = DecisionPoint::builder(Arc::clone(&origin) as Arc<dyn Store>);
        if memory {
            builder = builder.tier(cache_l1::MemoryLayer::new(cache_l1::MemoryConfig::default()).unwrap());
        }
        let point = builder
            .tier(Overheard { inner, identity: Arc::clone(&identity) })
            .policy(Policy::default())
            .clock(clock)
            .telemetry(Arc::clone(&hits) as Arc<dyn Telemetry>)
            .build()
            .await
            .unwrap();
        let store = StoreId(Ulid(7));
        origin.create_store(store, "mirrored").await.unwrap();
        Self { client, schema, views, origin, point, hits, store, models: 0, identity, refreshed: false }
    }

    /// Another model becomes the latest one.
    pub(crate) async fn model(&mut self, dsl: &str) -> ModelId {
        let body = Model::from_dsl(dsl).unwrap().to_json().to_string();
        self.models += 1;
        let id = ModelId(Ulid(self.models));
        self.origin.write_model(self.store, id, &body).await.unwrap();
        let insert = "INSERT INTO models VALUES ($1, $2, $3)";
        let (store, id_text) = (self.store.0.to_string(), id.0.to_string());
        self.client.execute(insert, &[&store, &id_text, &body]).await.unwrap();
        id
    }

    /// Writes and deletes relationships in both places.
    pub(crate) async fn write(&self, batch: WriteBatch) {
        let store = self.store.0.to_string();
        self.origin.write(self.store, batch.clone()).await.unwrap();
        for Tuple { object, relation, subject } in &batch.deletes {
            let delete = "DELETE FROM tuples WHERE store = $1 AND object_type = $2 AND object_id = $3 AND relation = $4 \
                          AND subject_type = $5 AND subject_relation = $6 AND subject_id = $7";
            let relation_of = subject.relation().map_or("", |relation| relation);
            let columns: [&(dyn pg_log::tokio_postgres::types::ToSql + Sync); 7] = [
                &store,
                &&*object.type_name,
                &&*object.id,
                &&**relation,
                &&**subject.type_name(),
                &relation_of,
                &subject.id(),
            ];
            assert_eq!(self.client.execute(delete, &columns).await.unwrap(), 1);
        }
        for Relationship { tuple: Tuple { object, relation, subject }, condition } in &batch.writes {
            let insert = "INSERT INTO tuples VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            let relation_of = subject.relation().map_or("", |relation| relation);
            let (name, context) = match condition.as_deref() {
                None => (String::new(), String::new()),
                Some(RelationshipCondition { name, context }) => {
                    let values: serde_json::Map<_, _> =
                        context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
                    (name.to_string(), serde_json::Value::Object(values).to_string())
                }
            };
            let columns: [&(dyn pg_log::tokio_postgres::types::ToSql + Sync); 9] = [
                &store,
                &&*object.type_name,
                &&*object.id,
                &&**relation,
                &&**subject.type_name(),
                &relation_of,
                &subject.id(),
                &name,
                &context,
            ];
            assert_eq!(self.client.execute(insert, &columns).await.unwrap(), 1);
        }
    }

    /// Refreshes all views, as of the origin's present state.
    pub(crate) async fn refresh(&mut self) {
        let stamp = self.origin.snapshot().await.unwrap().stamp().get();
        let identity = self.identity.lock().unwrap().expect("the origin was joined");
        let how = if std::mem::replace(&mut self.refreshed, true) { "CONCURRENTLY" } else { "" };
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE views SET as_of = '{stamp}', identity = decode('{identity:?}', 'hex'), \
             refreshed_at = now();"
        );
        for name in
            [views::TEAM_ACCESS, views::PROJECT_VISIBILITY, views::AUTHORIZATION_CONTEXT, views::ACCESS_PATTERNS]
        {
            sql.push_str(&format!("REFRESH MATERIALIZED VIEW {how} {name}_v1;"));
        }
        self.client.batch_execute(&format!("{sql} COMMIT")).await.unwrap();
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // Left behind where the test failed, to look at.
        if !std::thread::panicking() {
            let schema = std::mem::take(&mut self.schema);
            tokio::spawn(async move {
                let _ = connect().await.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await;
            });
        }
    }
}

/// What an application glues together: the definition of a view, and the tier's view.
fn view(definition: views::Definition) -> View {
    let views::Definition { name, query, keys, value, columns, every, limit } = definition;
    let view = View::new(name, query).value(value).every(every).limit(limit);
    let view = keys.iter().fold(view, |view, key| view.key(*key));
    columns.iter().fold(view, |view, column| view.column(*column))
}
