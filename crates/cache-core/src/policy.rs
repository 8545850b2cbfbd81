//! Lifetimes: how long a tier may keep a value of a type.
//!
//! A lifetime is an upper bound and nothing that correctness rests on. It is shortened at random, so that what was filled together does not
//! expire together, and never lengthened; it never outlives the value's own end.

use std::time::Duration;

use crate::key::MAX_CACHE_TYPES;
use crate::{CacheType, Entropy, Moment};

/// The lifetime of values whose type and tier were given none.
pub const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// By how many percent a lifetime is shortened at most.
pub const DEFAULT_JITTER_PERCENT: u8 = 10;

/// Lifetimes by tier and type.
#[derive(Clone, Debug)]
pub struct Policy {
    default_ttl: Duration,
    jitter_percent: u8,
    rules: Vec<(String, CacheType, Lifetime)>,
}

/// How long values live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// After this they are not used any more.
    pub hard: Duration,
    /// After this they are loaded anew when somebody asks; equal to `hard` where there is no such time.
    pub soft: Duration,
}

impl Lifetime {
    /// One end for both.
    #[must_use]
    pub const fn of(ttl: Duration) -> Self {
        Self { hard: ttl, soft: ttl }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { default_ttl: DEFAULT_TTL, jitter_percent: DEFAULT_JITTER_PERCENT, rules: Vec::new() }
    }
}

impl Policy {
    /// The lifetime of what has none of its own.
    #[must_use]
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = ttl;
        self
    }

    /// By how many percent lifetimes are shortened at random, 0 to 100.
    #[must_use]
    pub fn jitter_percent(mut self, percent: u8) -> Self {
        self.jitter_percent = percent.min(100);
        self
    }

    /// The lifetime of a type in a tier.
    #[must_use]
    pub fn lifetime(mut self, tier: &str, cache_type: CacheType, lifetime: Lifetime) -> Self {
        self.rules.retain(|(known_tier, known_type, _)| known_tier != tier || *known_type != cache_type);
        self.rules.push((tier.to_owned(), cache_type, lifetime));
        self
    }

    /// The tiers that the policy names.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|(tier, _, _)| tier.as_str())
    }

    /// The lifetimes of one tier, ready for look-ups.
    pub(crate) fn for_tier(&self, tier: &str) -> TierPolicy {
        let mut lifetimes = Box::new([Lifetime::of(self.default_ttl); MAX_CACHE_TYPES]);
        for (named, cache_type, lifetime) in &self.rules {
            if named == tier {
                lifetimes[cache_type.index()] = *lifetime;
            }
        }
        TierPolicy { lifetimes, jitter_percent: u64::from(self.jitter_percent) }
    }
}

pub(crate) struct TierPolicy {
    lifetimes: Box<[Lifetime; MAX_CACHE_TYPES]>,
    jitter_percent: u64,
}

impl TierPolicy {
    /// The soft and the hard end of a value that is filled now and ends by itself at `own_end`.
    pub(crate) fn ends(
        &self,
        cache_type: CacheType,
        now: Moment,
        own_end: Moment,
        entropy: &dyn Entropy,
    ) -> (Moment, Moment) {
        let lifetime = self.lifetimes[cache_type.index()];
        let share = if self.jitter_percent == 0 { 0 } else { entropy.next() % (self.jitter_percent * 1_000 + 1) };
        let shortened = |ttl: Duration| {
            let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            now.after(Duration::from_millis(ms - (u128::from(ms) * u128::from(share) / 100_000) as u64))
        };
        let hard = shortened(lifetime.hard).min(own_end);
        (shortened(lifetime.soft).min(hard), hard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: CacheType = CacheType::new(3, "type");

    struct Fixed(u64);

    impl Entropy for Fixed {
        fn next(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let policy = Policy::default()
            .jitter_percent(10)
            .lifetime("l1", TYPE, Lifetime { hard: Duration::from_secs(100), soft: Duration::from_secs(50) })
            .for_tier("l1");
        let now = Moment::from_millis(1_000);
        assert_eq!(
            policy.ends(TYPE, now, Moment::NEVER, &Fixed(0)),
            (Moment::from_millis(51_000), Moment::from_millis(101_000))
        );
        let (soft, hard) = policy.ends(TYPE, now, Moment::NEVER, &Fixed(10_000));
        assert_eq!((soft, hard), (Moment::from_millis(46_000), Moment::from_millis(91_000)));
    }

    #[test]
    fn a_value_never_outlives_its_own_end() {
        let policy = Policy::default().jitter_percent(0).for_tier("l1");
        let own_end = Moment::from_millis(7);
        assert_eq!(policy.ends(TYPE, Moment::from_millis(0), own_end, &Fixed(0)), (own_end, own_end));
    }

    #[test]
    fn a_lifetime_belongs_to_its_tier() {
        let policy = Policy::default().jitter_percent(0).lifetime("l2", TYPE, Lifetime::of(Duration::from_secs(1)));
        let hard = |tier: &str| policy.for_tier(tier).ends(TYPE, Moment::from_millis(0), Moment::NEVER, &Fixed(0)).1;
        assert_eq!(hard("l2"), Moment::from_millis(1_000));
        assert_eq!(hard("l1"), Moment::from_millis(60_000));
    }
}
