//! One tier in two hands: the chain's, and the test's, which looks at what the tier really holds and holds its fills up.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Gate, TestValue};
use crate::{
    BoxFuture, CacheLayer, Capabilities, Draft, Entry, Error, Fill, Filled, Identity, Key, Now, RowKey, Stamp, Ticket,
    Usage,
};

/// A tier that clones share, with a gate before its fills.
#[derive(Clone)]
pub struct SharedLayer {
    inner: Arc<dyn CacheLayer<TestValue>>,
    fills: Arc<Gate>,
    mirrored: Option<Mirrored>,
}

/// Writes rows into what a tier mirrors.
type Mirrored = Arc<dyn Fn(Vec<MirroredRow>) -> BoxFuture<'static, ()> + Send + Sync>;

/// A row of the view [`VIEW`](super::VIEW), for a tier that takes no fills.
#[derive(Clone, Debug)]
pub struct MirroredRow {
    /// Its key.
    pub key: RowKey,
    /// Its value, which replaces the one before.
    pub text: String,
    /// The stamp that the view has when the row is in it.
    pub stamp: Stamp,
}

impl SharedLayer {
    /// Shares a tier.
    pub fn new(layer: impl CacheLayer<TestValue>) -> Self {
        Self { inner: Arc::new(layer), fills: Arc::default(), mirrored: None }
    }

    /// Shares a tier that takes no fills. `write` brings rows into what it mirrors, and from there into the tier, before it ends.
    pub fn mirroring(
        layer: impl CacheLayer<TestValue>,
        write: impl Fn(Vec<MirroredRow>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self { mirrored: Some(Arc::new(write)), ..Self::new(layer) }
    }

    /// Brings one value into the tier, past any chain, as if its fill had been under way for however long.
    pub async fn put(&self, key: &Key<'_>, draft: Draft<TestValue>) -> Filled {
        if !self.capabilities().fillable {
            self.mirror(&[(*key, draft)]).await;
            return Filled { stored: 1, too_large: 0 };
        }
        let soft_expiry = draft.hard_expiry;
        let fill = Ticket::new(0, draft.stamp).fill(*key, draft, soft_expiry, None);
        self.fill_many(&[fill]).await.expect("the tier takes a fill")
    }

    /// Brings values into what the tier mirrors; nothing where it takes fills.
    pub async fn mirror(&self, drafts: &[(Key<'_>, Draft<TestValue>)]) {
        if self.capabilities().fillable || drafts.is_empty() {
            return;
        }
        let write = self.mirrored.as_ref().expect("a tier that takes no fills is shared by SharedLayer::mirroring");
        let rows = drafts.iter().map(|(key, draft)| MirroredRow {
            key: key.source().row().expect("the keys of the laws have a row each"),
            text: draft.value.to_row(draft.read_set.tags()),
            stamp: draft.stamp,
        });
        write(rows.collect()).await;
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

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<TestValue>>, Error>> {
        self.inner.get_each(keys).await
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
