//! An origin with views over it: one in PostgreSQL, or one in memory whose relationships are written into PostgreSQL as well.
//!
//! There is one writer, so that what a refresh of the second kind reads is the origin's state of that moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authz::decide::{CachedValue, DecisionPoint};
use authz::model::Model;
use authz::store::memory::MemoryStore;
use authz::store::postgres::PostgresStore;
use authz::store::{ModelId, Store, StoreId, SystemWallClock, WriteBatch};
use authz::views;
use cache_core::telemetry::{Outcome, Telemetry};
use cache_core::testing::TestClock;
use cache_core::{
    CacheLayer, CacheType, Capabilities, Entry, Error, Fill, Filled, Identity, Key, Now, SystemClock, SystemEntropy,
    Usage,
};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_pg::{RefreshConfig, Refreshed, ViewConfig, ViewLayer, Views};
use pg_log::tokio_postgres::Client;
use pg_log::{Pg, PgConfig};
use test_services::TestDatabase;
use ulid::Ulid;

use crate::sql;

/// A decision point over an origin, with views over the same relationships.
pub(crate) struct Mirror {
    pub(crate) client: Client,
    pub(crate) pg: Pg,
    pub(crate) views: Views,
    pub(crate) origin: Arc<dyn Store>,
    pub(crate) point: DecisionPoint,
    pub(crate) hits: Arc<Hits>,
    pub(crate) store: StoreId,
    kind: Kind,
    models: u128,
    identity: Arc<Mutex<Option<Identity>>>,
    refreshed: bool,
    _database: TestDatabase,
}

/// Where the truth is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// In memory. What is written there is written into PostgreSQL as well, and a refresh has the stamp of the origin in memory: no transaction of
    /// another test holds it back.
    Mirrored,
    /// In PostgreSQL, with the refreshes that anybody has.
    Postgres,
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

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<CachedValue>>, Error>> {
        self.inner.get_each(keys).await
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

impl Mirror {
    /// An empty store, or none where there is no server. With `memory` there is a memory tier before the views, into which rows are copied.
    pub(crate) async fn new(kind: Kind, memory: bool) -> Option<Self> {
        let database = sql::database()?;
        let client = sql::connect(database.url()).await;
        let config = PgConfig::new(database.url());
        let pg = Pg::new(config.clone()).unwrap();
        let all = views::all(pg.schema()).into_iter().map(sql::view).collect();
        let views = Views::new(pg.clone(), all).unwrap();
        views.migrate().await.unwrap();

        let origin: Arc<dyn Store> = match kind {
            Kind::Mirrored => Arc::new(MemoryStore::default()),
            Kind::Postgres => Arc::new(PostgresStore::new(config, Arc::new(SystemWallClock)).unwrap()),
        };
        let (identity, hits): (Arc<Mutex<Option<Identity>>>, Arc<Hits>) = (Arc::default(), Arc::default());
        let config = ViewConfig { recheck_ms: 10, ..ViewConfig::default() };
        let inner = views.layer(config, Arc::new(SystemClock)).unwrap();
        let mut builder = DecisionPoint::builder(Arc::clone(&origin));
        if memory {
            builder = builder.tier(MemoryLayer::new(MemoryConfig::default()).unwrap());
        }
        let point = builder
            .tier(Overheard { inner, identity: Arc::clone(&identity) })
            .clock(Arc::new(TestClock::default()))
            .telemetry(Arc::clone(&hits) as Arc<dyn Telemetry>)
            .build()
            .await
            .unwrap();
        let store = StoreId(Ulid(7));
        origin.create_store(store, "mirrored").await.unwrap();
        if kind == Kind::Mirrored {
            let insert = "INSERT INTO stores (id, name) VALUES ($1, 'mirrored')";
            client.execute(insert, &[&store.0.to_string()]).await.unwrap();
        }
        let (models, refreshed) = (0, false);
        let all = Self {
            client,
            pg,
            views,
            origin,
            point,
            hits,
            store,
            kind,
            models,
            identity,
            refreshed,
            _database: database,
        };
        Some(all)
    }

    /// Another model becomes the latest one.
    pub(crate) async fn model(&mut self, dsl: &str) -> ModelId {
        let body = Model::from_dsl(dsl).unwrap().to_json().to_string();
        self.models += 1;
        let id = ModelId(Ulid(self.models));
        self.origin.write_model(self.store, id, &body).await.unwrap();
        if self.kind == Kind::Postgres {
            return id;
        }
        let insert = "INSERT INTO models (store, id, body) VALUES ($1, $2, $3)";
        let (store, id_text) = (self.store.0.to_string(), id.0.to_string());
        self.client.execute(insert, &[&store, &id_text, &body]).await.unwrap();
        id
    }

    /// Writes and deletes relationships, wherever they are.
    pub(crate) async fn write(&self, batch: WriteBatch) {
        self.origin.write(self.store, batch.clone()).await.unwrap();
        if self.kind == Kind::Postgres {
            return;
        }
        sql::write(&self.client, self.store, &batch).await;
    }

    /// Refreshes all views.
    pub(crate) async fn refresh(&mut self) {
        if self.kind == Kind::Postgres {
            let config = RefreshConfig::default();
            let refresher = self.views.refresher(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
            for view in self.views.names() {
                assert!(matches!(refresher.refresh_now(view).await.unwrap(), Refreshed::Done { .. }));
            }
            return;
        }
        let stamp = self.origin.snapshot().await.unwrap().stamp().get();
        let identity = self.identity.lock().unwrap().expect("the origin was joined");
        let how = if std::mem::replace(&mut self.refreshed, true) { "CONCURRENTLY" } else { "" };
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE views SET as_of = '{stamp}', \
             identity = decode('{identity:?}', 'hex'), refreshed_at = now();"
        );
        for view in self.views.names() {
            sql.push_str(&format!("REFRESH MATERIALIZED VIEW {how} {view}_v1;"));
        }
        self.client.batch_execute(&format!("{sql} COMMIT")).await.unwrap();
    }
}
