//! What a chain has counted, as one value for whoever shows it.

use super::{Chain, Event};
use crate::sync::SyncFamily;
use crate::telemetry::Outcome;
use crate::{CacheValue, HorizonUsage, Usage};

/// The counts of a chain since it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// By tier, fastest first.
    pub tiers: Vec<TierStatistics>,
    /// Loads from the origin.
    pub loads: u64,
    /// Loads that failed.
    pub loads_failed: u64,
    /// Callers that were served by another caller's load.
    pub shared: u64,
    /// Values that were dead before they could be stored.
    pub fills_refused: u64,
    /// Fills of remote tiers that found no place to wait.
    pub fills_dropped: u64,
    /// Loaded values that hold for one call only.
    pub uncacheable: u64,
    /// Look-ups that no tier was asked for, because the lease was over.
    pub untrusted: u64,
    /// Invalidations that were appended through this chain.
    pub invalidations: u64,
    /// The horizon's memory.
    pub horizon: HorizonUsage,
}

/// The counts of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierStatistics {
    /// Its name.
    pub name: &'static str,
    /// Whether it is on.
    pub enabled: bool,
    /// What it holds.
    pub usage: Usage,
    /// Probes by outcome, in the order of [`Outcome::ALL`].
    pub probes: [u64; Outcome::ALL.len()],
    /// Entries that were stored.
    pub stored: u64,
    /// Entries that were too large for it.
    pub too_large: u64,
    /// Entries that could not be stored.
    pub fill_errors: u64,
}

impl TierStatistics {
    /// How many probes had an outcome.
    #[must_use]
    pub fn probes(&self, outcome: Outcome) -> u64 {
        self.probes[outcome as usize]
    }

    /// All probes.
    #[must_use]
    pub fn probes_total(&self) -> u64 {
        self.probes.iter().sum()
    }

    /// Probes that found a usable value.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.probes(Outcome::Hit) + self.probes(Outcome::StaleHit) + self.probes(Outcome::NegativeHit)
    }
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// What was counted so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let event = |event: Event| self.events.sum(event as usize);
        Statistics {
            tiers: self
                .tiers
                .iter()
                .map(|tier| TierStatistics {
                    name: tier.name,
                    enabled: tier.is_enabled(),
                    usage: tier.layer.usage(),
                    probes: Outcome::ALL.map(|outcome| tier.probes.sum(outcome as usize)),
                    stored: tier.filled.sum(0),
                    too_large: tier.filled.sum(1),
                    fill_errors: tier.filled.sum(2),
                })
                .collect(),
            loads: event(Event::Load),
            loads_failed: event(Event::LoadFailed),
            shared: event(Event::Shared),
            fills_refused: event(Event::FillRefused),
            fills_dropped: event(Event::FillDropped),
            uncacheable: event(Event::Uncacheable),
            untrusted: event(Event::LeaseOver),
            invalidations: event(Event::Invalidation),
            horizon: self.horizon.usage(),
        }
    }
}
