//! Rate limits: how often the origin may be asked, by whom, about whom, and for what kind of action.
//!
//! Invariants: what a tier holds costs nothing; a refusal concerns whoever asked and nobody who waits beside them; no failure of Redis is an error of a
//! question, because this process then counts by itself, with its part of the quota; and whatever happens here, it is never an answer: who is let in
//! is not thereby allowed anything.

mod bucket;
mod headers;
mod local;
mod meter;
mod policy;
mod refusals;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use authz::decide::{Asked, DecisionPoint, RATE_LIMIT_STATUS};
use cache_core::{Clock, Error, Key};
use cache_redis::limit::{self, RedisLimiter, Standing};
use smallvec::SmallVec;

use bucket::Bucket;
pub(crate) use bucket::Payer;
pub(crate) use headers::seconds;
use local::Local;
pub(crate) use meter::Meter;
use policy::{Charge, Charges, Policies};
use refusals::Refusals;

use crate::config::Settings;
use crate::open::OpenError;

/// The limits of a server.
pub struct Limits {
    policies: Policies,
    refusals: Refusals,
    /// One for each policy.
    local: Vec<Local>,
    /// Where all instances count together, once that is there.
    shared: OnceLock<RedisLimiter>,
    /// Whether Redis could not be asked the last time.
    is_alone: AtomicBool,
}

/// Where the buckets of one question stand, each by the number of its policy.
type Standings = SmallVec<[(usize, Standing); 3]>;

/// Who counted.
#[derive(Clone, Copy)]
enum By {
    All,
    Oneself,
}

/// What became of one question.
struct Outcome {
    standings: Standings,
    /// Where some bucket had no room: when all of them may have.
    refused_for: Option<Duration>,
}

impl Limits {
    /// The limits that the settings describe; none where they are not enabled.
    ///
    /// # Errors
    /// Where there is no memory for them, or no randomness.
    pub fn new(
        settings: &Settings,
        decisions: Arc<DecisionPoint>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, OpenError> {
        let rate = &settings.limits.rate;
        if !rate.enabled {
            return Ok(None);
        }
        let policies = Policies::new(rate);
        let instances = NonZeroU32::new(rate.instances).unwrap_or(NonZeroU32::MIN);
        let local = policies.all().iter().map(|policy| Local::new(policy.quota, instances, Arc::clone(&clock)));
        let local = local.collect();
        let lifetime = settings.cache.types.get(RATE_LIMIT_STATUS.name()).map(|times| times.l1_ttl_seconds);
        let refusals = Refusals::new(decisions, Duration::from_secs(lifetime.unwrap_or(1)), clock)?;
        let (shared, is_alone) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Some(Arc::new(Self { policies, refusals, local, shared, is_alone })))
    }

    /// From now on all instances that share this limiter count together.
    pub fn share(&self, limiter: RedisLimiter) {
        // The first one stays: they would only differ where the configuration did.
        let _ = self.shared.set(limiter);
    }

    /// Takes what a question costs, or finds that it may not be asked now.
    async fn admit(&self, payer: &Payer, asked: &Asked<'_>) -> Outcome {
        let charges = self.policies.charges(payer, asked);
        let buckets: SmallVec<[Bucket<'_>; 3]> = charges.iter().map(|charge| charge.bucket).collect();
        let keys: SmallVec<[Key<'_>; 3]> = buckets.iter().map(|bucket| self.refusals.key(bucket)).collect();
        if let Some(known) = self.known(&charges, &keys) {
            return known;
        }
        let asked_at = self.refusals.clock().now();
        let (standings, by) = match self.take_together(&charges, &keys).await {
            Some(standings) => (standings, By::All),
            None => (self.take_alone(&charges, &keys), By::Oneself),
        };
        for (charge, (policy, standing)) in charges.iter().zip(&standings) {
            if let Some(wait) = standing.refused_for {
                let quota = match by {
                    By::All => self.policies.all()[*policy].quota,
                    By::Oneself => self.local[*policy].quota(),
                };
                self.refusals.remember(&charge.bucket, asked_at, quota, charge.units, wait).await;
            }
        }
        let refused_for = standings.iter().filter_map(|(_, standing)| standing.refused_for).max();
        Outcome { standings, refused_for }
    }

    /// What is known without asking: that some bucket has no room.
    fn known(&self, charges: &Charges<'_>, keys: &[Key<'_>]) -> Option<Outcome> {
        let mut standings = Standings::new();
        for (charge, key) in charges.iter().zip(keys) {
            if let Some(wait) = self.refusals.find(key, charge.units) {
                standings.push((charge.policy, Standing { remaining: 0, full_in: wait, refused_for: Some(wait) }));
            }
        }
        let refused_for = standings.iter().filter_map(|(_, standing)| standing.refused_for).max()?;
        Some(Outcome { standings, refused_for: Some(refused_for) })
    }

    /// Takes from all buckets together, or from none, where all instances count; none where that can't be asked.
    async fn take_together(&self, charges: &Charges<'_>, keys: &[Key<'_>]) -> Option<Standings> {
        let shared = self.shared.get().filter(|_| !charges.is_empty())?;
        let names: SmallVec<[_; 3]> = keys.iter().map(Key::encoded).collect();
        let of = |(charge, bucket): (&Charge<'_>, _)| {
            let quota = self.policies.all()[charge.policy].quota;
            limit::Charge { bucket, quota, units: charge.units }
        };
        let all: SmallVec<[limit::Charge<'_>; 3]> =
            charges.iter().zip(names.iter().map(|name| &**name)).map(of).collect();
        let taken = shared.take(&all).await;
        self.note(taken.as_ref().err());
        Some(charges.iter().map(|charge| charge.policy).zip(taken.ok()?.standings).collect())
    }

    /// Takes from one bucket after another, as this process counts.
    fn take_alone(&self, charges: &Charges<'_>, keys: &[Key<'_>]) -> Standings {
        let mut standings = Standings::new();
        for (charge, key) in charges.iter().zip(keys) {
            let standing = self.local[charge.policy].take(key.digest(), charge.units);
            standings.push((charge.policy, standing));
            if standing.refused_for.is_some() {
                // The narrower ones are spared. What a wider one gave is gone: at most once until this one has room again.
                break;
            }
        }
        standings
    }

    /// Says when Redis can't be asked any more, and when it can again.
    fn note(&self, error: Option<&Error>) {
        let was_alone = self.is_alone.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_alone => {
                tracing::warn!(%error, "rate limits are kept by this instance alone, with its part of the quotas");
            }
            None if was_alone => tracing::info!("rate limits are shared with the other instances again"),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("policies", &self.policies).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
