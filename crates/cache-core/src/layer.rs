//! The contract of a tier.
//!
//! A tier stores entries and hands them out. It does not judge them: whether an entry may be used is decided by the chain, against the
//! horizon, after the tier has answered. So a tier can't serve what was invalidated, however late its deletions come.

use async_trait::async_trait;

use crate::{CacheValue, Entry, Error, Fill, Identity, Key};

/// One level of storage.
///
/// The laws that every implementation keeps are the functions of `testing::laws`; [`conformance!`](crate::conformance) runs them.
#[async_trait]
pub trait CacheLayer<V: CacheValue>: Send + Sync + 'static {
    /// A short name, the same for every instance of this kind of tier: a metric label and a configuration key.
    fn name(&self) -> &'static str;

    /// What it can do; decides which laws it must keep.
    fn capabilities(&self) -> Capabilities;

    /// Says whose history its content belongs to, before it is asked for anything: the chain calls it as soon as the log knows. A tier that
    /// outlives the process names its content by it, and has nothing and takes nothing until it was told; to any other it means nothing.
    fn bind(&self, identity: Identity);

    /// Answers at once, without waiting, boxing or allocating. A tier that would have to wait says [`Now::NotLocal`].
    fn get_now(&self, key: &Key<'_>) -> Now<V>;

    /// Answers many keys in their order, a remote tier in one round trip. What can't be decoded is absent (and counted by the tier); a
    /// backend that can't be asked is an error.
    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error>;

    /// [`CacheLayer::get_many`] for a tier of which a part can fail: a key that can't be asked for is an error, and the others are answered. An
    /// error says as little of what the tier holds as one for all keys does: it is never an absent value.
    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        match self.get_many(keys).await {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Stores many entries. An entry that is refused for its size is counted, not an error.
    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error>;

    /// Forgets many keys. Hygiene: nothing becomes unsafe where it fails.
    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error>;

    /// Forgets everything. Hygiene as well.
    async fn clear(&self) -> Result<(), Error>;

    /// What it holds, as far as it can tell without waiting.
    fn usage(&self) -> Usage;
}

/// The answer of [`CacheLayer::get_now`].
#[derive(Debug)]
pub enum Now<V> {
    /// The tier holds this entry.
    Present(Entry<V>),
    /// The tier does not hold the key.
    Absent,
    /// The tier must be awaited.
    NotLocal,
}

/// What a tier can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// [`CacheLayer::get_now`] answers.
    pub local: bool,
    /// It outlives the process: its content must be named by the log's identity.
    pub durable: bool,
    /// Its operations can fail.
    pub fallible: bool,
    /// It takes fills. A tier that mirrors the origin does not: what it has comes from there, and it is offered nothing.
    pub fillable: bool,
}

/// What became of a fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Entries that were stored.
    pub stored: usize,
    /// Entries that were refused because they are too large.
    pub too_large: usize,
}

/// What a tier holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Entries, dead ones that were not yet dropped included.
    pub entries: u64,
    /// Bytes that they take, by the tier's own count.
    pub weight_bytes: u64,
    /// Bytes that they may take.
    pub capacity_bytes: u64,
}

/// What everybody has who has a tier: single keys.
#[async_trait]
pub trait CacheLayerExt<V: CacheValue>: CacheLayer<V> {
    /// One key.
    async fn get(&self, key: &Key<'_>) -> Result<Option<Entry<V>>, Error> {
        Ok(self.get_many(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// One entry.
    async fn fill(&self, fill: &Fill<'_, V>) -> Result<Filled, Error> {
        self.fill_many(std::slice::from_ref(fill)).await
    }

    /// Forgets one key.
    async fn remove(&self, key: &Key<'_>) -> Result<(), Error> {
        self.remove_many(std::slice::from_ref(key)).await
    }
}

impl<V: CacheValue, L: CacheLayer<V> + ?Sized> CacheLayerExt<V> for L {}
