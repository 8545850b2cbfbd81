//! The chain: the ordered tiers, fastest first, with the origin behind them.
//!
//! Invariants:
//! - Every value that leaves the chain was compared with the horizon after the call was invoked, whichever tier had it, and after the lease was
//!   seen to hold.
//! - Every tier that answers at once is asked before any is awaited.
//! - An error of a tier is neither a miss nor the end: the next tier is asked, and the error is kept.
//! - Every value that enters a tier does so with a ticket that was taken before the value's first read.

mod behind;
mod builder;
mod fill;
mod inspect;
mod invalidate;
mod load;
mod parts;
mod read;
mod statistics;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use behind::DEFAULT_FILLS_BEHIND;
pub use builder::{BuildError, ChainBuilder};
pub use fill::FillOutcome;
pub use inspect::{Holding, Inspection};
pub use invalidate::Invalidated;
pub use load::{Answer, Load, Source};
pub use parts::{PartFollower, PartLeader, PartRole};
pub use statistics::{Statistics, TierStatistics};

use crate::policy::TierPolicy;
use crate::single_flight::{Role, SingleFlight};
use crate::sync::{Std, SyncFamily};
use crate::telemetry::{Counters, Outcome, Telemetry};
use crate::{
    CacheKey, CacheLayer, CacheValue, Clock, Entropy, Horizon, Key, Keyer, KillSink, Lease, Log, Moment, Ticket,
};

/// How long a follower waits for a flight before it loads itself.
pub const DEFAULT_FLIGHT_PATIENCE: Duration = Duration::from_secs(5);

/// The ordered tiers with what keeps them coherent.
pub struct Chain<V: CacheValue, S: SyncFamily = Std> {
    tiers: Arc<[Tier<V>]>,
    horizon: Arc<Horizon<S>>,
    /// How long the horizon may be trusted.
    lease: Arc<Lease>,
    log: Arc<dyn Log>,
    /// Kept for the log, which holds it weakly.
    _sink: Arc<dyn KillSink>,
    flights: SingleFlight<load::Landing<V>, S>,
    flight_patience: Duration,
    keyer: Keyer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    telemetry: Option<Arc<dyn Telemetry>>,
    events: Counters<{ Event::COUNT }>,
    /// How many values were taken from remote tiers.
    remote_hits: AtomicU64,
    /// Where fills of remote tiers wait; none where whoever loads waits for them.
    behind: Option<behind::Behind<V>>,
}

struct Tier<V> {
    layer: Box<dyn CacheLayer<V>>,
    name: &'static str,
    local: bool,
    fillable: bool,
    enabled: AtomicBool,
    policy: TierPolicy,
    probes: Counters<{ Outcome::ALL.len() }>,
    filled: Counters<3>,
}

/// What the chain counts besides the probes of its tiers.
#[derive(Clone, Copy)]
enum Event {
    Load,
    LoadFailed,
    Shared,
    FillRefused,
    Uncacheable,
    Invalidation,
    FillDropped,
    LeaseOver,
}

impl Event {
    const COUNT: usize = 8;
}

impl<V: CacheValue> Chain<V, Std> {
    /// Begins a chain.
    #[must_use]
    pub fn builder() -> ChainBuilder<V, Std> {
        ChainBuilder::new()
    }
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// Begins a chain with another family of synchronisation.
    #[must_use]
    pub fn builder_with() -> ChainBuilder<V, S> {
        ChainBuilder::new()
    }

    /// A request's key, ready for look-ups in this chain.
    #[must_use]
    #[inline]
    pub fn key<'a>(&self, source: &'a dyn CacheKey) -> Key<'a> {
        self.keyer.key(source)
    }

    /// The right to fill. Take it before the first read of a load.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        // The head first: a kill that is applied in between makes the fill pay a check, and the stamp does not claim too much either way.
        let head = self.horizon.head();
        Ticket::new(head, self.log.stamp())
    }

    /// What this process knows of kills.
    #[must_use]
    pub fn horizon(&self) -> &Arc<Horizon<S>> {
        &self.horizon
    }

    /// Whether what is cached may be used by a question that was put before `now` was read. Ask it before the horizon. Where it may not, all
    /// tiers have nothing and the origin answers.
    #[must_use]
    #[inline]
    pub fn is_trusted(&self, now: Moment) -> bool {
        self.lease.holds(now)
    }

    /// How long what is cached may be used.
    #[must_use]
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The names of the tiers, fastest first.
    pub fn tier_names(&self) -> impl Iterator<Item = &'static str> {
        self.tiers.iter().map(|tier| tier.name)
    }

    /// Whether a tier of this name lies outside of the process: what it holds may be newer than what this process knows of changes.
    #[must_use]
    pub fn is_remote(&self, name: &str) -> bool {
        self.tiers.iter().any(|tier| tier.name == name && !tier.local)
    }

    /// How many values were taken from tiers outside of the process so far, each counted before anybody could use it. Such a value, and whatever was
    /// made of it, may be newer than what this process knows of changes.
    #[must_use]
    pub fn remote_hits(&self) -> u64 {
        self.remote_hits.load(Ordering::Acquire)
    }

    /// Switches a tier on or off. Off, it is neither asked nor filled; on again, what it still holds is judged like everything else. False
    /// where no tier has that name.
    pub fn switch_tier(&self, name: &str, on: bool) -> bool {
        let mut found = false;
        for tier in self.tiers.iter().filter(|tier| tier.name == name) {
            tier.enabled.store(on, Ordering::Release);
            found = true;
        }
        found
    }

    /// Whether there is a tier of this name, and it is switched on.
    #[must_use]
    pub fn is_tier_on(&self, name: &str) -> bool {
        self.tiers.iter().any(|tier| tier.name == name && tier.is_enabled())
    }

    fn count(&self, event: Event) {
        self.events.add(event as usize, 1);
    }

    /// Joins the flight of a key, for callers that compose loads themselves; [`Chain::get_or_load`] does it for everybody else.
    pub(crate) fn role(
        &self,
        key: &Key<'_>,
        invocation: crate::single_flight::Invocation,
    ) -> Role<load::Landing<V>, S> {
        self.flights.join(key.digest(), invocation)
    }
}

impl<V> Tier<V> {
    #[inline]
    fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }
}

impl<V: CacheValue, S: SyncFamily> fmt::Debug for Chain<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("tiers", &self.tier_names().collect::<Vec<_>>())
            .field("horizon", &self.horizon)
            .finish_non_exhaustive()
    }
}
