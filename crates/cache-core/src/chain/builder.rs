//! Building a chain: what is optional has a default, and what would make a chain unsafe is refused.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::behind::Behind;
use super::{Chain, DEFAULT_FLIGHT_PATIENCE, Tier};
use crate::mistakes::planted;
use crate::single_flight::{DEFAULT_MAX_FLIGHTS, DEFAULT_MAX_FOLLOWERS, SingleFlight};
use crate::sync::SyncFamily;
use crate::telemetry::{Counters, Telemetry};
use crate::{
    CacheLayer, CacheValue, Clock, Entropy, Horizon, HorizonConfig, Identity, InProcessLog, Keyer, Kill, KillSink, Log,
    Mistake, Policy, Revision, SystemClock, SystemEntropy,
};

/// Collects the parts of a [`Chain`].
pub struct ChainBuilder<V: CacheValue, S: SyncFamily> {
    layers: Vec<Box<dyn CacheLayer<V>>>,
    log: Option<Arc<dyn Log>>,
    policy: Policy,
    horizon: HorizonConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keyer: Option<Keyer>,
    telemetry: Option<Arc<dyn Telemetry>>,
    flight_patience: Duration,
    max_flights: usize,
    fills_behind: Option<usize>,
    family: PhantomData<S>,
}

/// Why a chain can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two tiers have one name: neither could be switched, measured or given lifetimes by itself.
    #[error("two tiers are called {0:?}; give each tier a name of its own")]
    DuplicateTier(&'static str),
    /// The policy names a tier that the chain does not have: a lifetime that never applies is a mistake in a configuration.
    #[error("the policy has lifetimes for a tier {0:?}, which the chain does not have; remove them, or add the tier")]
    UnknownTier(String),
    /// A tier outlives the process and the log doesn't.
    #[error("tier {0:?} outlives this process, and the in-process log does not; give the chain a durable log")]
    DurableTierWithoutLog(&'static str),
    /// There is no randomness for the secret of the keys.
    #[error("the operating system gave no randomness for the secret of the cache keys: {0}")]
    NoRandomness(String),
}

impl<V: CacheValue, S: SyncFamily> ChainBuilder<V, S> {
    pub(super) fn new() -> Self {
        Self {
            layers: Vec::new(),
            log: None,
            policy: Policy::default(),
            horizon: HorizonConfig::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            keyer: None,
            telemetry: None,
            flight_patience: DEFAULT_FLIGHT_PATIENCE,
            max_flights: DEFAULT_MAX_FLIGHTS,
            fills_behind: None,
            family: PhantomData,
        }
    }

    /// Adds a tier behind those that were added before. A chain without tiers loads everything, once for concurrent callers.
    #[must_use]
    pub fn tier(mut self, layer: impl CacheLayer<V>) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// The log; an [`InProcessLog`] by default.
    #[must_use]
    pub fn log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = Some(log);
        self
    }

    /// The lifetimes.
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

    /// The clock; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The randomness of jitter; the system's by default.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// The secret of the keys; random by default.
    #[must_use]
    pub fn keyer(mut self, keyer: Keyer) -> Self {
        self.keyer = Some(keyer);
        self
    }

    /// Who sees events.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// How long a follower waits for a load before it loads itself; 5 s by default.
    #[must_use]
    pub fn flight_patience(mut self, patience: Duration) -> Self {
        self.flight_patience = patience;
        self
    }

    /// The most loads at once; callers beyond it get an error of kind "overloaded". 65,536 by default.
    #[must_use]
    pub fn max_flights(mut self, flights: usize) -> Self {
        self.max_flights = flights;
        self
    }

    /// Lets nobody wait for the fills of tiers that must be awaited: at most so many wait in a queue, and more are dropped and counted.
    /// Without it, a load ends when every tier was filled. Needs a tokio runtime.
    #[must_use]
    pub fn fills_behind(mut self, capacity: usize) -> Self {
        self.fills_behind = Some(capacity);
        self
    }

    /// The chain.
    ///
    /// # Errors
    /// Where the parts don't fit one another: see [`BuildError`].
    pub fn build(self) -> Result<Chain<V, S>, BuildError> {
        let no_randomness = |cause: String| BuildError::NoRandomness(cause);
        let mut tiers: Vec<Tier<V>> = Vec::with_capacity(self.layers.len());
        for layer in self.layers {
            let name = layer.name();
            if tiers.iter().any(|tier| tier.name == name) {
                return Err(BuildError::DuplicateTier(name));
            }
            if layer.capabilities().durable && self.log.is_none() {
                return Err(BuildError::DurableTierWithoutLog(name));
            }
            tiers.push(Tier {
                name,
                local: layer.capabilities().local,
                fillable: layer.capabilities().fillable,
                enabled: AtomicBool::new(true),
                policy: self.policy.for_tier(name),
                probes: Counters::new(),
                filled: Counters::new(),
                layer,
            });
        }
        if let Some(unknown) = self.policy.tiers().find(|named| tiers.iter().all(|tier| tier.name != *named)) {
            return Err(BuildError::UnknownTier(unknown.to_owned()));
        }
        let keyer = match self.keyer {
            Some(keyer) => keyer,
            None => Keyer::random().map_err(|cause| no_randomness(cause.to_string()))?,
        };
        let log: Arc<dyn Log> = match self.log {
            Some(log) => log,
            None => Arc::new(InProcessLog::<S>::new().map_err(|cause| no_randomness(cause.to_string()))?),
        };
        let horizon = Arc::new(Horizon::<S>::new(self.horizon));
        let tiers: Arc<[Tier<V>]> = tiers.into();
        // Before the log is attached: it may bind them to another identity at any time from then on, and the last word is its own.
        if let Some(identity) = log.identity() {
            tiers.iter().for_each(|tier| tier.layer.bind(identity));
        }
        let sink: Arc<dyn KillSink> = Arc::new(Sink { horizon: Arc::clone(&horizon), tiers: Arc::clone(&tiers) });
        let weak: Weak<dyn KillSink> = Arc::downgrade(&sink);
        log.attach(weak);
        Ok(Chain {
            tiers,
            horizon,
            lease: log.lease(),
            log,
            _sink: sink,
            flights: SingleFlight::new(self.max_flights, DEFAULT_MAX_FOLLOWERS),
            flight_patience: self.flight_patience,
            keyer,
            clock: self.clock,
            entropy: self.entropy,
            telemetry: self.telemetry,
            events: Counters::new(),
            remote_hits: AtomicU64::new(0),
            behind: self.fills_behind.map(Behind::new),
        })
    }
}

/// What a log tells a chain: kills go to its horizon, the log's identity to its tiers.
struct Sink<V: CacheValue, S: SyncFamily> {
    horizon: Arc<Horizon<S>>,
    tiers: Arc<[Tier<V>]>,
}

impl<V: CacheValue, S: SyncFamily> Sink<V, S> {
    /// What the planted mistake does about a kill: no more than to drop what lies in the tiers by now.
    fn delete(&self) {
        let tiers = Arc::clone(&self.tiers);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for tier in tiers.iter() {
                    let _ = tier.layer.clear().await;
                }
            });
        }
    }
}

impl<V: CacheValue, S: SyncFamily> KillSink for Sink<V, S> {
    fn apply(&self, revision: Revision, kills: &[Kill]) {
        self.horizon.apply(revision, kills);
        if planted(Mistake::DeletionOnly) {
            self.delete();
        }
    }

    fn bind(&self, identity: Identity) {
        self.tiers.iter().for_each(|tier| tier.layer.bind(identity));
    }
}

impl<V: CacheValue, S: SyncFamily> std::fmt::Debug for ChainBuilder<V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainBuilder").field("tiers", &self.layers.len()).finish_non_exhaustive()
    }
}
