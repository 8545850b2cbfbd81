//! What the tests of the tier share: a server, settings that suit a busy machine, and a time of day that runs with a test's clock.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(unreachable_pub, reason = "a module of tests has no callers outside of them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::testing::{FixedEntropy, Setting, TestClock};
use cache_core::{Clock, StoredValue};
use cache_redis::{BreakerConfig, Keyring, Machine, RedisConfig, RedisLayer, WallClock};

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
        ..RedisConfig::at(url)
    }
}

/// A tier of a setting.
pub fn layer<V: StoredValue>(config: &RedisConfig, setting: &Setting) -> RedisLayer<V> {
    RedisLayer::new(config, &keyring(), machine(&setting.clock)).expect("the settings are within their bounds")
}
