//! The Redis tier behind the contract.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use cache_core::{
    CacheLayer, Capabilities, Clock, Entropy, Entry, Error, Fill, Filled, Identity, Key, Now, StoredValue, SystemClock,
    SystemEntropy, Usage,
};

use crate::commands::{self, ReadMark, Write};
use crate::compress::Compressors;
use crate::config::RedisConfig;
use crate::connect::Connector;
use crate::core::{Answer, Core, Operation};
use crate::envelope::{Codec, Encoded, Fault, Sealed, context};
use crate::error::{ConfigError, Failure};
use crate::gather::{Gatherer, Seat};
use crate::generation::Binding;
use crate::keyring::Keyring;
use crate::name::{Namer, Names};
use crate::seal::Checksum;
use crate::statistics::{RedisStatistics, count};
use crate::time::{self, SystemWallClock, Timeline, WallClock};

/// The tier's name unless it is given another one.
pub const DEFAULT_NAME: &str = "l2";
/// Bytes from which on a batch is encoded or decoded off the executor: what takes a millisecond would hold up everybody else.
const OFFLOAD_BYTES: usize = 256 << 10;

/// What the tier needs of the machine. Tests bring their own.
#[derive(Clone)]
pub struct Machine {
    /// Monotonic time, the chain's.
    pub clock: Arc<dyn Clock>,
    /// The time of day, by which values end in Redis.
    pub wall: Arc<dyn WallClock>,
    /// Chance, for jitter.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), wall: Arc::new(SystemWallClock), entropy: Arc::new(SystemEntropy) }
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
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    core: Core,
    codec: Codec<V>,
    namer: Namer,
    timeline: Timeline,
    entropy: Arc<dyn Entropy>,
    gatherer: Gatherer,
    binding: ArcSwapOption<Binding>,
    mark_life_ms: u64,
    max_batch: usize,
}

/// Reaches a Redis tier that a chain has taken. Clones reach the same one.
pub struct RedisHandle<V: StoredValue> {
    name: &'static str,
    inner: Arc<Inner<V>>,
}

impl<V: StoredValue> RedisLayer<V> {
    /// A tier. Nothing is sent yet: Redis may be down, and is found when it is there.
    ///
    /// # Errors
    /// Where a setting is out of its bounds, or a certificate or dictionary can't be used.
    pub fn new(config: &RedisConfig, keyring: &Keyring, machine: Machine) -> Result<Self, ConfigError> {
        let Machine { clock, wall, entropy } = machine;
        let connector = Connector::new(config)?;
        let codec = Codec::new(
            Checksum::new(keyring),
            Compressors::new(config)?,
            config.max_value_bytes,
            config.max_lifetime_ms,
        );
        let memory = Duration::from_millis(config.max_lifetime_ms);
        let inner = Inner {
            core: Core::new(connector, config, Arc::clone(&clock), Arc::clone(&entropy)),
            codec,
            namer: Namer::new(&config.namespace, keyring, V::SCHEMA),
            timeline: Timeline::new(clock, wall, memory),
            entropy,
            gatherer: Gatherer::new(config.max_in_flight),
            binding: ArcSwapOption::empty(),
            // Longer than anything that it may have cleared.
            mark_life_ms: config.max_lifetime_ms * 2,
            max_batch: config.max_batch,
        };
        Ok(Self { name: DEFAULT_NAME, inner: Arc::new(inner) })
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
        RedisHandle { name: self.name, inner: Arc::clone(&self.inner) }
    }

    fn error(&self, operation: Operation) -> impl Fn(Failure) -> Error {
        error(self.name, &self.inner, operation)
    }
}

impl<V: StoredValue> RedisHandle<V> {
    /// What the tier counted.
    #[must_use]
    pub fn statistics(&self) -> RedisStatistics {
        self.inner.core.statistics()
    }

    /// Asks whether Redis is there, and within the breaker's rules: where it is open, the answer is no without asking.
    ///
    /// # Errors
    /// Where it is not.
    pub async fn ping(&self) -> Result<(), Error> {
        let error = error(self.name, &self.inner, Operation::Ping);
        let answer = self.inner.core.run(Operation::Ping, commands::ping()).await.map_err(&error)?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop)).map_err(&error)
    }
}

fn error<V>(tier: &'static str, inner: &Inner<V>, operation: Operation) -> impl Fn(Failure) -> Error {
    move |failure| failure.into_error(tier, operation.verb(), &inner.core.address)
}

impl<V: StoredValue> Inner<V> {
    fn names<'k>(&self, binding: &Binding, keys: impl ExactSizeIterator<Item = &'k Key<'k>>) -> Names {
        self.namer.of_values(binding.identity, binding.generation(), keys.map(Key::encoded))
    }

    async fn get(self: &Arc<Self>, binding: &Arc<Binding>, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Failure> {
        let names = self.names(binding, keys.iter());
        // Also for what comes back: an end is the same moment whenever it is computed.
        let now = self.timeline.now();
        let due = binding.is_due(now.moment);
        if !due && keys.len() == 1 && !self.core.is_cluster {
            return self.get_one(binding, names, now).await;
        }
        let mark = due.then_some(ReadMark { name: &binding.mark, life_ms: self.mark_life_ms });
        let request = commands::get(&names, mark.as_ref(), self.core.is_cluster);
        let done = self.core.run(Operation::Get, request).await;
        if due && done.is_err() {
            binding.was_not_read();
        }
        let Answer { mut replies, line } = done?;
        if due {
            let mark = replies.remove(0).and_then(commands::bytes).inspect_err(|_| binding.was_not_read())?;
            if binding.was_read(mark.as_deref()) {
                // The names were those of values that somebody has cleared.
                return Ok(keys.iter().map(|_| None).collect());
            }
        }
        let found = commands::values(replies, names.len()).inspect_err(|failure| {
            if *failure == Failure::Protocol {
                line.condemn();
            }
        })?;
        let (entries, is_suspect) = self.decode(binding.identity, names, found, now).await;
        if is_suspect {
            self.core.suspect(&line);
        }
        Ok(entries)
    }

    /// One value: by a command of its own, or together with others that are asked for at this moment.
    async fn get_one(
        self: &Arc<Self>,
        binding: &Binding,
        names: Names,
        now: time::Now,
    ) -> Result<Vec<Option<Entry<V>>>, Failure> {
        let (found, line) = match self.gatherer.join(&names, now.moment) {
            Seat::Alone(_seat) => {
                let request = commands::get(&names, None, false);
                let Answer { replies, line } = self.core.run(Operation::Get, request).await?;
                let found = commands::values(replies, 1).inspect_err(|failure| {
                    if *failure == Failure::Protocol {
                        line.condemn();
                    }
                })?;
                (found, line)
            }
            Seat::Together { answer, is_first } => {
                if is_first {
                    let inner = Arc::clone(self);
                    tokio::spawn(async move { inner.gatherer.ask(&inner.core, || inner.timeline.now().moment).await });
                }
                let (found, line) = answer.await.unwrap_or(Err(Failure::Protocol))?;
                (vec![found], line)
            }
        };
        let (entries, is_suspect) = self.decode(binding.identity, names, found, now).await;
        if is_suspect {
            self.core.suspect(&line);
        }
        Ok(entries)
    }

    /// The entries of envelopes, and whether one of them was not sealed for its name.
    async fn decode(
        self: &Arc<Self>,
        identity: Identity,
        names: Names,
        found: Vec<Option<Vec<u8>>>,
        now: time::Now,
    ) -> (Vec<Option<Entry<V>>>, bool) {
        let bytes: usize = found.iter().flatten().map(Vec::len).sum();
        if bytes < OFFLOAD_BYTES {
            return self.decode_now(identity, &names, found, now);
        }
        count(&self.core.counters.offloaded);
        let (inner, asked) = (Arc::clone(self), names.len());
        let decoded = tokio::task::spawn_blocking(move || inner.decode_now(identity, &names, found, now)).await;
        // It ends early only with the process.
        decoded.unwrap_or_else(|_| ((0..asked).map(|_| None).collect(), false))
    }

    fn decode_now(
        &self,
        identity: Identity,
        names: &Names,
        found: Vec<Option<Vec<u8>>>,
        now: time::Now,
    ) -> (Vec<Option<Entry<V>>>, bool) {
        let mut is_suspect = false;
        let mut entry =
            |(name, sealed): (&str, Option<Vec<u8>>)| match self.codec.decode(context(identity, name), sealed?, now) {
                Ok(Some(entry)) => Some(entry),
                Ok(None) => {
                    count(&self.core.counters.expired);
                    None
                }
                Err(fault) => {
                    count(&self.core.counters.faults[fault as usize]);
                    is_suspect |= fault == Fault::Seal;
                    None
                }
            };
        let entries = names.iter().zip(found).map(&mut entry).collect();
        (entries, is_suspect)
    }

    async fn fill(self: &Arc<Self>, binding: &Arc<Binding>, fills: &[Fill<'_, V>]) -> Result<Filled, Failure> {
        let names = self.names(binding, fills.iter().map(Fill::key));
        let parts: Vec<_> = fills.iter().map(|fill| (fill.key().cache_type().name(), fill.entry().clone())).collect();
        let (writes, too_large) = self.encode(binding.identity, names, parts).await;
        if writes.is_empty() {
            return Ok(Filled { stored: 0, too_large });
        }
        let answer = self.core.run(Operation::Fill, commands::write(&writes, self.core.is_cluster)).await?;
        let mut filled = Filled { stored: 0, too_large };
        let (mut refused, mut failure) = (Vec::new(), None);
        for (write, reply) in writes.into_iter().zip(answer.replies) {
            match (write, reply) {
                (Write::Set { bytes, .. }, Ok(_)) => {
                    filled.stored += 1;
                    self.core.counters.stored_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                (Write::Set { name, .. }, Err(Failure::OutOfMemory)) => {
                    count(&self.core.counters.out_of_memory);
                    refused.push(name);
                    failure = Some(Failure::OutOfMemory);
                }
                (Write::Unlink { .. }, Ok(_)) => {}
                (_, Err(other)) => failure = Some(other),
            }
        }
        if !refused.is_empty() {
            // What lies there is older than what was refused, and its room is needed. That it stays where this fails is safe.
            let _ = self
                .core
                .run(Operation::Remove, commands::unlink_each(refused.iter().map(String::as_str), self.core.is_cluster))
                .await;
        }
        match failure {
            Some(failure) if filled.stored == 0 => Err(failure),
            _ => Ok(filled),
        }
    }

    /// The commands that store entries, and how many of them are too large.
    async fn encode(
        self: &Arc<Self>,
        identity: Identity,
        names: Names,
        parts: Vec<(&'static str, Entry<V>)>,
    ) -> (Vec<Write>, usize) {
        let bytes: usize = parts.iter().map(|(_, entry)| entry.weight_bytes()).sum();
        if bytes < OFFLOAD_BYTES {
            return self.encode_now(identity, &names, parts);
        }
        count(&self.core.counters.offloaded);
        let inner = Arc::clone(self);
        // It ends early only with the process.
        tokio::task::spawn_blocking(move || inner.encode_now(identity, &names, parts)).await.unwrap_or_default()
    }

    fn encode_now(
        &self,
        identity: Identity,
        names: &Names,
        parts: Vec<(&'static str, Entry<V>)>,
    ) -> (Vec<Write>, usize) {
        let now = self.timeline.now();
        let mut too_large = 0;
        let writes = names.iter().zip(parts).filter_map(|(name, (cache_type, entry))| {
            match self.codec.encode(context(identity, name), cache_type, &entry, now) {
                Encoded::Sealed(Sealed { bytes, life_ms }) => {
                    Some(Write::Set { name: name.to_owned(), bytes, life_ms })
                }
                Encoded::Over => None,
                Encoded::TooLarge => {
                    too_large += 1;
                    Some(Write::Unlink { name: name.to_owned() })
                }
            }
        });
        (writes.collect(), too_large)
    }

    async fn remove(&self, binding: &Binding, keys: &[Key<'_>]) -> Result<(), Failure> {
        let names = self.names(binding, keys.iter());
        let answer = self.core.run(Operation::Remove, commands::unlink(&names, self.core.is_cluster)).await?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    async fn clear(&self, binding: &Binding) -> Result<(), Failure> {
        // Zero is what an absent mark says.
        let generation = self.entropy.next().max(1) ^ binding.generation();
        let generation = if generation == binding.generation() { generation.wrapping_add(1) } else { generation };
        let request = commands::set_mark(&binding.mark, generation, self.mark_life_ms);
        let answer = self.core.run(Operation::Clear, request).await?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop))?;
        binding.was_set(generation);
        Ok(())
    }
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
        // Two that bind at once bind to the same history, or to one after the other: the last one counts.
        if self.inner.binding.load().as_ref().is_none_or(|bound| bound.identity != identity) {
            let mark = self.inner.namer.of_generation(identity);
            self.inner.binding.store(Some(Arc::new(Binding::new(identity, mark))));
        }
    }

    fn get_now(&self, _: &Key<'_>) -> Now<V> {
        Now::NotLocal
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        let Some(binding) = self.inner.binding.load_full() else {
            return Ok(keys.iter().map(|_| None).collect());
        };
        let mut entries = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.inner.max_batch) {
            entries.extend(self.inner.get(&binding, keys).await.map_err(self.error(Operation::Get))?);
        }
        Ok(entries)
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        let Some(binding) = self.inner.binding.load_full() else { return Ok(Filled::default()) };
        let mut filled = Filled::default();
        for fills in fills.chunks(self.inner.max_batch) {
            let some = self.inner.fill(&binding, fills).await.map_err(self.error(Operation::Fill))?;
            filled.stored += some.stored;
            filled.too_large += some.too_large;
        }
        Ok(filled)
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        let Some(binding) = self.inner.binding.load_full() else { return Ok(()) };
        for keys in keys.chunks(self.inner.max_batch) {
            self.inner.remove(&binding, keys).await.map_err(self.error(Operation::Remove))?;
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), Error> {
        let Some(binding) = self.inner.binding.load_full() else { return Ok(()) };
        self.inner.clear(&binding).await.map_err(self.error(Operation::Clear))
    }

    /// It can't tell without asking; Redis tells whoever asks it.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

impl<V: StoredValue> Clone for RedisHandle<V> {
    fn clone(&self) -> Self {
        Self { name: self.name, inner: Arc::clone(&self.inner) }
    }
}

impl<V: StoredValue> std::fmt::Debug for RedisHandle<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisHandle({} at {})", self.name, self.inner.core.address)
    }
}

impl<V: StoredValue> std::fmt::Debug for RedisLayer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisLayer({} at {})", self.name, self.inner.core.address)
    }
}
