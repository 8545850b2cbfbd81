//! The laws of a tier, for the Redis tier on a real server: alone, behind the memory tier, before another one, and inside the wrappers.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{FakeLayer, Fixture, Setting, SharedLayer, TestValue};
use cache_core::wrap::{Deadline, Switch};
use cache_core::{CacheLayer as _, Clock};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_redis::{Encryption, RedisConfig};
use support::{layer, patient};

const MAX_VALUE_BYTES: usize = 64 << 10;

/// The tier on the server that tests share. Where there is none, which was said aloud, a fake one keeps the laws in its place.
fn redis(setting: &Setting) -> SharedLayer {
    redis_with(setting, Encryption::Off)
}

fn redis_with(setting: &Setting, encryption: Encryption) -> SharedLayer {
    let Some(redis) = test_services::shared_redis() else {
        return SharedLayer::new(FakeLayer::remote("l2").max_value_bytes(MAX_VALUE_BYTES - 1));
    };
    let config = RedisConfig { max_value_bytes: MAX_VALUE_BYTES, encryption, ..patient(redis.url()) };
    SharedLayer::new(layer::<TestValue>(&config, setting))
}

fn memory() -> SharedLayer {
    SharedLayer::new(MemoryLayer::new(MemoryConfig::default()).expect("the defaults are within their bounds"))
}

#[derive(Default)]
struct Redis;

impl Fixture for Redis {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        redis(setting)
    }

    fn too_large(&self) -> Option<usize> {
        Some(MAX_VALUE_BYTES)
    }

    async fn unreachable(&self, setting: &Setting) -> Option<SharedLayer> {
        // Nobody listens on this port, which is reserved.
        let layer = layer::<TestValue>(&patient("redis://127.0.0.1:1"), setting);
        layer.bind(setting.identity);
        Some(SharedLayer::new(layer))
    }
}

#[derive(Default)]
struct RedisBehindMemory;

impl Fixture for RedisBehindMemory {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        redis(setting)
    }

    fn above(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![memory()]
    }
}

#[derive(Default)]
struct MemoryBeforeRedis;

impl Fixture for MemoryBeforeRedis {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        memory()
    }

    fn below(&self, setting: &Setting) -> Vec<SharedLayer> {
        vec![redis(setting)]
    }
}

#[derive(Default)]
struct RedisBeforeRemote;

impl Fixture for RedisBeforeRemote {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        redis(setting)
    }

    fn below(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::remote("remote"))]
    }
}

#[derive(Default)]
struct RedisInWrappers;

impl Fixture for RedisInWrappers {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        let clock = Arc::clone(&setting.clock) as Arc<dyn Clock>;
        SharedLayer::new(Switch::new(Deadline::new(redis(setting), Duration::from_secs(1), clock)).0)
    }

    fn too_large(&self) -> Option<usize> {
        Some(MAX_VALUE_BYTES)
    }
}

#[derive(Default)]
struct EncryptedRedis;

impl Fixture for EncryptedRedis {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        redis_with(setting, Encryption::On)
    }

    fn too_large(&self) -> Option<usize> {
        Some(MAX_VALUE_BYTES)
    }
}

#[derive(Default)]
struct MemoryBeforeEncryptedRedis;

impl Fixture for MemoryBeforeEncryptedRedis {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        memory()
    }

    fn below(&self, setting: &Setting) -> Vec<SharedLayer> {
        vec![redis_with(setting, Encryption::On)]
    }
}

mod encrypted {
    cache_core::conformance!(super::EncryptedRedis);
}

mod encrypted_below_the_memory_tier {
    cache_core::conformance!(super::MemoryBeforeEncryptedRedis);
}

mod alone {
    cache_core::conformance!(super::Redis);
}

mod behind_the_memory_tier {
    cache_core::conformance!(super::RedisBehindMemory);
}

mod below_the_memory_tier {
    cache_core::conformance!(super::MemoryBeforeRedis);
}

mod before_a_remote_tier {
    cache_core::conformance!(super::RedisBeforeRemote);
}

mod in_wrappers {
    cache_core::conformance!(super::RedisInWrappers);
}
