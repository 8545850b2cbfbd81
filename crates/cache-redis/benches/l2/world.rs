//! What the benchmark runs against: a server of its own, a chain with the tier in two lines, and values like decisions and lists.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{
    CacheKey, CacheType, CacheValue, Chain, Draft, Identity, InProcessLog, KeyEncoder, Log, Moment, Policy,
    StoredValue, Tag, TypeSet,
};
use cache_redis::{
    Compression, DEFAULT_DICTIONARY_BYTES, Dictionary, Encryption, Keyring, Machine, RedisConfig, RedisHandle,
    RedisLayer,
};
use test_services::Redis;

/// Values of 48 bytes, with eight tags.
pub(crate) const DECISION: CacheType = CacheType::new(0, "decision");
/// Values of some hundred bytes, which are compressed.
pub(crate) const LIST: CacheType = CacheType::new(1, "list");

/// What an envelope adds to a value with eight tags.
const ENVELOPE_BYTES: usize = 100;

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

/// A decision with its fields, or a list.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Decision([u64; 6]),
    List(Box<[u8]>),
}

impl CacheValue for Answer {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Decision(_) => 0,
            Self::List(list) => list.len(),
        }
    }
}

impl StoredValue for Answer {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Decision(fields) => fields.iter().for_each(|field| bytes.extend_from_slice(&field.to_le_bytes())),
            Self::List(list) => bytes.extend_from_slice(list),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (fields, rest) = bytes.as_chunks();
        match <[_; 6]>::try_from(fields) {
            Ok(fields) if rest.is_empty() => Some(Self::Decision(fields.map(u64::from_le_bytes))),
            _ => Some(Self::List(bytes.into())),
        }
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
    /// The mean bytes of a list's envelope.
    pub(crate) list_bytes: usize,
    /// The names of as many lists, each as long as its envelope would be without compression.
    pub(crate) plain_lists: Vec<String>,
    pub(crate) plain_list_bytes: usize,
}

impl World {
    pub(crate) async fn new(server: &Redis, keys: usize, encryption: Encryption) -> Self {
        let url = server.url();
        let folder = tempfile::tempdir().expect("a folder");
        let samples: Vec<_> = (0..1_000).map(|number| list(keys + number)).collect();
        let dictionary = Dictionary::train(&samples, DEFAULT_DICTIONARY_BYTES).expect("the samples are alike");
        let path = folder.path().join("lists.dict");
        std::fs::write(&path, dictionary.as_bytes()).expect("written");
        let zstd = Compression::Zstd { level: 3, min_bytes: 128, dictionary: Some(path) };
        let config = RedisConfig {
            compression: [(LIST.name().to_owned(), zstd)].into(),
            encryption,
            // Loaded machines are not what is measured here.
            get_timeout_ms: 1_000,
            fill_timeout_ms: 5_000,
            max_wait_ms: 1_000,
            ..RedisConfig::at(url.as_str())
        };
        let keyring = Keyring::random().expect("the system has randomness");
        let log: Arc<dyn Log> =
            Arc::new(InProcessLog::<cache_core::sync::Std>::with_identity(Identity::random().expect("randomness")));
        // Nothing ends while it is measured.
        let policy = Policy::default().default_ttl(Duration::from_secs(43_200));
        let layer = RedisLayer::new(&config, &keyring, Machine::default()).expect("the settings are right");
        let redis = layer.handle();
        let chain = Arc::new(Chain::builder().tier(layer).log(log).policy(policy).build().expect("the parts fit"));
        let mut raw = super::bare::connection(&url).await;
        let mut names =
            async || -> Vec<String> { redis::cmd("KEYS").arg("*").query_async(&mut raw).await.expect("asked") };
        fill(&chain, DECISION, keys).await;
        let decisions = names().await;
        let before = redis.statistics().stored_bytes;
        fill(&chain, LIST, keys).await;
        let list_bytes = ((redis.statistics().stored_bytes - before) as usize) / keys;
        assert_eq!((decisions.len(), names().await.len()), (keys, 2 * keys), "every value is stored");
        let plain_lists: Vec<String> = (0..keys).map(|number| format!("plain:{number}")).collect();
        for (at, names) in plain_lists.chunks(500).enumerate() {
            let mut pipeline = redis::pipe();
            for (number, name) in (at * 500..).zip(names) {
                let mut envelope = vec![7; ENVELOPE_BYTES];
                envelope.extend(list(number));
                pipeline.set(name, envelope).ignore();
            }
            let () = pipeline.query_async(&mut raw).await.expect("stored");
        }
        let plain_list_bytes = ENVELOPE_BYTES + list(1).len();
        let questions = [DECISION, LIST].map(|kind| (0..keys).map(|number| Question::number(kind, number)).collect());
        Self { chain, redis, url, questions, decisions, list_bytes, plain_lists, plain_list_bytes }
    }
}

async fn fill(chain: &Chain<Answer>, cache_type: CacheType, keys: usize) {
    let questions: Vec<_> = (0..keys).map(|number| Question::number(cache_type, number)).collect();
    for some in questions.chunks(500) {
        let ticket = chain.ticket();
        let drafts = some.iter().enumerate().map(|(at, question)| {
            let draft = Draft {
                value: value(cache_type, at),
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

fn value(cache_type: CacheType, number: usize) -> Answer {
    if cache_type == LIST {
        return Answer::List(list(number).into_boxed_slice());
    }
    Answer::Decision(std::array::from_fn(|field| mix((number * 6 + field) as u64)))
}

/// What a subject belongs to, as text.
fn list(number: usize) -> Vec<u8> {
    let team = |row| format!("team:{}#member,", mix((number + row) as u64) % 1_000).into_bytes();
    (0..24).flat_map(team).collect()
}

/// One step of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
