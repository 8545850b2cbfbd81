//! What PostgreSQL gives besides the origin: the tier over its views, and the master key that the instances share.
//!
//! Nothing here waits for PostgreSQL when the server starts: a task sees to it as soon as it answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authz::decide::CachedValue;
use authz::store::postgres::PostgresStore;
use authz::views;
use cache_core::{Clock, SystemEntropy};
use cache_pg::{RefreshConfig, Refresher, View, ViewConfig, ViewLayer, Views};
use cache_redis::Keyring;

use super::OpenError;
use crate::config::L3;
use crate::dependency::Dependency;

/// The name of the master key among the secrets.
const MASTER_KEY: &str = "master key";
/// The pause between two attempts at what PostgreSQL refused.
const PAUSE: Duration = Duration::from_secs(1);

/// The views over an origin, and who keeps them young.
pub(super) struct ViewTier {
    views: Views,
    refresher: Refresher,
    settings: L3,
}

impl ViewTier {
    pub(super) fn new(origin: &PostgresStore, settings: &L3, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let pg = origin.pg();
        let all = views::all(pg.schema()).into_iter().map(|definition| view(definition, settings)).collect();
        let views = Views::new(pg.clone(), all)?;
        let refresher = views.refresher(RefreshConfig::default(), clock, Arc::new(SystemEntropy))?;
        Ok(Self { views, refresher, settings: settings.clone() })
    }

    pub(super) fn layer(&self, clock: Arc<dyn Clock>) -> Result<ViewLayer<CachedValue>, OpenError> {
        Ok(self.views.layer(ViewConfig::default(), clock)?)
    }

    /// Makes the views once PostgreSQL answers, and keeps them young from then on.
    pub(super) async fn run(self: Arc<Self>, origin: Arc<PostgresStore>) {
        while origin.joined().await {
            match self.views.migrate().await {
                Ok(()) => {
                    self.refresher.start();
                    tracing::info!(every_seconds = self.settings.refresh_seconds, "the views are kept young");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the views can't be made yet; trying again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// As the tier takes it, refreshed as the settings say.
fn view(definition: views::Definition, settings: &L3) -> View {
    let views::Definition { name, query, keys, value, columns, .. } = definition;
    let view = View::new(name, query)
        .value(value)
        .every(Duration::from_secs(settings.refresh_seconds))
        .limit(Duration::from_secs(settings.refresh_limit_seconds));
    let view = keys.iter().fold(view, |view, key| view.key(*key));
    columns.iter().fold(view, |view, column| view.column(*column))
}

#[async_trait]
impl Dependency for ViewTier {
    fn name(&self) -> &'static str {
        "views"
    }

    async fn check(&self) -> Result<(), String> {
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
