//! What can be counted: the names, in one place, and the hooks through which an exporter sees each event.
//!
//! The chain counts for itself, by outcome and by tier, in counters that threads don't share; a [`Telemetry`] sees events besides.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CacheType;

/// Names of metrics, with what they count.
pub mod names {
    /// Probes of a tier, by `tier`, `type` and `outcome`.
    pub const PROBES: &str = "cache_tier_probes_total";
    /// Fills, by `tier` and `outcome`.
    pub const FILLS: &str = "cache_fills_total";
    /// Loads from the origin, by `outcome`.
    pub const LOADS: &str = "cache_loads_total";
    /// Invalidations that were appended to the log.
    pub const INVALIDATIONS: &str = "cache_invalidations_total";
}

/// What a probe of one tier found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Outcome {
    /// A usable value.
    Hit,
    /// A usable value that is due to be loaded anew.
    StaleHit,
    /// A usable value that says that there is nothing.
    NegativeHit,
    /// Nothing.
    Miss,
    /// A value whose time was over.
    Expired,
    /// A value that the horizon refused.
    Rejected,
    /// The tier could not say.
    Error,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Hit, Self::StaleHit, Self::NegativeHit, Self::Miss, Self::Expired, Self::Rejected, Self::Error];

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::StaleHit => "stale_hit",
            Self::NegativeHit => "negative_hit",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Error => "error",
        }
    }
}

/// Sees events as they happen. Called on hot paths: it must neither wait nor allocate much.
pub trait Telemetry: Send + Sync + 'static {
    /// A tier was probed.
    fn probed(&self, tier: &'static str, cache_type: CacheType, outcome: Outcome) {
        let _ = (tier, cache_type, outcome);
    }

    /// A value was loaded from the origin, or could not be.
    fn loaded(&self, cache_type: CacheType, succeeded: bool) {
        let _ = (cache_type, succeeded);
    }

    /// A value was offered to the tiers; refused where it was dead on arrival.
    fn filled(&self, cache_type: CacheType, refused: bool) {
        let _ = (cache_type, refused);
    }

    /// An invalidation was appended.
    fn invalidated(&self) {}
}

/// How many stripes a set of counters has. Threads beyond that share.
const STRIPES: usize = 16;

/// Counters that threads add to without waiting for one another's cache lines.
pub(crate) struct Counters<const N: usize> {
    stripes: Box<[Stripe<N>; STRIPES]>,
}

#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

thread_local! {
    /// A constant to begin with, and nothing to drop: reading it takes one instruction, on every look-up.
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[inline]
fn stripe() -> usize {
    let stripe = STRIPE.get();
    if stripe < STRIPES { stripe } else { draw_stripe() }
}

#[cold]
fn draw_stripe() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let stripe = NEXT.fetch_add(1, Ordering::Relaxed) as usize % STRIPES;
    STRIPE.set(stripe);
    stripe
}

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        Self { stripes: Box::new(std::array::from_fn(|_| Stripe(std::array::from_fn(|_| AtomicU64::new(0))))) }
    }

    #[inline]
    pub(crate) fn add(&self, index: usize, by: u64) {
        self.stripes[stripe()].0[index].fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self, index: usize) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0[index].load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_threads() {
        let counters = Counters::<2>::new();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..100).for_each(|_| counters.add(1, 2)));
            }
        });
        assert_eq!((counters.sum(0), counters.sum(1)), (0, 4_000));
    }

    #[test]
    fn outcomes_are_numbered_in_their_order() {
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, number);
        }
    }
}
