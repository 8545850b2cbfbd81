//! A Redis of a test's own, an origin that can be held up, and instances: each with a memory tier, a Redis tier and a log of its own, as
//! separate processes would have them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::testing::{ALPHA, Gate, SharedLayer, TYPES, TestKey, TestValue};
use cache_core::{Chain, Clock, Keyer, Kill, Load, Revision, Source, SystemClock, Tag, tag};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_redis::{BreakerConfig, Keyring, LogConfig, LogStatus, Machine, RedisConfig, RedisLayer, RedisLog};
use test_services::{Redis, RedisOptions, Reply};

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The names of the log in Redis.
pub(crate) const STREAM: &str = "tiergate:{log}";
pub(crate) const EPOCH: &str = "tiergate:{log}:epoch";

/// What the instances of a test share: Redis.
pub(crate) struct Bed {
    pub(crate) redis: Redis,
}

/// One instance.
pub(crate) struct Instance {
    pub(crate) chain: Chain<TestValue>,
    pub(crate) log: Arc<RedisLog>,
    /// The Redis tier, with a gate before its fills.
    pub(crate) l2: SharedLayer,
}

/// Rows, and a gate that holds up who has read one.
#[derive(Default)]
pub(crate) struct Origin {
    rows: Mutex<HashMap<String, String>>,
    pub(crate) gate: Gate,
    loads: AtomicU64,
}

impl Bed {
    pub(crate) fn start() -> Option<Self> {
        Self::with(&RedisOptions::default())
    }

    pub(crate) fn with(options: &RedisOptions) -> Option<Self> {
        // The second user is for an instance that is to be cut off while the other one goes on.
        let options = options.clone().user("apart on >apart ~* &* +@all");
        Some(Self { redis: Redis::start(&options)? })
    }

    pub(crate) fn config(&self) -> RedisConfig {
        patient(self.redis.url())
    }

    /// An instance that [`Bed::cut_off`] reaches.
    pub(crate) async fn instance_apart(&self, log: LogConfig) -> Instance {
        let config =
            RedisConfig { username: Some("apart".into()), password: Some("apart".into()), ..hasty(self.config()) };
        Instance::join(&config, log).await
    }

    pub(crate) async fn instance(&self) -> Instance {
        Instance::join(&self.config(), config()).await
    }

    /// Ends the connections of the instance apart, and lets it make no new ones.
    pub(crate) fn cut_off(&self) {
        self.ask(&["ACL", "SETUSER", "apart", "off"]);
        self.ask(&["CLIENT", "KILL", "USER", "apart"]);
    }

    pub(crate) fn heal(&self) {
        self.ask(&["ACL", "SETUSER", "apart", "on"]);
    }

    pub(crate) fn ask(&self, words: &[&str]) -> Reply {
        self.redis.command(words).unwrap()
    }
}

/// Settings of the log for machines that are busy with other things: a log that is silent for long is trusted all the same.
pub(crate) fn config() -> LogConfig {
    LogConfig {
        heartbeat_ms: 50,
        answer_timeout_ms: 5_000,
        max_silence_ms: 60_000,
        max_backoff_ms: 20,
        ..LogConfig::for_types(&TYPES)
    }
}

pub(crate) fn patient(url: String) -> RedisConfig {
    RedisConfig {
        connections: 1,
        connect_timeout_ms: 5_000,
        get_timeout_ms: 5_000,
        fill_timeout_ms: 5_000,
        remove_timeout_ms: 5_000,
        max_wait_ms: 5_000,
        breaker: BreakerConfig { slow_call_ms: 5_000, minimum_calls: 10_000, ..BreakerConfig::default() },
        ..RedisConfig::at(url)
    }
}

/// A tier that does not wait for a Redis that is known to be gone.
pub(crate) fn hasty(config: RedisConfig) -> RedisConfig {
    RedisConfig { connect_timeout_ms: 200, get_timeout_ms: 20, fill_timeout_ms: 20, remove_timeout_ms: 20, ..config }
}

impl Instance {
    pub(crate) async fn join(redis: &RedisConfig, log: LogConfig) -> Self {
        let log = RedisLog::connect(redis, log).await.unwrap();
        Self::over(redis, log)
    }

    pub(crate) fn open(redis: &RedisConfig, log: LogConfig, clock: Arc<dyn Clock>) -> Self {
        Self::over(redis, RedisLog::open(redis, log, clock).unwrap())
    }

    pub(crate) fn over(redis: &RedisConfig, log: Arc<RedisLog>) -> Self {
        let keyring = Keyring::from_bytes(&[7; 32]).unwrap();
        let l2 = SharedLayer::new(RedisLayer::<TestValue>::new(redis, &keyring, Machine::default()).unwrap());
        let chain = Chain::builder()
            .tier(MemoryLayer::new(MemoryConfig::default()).unwrap())
            .tier(l2.clone())
            .log(Arc::clone(&log) as Arc<dyn cache_core::Log>)
            .keyer(Keyer::with_secret((1, 2)))
            .clock(Arc::new(SystemClock))
            .build()
            .unwrap();
        Self { chain, log, l2 }
    }

    /// What a call answers, and who had it.
    pub(crate) async fn get(&self, name: &str, origin: &Origin) -> (String, Source) {
        let key = TestKey::new(ALPHA, name);
        let load = |load: Load| async move {
            load.read(row(name));
            Ok::<_, std::io::Error>(origin.read(name).await)
        };
        let answer = self.chain.get_or_load(&key, load).await.unwrap();
        (answer.value().text().to_owned(), answer.source)
    }

    /// Kills what was computed from a row, everywhere: when this returns here, elsewhere once it was read there.
    pub(crate) async fn invalidate(&self, name: &str) -> Revision {
        self.chain.invalidate(row(name)).await.unwrap().revision
    }

    pub(crate) async fn kill(&self, kills: Vec<Kill>) -> Revision {
        self.chain.invalidate_all_of(kills).await.unwrap().revision
    }

    /// Waits for something to happen to the log.
    pub(crate) async fn until(&self, reached: impl FnMut(&LogStatus) -> bool) -> LogStatus {
        let happened = tokio::time::timeout(PATIENCE, self.log.until(reached)).await;
        happened.unwrap_or_else(|_| panic!("it did not happen: {:?}", self.log.status()))
    }

    /// Waits until it has applied a record.
    pub(crate) async fn applied(&self, revision: Revision) {
        self.until(|status| status.applied >= revision).await;
    }
}

impl Origin {
    pub(crate) fn with(rows: &[(&str, &str)]) -> Self {
        let origin = Self::default();
        rows.iter().for_each(|(name, text)| origin.write(name, text));
        origin
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.rows.lock().unwrap().insert(name.to_owned(), text.to_owned());
    }

    /// What a row says, without being counted.
    pub(crate) fn text(&self, name: &str) -> String {
        self.rows.lock().unwrap()[name].clone()
    }

    /// Reads, and then passes the gate: what is held up is the answer.
    async fn read(&self, name: &str) -> TestValue {
        let text = self.rows.lock().unwrap().get(name).cloned();
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.gate.pass().await;
        text.map_or(TestValue::nothing(), TestValue::new)
    }

    /// How often it was asked.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

pub(crate) fn row(name: &str) -> Tag {
    tag!("row", name)
}

pub(crate) const L1: Source = Source::Tier("l1");
pub(crate) const L2: Source = Source::Tier("l2");
