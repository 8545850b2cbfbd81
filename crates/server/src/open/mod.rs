//! From settings to a decision point: the data directory, the tiers, the lifetimes, the bounds.

mod origin;

use std::sync::Arc;
use std::time::Duration;

use authz::decide::{Assignment, BuildError, CachedValue, DecisionPoint, cache_type};
use authz::evaluate::Limits;
use authz::store::{Store, StoreError};
use cache_core::{HorizonConfig, Lifetime, Policy};
use cache_l1::{MemoryConfig, MemoryHandle, MemoryLayer};

pub use origin::{Origin, data_file};

use crate::config::{Cache, Settings};
use crate::dependency::Dependencies;

/// Why there is no decision point.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The memory tier can't be built.
    #[error("cache.l1: {0}")]
    Memory(#[from] cache_l1::ConfigError),
    /// The parts don't fit.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A decision point with what belongs to it.
pub struct Opened {
    /// The decision point.
    pub decisions: Arc<DecisionPoint>,
    /// Resizes its memory tier.
    pub memory: MemoryHandle<CachedValue>,
    /// What it can do without.
    pub dependencies: Dependencies,
}

/// A decision point over an origin.
///
/// # Errors
/// Where the parts don't fit, or the origin can't tell its log.
pub async fn decision_point(origin: Arc<dyn Store>, settings: &Settings) -> Result<Opened, OpenError> {
    let memory = MemoryConfig { budget_bytes: settings.cache.l1.budget_bytes, ..MemoryConfig::default() };
    let horizon = HorizonConfig { budget_bytes: settings.cache.horizon_bytes, ..HorizonConfig::default() };
    let memory = MemoryLayer::new(memory)?;
    let handle = memory.handle();
    let point = DecisionPoint::builder(origin)
        .tier(memory)
        .policy(policy(&settings.cache))
        .horizon(horizon)
        .assignment(assignment(&settings.cache))
        .limits(limits(settings))
        .clock_parameter(Some(settings.conditions.clock.as_str()).filter(|name| !name.is_empty()))
        .timeout(Duration::from_millis(settings.http.request_timeout_ms))
        .build()
        .await?;
    point.switch_tier(cache_l1::DEFAULT_NAME, settings.cache.uses_l1());
    Ok(Opened { decisions: Arc::new(point), memory: handle, dependencies: Dependencies::default() })
}

fn policy(cache: &Cache) -> Policy {
    let known = cache.types.iter().filter_map(|(name, times)| Some((cache_type(name)?, times.l1_ttl_seconds)));
    known.fold(Policy::default(), |policy, (cache_type, seconds)| {
        policy.lifetime(cache_l1::DEFAULT_NAME, cache_type, Lifetime::of(Duration::from_secs(seconds)))
    })
}

fn assignment(cache: &Cache) -> Assignment {
    let known = cache.assign.iter().filter_map(|(resource, name)| Some((resource, cache_type(name)?)));
    known.fold(Assignment::default(), |assignment, (resource, cache_type)| assignment.assign(resource, cache_type))
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        max_depth: limits.depth,
        max_nodes: limits.breadth,
        max_reads: limits.reads,
        max_condition_steps: limits.condition_steps,
        ..Limits::default()
    }
}
