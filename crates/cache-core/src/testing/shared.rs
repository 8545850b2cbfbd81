//! One tier in two hands: the chain's, and the test's, which looks at what the tier really holds and holds its fills up.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Gate, TestValue};
use crate::{CacheLayer, Capabilities, Entry, Error, Fill, Filled, Identity, Key, Now, Usage};

/// A tier that clones share, with a gate before its fills.
#[derive(Clone)]
pub struct SharedLayer {
    inner: Arc<dyn CacheLayer<TestValue>>,
    fills: Arc<Gate>,
}

impl SharedLayer {
    /// Shares a tier.
    pub fn new(layer: impl CacheLayer<TestValue>) -> Self {
        Self { inner: Arc::new(layer), fills: Arc::default() }
    }

    /// The gate that every fill passes before it reaches the tier.
    #[must_use]
    pub fn fills(&self) -> &Gate {
        &self.fills
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheLayer<TestValue> for SharedLayer {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, identity: Identity) {
        self.inner.bind(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<TestValue> {
        self.inner.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<TestValue>>>, Error> {
        self.inner.get_many(keys).await
    }

    async fn fill_many(&self, fills: &[Fill<'_, TestValue>]) -> Result<Filled, Error> {
        self.fills.pass().await;
        self.inner.fill_many(fills).await
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

impl std::fmt::Debug for SharedLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedLayer({})", self.name())
    }
}
