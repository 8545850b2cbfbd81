//! The Redis tier behind the contract.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::{
    CacheLayer, Capabilities, Clock, Entropy, Entry, Error, Fill, Filled, Identity, Key, Now, StoredValue, SystemClock,
    SystemEntropy, Usage,
};

use crate::config::RedisConfig;
use crate::core::Operation;
use crate::error::{ConfigError, Failure};
use crate::keyring::Keyring;
use crate::randomness::{Randomness, SystemRandomness};
use crate::statistics::RedisStatistics;
use crate::store::Store;
use crate::time::{SystemWallClock, WallClock};

/// The tier's name unless it is given another one.
pub const DEFAULT_NAME: &str = "l2";

/// What the tier needs of the machine. Tests bring their own.
#[derive(Clone)]
pub struct Machine {
    /// Monotonic time, the chain's.
    pub clock: Arc<dyn Clock>,
    /// The time of day, by which values end in Redis.
    pub wall: Arc<dyn WallClock>,
    /// Chance, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Chance that nobody can foresee, for nonces.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            wall: Arc::new(SystemWallClock),
            entropy: Arc::new(SystemEntropy),
            randomness: Arc::new(SystemRandomness),
        }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machine")
    }
}

/// The Redis tier.
pub struct RedisLayer<V: StoredValue> {
    name: &'static str,
    store: Arc<Store<V>>,
}

/// Reaches a Redis tier that a chain has taken. Clones reach the same one.
pub struct RedisHandle<V: StoredValue> {
    name: &'static str,
    store: Arc<Store<V>>,
}

impl<V: StoredValue> RedisLayer<V> {
    /// A tier. Nothing is sent yet: Redis may be down, and is found when it is there.
    ///
    /// # Errors
    /// Where a setting is out of its bounds, or a certificate or dictionary can't be used.
    pub fn new(config: &RedisConfig, keyring: &Keyring, machine: Machine) -> Result<Self, ConfigError> {
        let store = Arc::new(Store::new(config, keyring, machine)?);
        Ok(Self { name: DEFAULT_NAME, store })
    }

    /// Another name, for a chain with two Redis tiers.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Reaches the tier after a chain has taken it: for what it counted, and to ask whether Redis is there.
    #[must_use]
    pub fn handle(&self) -> RedisHandle<V> {
        RedisHandle { name: self.name, store: Arc::clone(&self.store) }
    }

    fn error(&self, operation: Operation) -> impl Fn(Failure) -> Error {
        error(self.name, &self.store, operation)
    }
}

impl<V: StoredValue> RedisHandle<V> {
    /// What the tier counted.
    #[must_use]
    pub fn statistics(&self) -> RedisStatistics {
        self.store.core.statistics()
    }

    /// Works with another ring of keys from now on: all of it at once, for names and for values. What is under way ends with the ring that it
    /// began with, and what lies in Redis under a key that is not in the new one is a miss, counted as [`crate::Fault::Key`].
    ///
    /// # Errors
    /// Where the settings are not usable, as when the tier was made; the old ring stays.
    pub fn replace_keys(&self, keyring: &Keyring) -> Result<(), ConfigError> {
        self.store.replace_keys(keyring)
    }

    /// Asks whether Redis is there, and within the breaker's rules: where it is open, the answer is no without asking.
    ///
    /// # Errors
    /// Where it is not.
    pub async fn ping(&self) -> Result<(), Error> {
        let error = error(self.name, &self.store, Operation::Ping);
        let answer = self.store.core.run(Operation::Ping, self.store.core.ping()).await.map_err(&error)?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop)).map_err(&error)
    }
}

fn error<V>(tier: &'static str, store: &Store<V>, operation: Operation) -> impl Fn(Failure) -> Error {
    move |failure| failure.into_error(tier, operation.verb(), &store.core.address)
}

#[async_trait]
impl<V: StoredValue> CacheLayer<V> for RedisLayer<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { local: false, durable: true, fallible: true, fillable: true }
    }

    fn bind(&self, identity: Identity) {
        self.store.bind(identity);
    }

    fn get_now(&self, _: &Key<'_>) -> Now<V> {
        Now::NotLocal
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        self.get_each(keys).await.into_iter().collect()
    }

    /// In a cluster, a node that is gone fails for its own keys.
    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        let Some(binding) = self.store.binding() else {
            return keys.iter().map(|_| Ok(None)).collect();
        };
        let mut entries = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.store.max_batch) {
            match self.store.get(&binding, keys).await {
                Ok(found) => entries.extend(found.into_iter().map(|one| one.map_err(self.error(Operation::Get)))),
                Err(failure) => {
                    let error = self.error(Operation::Get)(failure);
                    entries.extend(keys.iter().map(|_| Err(error.clone())));
                }
            }
        }
        entries
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        let Some(binding) = self.store.binding() else { return Ok(Filled::default()) };
        let mut filled = Filled::default();
        for fills in fills.chunks(self.store.max_batch) {
            let some = self.store.fill(&binding, fills).await.map_err(self.error(Operation::Fill))?;
            filled.stored += some.stored;
            filled.too_large += some.too_large;
        }
        Ok(filled)
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        let Some(binding) = self.store.binding() else { return Ok(()) };
        for keys in keys.chunks(self.store.max_batch) {
            self.store.remove(&binding, keys).await.map_err(self.error(Operation::Remove))?;
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), Error> {
        let Some(binding) = self.store.binding() else { return Ok(()) };
        self.store.clear(&binding).await.map_err(self.error(Operation::Clear))
    }

    /// It can't tell without asking; Redis tells whoever asks it.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

impl<V: StoredValue> Clone for RedisHandle<V> {
    fn clone(&self) -> Self {
        Self { name: self.name, store: Arc::clone(&self.store) }
    }
}

impl<V: StoredValue> std::fmt::Debug for RedisHandle<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisHandle({} at {})", self.name, self.store.core.address)
    }
}

impl<V: StoredValue> std::fmt::Debug for RedisLayer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisLayer({} at {})", self.name, self.store.core.address)
    }
}
