//! Dictionaries from what lies in Redis: values are sampled, opened, and trained on.
//!
//! Only what was sealed with our key for the name it lies under is a sample, and only by its cache type, which the envelope says: the names say
//! nothing. All of it is bounded: names are looked for a few at a time, so that Redis goes on with everybody else's work; so many of them, so many
//! samples and so many bytes are taken, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheType, Error, ErrorKind, StoredValue, SystemClock, SystemEntropy};
use redis::aio::ConnectionLike as _;
use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::commands::bytes;
use crate::compress::{Compressors, Dictionary};
use crate::config::RedisConfig;
use crate::connect::{Connector, Link};
use crate::envelope::{Codec, Fault, Faulty};
use crate::error::{ConfigError, Failure};
use crate::keyring::Keyring;
use crate::name::Place;
use crate::nodes::Nodes;
use crate::randomness::SystemRandomness;
use crate::seal::{Form, Seals};

/// The fewest samples of a cache type that make a dictionary: a tenth of them is held out, and less than some tens say nothing.
pub const MIN_SAMPLES: usize = 100;
/// The most samples of a cache type.
pub const MAX_SAMPLES: usize = 100_000;
/// Bytes of samples of a cache type, beyond which no more are taken.
const MAX_SAMPLE_BYTES: usize = 128 << 20;
/// Names that are looked at, all together.
const MAX_NAMES: u64 = 2_000_000;
/// Slots of its table that Redis looks through at once.
const SCAN_COUNT: u32 = 500;
/// Values of one round trip.
const READ_COUNT: usize = 32;
/// How long Redis may take for one round trip.
const PATIENCE: Duration = Duration::from_secs(10);
/// One of so many samples is held out, to see what the dictionary is worth on values that it was not trained on.
const HELD_OUT: usize = 10;

/// What is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of which cache types.
    pub types: &'a [CacheType],
    /// How many of each.
    pub samples: usize,
    /// Values that are smaller are left out.
    pub min_bytes: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Sampled {
    /// Names that were looked at.
    pub names: u64,
    /// Values that could be read, of whichever type and size.
    pub values: u64,
    /// Values under another master key.
    pub other_keys: u64,
    /// Values that were compressed with a dictionary that the settings don't name.
    pub other_dictionaries: u64,
    /// Samples by the index of their cache type, as they were before compression.
    pub by_type: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// A dictionary, and what it is worth.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The dictionary.
    pub dictionary: Dictionary,
    /// Samples that it was trained on.
    pub samples: usize,
    /// The others, with which it was tried.
    pub held_out: Sizes,
}

/// Bytes of the same values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// How many values.
    pub values: usize,
    /// As they are.
    pub bytes: usize,
    /// Compressed without a dictionary.
    pub without: usize,
    /// Compressed with it.
    pub with: usize,
}

/// Takes samples from the Redis of the settings. The user needs the right to SCAN and GET there.
///
/// # Errors
/// Where Redis can't be reached or refuses, or a setting can't be used.
pub async fn sample<V: StoredValue>(
    config: &RedisConfig,
    keyring: &Keyring,
    wanted: Wanted<'_>,
) -> Result<Sampled, Error> {
    let address = config.address().map(|address| address.to_string()).unwrap_or_default();
    let refused = |error: ConfigError| Failure::Unreachable(error.to_string());
    if config.is_encrypted().unwrap_or(true) {
        // A value is bound to its key, and a scan finds names alone.
        let problem = format!(
            "values in redis at {address} are encrypted for keys that a scan does not know; train against a Redis on this machine, \
             or one of a test with redis.encryption = \"off\""
        );
        return Err(Error::new(ErrorKind::Unsupported, crate::layer::DEFAULT_NAME, "sample", problem));
    }
    let take = async {
        let codec =
            Codec::<V>::new(Compressors::new(config).map_err(refused)?, config.max_value_bytes, config.max_lifetime_ms);
        let mut sampler = Sampler {
            codec,
            seals: Seals::new(keyring, Form::Checksum, Arc::new(SystemRandomness)),
            wanted,
            pattern: format!("{}:*", config.namespace),
            sampled: Sampled::default(),
            bytes: BTreeMap::new(),
        };
        for mut link in links(config).await? {
            sampler.take_from(&mut link).await?;
        }
        Ok(sampler.sampled)
    };
    take.await.map_err(|failure: Failure| failure.into_error(crate::layer::DEFAULT_NAME, "sample", &address))
}

/// A connection to everybody who has values.
async fn links(config: &RedisConfig) -> Result<Vec<Link>, Failure> {
    let refused = |error: ConfigError| Failure::Unreachable(error.to_string());
    let connector = Connector::new(config).map_err(refused)?;
    if !connector.is_cluster() {
        return Ok(vec![connector.connect().await.map_err(|error| Failure::of(&error))?]);
    }
    let nodes = Arc::new(Nodes::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).map_err(refused)?);
    let slots = timeout(PATIENCE, nodes.wait()).await.map_err(|_| Failure::Timeout(PATIENCE))??;
    let mut links = Vec::new();
    for node in slots.nodes() {
        links.push(node.pool.line(0).await?.link.clone());
    }
    Ok(links)
}

struct Sampler<'a, V> {
    codec: Codec<V>,
    seals: Seals,
    wanted: Wanted<'a>,
    pattern: String,
    sampled: Sampled,
    /// Bytes of samples by cache type.
    bytes: BTreeMap<usize, usize>,
}

impl<V: StoredValue> Sampler<'_, V> {
    async fn take_from(&mut self, link: &mut Link) -> Result<(), Failure> {
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = Cmd::new();
            scan.arg("SCAN").arg(&cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(SCAN_COUNT);
            scan.arg("TYPE").arg("string");
            let found = timeout(PATIENCE, link.req_packed_command(&scan)).await;
            let found = found.map_err(|_| Failure::Timeout(PATIENCE))?.map_err(|error| Failure::of(&error))?;
            let (next, names) = names_of(found).ok_or(Failure::Protocol)?;
            self.sampled.names += names.len() as u64;
            for names in names.chunks(READ_COUNT) {
                self.read(link, names).await?;
            }
            if next == b"0" || self.has_enough() {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn read(&mut self, link: &mut Link, names: &[String]) -> Result<(), Failure> {
        let mut gets = Pipeline::with_capacity(names.len());
        names.iter().for_each(|name| {
            gets.cmd("GET").arg(name);
        });
        let found = timeout(PATIENCE, link.req_packed_commands(&gets, 0, names.len())).await;
        let found = found.map_err(|_| Failure::Timeout(PATIENCE))?.map_err(|error| Failure::of(&error))?;
        for (name, value) in names.iter().zip(found) {
            // A name whose value has ended or changed since is none.
            let Ok(Some(sealed)) = bytes(value) else { continue };
            match self.codec.payload(&self.seals, &Place::of_name(name), sealed) {
                Ok((cache_type, value)) => self.keep(cache_type, value),
                Err(Faulty { fault: Fault::Key, .. }) => self.sampled.other_keys += 1,
                Err(Faulty { fault: Fault::Dictionary, .. }) => self.sampled.other_dictionaries += 1,
                // Buckets of rate limits and marks are no values at all.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn keep(&mut self, cache_type: usize, value: Vec<u8>) {
        self.sampled.values += 1;
        let is_wanted = self.wanted.types.iter().any(|wanted| wanted.index() == cache_type);
        if !is_wanted || value.len() < self.wanted.min_bytes {
            return;
        }
        let samples = self.sampled.by_type.entry(cache_type).or_default();
        let bytes = self.bytes.entry(cache_type).or_default();
        if samples.len() < self.wanted.samples.min(MAX_SAMPLES) && *bytes + value.len() <= MAX_SAMPLE_BYTES {
            *bytes += value.len();
            samples.push(value);
        }
    }

    fn has_enough(&self) -> bool {
        let has = |wanted: &CacheType| {
            self.sampled.by_type.get(&wanted.index()).is_some_and(|samples| samples.len() >= self.wanted.samples)
        };
        self.sampled.names >= MAX_NAMES || self.wanted.types.iter().all(has)
    }
}

/// Trains a dictionary of at most so many bytes on nine of ten samples, and tries it on the others.
///
/// # Errors
/// Where there are fewer than [`MIN_SAMPLES`], or zstd finds too little in them.
pub fn train(samples: &[Vec<u8>], max_bytes: usize, level: i32) -> Result<Trained, ConfigError> {
    if samples.len() < MIN_SAMPLES {
        return Err(ConfigError::Unusable {
            what: "a list of samples",
            problem: format!(
                "there are {} and at least {MIN_SAMPLES} are needed; let the cache fill, or lower compress_min_bytes",
                samples.len()
            ),
        });
    }
    let is_held_out = |at: usize| at % HELD_OUT == HELD_OUT - 1;
    let part = |held_out: bool| -> Vec<&[u8]> {
        samples.iter().enumerate().filter(|(at, _)| is_held_out(*at) == held_out).map(|(_, one)| &**one).collect()
    };
    let (used, held_out) = (part(false), part(true));
    let dictionary = Dictionary::train(&used, max_bytes)?;
    let size_with = |dictionary: Option<&Dictionary>| -> Result<usize, ConfigError> {
        size(dictionary, level, &held_out).map_err(|error| ConfigError::Unusable {
            what: "zstd",
            problem: format!("it could not compress a sample: {error}"),
        })
    };
    let held_out = Sizes {
        values: held_out.len(),
        bytes: held_out.iter().map(|value| value.len()).sum(),
        without: size_with(None)?,
        with: size_with(Some(&dictionary))?,
    };
    Ok(Trained { dictionary, samples: used.len(), held_out })
}

/// What values take together; one that would not become smaller is stored as it is.
fn size(dictionary: Option<&Dictionary>, level: i32, values: &[&[u8]]) -> std::io::Result<usize> {
    let mut context = match dictionary {
        Some(dictionary) => Compressor::with_dictionary(level, dictionary.as_bytes())?,
        None => Compressor::new(level)?,
    };
    context.set_parameter(CParameter::ContentSizeFlag(false))?;
    context.set_parameter(CParameter::DictIdFlag(false))?;
    values.iter().map(|value| Ok(context.compress(value)?.len().min(value.len()))).sum()
}

/// The next cursor and the names of an answer to SCAN.
fn names_of(answer: Value) -> Option<(Vec<u8>, Vec<String>)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(cursor), Value::Array(names)] = <[Value; 2]>::try_from(parts).ok()? else { return None };
    let name = |name| match name {
        // Ours are text; what is not was put there by somebody else.
        Value::BulkString(name) => String::from_utf8(name).ok(),
        _ => None,
    };
    Some((cursor, names.into_iter().filter_map(name).collect()))
}
