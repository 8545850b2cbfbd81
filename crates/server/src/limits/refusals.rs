//! Buckets without room, remembered until they have some: whoever comes in between need not be asked about anywhere.
//!
//! This is the cache type `rate_limit_status`. Only "refused until" is kept, never what is left: a bucket that has no room has none whatever others
//! take from it meanwhile, and one that has may have none a moment later. So forgetting is always safe, and an administrator's invalidation lifts refusals like
//! any other value, on all instances.

use std::sync::Arc;
use std::time::Duration;

use authz::decide::{BuildError, CACHE_TYPES, DecisionPoint, RATE_LIMIT_STATUS};
use cache_core::{
    CacheValue, Chain, Clock, Draft, Key, Lifetime, Lookup, Moment, Policy as Lifetimes, ReadSet, Stamp, TypeSet,
    Verdict,
};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_redis::limit::Quota;

use super::bucket::Bucket;
use crate::open::OpenError;

/// Memory for refusals. What is forgotten is asked for again.
const BUDGET_BYTES: u64 = 4 << 20;

/// What is remembered of buckets.
pub(super) struct Refusals {
    chain: Chain<Refusal>,
    decisions: Arc<DecisionPoint>,
}

/// A bucket has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal {
    /// From then on it has room for one unit. For more it takes longer.
    one_from: Moment,
    /// By which quota: the whole one, or a part of it.
    quota: Quota,
    /// Of the decisions' log: an invalidation after it lifts the refusal.
    stamp: Stamp,
}

impl CacheValue for Refusal {
    fn heap_bytes(&self) -> usize {
        0
    }

    fn is_negative(&self) -> bool {
        true
    }
}

impl Refusals {
    /// Nothing yet. A refusal is kept no longer than `lifetime`.
    pub(super) fn new(
        decisions: Arc<DecisionPoint>,
        lifetime: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        debug_assert!(CACHE_TYPES.contains(&RATE_LIMIT_STATUS), "it can be invalidated by its name");
        let memory = MemoryLayer::new(MemoryConfig { budget_bytes: BUDGET_BYTES, ..MemoryConfig::default() })?;
        let lifetimes = Lifetimes::default().jitter_percent(0).lifetime(
            cache_l1::DEFAULT_NAME,
            RATE_LIMIT_STATUS,
            Lifetime::of(lifetime),
        );
        let chain = Chain::builder().tier(memory).policy(lifetimes).clock(clock).build().map_err(BuildError::from)?;
        Ok(Self { chain, decisions })
    }

    /// The key of a bucket.
    pub(super) fn key<'a>(&self, bucket: &'a Bucket<'a>) -> Key<'a> {
        self.chain.key(bucket)
    }

    /// How long a bucket is known to have no room for so many units.
    pub(super) fn find(&self, key: &Key<'_>, units: u32) -> Option<Duration> {
        let (Lookup::Hit(hit) | Lookup::NegativeHit(hit)) = self.chain.find_now(key) else { return None };
        let Refusal { one_from, quota, stamp } = *hit.value();
        let horizon = self.decisions.chain().horizon();
        if horizon.verdict(stamp, &[], TypeSet::of(RATE_LIMIT_STATUS), key.source()) != Verdict::Usable {
            return None;
        }
        let until = one_from.after(beyond_one(quota, units));
        Some(until.since(self.chain.clock().now())).filter(|left| !left.is_zero())
    }

    /// Remembers that a bucket with this quota, asked at `asked_at`, had no room for so many units and has it after `wait`.
    pub(super) async fn remember(
        &self,
        bucket: &Bucket<'_>,
        asked_at: Moment,
        quota: Quota,
        units: u32,
        wait: Duration,
    ) {
        let value = Refusal {
            one_from: asked_at.after(wait.saturating_sub(beyond_one(quota, units))),
            quota,
            stamp: self.decisions.chain().ticket().stamp(),
        };
        let ticket = self.chain.ticket();
        let draft = Draft {
            value,
            stamp: ticket.stamp(),
            read_set: ReadSet::new(),
            types: TypeSet::default(),
            // In whole milliseconds, the last one cut: never longer than it holds.
            hard_expiry: asked_at.after(wait),
        };
        self.chain.fill(&ticket, bucket, draft).await;
    }

    /// The clock of refusals.
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        self.chain.clock()
    }
}

/// How much longer than for one unit it takes until there is room for so many.
fn beyond_one(quota: Quota, units: u32) -> Duration {
    quota.interval() * units.min(quota.burst()).saturating_sub(1)
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Refusals").field(&self.chain).finish()
    }
}
