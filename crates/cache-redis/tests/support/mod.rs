//! What the tests of the tier share: settings that suit a busy machine, a time of day that runs with a test's clock, and instances of one
//! deployment.
#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

pub mod stub;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{ALPHA, FixedEntropy, Setting, TestClock, TestKey, TestValue};
use cache_core::{
    Chain, Clock, Draft, FillOutcome, Identity, InProcessLog, Keyer, Log, Lookup, Moment, Policy, StoredValue, Tag,
    TypeSet, tag,
};
use cache_redis::{BreakerConfig, Encryption, Keyring, Machine, RedisConfig, RedisHandle, RedisLayer, WallClock};

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A time of day that runs with a test's clock until it is set.
#[derive(Debug)]
pub struct TestWallClock {
    clock: Arc<TestClock>,
    offset_ms: AtomicU64,
}

impl TestWallClock {
    pub fn of(clock: &Arc<TestClock>) -> Arc<Self> {
        Arc::new(Self { clock: Arc::clone(clock), offset_ms: AtomicU64::new(1_700_000_000_000) })
    }

    pub fn set_back(&self, by: Duration) {
        self.offset_ms.fetch_sub(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl WallClock for TestWallClock {
    fn unix_millis(&self) -> u64 {
        self.offset_ms.load(Ordering::Relaxed) + self.clock.now().as_millis()
    }
}

/// The machine of a test: time stands still until the test moves it.
pub fn machine(clock: &Arc<TestClock>) -> Machine {
    Machine {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        wall: TestWallClock::of(clock),
        entropy: Arc::new(FixedEntropy(7)),
        ..Machine::default()
    }
}

pub fn keyring() -> Keyring {
    Keyring::from_bytes(&[7; 32]).expect("long enough")
}

/// Settings without haste: the machine that runs the tests may be busy with others.
pub fn patient(url: impl Into<String>) -> RedisConfig {
    RedisConfig {
        connect_timeout_ms: 10_000,
        get_timeout_ms: 10_000,
        fill_timeout_ms: 10_000,
        remove_timeout_ms: 10_000,
        max_wait_ms: 10_000,
        breaker: BreakerConfig { slow_call_ms: 10_000, ..BreakerConfig::default() },
        // The same tests run over values in both forms.
        encryption: if env!("CARGO_CRATE_NAME") == "sealed" { Encryption::On } else { Encryption::Off },
        ..RedisConfig::at(url)
    }
}

/// A tier of a setting.
pub fn layer<V: StoredValue>(config: &RedisConfig, setting: &Setting) -> RedisLayer<V> {
    RedisLayer::new(config, &keyring(), machine(&setting.clock)).expect("the settings are within their bounds")
}

/// What the instances of one deployment have in common.
pub struct Deployment {
    pub log: Arc<dyn Log>,
    pub clock: Arc<TestClock>,
    pub keyer: Keyer,
}

/// One of them: a chain of nothing but the Redis tier.
pub struct Instance {
    pub chain: Chain<TestValue>,
    pub redis: RedisHandle<TestValue>,
    pub clock: Arc<TestClock>,
}

impl Default for Deployment {
    fn default() -> Self {
        Self::of(Identity::random().expect("the system has randomness"))
    }
}

impl Deployment {
    /// Of a history.
    pub fn of(identity: Identity) -> Self {
        Self {
            log: Arc::new(InProcessLog::<cache_core::sync::Std>::with_identity(identity)),
            clock: Arc::default(),
            keyer: Keyer::random().expect("the system has randomness"),
        }
    }

    pub fn instance(&self, config: &RedisConfig) -> Instance {
        self.instance_with(config, &keyring())
    }

    pub fn instance_with(&self, config: &RedisConfig, keyring: &Keyring) -> Instance {
        self.instance_of(RedisLayer::new(config, keyring, machine(&self.clock)).expect("the settings are right"))
    }

    pub fn instance_of(&self, layer: RedisLayer<TestValue>) -> Instance {
        let redis = layer.handle();
        let chain = Chain::builder()
            .tier(layer)
            .log(Arc::clone(&self.log))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .keyer(self.keyer.clone())
            .policy(Policy::default().jitter_percent(0))
            .build()
            .expect("the parts fit");
        Instance { chain, redis, clock: Arc::clone(&self.clock) }
    }
}

impl Instance {
    /// Fills a value that carries the tag `("row", name)`.
    pub async fn put(&self, name: &str, text: &str) {
        let outcome = self.chain.fill(&self.chain.ticket(), &TestKey::new(ALPHA, name), self.draft(name, text)).await;
        assert_eq!(outcome, FillOutcome::Offered);
    }

    pub fn draft(&self, name: &str, text: &str) -> Draft<TestValue> {
        Draft {
            value: TestValue::new(text),
            stamp: self.chain.ticket().stamp(),
            read_set: [row(name)].into_iter().collect(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        }
    }

    /// What a look-up says: the text, nothing, or an error's text.
    pub async fn get(&self, name: &str) -> Result<Option<String>, String> {
        said(self.chain.get(&TestKey::new(ALPHA, name)).await)
    }

    pub async fn get_many(&self, names: &[&str]) -> Vec<Result<Option<String>, String>> {
        let sources: Vec<_> = names.iter().map(|name| TestKey::new(ALPHA, *name)).collect();
        let keys: Vec<_> = sources.iter().map(|source| self.chain.key(source)).collect();
        self.chain.find_many(&keys).await.into_iter().map(said).collect()
    }

    /// The text that [`Self::get`] finds after all, for a Redis that comes back.
    pub async fn get_at_last(&self, name: &str) -> String {
        until(|| async {
            self.clock.advance(Duration::from_millis(100));
            self.get(name).await.ok().flatten()
        })
        .await
    }

    /// An answer whatever happens to Redis: from there, or from the origin.
    pub async fn answer(&self, name: &str) -> String {
        let key = TestKey::new(ALPHA, name);
        let load = |load: cache_core::Load| async move {
            load.read(row(name));
            Ok::<_, std::io::Error>(TestValue::new(name))
        };
        self.chain.get_or_load(&key, load).await.expect("the origin answers").value().text().to_owned()
    }
}

pub fn row(name: &str) -> Tag {
    tag!("row", name)
}

fn said(lookup: Lookup<TestValue>) -> Result<Option<String>, String> {
    match lookup {
        Lookup::Miss => Ok(None),
        Lookup::Hit(hit) | Lookup::StaleHit(hit) | Lookup::NegativeHit(hit) => Ok(Some(hit.value().text().to_owned())),
        Lookup::Error(errors) => Err(errors.iter().map(|error| format!("{error:?}")).collect::<Vec<_>>().join("; ")),
    }
}

/// Looks again and again until there is something to see.
pub async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it happens within the patience of a test")
}

/// A proxy before a server, which does not misbehave yet.
pub fn proxy(server: &test_services::Redis) -> fault_proxy::Proxy {
    fault_proxy::Proxy::start(server.address()).expect("a free port")
}

/// Answers that come this much later.
pub fn late(by: Duration) -> fault_proxy::Fault {
    fault_proxy::Fault::Latency { fixed: by, jitter: Duration::ZERO }
}

/// A connection of the test's own.
pub async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("the server is there")
}

/// Every name in a server of the test's own.
pub async fn names(redis: &mut redis::aio::MultiplexedConnection) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query_async(redis).await.expect("asked")
}
