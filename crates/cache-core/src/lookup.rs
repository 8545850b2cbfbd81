//! The outcomes of a look-up. There are five, and none is ever taken for another: an error is not a miss, and a negative hit is not one
//! either.

use crate::{CacheValue, Entry, Error};

/// What a look-up found.
#[derive(Debug, Clone)]
pub enum Lookup<V> {
    /// A usable value.
    Hit(Hit<V>),
    /// A usable value that is due to be loaded anew.
    StaleHit(Hit<V>),
    /// A usable value that says that there is nothing.
    NegativeHit(Hit<V>),
    /// Every tier answered, and none has a usable value.
    Miss,
    /// No tier has a usable value, and at least one could not say: the errors, in the order of the tiers.
    Error(Vec<Error>),
}

/// A value with the tier that had it.
#[derive(Debug, Clone)]
pub struct Hit<V> {
    /// The entry.
    pub entry: Entry<V>,
    /// The name of the tier.
    pub tier: &'static str,
}

impl<V: CacheValue> Hit<V> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &V {
        self.entry.value()
    }
}

impl<V> Lookup<V> {
    /// The hit, of whichever kind.
    #[must_use]
    pub fn hit(self) -> Option<Hit<V>> {
        match self {
            Self::Hit(hit) | Self::StaleHit(hit) | Self::NegativeHit(hit) => Some(hit),
            Self::Miss | Self::Error(_) => None,
        }
    }
}
