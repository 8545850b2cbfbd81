//! What the tier does against Redis: names, envelopes and commands put together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cache_core::{Entropy, Entry, Fill, Filled, Identity, Key, StoredValue};

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
use crate::layer::Machine;
use crate::name::{Namer, Names};
use crate::seal::Checksum;
use crate::statistics::count;
use crate::time::{self, Timeline};

/// Bytes from which on a batch is encoded or decoded off the executor: what takes a millisecond would hold up everybody else.
const OFFLOAD_BYTES: usize = 256 << 10;

/// The tier's parts.
pub(crate) struct Store<V> {
    pub(crate) core: Core,
    pub(crate) max_batch: usize,
    codec: Codec<V>,
    namer: Namer,
    timeline: Timeline,
    entropy: Arc<dyn Entropy>,
    gatherer: Gatherer,
    binding: ArcSwapOption<Binding>,
    mark_life_ms: u64,
}

impl<V: StoredValue> Store<V> {
    /// Puts them together; nothing is sent.
    pub(crate) fn new(config: &RedisConfig, keyring: &Keyring, machine: Machine) -> Result<Self, ConfigError> {
        let Machine { clock, wall, entropy } = machine;
        let connector = Connector::new(config)?;
        let seal = Checksum::new(keyring);
        let compressors = Compressors::new(config)?;
        Ok(Self {
            core: Core::new(connector, config, Arc::clone(&clock), Arc::clone(&entropy)),
            max_batch: config.max_batch,
            codec: Codec::new(seal, compressors, config.max_value_bytes, config.max_lifetime_ms),
            namer: Namer::new(&config.namespace, keyring, V::SCHEMA),
            timeline: Timeline::new(clock, wall, Duration::from_millis(config.max_lifetime_ms)),
            entropy,
            gatherer: Gatherer::new(config.max_in_flight),
            binding: ArcSwapOption::empty(),
            // Longer than anything that it may have cleared.
            mark_life_ms: config.max_lifetime_ms * 2,
        })
    }

    /// Names values by a history from now on. Two that bind at once bind to the same one, or to one after the other: the last one counts.
    pub(crate) fn bind(&self, identity: Identity) {
        if self.binding.load().as_ref().is_none_or(|bound| bound.identity != identity) {
            let mark = self.namer.of_generation(identity);
            self.binding.store(Some(Arc::new(Binding::new(identity, mark))));
        }
    }

    /// Whose history values are named by; none as long as nobody has said.
    pub(crate) fn binding(&self) -> Option<Arc<Binding>> {
        self.binding.load_full()
    }

    /// The names of keys in a generation.
    fn names<'k>(&self, binding: &Binding, generation: u64, keys: impl ExactSizeIterator<Item = &'k Key<'k>>) -> Names {
        self.namer.of_values(binding.identity, generation, keys.map(Key::encoded))
    }

    /// Looks up a batch; one round trip.
    pub(crate) async fn get(
        self: &Arc<Self>,
        binding: &Arc<Binding>,
        keys: &[Key<'_>],
    ) -> Result<Vec<Option<Entry<V>>>, Failure> {
        let generation = binding.generation();
        let names = self.names(binding, generation, keys.iter());
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
            if binding.was_read(generation, mark.as_deref()) {
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
                    let store = Arc::clone(self);
                    tokio::spawn(async move { store.gatherer.ask(&store.core, || store.timeline.now().moment).await });
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
        let (store, asked) = (Arc::clone(self), names.len());
        let decoded = tokio::task::spawn_blocking(move || store.decode_now(identity, &names, found, now)).await;
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

    /// Stores a batch; one round trip. Where Redis has no room, what lay there goes.
    pub(crate) async fn fill(
        self: &Arc<Self>,
        binding: &Arc<Binding>,
        fills: &[Fill<'_, V>],
    ) -> Result<Filled, Failure> {
        let names = self.names(binding, binding.generation(), fills.iter().map(Fill::key));
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
        let store = Arc::clone(self);
        // It ends early only with the process.
        tokio::task::spawn_blocking(move || store.encode_now(identity, &names, parts)).await.unwrap_or_default()
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

    /// Forgets a batch; one round trip.
    pub(crate) async fn remove(&self, binding: &Binding, keys: &[Key<'_>]) -> Result<(), Failure> {
        let names = self.names(binding, binding.generation(), keys.iter());
        let answer = self.core.run(Operation::Remove, commands::unlink(&names, self.core.is_cluster)).await?;
        answer.replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    /// Forgets everything, by another generation of names.
    pub(crate) async fn clear(&self, binding: &Binding) -> Result<(), Failure> {
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
