//! What PostgreSQL gives besides the origin: the tier over its views, and the master key that the instances share.
//!
//! Nothing here waits for PostgreSQL when the server starts: a task sees to it as soon as it answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use authz::decide::{CachedValue, DecisionPoint};
use authz::store::postgres::PostgresStore;
use authz::views;
use cache_core::{Clock, SystemEntropy};
use cache_pg::pg_log::{Pg, PgConfig};
use cache_pg::{RefreshConfig, Refresher, View, ViewConfig, ViewLayer, Views};
use cache_redis::Keyring;

use super::OpenError;
use crate::config::{Cache, L3};
use crate::dependency::Dependency;

/// The name of the master key among the secrets.
const MASTER_KEY: &str = "master key";
/// The pause between two attempts at what PostgreSQL refused, and between two looks at whether the tier is switched on.
const PAUSE: Duration = Duration::from_secs(1);
/// Refreshes that run at the same time. They have connections of their own: evaluations never wait for one of them.
const REFRESHES_AT_ONCE: usize = 2;

/// The views over an origin, and who keeps them young.
pub(super) struct ViewTier {
    views: Views,
    refresher: Refresher,
    settings: L3,
    /// Whether anybody looks anything up in them.
    in_use: AtomicBool,
}

impl ViewTier {
    pub(super) fn new(connections: PgConfig, settings: &Cache, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let in_use = AtomicBool::new(settings.uses_l3());
        let settings = settings.l3.clone();
        let mut connections = connections;
        connections.exclusive_max = REFRESHES_AT_ONCE;
        // Nobody waits for a refresh but the next one.
        connections.wait = Duration::from_secs(settings.refresh_limit_seconds).max(connections.wait);
        let pg = Pg::new(connections)?;
        let all = views::all(pg.schema()).into_iter().map(|definition| view(definition, &settings)).collect();
        let views = Views::new(pg, all)?;
        let refresher = views.refresher(RefreshConfig::default(), clock, Arc::new(SystemEntropy))?;
        Ok(Self { views, refresher, settings, in_use })
    }

    /// Its connections.
    pub(super) fn pg(&self) -> &Pg {
        self.views.pg()
    }

    pub(super) fn layer(&self, clock: Arc<dyn Clock>) -> Result<ViewLayer<CachedValue>, OpenError> {
        Ok(self.views.layer(ViewConfig::default(), clock)?)
    }

    /// Makes the views once PostgreSQL answers and the tier is switched on, and keeps them young for as long as it is.
    pub(super) async fn run(self: Arc<Self>, origin: Arc<PostgresStore>, decisions: Weak<DecisionPoint>) {
        let mut made = false;
        while origin.joined().await {
            let Some(point) = decisions.upgrade() else { return };
            let in_use = point.is_tier_on(cache_pg::DEFAULT_NAME);
            drop(point);
            self.in_use.store(in_use, Ordering::Relaxed);
            match (in_use, made) {
                (true, false) => made = self.make().await,
                (true, true) => self.refresher.resume(),
                (false, _) => self.refresher.pause(),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn make(&self) -> bool {
        match self.views.migrate().await {
            Ok(()) => {
                self.refresher.start();
                tracing::info!(every_seconds = self.settings.refresh_seconds, "the views are kept young");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the views can't be made yet; trying again");
                false
            }
        }
    }
}

/// As the tier takes it, refreshed as the settings say; one for analysis no more often than it says itself.
fn view(definition: views::Definition, settings: &L3) -> View {
    let views::Definition { name, query, keys, value, columns, every, limit } = definition;
    let (mut often, mut within) =
        (Duration::from_secs(settings.refresh_seconds), Duration::from_secs(settings.refresh_limit_seconds));
    if name == views::ACCESS_PATTERNS {
        (often, within) = (often.max(every), within.max(limit));
    }
    let view = View::new(name, query).value(value).every(often).limit(within);
    let view = keys.iter().fold(view, |view, key| view.key(*key));
    columns.iter().fold(view, |view, column| view.column(*column))
}

#[async_trait]
impl Dependency for ViewTier {
    fn name(&self) -> &'static str {
        "views"
    }

    async fn check(&self) -> Result<(), String> {
        if !self.in_use.load(Ordering::Relaxed) {
            return Ok(());
        }
        let bad: Vec<String> = self
            .refresher
            .health()
            .into_iter()
            .filter(|view| view.is_too_old)
            .map(|view| match view.trouble {
                Some(trouble) => format!("{} is too old: {trouble}", view.view),
                None => format!("{} is too old", view.view),
            })
            .collect();
        if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
    }
}

/// The master key that lies in PostgreSQL, once that answers; none where the origin was closed before.
pub(super) async fn master_key(origin: &PostgresStore) -> Option<Keyring> {
    while origin.joined().await {
        match origin.shared_secret(MASTER_KEY).await {
            Ok(secret) => match Keyring::from_bytes(&secret) {
                Ok(keyring) => return Some(keyring),
                Err(error) => {
                    tracing::error!(%error, "the master key in postgres can't be used; delete it there, and another one is made")
                }
            },
            Err(error) => tracing::warn!(%error, "the master key can't be read yet; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}
