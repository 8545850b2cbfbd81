//! Fills: a value goes into every tier that is on, each time with that tier's own lifetime, and never where it is dead on arrival.

use std::sync::Arc;

use super::behind::Stores;
use super::{Chain, Event, Tier};
use crate::sync::SyncFamily;
use crate::{CacheKey, CacheValue, Draft, Entry, Error, Fill, Filled, Key, Moment, Ticket, TypeSet, Verdict};

/// What became of a value that was offered to the tiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FillOutcome {
    /// Every tier that is on was given it.
    Offered,
    /// It was killed, or its time was over, before it could be stored.
    Refused,
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// Offers a value to every tier. The ticket was taken before the value's first read.
    pub async fn fill(&self, ticket: &Ticket, key: &impl CacheKey, draft: Draft<V>) -> FillOutcome {
        let mut outcomes = self.fill_many(ticket, vec![(self.key(key), draft)]).await;
        outcomes.pop().unwrap_or(FillOutcome::Refused)
    }

    /// Offers many values, each tier in one call. The outcomes are in the order of the values.
    pub async fn fill_many(&self, ticket: &Ticket, drafts: Vec<(Key<'_>, Draft<V>)>) -> Vec<FillOutcome> {
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut alive = Vec::with_capacity(drafts.len());
        for (key, draft) in drafts {
            let types = draft.types.union(TypeSet::of(key.cache_type()));
            let verdict = self.horizon.verdict(draft.stamp, draft.read_set.tags(), types, key.source());
            // With the horizon out of play, as a planted mistake has it, nothing is dead on arrival either.
            let dead = verdict != Verdict::Usable && !crate::horizon::is_out_of_play();
            let refused = dead || draft.hard_expiry <= now;
            if refused {
                self.count(Event::FillRefused);
                outcomes.push(FillOutcome::Refused);
            } else {
                outcomes.push(FillOutcome::Offered);
            }
            if let Some(telemetry) = &self.telemetry {
                telemetry.filled(key.cache_type(), refused);
            }
            if !refused {
                alive.push((key, draft));
            }
        }
        let checked_at = crate::mistakes::planted(crate::Mistake::CheckedAtFill).then(|| self.horizon.head());
        self.store(&self.tiers, ticket, alive, checked_at).await;
        outcomes
    }

    /// Stores in some of the tiers. Their errors are counted and cost nobody an answer.
    pub(super) async fn store(
        &self,
        tiers: &[Tier<V>],
        ticket: &Ticket,
        drafts: Vec<(Key<'_>, Draft<V>)>,
        checked_at: Option<u64>,
    ) {
        if drafts.is_empty() {
            return;
        }
        let now = self.clock.now();
        let is_behind = |tier: &Tier<V>| !tier.local && self.behind.is_some();
        for tier in tiers.iter().filter(|tier| tier.fillable && tier.is_enabled() && !is_behind(tier)) {
            let fills: Vec<Fill<'_, V>> = drafts
                .iter()
                .map(|(key, draft)| {
                    let (soft, hard) =
                        tier.policy.ends(key.cache_type(), now, draft.hard_expiry, self.entropy.as_ref());
                    let draft = Draft { hard_expiry: hard, ..draft.clone() };
                    ticket.fill(*key, draft, soft, checked_at)
                })
                .collect();
            tier.count_filled(tier.layer.fill_many(&fills).await, fills.len());
        }
        if let Some(behind) = &self.behind
            && tiers.iter().any(|tier| tier.fillable && tier.is_enabled() && is_behind(tier))
        {
            let dropped = behind.leave(&drafts, *ticket, checked_at, || Stores {
                tiers: Arc::clone(&self.tiers),
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.entropy),
            });
            self.events.add(Event::FillDropped as usize, dropped as u64);
        }
    }

    /// An entry that is in no tier: for answers. Nothing vouches for it yet: whoever waited for it judges it.
    pub(super) fn entry(key: &Key<'_>, mut draft: Draft<V>) -> Entry<V> {
        draft.types = draft.types.union(TypeSet::of(key.cache_type()));
        let soft_expiry: Moment = draft.hard_expiry;
        Entry::decoded(draft, soft_expiry)
    }
}

impl<V> Tier<V> {
    /// Counts what became of fills. Their errors cost nobody an answer.
    pub(super) fn count_filled(&self, outcome: Result<Filled, Error>, offered: usize) {
        match outcome {
            Ok(Filled { stored, too_large }) => {
                self.filled.add(0, stored as u64);
                self.filled.add(1, too_large as u64);
            }
            Err(_) => self.filled.add(2, offered as u64),
        }
    }
}
