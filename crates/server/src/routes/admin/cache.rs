//! `GET /admin/v1/cache`: what the caches have counted since the process began. The names are part of the interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use cache_core::telemetry::Outcome;
use cache_core::{HorizonUsage, Statistics, TierStatistics, Usage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::wire::ok;

#[derive(Serialize, ToSchema)]
#[schema(as = CacheCounts)]
pub(super) struct Cache {
    tiers: Vec<Tier>,
    origin: Origin,
    fills_refused: u64,
    /// Fills of tiers elsewhere that found the queue full.
    fills_dropped: u64,
    uncacheable: u64,
    /// Look-ups that no tier was asked for, because the lease was over.
    untrusted: u64,
    invalidations: u64,
    horizon: Horizon,
}

/// One tier, fastest first.
#[derive(Serialize, ToSchema)]
#[schema(as = TierCounts)]
struct Tier {
    name: &'static str,
    enabled: bool,
    entries: u64,
    weight_bytes: u64,
    capacity_bytes: u64,
    /// Of all probes, those that found a usable value; none before the first probe.
    hit_rate_percent: Option<f64>,
    probes: BTreeMap<&'static str, u64>,
    stored: u64,
    too_large: u64,
    fill_errors: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OriginCounts)]
struct Origin {
    loads: u64,
    failed: u64,
    /// Questions that waited for another one's load.
    shared: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HorizonUsage)]
struct Horizon {
    tags: usize,
    rules: usize,
    bytes: usize,
    floor: u64,
}

/// The counts as they are now.
pub(crate) async fn cache(State(app): State<Arc<App>>) -> Response {
    ok(&Cache::from(app.decisions.statistics()))
}

impl From<Statistics> for Cache {
    fn from(counted: Statistics) -> Self {
        let Statistics {
            tiers,
            loads,
            loads_failed,
            shared,
            fills_refused,
            fills_dropped,
            uncacheable,
            untrusted,
            invalidations,
            horizon,
        } = counted;
        let HorizonUsage { tags, rules, bytes, floor } = horizon;
        Self {
            tiers: tiers.iter().map(Tier::from).collect(),
            origin: Origin { loads, failed: loads_failed, shared },
            fills_refused,
            fills_dropped,
            uncacheable,
            untrusted,
            invalidations,
            horizon: Horizon { tags, rules, bytes, floor: floor.get() },
        }
    }
}

impl From<&TierStatistics> for Tier {
    #[expect(clippy::cast_precision_loss, reason = "a percentage of counts is not exact to the last of them")]
    fn from(tier: &TierStatistics) -> Self {
        let Usage { entries, weight_bytes, capacity_bytes } = tier.usage;
        let total = tier.probes_total();
        Self {
            name: tier.name,
            enabled: tier.enabled,
            entries,
            weight_bytes,
            capacity_bytes,
            hit_rate_percent: (total > 0).then(|| tier.hits() as f64 * 100.0 / total as f64),
            probes: Outcome::ALL.into_iter().map(|outcome| (outcome.label(), tier.probes(outcome))).collect(),
            stored: tier.stored,
            too_large: tier.too_large,
            fill_errors: tier.fill_errors,
        }
    }
}
