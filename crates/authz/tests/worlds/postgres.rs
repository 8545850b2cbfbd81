//! An origin in PostgreSQL for one world, with views over it: a database of its own, and what happens to that between two questions.

use std::sync::Arc;
use std::time::Duration;

use authz::decide::CachedValue;
use authz::store::postgres::PostgresStore;
use authz::store::{Store, StoreId, SystemWallClock, WriteBatch};
use authz::views;
use cache_core::{SystemClock, SystemEntropy};
use cache_pg::{RefreshConfig, Refreshed, Refresher, ViewConfig, ViewLayer, Views};
use pg_log::PgConfig;
use pg_log::tokio_postgres::Client;
use test_services::TestDatabase;

use crate::sql;

/// A bound for what has to happen at all.
const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Database {
    pub(crate) origin: Arc<PostgresStore>,
    views: Views,
    refresher: Refresher,
    psql: Client,
    _database: TestDatabase,
}

impl Database {
    pub(crate) async fn open() -> Self {
        let database = tokio::task::spawn_blocking(sql::database).await.expect("it does not panic");
        let database = database.expect("the server was there when the worlds began");
        let psql = sql::connect(database.url()).await;
        let mut config = PgConfig::new(database.url());
        (config.exclusive_max, config.shared_connections) = (6, 1);
        let origin = Arc::new(PostgresStore::new(config, Arc::new(SystemWallClock)).expect("the URL can be read"));
        let all = views::all(origin.pg().schema()).into_iter().map(sql::view).collect();
        let views = Views::new(origin.pg().clone(), all).expect("the views are well defined");
        views.migrate().await.expect("the views can be made");
        let refresher = views
            .refresher(RefreshConfig::default(), Arc::new(SystemClock), Arc::new(SystemEntropy))
            .expect("the defaults are within their bounds");
        Self { origin, views, refresher, psql, _database: database }
    }

    /// The tier over the views. Its clock runs, so that it looks for what a refresh has changed.
    pub(crate) fn layer(&self) -> ViewLayer<CachedValue> {
        let config = ViewConfig { recheck_ms: 10, ..ViewConfig::default() };
        self.views.layer(config, Arc::new(SystemClock)).expect("the settings are within their bounds")
    }

    pub(crate) async fn refresh(&self) {
        for view in self.views.names() {
            let refreshed = self.refresher.refresh_now(view).await.expect("a view can be refreshed");
            assert!(matches!(refreshed, Refreshed::Done { .. }), "{view}: {refreshed:?}");
        }
    }

    /// Writes as `psql` would. In force with the next look into the log, which is waited for.
    pub(crate) async fn write(&self, store: StoreId, batch: &WriteBatch) {
        sql::write(&self.psql, store, batch).await;
        let mut snapshot = self.origin.snapshot().await.expect("the origin answers");
        snapshot.latest_model(store).await.expect("the origin answers");
    }

    /// Ends every connection but the one that asks for it, and waits until that is over.
    pub(crate) async fn disconnect(&self) {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                      AND backend_type = 'client backend'";
        let kill = format!("SELECT count(pg_terminate_backend(pid, 10000)) {others}");
        self.psql.query_one(&kill, &[]).await.expect("backends can be ended");
        let healthy = async {
            while self.origin.health().await.is_err() {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(SOON, healthy).await.expect("the origin connects again");
    }
}
