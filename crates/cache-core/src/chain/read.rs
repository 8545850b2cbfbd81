//! Look-ups. Local tiers answer first and at once; remote ones are asked in their order, one round trip for all keys that are left.

use std::sync::atomic::Ordering;

use super::{Chain, Event, Tier};
use crate::mistakes::planted;
use crate::sync::SyncFamily;
use crate::telemetry::Outcome;
use crate::{CacheKey, CacheValue, Entry, Error, Hit, Key, Lookup, Mistake, Moment, Now, Ticket, Verdict};

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// What the tiers in this process have: synchronous, without allocating. A miss here says nothing of the other tiers.
    #[inline]
    pub fn get_now(&self, key: &impl CacheKey) -> Lookup<V> {
        self.find_now(&self.key(key))
    }

    /// [`Chain::get_now`] with a key that was made before.
    #[inline]
    pub fn find_now(&self, key: &Key<'_>) -> Lookup<V> {
        self.find_now_at(key, self.clock.now())
    }

    /// [`Chain::find_now`] for callers that have read the chain's clock for this question already.
    #[inline]
    pub fn find_now_at(&self, key: &Key<'_>, now: Moment) -> Lookup<V> {
        if planted(Mistake::LeaseAfterTheHorizon) {
            let found = self.find_local(key, now);
            return if self.is_trusted(self.clock.now()) { found } else { Lookup::Miss };
        }
        if !self.is_trusted(now) {
            self.count(Event::LeaseOver);
            return Lookup::Miss;
        }
        self.find_local(key, now)
    }

    /// What the tiers in this process have for somebody who has looked at the lease.
    #[inline]
    fn find_local(&self, key: &Key<'_>, now: Moment) -> Lookup<V> {
        for tier in self.tiers.iter().filter(|tier| tier.local && tier.is_enabled()) {
            match tier.layer.get_now(key) {
                Now::Present(entry) => {
                    if let Some(lookup) = self.judge(tier, entry, key, now) {
                        return lookup;
                    }
                }
                Now::Absent => self.probed(tier, key, Outcome::Miss),
                Now::NotLocal => {}
            }
        }
        Lookup::Miss
    }

    /// What the tiers have. Values of lower tiers are copied upwards.
    pub async fn get(&self, key: &impl CacheKey) -> Lookup<V> {
        self.find(&self.key(key)).await
    }

    /// [`Chain::get`] with a key that was made before.
    pub async fn find(&self, key: &Key<'_>) -> Lookup<V> {
        match self.find_now(key) {
            Lookup::Miss => self.find_remote(std::slice::from_ref(key)).await.pop().unwrap_or(Lookup::Miss),
            found => found,
        }
    }

    /// What the tiers have for many keys, in their order; each remote tier is asked once.
    pub async fn find_many(&self, keys: &[Key<'_>]) -> Vec<Lookup<V>> {
        let find = |key| match planted(Mistake::CachedPartWithTheLeaseOver) {
            true => self.find_local(key, self.clock.now()),
            false => self.find_now(key),
        };
        let mut found: Vec<_> = keys.iter().map(find).collect();
        let missing: Vec<_> =
            found.iter().enumerate().filter(|(_, lookup)| matches!(lookup, Lookup::Miss)).map(|(at, _)| at).collect();
        if missing.is_empty() || !self.has_remote() {
            return found;
        }
        let left: Vec<_> = missing.iter().map(|at| keys[*at]).collect();
        for (at, lookup) in missing.into_iter().zip(self.find_remote(&left).await) {
            found[at] = lookup;
        }
        found
    }

    /// A fresh value of a tier in this process, for a second look right after a miss: not counted, or each load would count two misses.
    pub(super) fn second_look(&self, key: &Key<'_>) -> Option<Hit<V>> {
        let now = self.clock.now();
        if !self.is_trusted(now) {
            return None;
        }
        self.tiers.iter().filter(|tier| tier.local && tier.is_enabled()).find_map(|tier| {
            match tier.layer.get_now(key) {
                Now::Present(entry)
                    if entry.soft_expiry() > now && self.horizon.check(&entry, key.source()) == Verdict::Usable =>
                {
                    Some(Hit { entry, tier: tier.name })
                }
                _ => None,
            }
        })
    }

    pub(super) fn has_remote(&self) -> bool {
        self.tiers.iter().any(|tier| !tier.local && tier.is_enabled())
    }

    /// Asks the tiers that must be awaited.
    pub(super) async fn find_remote(&self, keys: &[Key<'_>]) -> Vec<Lookup<V>> {
        let mut found: Vec<Lookup<V>> = keys.iter().map(|_| Lookup::Miss).collect();
        if !self.is_trusted(self.clock.now()) {
            return found;
        }
        for (place, tier) in self.tiers.iter().enumerate().filter(|(_, tier)| !tier.local && tier.is_enabled()) {
            let open: Vec<usize> =
                (0..keys.len()).filter(|at| matches!(found[*at], Lookup::Miss | Lookup::Error(_))).collect();
            if open.is_empty() {
                break;
            }
            // Copying upwards is a fill like any other: its ticket comes before the read of the lower tier.
            let ticket = self.ticket();
            let asked: Vec<_> = open.iter().map(|at| keys[*at]).collect();
            let entries = tier.layer.get_each(&asked).await;
            let now = self.clock.now();
            if !self.is_trusted(now) {
                break;
            }
            let mut promoted = Vec::new();
            for (at, entry) in open.into_iter().zip(entries) {
                match entry {
                    Ok(None) => self.probed(tier, &keys[at], Outcome::Miss),
                    Ok(Some(entry)) => {
                        if let Some(lookup) = self.judge(tier, entry.clone(), &keys[at], now) {
                            self.remote_hits.fetch_add(1, Ordering::Release);
                            found[at] = lookup;
                            promoted.push((keys[at], entry));
                        }
                    }
                    Err(error) => {
                        self.probed(tier, &keys[at], Outcome::Error);
                        record(&mut found[at], error);
                    }
                }
            }
            self.promote(place, ticket, promoted).await;
        }
        found
    }

    async fn promote(&self, place: usize, ticket: Ticket, entries: Vec<(Key<'_>, Entry<V>)>) {
        if entries.is_empty() || place == 0 {
            return;
        }
        let drafts = entries.into_iter().map(|(key, entry)| {
            let mut draft = entry.to_draft();
            if planted(Mistake::PromotionStampedNow) {
                draft.stamp = ticket.stamp();
            }
            (key, draft)
        });
        // What was checked on its way out of the lower tier need not be checked at the head of the ticket: it was read after the ticket, but
        // it is older than the ticket. So it starts unchecked.
        self.store(&self.tiers[..place], &ticket, drafts.collect(), Some(0)).await;
    }

    /// The outcome for an entry that a tier had; none where it may not be used.
    #[inline]
    fn judge(&self, tier: &Tier<V>, entry: Entry<V>, key: &Key<'_>, now: Moment) -> Option<Lookup<V>> {
        if entry.hard_expiry() <= now {
            self.probed(tier, key, Outcome::Expired);
            return None;
        }
        if self.horizon.check(&entry, key.source()) != Verdict::Usable {
            self.probed(tier, key, Outcome::Rejected);
            return None;
        }
        let negative = entry.value().is_negative();
        let stale = entry.soft_expiry() <= now;
        let hit = Hit { entry, tier: tier.name };
        Some(if stale {
            self.probed(tier, key, Outcome::StaleHit);
            Lookup::StaleHit(hit)
        } else if negative {
            self.probed(tier, key, Outcome::NegativeHit);
            Lookup::NegativeHit(hit)
        } else {
            self.probed(tier, key, Outcome::Hit);
            Lookup::Hit(hit)
        })
    }

    #[inline]
    fn probed(&self, tier: &Tier<V>, key: &Key<'_>, outcome: Outcome) {
        tier.probes.add(outcome as usize, 1);
        if let Some(telemetry) = &self.telemetry {
            telemetry.probed(tier.name, key.cache_type(), outcome);
        }
    }
}

fn record<V>(lookup: &mut Lookup<V>, error: Error) {
    match lookup {
        Lookup::Error(errors) => errors.push(error),
        other => *other = Lookup::Error(vec![error]),
    }
}
