//! The laws of a tier, for this one: alone, behind a memory tier, and inside the wrappers. It takes no fills: what a law brings into it goes
//! through a table and a refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{FakeLayer, Fixture, MirroredRow, Setting, SharedLayer, TestValue, VIEW};
use cache_core::wrap::{Deadline, Switch};
use cache_core::{CacheLayer, Clock};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_pg::{View, ViewConfig, ViewLayer, Views};
use pg_log::tokio_postgres::Client;
use pg_log::{Pg, PgConfig};
use test_services::{Template, TestDatabase};
use tokio::sync::{Mutex, OnceCell};

use crate::support::connect;

/// The database of one law, with a schema for each tier that it wants.
#[derive(Default)]
struct Place {
    database: OnceCell<Option<TestDatabase>>,
    tiers: AtomicU64,
}

/// One tier's table, and the way from there into its view.
struct Mirrored {
    client: Client,
    schema: String,
    setting: Setting,
}

impl Mirrored {
    async fn write(&self, rows: &[MirroredRow]) {
        let keys: Vec<&str> = rows.iter().map(|row| &*row.key.columns[0]).collect();
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let insert = format!(
            "INSERT INTO {}.laws SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (key) DO UPDATE SET row = EXCLUDED.row",
            self.schema
        );
        self.client.execute(&insert, &[&keys, &texts]).await.unwrap();
        self.refresh(rows[0].stamp.get(), "CONCURRENTLY").await;
        // For so long a session goes by the age that it was told before.
        self.setting.clock.advance(std::time::Duration::from_millis(50));
    }

    /// The stamps of the laws come from a log of their own, which counts from one: a refresh with the stamp that the law wants.
    async fn refresh(&self, stamp: u64, how: &str) {
        let Self { client, schema, setting } = self;
        let refresh = format!(
            "BEGIN; UPDATE {schema}.views SET as_of = '{stamp}', identity = decode('{:?}', 'hex'), refreshed_at = now(); \
             REFRESH MATERIALIZED VIEW {how} {schema}.{VIEW}_v1; COMMIT",
            setting.identity
        );
        client.batch_execute(&refresh).await.unwrap();
    }
}

/// A tier over an empty view, with what writes into the table behind it. Where there is no server, which was said aloud, a fake one keeps the
/// laws in its place.
async fn mirroring<L: CacheLayer<TestValue>>(
    place: &Place,
    setting: &Setting,
    wrap: impl FnOnce(ViewLayer<TestValue>) -> L,
) -> SharedLayer {
    let database = place.database.get_or_init(async || TestDatabase::create(Template::empty())).await;
    let Some(database) = database else { return SharedLayer::new(FakeLayer::remote("l3")) };
    let schema = format!("laws_{}", place.tiers.fetch_add(1, Ordering::Relaxed));
    let pg = Pg::new(PgConfig::new(database.url()).schema(&schema)).unwrap();
    let client = connect(database.url()).await;
    let table = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.laws (key text PRIMARY KEY, row text NOT NULL)");
    client.batch_execute(&table).await.unwrap();
    let view = View::new(VIEW, format!("SELECT key, row FROM {schema}.laws")).key("key").value("q.row");
    let views = Views::new(pg, vec![view]).unwrap();
    views.migrate().await.unwrap();
    let mirrored = Mirrored { client, schema, setting: setting.clone() };
    mirrored.refresh(0, "").await;
    let layer = views.layer(ViewConfig::default(), Arc::clone(&setting.clock) as Arc<dyn Clock>).unwrap();
    let mirrored = Arc::new(Mutex::new(mirrored));
    SharedLayer::mirroring(wrap(layer), move |rows: Vec<MirroredRow>| {
        let mirrored = Arc::clone(&mirrored);
        Box::pin(async move { mirrored.lock().await.write(&rows).await })
    })
}

/// The same on a server that nobody can reach.
fn away(setting: &Setting) -> ViewLayer<TestValue> {
    let pg = Pg::new(PgConfig::new("postgresql://nobody@127.0.0.1:1/nothing")).unwrap();
    let views = Views::new(pg, vec![View::new(VIEW, "SELECT 1 AS key").key("key").value("1")]).unwrap();
    let layer = views.layer(ViewConfig::default(), Arc::clone(&setting.clock) as Arc<dyn Clock>).unwrap();
    layer.bind(setting.identity);
    layer
}

#[derive(Default)]
struct Alone(Place);

impl Fixture for Alone {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(&self.0, setting, |layer| layer).await
    }

    async fn unreachable(&self, setting: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(away(setting)))
    }
}

#[derive(Default)]
struct BehindMemory(Place);

impl Fixture for BehindMemory {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(&self.0, setting, |layer| layer).await
    }

    fn above(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(MemoryLayer::new(MemoryConfig::default()).unwrap())]
    }
}

#[derive(Default)]
struct InWrappers(Place);

impl InWrappers {
    fn wrapped(setting: &Setting, layer: ViewLayer<TestValue>) -> impl CacheLayer<TestValue> + use<> {
        Switch::new(Deadline::new(layer, Duration::from_secs(1), Arc::clone(&setting.clock) as Arc<dyn Clock>)).0
    }
}

impl Fixture for InWrappers {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(&self.0, setting, |layer| Self::wrapped(setting, layer)).await
    }

    async fn unreachable(&self, setting: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(Self::wrapped(setting, away(setting))))
    }
}

mod alone {
    cache_core::conformance!(super::Alone);
}

mod behind_memory {
    cache_core::conformance!(super::BehindMemory);
}

mod in_wrappers {
    cache_core::conformance!(super::InWrappers);
}
