//! What each tier has for a key, and why it may or may not be used: for whoever explains an answer. Nothing is counted, copied or changed.

use super::Chain;
use crate::sync::SyncFamily;
use crate::{CacheLayerExt as _, CacheValue, Entry, Error, Key, Verdict};

/// What one tier has for a key.
#[derive(Debug)]
pub struct Inspection<V> {
    /// The tier's name.
    pub tier: &'static str,
    /// What it has.
    pub holding: Holding<V>,
}

/// What a tier has for a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum Holding<V> {
    /// It is switched off.
    Off,
    /// Nothing.
    Absent,
    /// A value that may be used.
    Usable(Entry<V>),
    /// A value that may be used and is due to be loaded anew.
    Stale(Entry<V>),
    /// A value whose time is over.
    Expired(Entry<V>),
    /// A value that was invalidated, in the way that the verdict says.
    Rejected(Entry<V>, Verdict),
    /// It could not say.
    Error(Error),
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// What every tier has for a key, fastest first. Unlike a look-up it asks them all.
    pub async fn inspect(&self, key: &Key<'_>) -> Vec<Inspection<V>> {
        let mut found = Vec::with_capacity(self.tiers.len());
        for tier in self.tiers.iter() {
            let holding = if !tier.is_enabled() {
                Holding::Off
            } else {
                match tier.layer.get(key).await {
                    Ok(None) => Holding::Absent,
                    Ok(Some(entry)) => self.holding(entry, key),
                    Err(error) => Holding::Error(error),
                }
            };
            found.push(Inspection { tier: tier.name, holding });
        }
        found
    }

    fn holding(&self, entry: Entry<V>, key: &Key<'_>) -> Holding<V> {
        let now = self.clock.now();
        if entry.hard_expiry() <= now {
            return Holding::Expired(entry);
        }
        match self.horizon.verdict(entry.stamp(), entry.tags(), entry.types(), key.source()) {
            Verdict::Usable if entry.soft_expiry() <= now => Holding::Stale(entry),
            Verdict::Usable => Holding::Usable(entry),
            other => Holding::Rejected(entry, other),
        }
    }
}
