//! Building a decision point: an origin, tiers, lifetimes, bounds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{CacheLayer, Clock, Entropy, HorizonConfig, Policy, SystemClock, SystemEntropy, telemetry::Telemetry};

use super::models::Models;
use super::sink::OriginLog;
use super::{Assignment, CachedValue, DEFAULT_CHECK_TIMEOUT, DEFAULT_CLOCK_PARAMETER, DecisionChain, DecisionPoint};
use crate::evaluate::Limits;
use crate::relation::Text;
use crate::store::{ChangeSink, Store, StoreError, SystemWallClock, WallClock};

/// Collects the parts of a [`DecisionPoint`].
pub struct DecisionPointBuilder {
    origin: Arc<dyn Store>,
    tiers: Vec<Box<dyn FnOnce(ChainBuilder) -> ChainBuilder + Send>>,
    policy: Policy,
    horizon: HorizonConfig,
    assignment: Assignment,
    limits: Limits,
    timeout: Duration,
    clock_parameter: Option<Text>,
    clock: Arc<dyn Clock>,
    wall_clock: Arc<dyn WallClock>,
    entropy: Arc<dyn Entropy>,
    telemetry: Option<Arc<dyn Telemetry>>,
    fills_behind: Option<usize>,
}

type ChainBuilder = cache_core::ChainBuilder<CachedValue, cache_core::sync::Std>;

/// Why a decision point can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The chain's parts don't fit one another.
    #[error(transparent)]
    Chain(#[from] cache_core::BuildError),
    /// The origin could not tell its log.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DecisionPointBuilder {
    pub(super) fn new(origin: Arc<dyn Store>) -> Self {
        Self {
            origin,
            tiers: Vec::new(),
            policy: Policy::default(),
            horizon: HorizonConfig::default(),
            assignment: Assignment::default(),
            limits: Limits::default(),
            timeout: DEFAULT_CHECK_TIMEOUT,
            clock_parameter: Some(Text::from(DEFAULT_CLOCK_PARAMETER)),
            clock: Arc::new(SystemClock),
            wall_clock: Arc::new(SystemWallClock),
            entropy: Arc::new(SystemEntropy),
            telemetry: None,
            fills_behind: None,
        }
    }

    /// Adds a tier behind those that were added before. Without any, every question is evaluated.
    #[must_use]
    pub fn tier(mut self, layer: impl CacheLayer<CachedValue>) -> Self {
        self.tiers.push(Box::new(move |chain| chain.tier(layer)));
        self
    }

    /// Lifetimes by tier and cache type.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The bounds of the horizon.
    #[must_use]
    pub fn horizon(mut self, config: HorizonConfig) -> Self {
        self.horizon = config;
        self
    }

    /// Which cache type each resource type belongs to.
    #[must_use]
    pub fn assignment(mut self, assignment: Assignment) -> Self {
        self.assignment = assignment;
        self
    }

    /// The bounds of an evaluation.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The time limit of a question; 3 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The parameter of conditions that stands for the time where neither a relationship nor a question gives it; none where the time must be given.
    /// [`DEFAULT_CLOCK_PARAMETER`] by default.
    #[must_use]
    pub fn clock_parameter(mut self, name: Option<&str>) -> Self {
        self.clock_parameter = name.map(Text::from);
        self
    }

    /// The clock of lifetimes.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The clock of ids and records.
    #[must_use]
    pub fn wall_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        self.wall_clock = clock;
        self
    }

    /// The randomness of jitter and ids.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Lets no question wait for the fills of tiers elsewhere: see [`cache_core::ChainBuilder::fills_behind`].
    #[must_use]
    pub fn fills_behind(mut self, capacity: usize) -> Self {
        self.fills_behind = Some(capacity);
        self
    }

    /// Who sees cache events.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// The decision point. Learns from the origin's log what its caches must know before it answers anything.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(self) -> Result<DecisionPoint, BuildError> {
        let log = Arc::new(OriginLog::new(self.origin.lease()));
        let mut chain = DecisionChain::builder()
            .log(log.clone())
            .policy(self.policy)
            .horizon(self.horizon)
            .clock(self.clock)
            .entropy(Arc::clone(&self.entropy));
        if let Some(telemetry) = self.telemetry {
            chain = chain.telemetry(telemetry);
        }
        if let Some(capacity) = self.fills_behind {
            chain = chain.fills_behind(capacity);
        }
        for tier in self.tiers {
            chain = tier(chain);
        }
        let chain = chain.build()?;
        log.bind(chain.horizon());
        self.origin.attach(Arc::clone(&log) as Arc<dyn ChangeSink>).await?;
        let models = Models::new(Arc::clone(&self.origin), &chain);
        Ok(DecisionPoint {
            origin: self.origin,
            log,
            chain,
            models,
            assignment: self.assignment,
            limits: self.limits,
            timeout: self.timeout,
            clock_parameter: self.clock_parameter,
            clock: self.wall_clock,
            entropy: self.entropy,
            last_id: Mutex::new(0),
        })
    }
}

impl std::fmt::Debug for DecisionPointBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionPointBuilder").field("tiers", &self.tiers.len()).finish_non_exhaustive()
    }
}
