//! What the tier does against Redis: names, envelopes and commands put together.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cache_core::{CacheType, Clock, Entropy, Entry, Fill, Filled, Identity, Key, StoredValue};

use crate::commands::{self, ReadMark, Write};
use crate::compress::Compressors;
use crate::config::RedisConfig;
use crate::connect::Connector;
use crate::core::{Answer, Core, Operation};
use crate::derived::Derived;
use crate::envelope::{Codec, Encoded, Fault, Faulty, Sealed};
use crate::error::{ConfigError, Failure};
use crate::gather::{Gatherer, Seat};
use crate::generation::Binding;
use crate::keyring::Keyring;
use crate::layer::Machine;
use crate::mend::{Junk, Mender};
use crate::name::Names;
use crate::pool::Line;
use crate::randomness::Randomness;
use crate::statistics::count;
use crate::time::{self, Timeline};

/// Bytes from which on a batch is encoded or decoded off the executor: what takes a millisecond would hold up everybody else.
const OFFLOAD_BYTES: usize = 256 << 10;

/// What a look-up says of a key. Where each key lies on a node of its own, some may fail while others are answered.
pub(crate) type Found<V> = Result<Option<Entry<V>>, Failure>;

/// The tier's parts.
pub(crate) struct Store<V> {
    pub(crate) core: Core,
    pub(crate) max_batch: usize,
    codec: Codec<V>,
    config: RedisConfig,
    randomness: Arc<dyn Randomness>,
    timeline: Timeline,
    entropy: Arc<dyn Entropy>,
    gatherer: Gatherer,
    mender: Mender,
    clock: Arc<dyn Clock>,
    /// What the next history begins with. Whoever changes the keys or the history holds it, so that neither undoes the other.
    keys: Mutex<Arc<Derived>>,
    binding: ArcSwapOption<Binding>,
    mark_life_ms: u64,
}

/// What became of envelopes.
struct Decoded<V> {
    entries: Vec<Option<Entry<V>>>,
    /// One of them was not sealed for its name.
    is_suspect: bool,
    junk: Junk,
}

impl<V> Default for Decoded<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), is_suspect: false, junk: Junk::default() }
    }
}

impl<V: StoredValue> Store<V> {
    /// Puts them together; nothing is sent.
    pub(crate) fn new(config: &RedisConfig, keyring: &Keyring, machine: Machine) -> Result<Self, ConfigError> {
        let Machine { clock, wall, entropy, randomness } = machine;
        let connector = Connector::new(config)?;
        let compressors = Compressors::new(config)?;
        let derived = Arc::new(Derived::new(config, keyring, V::SCHEMA, Arc::clone(&randomness))?);
        Ok(Self {
            keys: Mutex::new(derived),
            core: Core::new(connector, config, Arc::clone(&clock), Arc::clone(&entropy))?,
            max_batch: config.max_batch,
            codec: Codec::new(compressors, config.max_value_bytes, config.max_lifetime_ms),
            config: config.clone(),
            randomness,
            timeline: Timeline::new(Arc::clone(&clock), wall, Duration::from_millis(config.max_lifetime_ms)),
            entropy,
            gatherer: Gatherer::new(config.max_in_flight),
            mender: Mender::default(),
            clock,
            binding: ArcSwapOption::empty(),
            // Longer than anything that it may have cleared.
            mark_life_ms: config.max_lifetime_ms * 2,
        })
    }

    /// Names values by a history from now on. Two that bind at once bind to the same one, or to one after the other: the last one counts.
    pub(crate) fn bind(&self, identity: Identity) {
        if self.binding.load().as_ref().is_none_or(|bound| bound.identity != identity) {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            self.binding.store(Some(Arc::new(Binding::new(identity, Arc::clone(&keys)))));
        }
    }

    /// Works with another ring from now on. What is under way ends with the one that it began with.
    pub(crate) fn replace_keys(&self, keyring: &Keyring) -> Result<(), ConfigError> {
        let derived = Arc::new(Derived::new(&self.config, keyring, V::SCHEMA, Arc::clone(&self.randomness))?);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *keys = Arc::clone(&derived);
        if let Some(binding) = self.binding.load_full() {
            self.binding.store(Some(Arc::new(binding.with_keys(derived))));
        }
        Ok(())
    }

    /// Whose history values are named by; none as long as nobody has said.
    pub(crate) fn binding(&self) -> Option<Arc<Binding>> {
        self.binding.load_full()
    }

    /// The names of keys in a generation.
    fn names<'k>(binding: &Binding, generation: u64, keys: impl ExactSizeIterator<Item = &'k Key<'k>>) -> Names {
        binding.derived.namer.of_values(binding.identity, generation, keys.map(Key::encoded))
    }

    /// Looks up a batch; one round trip.
    pub(crate) async fn get(
        self: &Arc<Self>,
        binding: &Arc<Binding>,
        keys: &[Key<'_>],
    ) -> Result<Vec<Found<V>>, Failure> {
        let generation = binding.generation();
        let names = Self::names(binding, generation, keys.iter());
        // Also for what comes back: an end is the same moment whenever it is computed.
        let now = self.timeline.now();
        let due = binding.is_due(now.moment);
        if self.core.is_cluster {
            if due {
                // It lies on a node of its own, which may be gone: that is no concern of whoever asks for another key.
                tokio::spawn(Arc::clone(self).read_mark(Arc::clone(binding)));
            }
            return self.get_apart(&binding.derived, names, now).await;
        }
        if !due && keys.len() == 1 {
            return self.get_one(&binding.derived, names, now).await;
        }
        let mark = due.then_some(ReadMark { name: &binding.mark, life_ms: self.mark_life_ms });
        let request = commands::get(&names, mark.as_ref(), false);
        let done = self.core.run(Operation::Get, request).await;
        if due && done.is_err() {
            binding.was_not_read();
        }
        let Answer { mut replies, line, .. } = done?;
        if due {
            let mark = replies.remove(0).and_then(commands::bytes).inspect_err(|_| binding.was_not_read())?;
            if binding.was_read(generation, mark.as_deref()) {
                // The names were those of values that somebody has cleared.
                return Ok(keys.iter().map(|_| Ok(None)).collect());
            }
        }
        let found = commands::values(replies, names.len()).inspect_err(|failure| {
            if *failure == Failure::Protocol {
                line.condemn();
            }
        })?;
        let entries = self.decode(&binding.derived, names, found, now, &[&line]).await?;
        Ok(entries.into_iter().map(Ok).collect())
    }

    /// Looks up a batch where every key lies on a node of its own: what a node does not say fails for its own keys.
    async fn get_apart(
        self: &Arc<Self>,
        derived: &Arc<Derived>,
        names: Names,
        now: time::Now,
    ) -> Result<Vec<Found<V>>, Failure> {
        let request = commands::get(&names, None, true);
        let Answer { replies, line, others } = self.core.run(Operation::Get, request).await?;
        let lines: Vec<&Line> = std::iter::once(&line).chain(&others).map(|line| &**line).collect();
        let mut failures: Vec<(usize, Failure)> = Vec::new();
        let found = replies.into_iter().enumerate().map(|(at, reply)| {
            reply.and_then(commands::bytes).unwrap_or_else(|failure| {
                failures.push((at, failure));
                None
            })
        });
        let found = found.collect();
        let mut found: Vec<_> = self.decode(derived, names, found, now, &lines).await?.into_iter().map(Ok).collect();
        for (at, failure) in failures {
            if failure == Failure::Protocol {
                lines.iter().for_each(|line| line.condemn());
            }
            found[at] = Err(failure);
        }
        Ok(found)
    }

    /// Reads the mark of the generation by itself. Where that fails, it is tried again when it is due again.
    async fn read_mark(self: Arc<Self>, binding: Arc<Binding>) {
        let known = binding.generation();
        let request = commands::get_mark(&ReadMark { name: &binding.mark, life_ms: self.mark_life_ms }, true);
        let Ok(Answer { mut replies, .. }) = self.core.run(Operation::Get, request).await else { return };
        if let Some(Ok(mark)) = replies.pop().map(|reply| reply.and_then(commands::bytes)) {
            binding.was_read(known, mark.as_deref());
        }
    }

    /// One value: by a command of its own, or together with others that are asked for at this moment.
    async fn get_one(
        self: &Arc<Self>,
        derived: &Arc<Derived>,
        names: Names,
        now: time::Now,
    ) -> Result<Vec<Found<V>>, Failure> {
        let (found, line) = match self.gatherer.join(&names, now.moment) {
            Seat::Alone(_seat) => {
                let request = commands::get(&names, None, false);
                let Answer { replies, line, .. } = self.core.run(Operation::Get, request).await?;
                let found = commands::values(replies, 1).inspect_err(|failure| {
                    if *failure == Failure::Protocol {
                        line.condemn();
                    }
                })?;
                (found, line)
            }
            Seat::Together { answer, is_first } => {
                if is_first {
                    let store = Arc::clone(self);
                    tokio::spawn(async move { store.gatherer.ask(&store.core, || store.timeline.now().moment).await });
                }
                let (found, line) = answer.await.unwrap_or(Err(Failure::Protocol))?;
                (vec![found], line)
            }
        };
        Ok(self.decode(derived, names, found, now, &[&line]).await?.into_iter().map(Ok).collect())
    }

    /// The entries of envelopes that connections brought. Where one of them was not sealed for its name, that speaks against the connections,
    /// and against what lies there.
    async fn decode(
        self: &Arc<Self>,
        derived: &Arc<Derived>,
        names: Names,
        found: Vec<Option<Vec<u8>>>,
        now: time::Now,
        lines: &[&Line],
    ) -> Result<Vec<Option<Entry<V>>>, Failure> {
        let bytes: usize = found.iter().flatten().map(Vec::len).sum();
        let decoded = if bytes < OFFLOAD_BYTES {
            self.decode_now(derived, &names, found, now)
        } else {
            count(&self.core.counters.offloaded);
            let (store, derived) = (Arc::clone(self), Arc::clone(derived));
            let decoded = tokio::task::spawn_blocking(move || store.decode_now(&derived, &names, found, now)).await;
            decoded.map_err(|_| Failure::Abandoned)?
        };
        if decoded.is_suspect {
            self.core.suspect(lines);
        }
        if !decoded.junk.is_empty() && self.mender.is_idle() {
            let (store, junk) = (Arc::clone(self), decoded.junk);
            tokio::spawn(async move { store.mender.sweep(&store.core, &*store.clock, junk).await });
        }
        Ok(decoded.entries)
    }

    fn decode_now(&self, derived: &Derived, names: &Names, found: Vec<Option<Vec<u8>>>, now: time::Now) -> Decoded<V> {
        let mut decoded = Decoded { entries: Vec::with_capacity(found.len()), ..Decoded::default() };
        for (place, sealed) in names.places().zip(found) {
            let entry = sealed.map(|sealed| self.codec.decode(&derived.seals, &place, sealed, now)).transpose();
            decoded.entries.push(match entry {
                Ok(None) => None,
                Ok(Some(Some(entry))) => Some(entry),
                Ok(Some(None)) => {
                    count(&self.core.counters.expired);
                    None
                }
                Err(Faulty { fault, key, junk }) => {
                    count(&self.core.counters.faults[fault as usize]);
                    decoded.is_suspect |= fault == Fault::Seal;
                    if let Some(key) = key {
                        self.core.counters.unknown_key(key);
                    }
                    if let Some(junk) = junk {
                        decoded.junk.note(place.name, junk);
                    }
                    None
                }
            });
        }
        decoded
    }

    /// Stores a batch; one round trip. Where Redis has no room, what lay there goes.
    pub(crate) async fn fill(
        self: &Arc<Self>,
        binding: &Arc<Binding>,
        fills: &[Fill<'_, V>],
    ) -> Result<Filled, Failure> {
        let names = Self::names(binding, binding.generation(), fills.iter().map(Fill::key));
        let parts: Vec<_> = fills.iter().map(|fill| (fill.key().cache_type(), fill.entry().clone())).collect();
        let (writes, too_large) = self.encode(&binding.derived, names, parts).await?;
        self.core.counters.too_large.fetch_add(too_large as u64, Ordering::Relaxed);
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
        derived: &Arc<Derived>,
        names: Names,
        parts: Vec<(CacheType, Entry<V>)>,
    ) -> Result<(Vec<Write>, usize), Failure> {
        let bytes: usize = parts.iter().map(|(_, entry)| entry.weight_bytes()).sum();
        if bytes < OFFLOAD_BYTES {
            return Ok(self.encode_now(derived, &names, parts));
        }
        count(&self.core.counters.offloaded);
        let (store, derived) = (Arc::clone(self), Arc::clone(derived));
        let work = move || store.encode_now(&derived, &names, parts);
        tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Abandoned)
    }

    fn encode_now(&self, derived: &Derived, names: &Names, parts: Vec<(CacheType, Entry<V>)>) -> (Vec<Write>, usize) {
        let now = self.timeline.now();
        let mut too_large = 0;
        let writes = names.places().zip(parts).filter_map(|(place, (cache_type, entry))| {
            match self.codec.encode(&derived.seals, &place, cache_type, &entry, now) {
                Encoded::Sealed(Sealed { bytes, life_ms }) => {
                    Some(Write::Set { name: place.name.to_owned(), bytes, life_ms })
                }
                Encoded::Over => None,
                Encoded::Unsealed => {
                    count(&self.core.counters.unsealed);
                    None
                }
                Encoded::TooLarge => {
                    too_large += 1;
                    Some(Write::Unlink { name: place.name.to_owned() })
                }
            }
        });
        (writes.collect(), too_large)
    }

    /// Forgets a batch; one round trip.
    pub(crate) async fn remove(&self, binding: &Binding, keys: &[Key<'_>]) -> Result<(), Failure> {
        let names = Self::names(binding, binding.generation(), keys.iter());
        let answer = self.core.run(Operation::Remove, commands::unlink(&names, self.core.is_cluster)).await?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    /// Forgets everything, by another generation of names.
    pub(crate) async fn clear(&self, binding: &Binding) -> Result<(), Failure> {
        // Zero is what an absent mark says.
        let generation = self.entropy.next().max(1) ^ binding.generation();
        let generation = if generation == binding.generation() { generation.wrapping_add(1) } else { generation };
        let request = commands::set_mark(&binding.mark, generation, self.mark_life_ms, self.core.is_cluster);
        let answer = self.core.run(Operation::Clear, request).await?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop))?;
        binding.was_set(generation);
        Ok(())
    }
}
