//! Quotas that this process keeps by itself: where there is no Redis, or where it can't be asked. GCRA by the crate governor.
//!
//! Each instance then has its part of a quota, so that all of them together give no more than the whole. What is kept is bounded: buckets that are full
//! again are forgotten, and where too many are not, those who come share some.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Clock, Digest};
use cache_redis::limit::{Quota, Standing};
use governor::clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, RateLimiter};

/// The most buckets of one policy that are kept apart.
const MAX_BUCKETS: usize = 65_536;
/// The buckets that the others share.
const SHARED_BUCKETS: u64 = 4_096;
/// How often, at most, it is looked for buckets that are full again: that takes a while, and everybody waits.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The buckets of one policy.
pub(super) struct Local {
    quota: Quota,
    limiter: Limiter,
    clock: Arc<dyn Clock>,
    swept_at_ms: AtomicU64,
    max_buckets: usize,
}

type Limiter = RateLimiter<Kept, HashMapStateStore<Kept>, Ticks, StateInformationMiddleware>;

/// A bucket that is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kept {
    Own(Digest),
    Shared(u64),
}

/// The chain's clock, as governor takes it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().as_millis())
    }
}

impl Local {
    /// A part of a quota.
    pub(super) fn new(quota: Quota, instances: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        Self::bounded(quota, instances, clock, MAX_BUCKETS)
    }

    fn bounded(quota: Quota, instances: NonZeroU32, clock: Arc<dyn Clock>, max_buckets: usize) -> Self {
        let quota = quota.divided(instances);
        let burst = NonZeroU32::new(quota.burst()).unwrap_or(NonZeroU32::MIN);
        // An interval is a microsecond at least.
        let limits = governor::Quota::with_period(quota.interval())
            .unwrap_or(governor::Quota::per_second(burst))
            .allow_burst(burst);
        let limiter = RateLimiter::hashmap_with_clock(limits, Ticks(Arc::clone(&clock)));
        Self { quota, limiter: limiter.with_middleware(), clock, swept_at_ms: AtomicU64::new(0), max_buckets }
    }

    /// The part that is kept here.
    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes so many units from a bucket; where there is no room, none.
    pub(super) fn take(&self, bucket: Digest, units: u32) -> Standing {
        let units = NonZeroU32::new(units.min(self.quota.burst())).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_key_n(&self.place(bucket), units) {
            Ok(Ok(state)) => {
                let remaining = state.remaining_burst_capacity();
                let missing = self.quota.burst().saturating_sub(remaining);
                Standing { remaining, full_in: self.quota.interval() * missing, refused_for: None }
            }
            Ok(Err(not_until)) => self.refused(&not_until, units.get()),
            // It was cut to a burst above.
            Err(_) => Standing { remaining: 0, full_in: self.quota.window(), refused_for: Some(self.quota.window()) },
        }
    }

    fn refused(&self, not_until: &NotUntil<Duration>, units: u32) -> Standing {
        let wait = not_until.wait_time_from(clock::Clock::now(&Ticks(Arc::clone(&self.clock))));
        let spared = self.quota.interval() * self.quota.burst().saturating_sub(units);
        // Who waits that long finds room for these units, and the rest comes after.
        let full_in = wait + spared;
        let room = self.quota.window().saturating_sub(full_in);
        let remaining = u32::try_from(room.as_micros() / self.quota.interval().as_micros()).unwrap_or(0);
        Standing { remaining, full_in, refused_for: Some(wait) }
    }

    /// Where a bucket is kept.
    fn place(&self, bucket: Digest) -> Kept {
        if self.limiter.len() < self.max_buckets {
            return Kept::Own(bucket);
        }
        self.sweep();
        if self.limiter.len() < self.max_buckets {
            return Kept::Own(bucket);
        }
        // Some meet others there, and get less than they might: never more than one quota for each of a bounded number of buckets.
        Kept::Shared(bucket.low() % SHARED_BUCKETS)
    }

    /// Forgets the buckets that are full again. One caller does it, if it is due.
    fn sweep(&self) {
        let now_ms = self.clock.now().as_millis();
        let last_ms = self.swept_at_ms.load(Ordering::Relaxed);
        let due = Duration::from_millis(now_ms.saturating_sub(last_ms)) >= SWEEP_INTERVAL;
        if due && self.swept_at_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.limiter.retain_recent();
        }
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({} buckets)", self.limiter.len())
    }
}

#[cfg(test)]
mod tests;
