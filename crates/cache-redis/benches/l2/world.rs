//! What the benchmark runs against: a server of its own, a chain with the tier in two lines, and values like decisions and lists.

use std::collections::HashSet;
use std::sync::Arc;

use cache_core::{
    CacheKey, CacheType, CacheValue, Chain, Draft, Identity, InProcessLog, KeyEncoder, Log, Moment, StoredValue, Tag,
    TypeSet,
};
use cache_redis::{
    Compression, DEFAULT_DICTIONARY_BYTES, Dictionary, Keyring, Machine, RedisConfig, RedisHandle, RedisLayer,
};
use test_services::Redis;

/// Values of 48 bytes, with eight tags.
pub(crate) const DECISION: CacheType = CacheType::new(0, "decision");
/// Values of some hundred bytes, which are compressed.
pub(crate) const LIST: CacheType = CacheType::new(1, "list");

/// May this subject do this to this object?
#[derive(Clone)]
pub(crate) struct Question {
    cache_type: CacheType,
    subject: String,
    object: String,
}

impl Question {
    pub(crate) fn number(cache_type: CacheType, number: usize) -> Self {
        let mixed = mix(number as u64);
        Self { cache_type, subject: format!("user:{mixed:016x}"), object: format!("generation:{number:016}") }
    }
}

impl CacheKey for Question {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self { cache_type: _, subject, object } = self;
        encoder.text(subject).text("viewer").text(object);
    }
}

/// Bytes that stand for a decision with its fields, or for a list.
#[derive(Clone, Debug)]
pub(crate) struct Answer(Vec<u8>);

impl CacheValue for Answer {
    fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }
}

impl StoredValue for Answer {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.to_vec()))
    }
}

pub(crate) struct World {
    pub(crate) chain: Arc<Chain<Answer>>,
    pub(crate) redis: RedisHandle<Answer>,
    pub(crate) url: String,
    /// The requests, by type. That they are made is nobody's cost here, as the names are nobody's.
    pub(crate) questions: [Vec<Question>; 2],
    /// The names of all values in Redis, for who asks it without us.
    pub(crate) decisions: Vec<String>,
    pub(crate) lists: Vec<String>,
    /// The mean bytes of a list's envelope.
    pub(crate) list_bytes: usize,
}

impl World {
    pub(crate) async fn new(server: &Redis, keys: usize) -> Self {
        let url = server.url();
        let folder = tempfile::tempdir().expect("a folder");
        let samples: Vec<_> = (0..1_000).map(|number| value(LIST, keys + number)).collect();
        let dictionary = Dictionary::train(&samples, DEFAULT_DICTIONARY_BYTES).expect("the samples are alike");
        let path = folder.path().join("lists.dict");
        std::fs::write(&path, dictionary.as_bytes()).expect("written");
        let zstd = Compression::Zstd { level: 3, min_bytes: 128, dictionary: Some(path) };
        let config = RedisConfig {
            compression: [(LIST.name().to_owned(), zstd)].into(),
            // Loaded machines are not what is measured here.
            get_timeout_ms: 1_000,
            fill_timeout_ms: 5_000,
            max_wait_ms: 1_000,
            connections: std::env::var("CONNS").ok().and_then(|n| n.parse().ok()).unwrap_or(4),
            ..RedisConfig::at(url.as_str())
        };
        let keyring = Keyring::random().expect("the system has randomness");
        let log: Arc<dyn Log> =
            Arc::new(InProcessLog::<cache_core::sync::Std>::with_identity(Identity::random().expect("randomness")));
        let layer = RedisLayer::new(&config, &keyring, Machine::default()).expect("the settings are right");
        let redis = layer.handle();
        let chain = Arc::new(Chain::builder().tier(layer).log(log).build().expect("the parts fit"));
        let mut raw = super::bare::connection(&url).await;
        let mut names =
            async || -> Vec<String> { redis::cmd("KEYS").arg("*").query_async(&mut raw).await.expect("asked") };
        fill(&chain, DECISION, keys).await;
        let decisions = names().await;
        let before = redis.statistics().stored_bytes;
        fill(&chain, LIST, keys).await;
        let list_bytes = ((redis.statistics().stored_bytes - before) as usize) / keys;
        let known: HashSet<&String> = decisions.iter().collect();
        let lists: Vec<String> = names().await.into_iter().filter(|name| !known.contains(name)).collect();
        assert_eq!((decisions.len(), lists.len()), (keys, keys), "every value is stored");
        let questions = [DECISION, LIST].map(|kind| (0..keys).map(|number| Question::number(kind, number)).collect());
        Self { chain, redis, url, questions, decisions, lists, list_bytes }
    }
}

async fn fill(chain: &Chain<Answer>, cache_type: CacheType, keys: usize) {
    let questions: Vec<_> = (0..keys).map(|number| Question::number(cache_type, number)).collect();
    for some in questions.chunks(500) {
        let ticket = chain.ticket();
        let drafts = some.iter().enumerate().map(|(at, question)| {
            let draft = Draft {
                value: Answer(value(cache_type, at)),
                stamp: ticket.stamp(),
                read_set: (0..8).map(|tag| Tag::from_hash(mix((at * 16 + tag) as u64))).collect(),
                types: TypeSet::default(),
                hard_expiry: Moment::NEVER,
            };
            (chain.key(question), draft)
        });
        chain.fill_many(&ticket, drafts.collect()).await;
    }
}

pub(crate) fn value(cache_type: CacheType, number: usize) -> Vec<u8> {
    if cache_type == LIST {
        return (0..24)
            .flat_map(|row| format!("team:{}#member,", mix((number + row) as u64) % 1_000).into_bytes())
            .collect();
    }
    (0..6).flat_map(|part| mix((number * 6 + part) as u64).to_le_bytes()).collect()
}

/// One step of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
