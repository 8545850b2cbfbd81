//! A tier that comes later: a chain is built once, and what a tier needs (a key, a configuration from elsewhere) may not be at hand by then.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;

use crate::{CacheLayer, CacheValue, Capabilities, Entry, Error, Fill, Filled, Identity, Key, Now, Usage};

/// The place of a tier. Until the tier is there it has nothing and takes nothing.
pub struct Late<L> {
    name: &'static str,
    capabilities: Capabilities,
    place: Arc<Place<L>>,
}

struct Place<L> {
    tier: OnceLock<L>,
    /// Whose history the tier's content belongs to, where that was known first.
    identity: Mutex<Option<Identity>>,
}

/// Puts the tier into its place. Clones speak of the same place.
pub struct LateHandle<L>(Arc<Place<L>>);

impl<L> Late<L> {
    /// A place for a tier of this name and these capabilities, with the handle that fills it.
    #[must_use]
    pub fn new(name: &'static str, capabilities: Capabilities) -> (Self, LateHandle<L>) {
        let place = Arc::new(Place { tier: OnceLock::new(), identity: Mutex::new(None) });
        (Self { name, capabilities, place: Arc::clone(&place) }, LateHandle(place))
    }
}

impl<L> LateHandle<L> {
    /// Puts the tier there. False where there is one already.
    pub fn put<V: CacheValue>(&self, tier: L) -> bool
    where
        L: CacheLayer<V>,
    {
        // Under the lock of `bind`, so that either this or that tells the tier whose history it is.
        let identity = self.0.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = *identity {
            tier.bind(identity);
        }
        self.0.tier.set(tier).is_ok()
    }

    /// The tier, once it is there.
    #[must_use]
    pub fn get(&self) -> Option<&L> {
        self.0.tier.get()
    }
}

impl<L> Clone for LateHandle<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<V: CacheValue, L: CacheLayer<V>> CacheLayer<V> for Late<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn bind(&self, identity: Identity) {
        let mut known = self.place.identity.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(identity);
        if let Some(tier) = self.place.tier.get() {
            tier.bind(identity);
        }
    }

    #[inline]
    fn get_now(&self, key: &Key<'_>) -> Now<V> {
        match self.place.tier.get() {
            Some(tier) => tier.get_now(key),
            None if self.capabilities.local => Now::Absent,
            None => Now::NotLocal,
        }
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        match self.place.tier.get() {
            Some(tier) => tier.get_many(keys).await,
            None => Ok(keys.iter().map(|_| None).collect()),
        }
    }

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        match self.place.tier.get() {
            Some(tier) => tier.get_each(keys).await,
            None => keys.iter().map(|_| Ok(None)).collect(),
        }
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        match self.place.tier.get() {
            Some(tier) => tier.fill_many(fills).await,
            None => Ok(Filled::default()),
        }
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        match self.place.tier.get() {
            Some(tier) => tier.remove_many(keys).await,
            None => Ok(()),
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        match self.place.tier.get() {
            Some(tier) => tier.clear().await,
            None => Ok(()),
        }
    }

    fn usage(&self) -> Usage {
        self.place.tier.get().map_or_else(Usage::default, CacheLayer::usage)
    }
}

impl<L> std::fmt::Debug for Late<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Late").field("name", &self.name).field("there", &self.place.tier.get().is_some()).finish()
    }
}

impl<L> std::fmt::Debug for LateHandle<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LateHandle").field(&self.0.tier.get().is_some()).finish()
    }
}
