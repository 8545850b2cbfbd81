//! The laws of a tier, for this one: alone, behind a memory tier, and inside the wrappers. It takes no fills: what a law brings into it goes
//! through a table and a refresh.

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{FakeLayer, Fixture, MirroredRow, Setting, SharedLayer, TestValue, VIEW};
use cache_core::wrap::{Deadline, Switch};
use cache_core::{CacheLayer, Clock};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_pg::{View, ViewConfig, ViewLayer, Views};
use pg_log::{Pg, PgConfig};
use tokio::sync::Mutex;

use crate::support::Database;

/// The stamps of the laws come from a log of their own, which counts from one: a refresh with the stamp that the law wants.
async fn refresh(database: &Database, setting: &Setting, stamp: u64, how: &str) {
    let refresh = format!(
        "BEGIN; UPDATE views SET as_of = '{stamp}', identity = decode('{:?}', 'hex'), refreshed_at = now(); \
         REFRESH MATERIALIZED VIEW {how} {VIEW}_v1; COMMIT",
        setting.identity
    );
    database.client.batch_execute(&refresh).await.unwrap();
}

/// A tier over an empty view, with what writes into the table behind it. Where there is no server, which was said aloud, a fake one keeps the
/// laws in its place.
async fn mirroring<L: CacheLayer<TestValue>>(
    setting: &Setting,
    wrap: impl FnOnce(ViewLayer<TestValue>) -> L,
) -> SharedLayer {
    let Some(database) = Database::new().await else { return SharedLayer::new(FakeLayer::remote("l3")) };
    database.client.batch_execute("CREATE TABLE public.laws (key text PRIMARY KEY, row text NOT NULL)").await.unwrap();
    let view = View::new(VIEW, "SELECT key, row FROM public.laws").key("key").value("q.row");
    let views = database.views_of(vec![view]).await;
    refresh(&database, setting, 0, "").await;
    let layer = views.layer(ViewConfig::default(), Arc::clone(&setting.clock) as Arc<dyn Clock>).unwrap();
    let (database, setting) = (Arc::new(Mutex::new(database)), setting.clone());
    SharedLayer::mirroring(wrap(layer), move |rows: Vec<MirroredRow>| {
        let (database, setting) = (Arc::clone(&database), setting.clone());
        Box::pin(async move {
            let database = database.lock().await;
            let keys: Vec<&str> = rows.iter().map(|row| &*row.key.columns[0]).collect();
            let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
            let insert = "INSERT INTO laws SELECT * FROM unnest($1::text[], $2::text[]) \
                          ON CONFLICT (key) DO UPDATE SET row = EXCLUDED.row";
            database.client.execute(insert, &[&keys, &texts]).await.unwrap();
            refresh(&database, &setting, rows[0].stamp.get(), "CONCURRENTLY").await;
        })
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
struct Alone;

impl Fixture for Alone {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(setting, |layer| layer).await
    }

    async fn unreachable(&self, setting: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(away(setting)))
    }
}

#[derive(Default)]
struct BehindMemory;

impl Fixture for BehindMemory {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(setting, |layer| layer).await
    }

    fn above(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(MemoryLayer::new(MemoryConfig::default()).unwrap())]
    }
}

#[derive(Default)]
struct InWrappers;

impl InWrappers {
    fn wrapped(setting: &Setting, layer: ViewLayer<TestValue>) -> impl CacheLayer<TestValue> + use<> {
        Switch::new(Deadline::new(layer, Duration::from_secs(1), Arc::clone(&setting.clock) as Arc<dyn Clock>)).0
    }
}

impl Fixture for InWrappers {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        mirroring(setting, |layer| Self::wrapped(setting, layer)).await
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
