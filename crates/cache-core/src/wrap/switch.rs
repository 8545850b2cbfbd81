//! A switch around a tier, for whoever holds a tier without a chain, or decides by something else than its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::{CacheLayer, CacheValue, Capabilities, Entry, Error, Fill, Filled, Identity, Key, Now, Usage};

/// A tier that can be switched off: it then has nothing and takes nothing. Removals and `clear` still reach it.
#[derive(Debug)]
pub struct Switch<L> {
    inner: L,
    on: SwitchHandle,
}

/// Turns a [`Switch`] on and off. Clones turn the same one.
#[derive(Debug, Clone)]
pub struct SwitchHandle(Arc<AtomicBool>);

impl SwitchHandle {
    /// On or off, from the next operation on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<L> Switch<L> {
    /// `inner`, switched on, with its handle.
    pub fn new(inner: L) -> (Self, SwitchHandle) {
        let on = SwitchHandle(Arc::new(AtomicBool::new(true)));
        (Self { inner, on: on.clone() }, on)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<V: CacheValue, L: CacheLayer<V>> CacheLayer<V> for Switch<L> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, identity: Identity) {
        self.inner.bind(identity);
    }

    #[inline]
    fn get_now(&self, key: &Key<'_>) -> Now<V> {
        if self.on.is_on() { self.inner.get_now(key) } else { Now::Absent }
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        if self.on.is_on() { self.inner.get_many(keys).await } else { Ok(keys.iter().map(|_| None).collect()) }
    }

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        if self.on.is_on() { self.inner.get_each(keys).await } else { keys.iter().map(|_| Ok(None)).collect() }
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        if self.on.is_on() { self.inner.fill_many(fills).await } else { Ok(Filled::default()) }
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.inner.remove_many(keys).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.inner.clear().await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}
