//! The memory tier behind the contract.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cache_core::{CacheLayer, CacheValue, Capabilities, Digest, Entry, Error, Fill, Filled, Identity, Key, Now, Usage};
use quick_cache::OptionsBuilder;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::config::{ConfigError, MIN_BUDGET_BYTES, MemoryConfig};
use crate::core::{DigestHasher, Weigher};

/// The tier's name unless it is given another one.
pub const DEFAULT_NAME: &str = "l1";

/// The memory tier.
pub struct MemoryLayer<V: CacheValue> {
    name: &'static str,
    cache: Arc<Entries<V>>,
    weigher: Weigher,
    hot_allocation: f64,
    bound: Mutex<Option<Identity>>,
}

type Entries<V> = Cache<Digest, Entry<V>, Weigher, DigestHasher, DefaultLifecycle<Digest, Entry<V>>>;

/// Reaches a memory tier that a chain has taken. Clones reach the same one.
pub struct MemoryHandle<V: CacheValue>(Arc<Entries<V>>);

impl<V: CacheValue> MemoryHandle<V> {
    /// Changes the budget at run time. A smaller one evicts at once.
    ///
    /// # Errors
    /// Where it is below the least budget.
    pub fn resize(&self, budget_bytes: u64) -> Result<(), ConfigError> {
        if budget_bytes < MIN_BUDGET_BYTES {
            let value = budget_bytes.to_string();
            return Err(ConfigError { setting: "budget_bytes", value, allowed: "at least 65536" });
        }
        self.0.set_capacity(budget_bytes);
        Ok(())
    }
}

impl<V: CacheValue> Clone for MemoryHandle<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: CacheValue> std::fmt::Debug for MemoryHandle<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryHandle({} bytes)", self.0.capacity())
    }
}

impl<V: CacheValue> MemoryLayer<V> {
    /// An empty tier.
    ///
    /// # Errors
    /// Where a setting is out of its bounds.
    pub fn new(config: MemoryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let weigher = Weigher::new(config.ghost_allocation);
        let mut options = OptionsBuilder::new();
        options
            .estimated_items_capacity((config.budget_bytes / config.expected_entry_bytes).max(1) as usize)
            .weight_capacity(config.budget_bytes)
            .hot_allocation(config.hot_allocation)
            .ghost_allocation(config.ghost_allocation);
        if let Some(shards) = config.shards {
            options.shards(shards);
        }
        let options = options.build().map_err(|_| ConfigError {
            setting: "budget_bytes",
            value: config.budget_bytes.to_string(),
            allowed: "a capacity that quick_cache accepts",
        })?;
        let cache = Cache::with_options(options, weigher.clone(), DigestHasher::default(), DefaultLifecycle::default());
        let cache = Arc::new(cache);
        Ok(Self { name: DEFAULT_NAME, cache, weigher, hot_allocation: config.hot_allocation, bound: Mutex::new(None) })
    }

    /// Another name, for a chain with two memory tiers.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Reaches the tier after a chain has taken it: to change its budget at run time.
    #[must_use]
    pub fn handle(&self) -> MemoryHandle<V> {
        MemoryHandle(Arc::clone(&self.cache))
    }

    /// The largest entry that it takes, in bytes: an entry must fit into the hot part of a shard. The library refuses larger ones
    /// without a word; this tier counts them.
    #[must_use]
    pub fn max_entry_bytes(&self) -> u64 {
        (self.cache.shard_capacity() as f64 * self.hot_allocation) as u64
    }
}

#[async_trait]
impl<V: CacheValue> CacheLayer<V> for MemoryLayer<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { local: true, durable: false, fallible: false, fillable: true }
    }

    /// What it holds ends with the process, and so with the horizon that judges it. But what came from a tier below has stamps of another history
    /// when that one has ended: it is dropped.
    fn bind(&self, identity: Identity) {
        let before = self.bound.lock().unwrap_or_else(PoisonError::into_inner).replace(identity);
        if before.is_some_and(|before| before != identity) {
            self.cache.clear();
        }
    }

    #[inline]
    fn get_now(&self, key: &Key<'_>) -> Now<V> {
        match self.cache.get(&key.digest()) {
            Some(entry) => Now::Present(entry),
            None => Now::Absent,
        }
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        Ok(keys.iter().map(|key| self.cache.get(&key.digest())).collect())
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        let mut filled = Filled::default();
        for fill in fills {
            if self.weigher.weigh(fill.entry()) > self.max_entry_bytes() {
                // What was there before is older than what was refused: it goes, so that it is not served in its place for long.
                self.cache.remove(&fill.key().digest());
                filled.too_large += 1;
            } else {
                self.cache.insert(fill.key().digest(), fill.entry().clone());
                filled.stored += 1;
            }
        }
        Ok(filled)
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        for key in keys {
            self.cache.remove(&key.digest());
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.cache.clear();
        Ok(())
    }

    fn usage(&self) -> Usage {
        Usage {
            entries: self.cache.len() as u64,
            weight_bytes: self.cache.weight(),
            capacity_bytes: self.cache.capacity(),
        }
    }
}

impl<V: CacheValue> std::fmt::Debug for MemoryLayer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLayer")
            .field("name", &self.name)
            .field("entries", &self.cache.len())
            .field("weight_bytes", &self.cache.weight())
            .field("capacity_bytes", &self.cache.capacity())
            .finish_non_exhaustive()
    }
}
