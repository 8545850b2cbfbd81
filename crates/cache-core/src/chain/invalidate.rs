//! Invalidation reaches every tier even when an earlier one fails; errors are gathered, never short-circuited.
//!
//! What makes an invalidation safe is the log and the horizon. What tiers are told besides is hygiene, and its failure is reported
//! but undoes nothing.

use super::{Chain, Event};
use crate::sync::SyncFamily;
use crate::{CacheKey, CacheValue, Error, Kill, Revision, Tag};

/// An invalidation that is in force in this process.
#[derive(Clone, Debug)]
pub struct Invalidated {
    /// Its revision in the log.
    pub revision: Revision,
    /// What tiers could not clean up. No value of theirs is served all the same.
    pub errors: Vec<Error>,
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// Kills what was computed from a predicate. Call it after the origin has committed the change.
    ///
    /// # Errors
    /// Where the log could not take it: nothing was invalidated then.
    pub async fn invalidate(&self, tag: Tag) -> Result<Invalidated, Error> {
        self.invalidate_all_of(vec![Kill::Tag(tag)]).await
    }

    /// Kills by tags, types, patterns, or everything.
    ///
    /// # Errors
    /// As [`Chain::invalidate`].
    pub async fn invalidate_all_of(&self, kills: Vec<Kill>) -> Result<Invalidated, Error> {
        let everything = kills.contains(&Kill::All);
        let revision = self.log.append(kills).await?;
        self.count_invalidation();
        let errors = if everything { self.clear_tiers().await } else { Vec::new() };
        Ok(Invalidated { revision, errors })
    }

    /// Counts an invalidation that went into the log by another way than this chain: through an origin that keeps the log itself.
    pub fn count_invalidation(&self) {
        self.count(Event::Invalidation);
        if let Some(telemetry) = &self.telemetry {
            telemetry.invalidated();
        }
    }

    /// Gives back the memory of every tier, those that are switched off included. Not an invalidation: what is being loaded may still come.
    pub async fn clear_tiers(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        for tier in self.tiers.iter() {
            errors.extend(tier.layer.clear().await.err());
        }
        errors
    }

    /// Drops one key from every tier. Hygiene: a load that is under way may bring it back, which only an invalidation prevents.
    pub async fn remove(&self, key: &impl CacheKey) -> Vec<Error> {
        let key = self.key(key);
        let mut errors = Vec::new();
        for tier in self.tiers.iter() {
            errors.extend(tier.layer.remove_many(&[key]).await.err());
        }
        errors
    }
}
