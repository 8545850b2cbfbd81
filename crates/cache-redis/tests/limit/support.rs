//! A server, limiters on it, and quotas.

use std::num::NonZeroU32;

use cache_core::Error;
use cache_redis::limit::{Charge, Quota, RedisLimiter, Taken};
use cache_redis::{BreakerConfig, Keyring, Machine, RedisConfig};
use test_services::{Redis, RedisOptions, Reply};

/// A server of a test's own; none where there is no Redis, which is said.
pub(crate) fn server() -> Option<Redis> {
    Redis::start(&RedisOptions::default())
}

/// The settings of a patient limiter: what a busy machine does to it is no part of most tests.
pub(crate) fn patient(url: &str) -> RedisConfig {
    RedisConfig {
        get_timeout_ms: 5_000,
        connect_timeout_ms: 5_000,
        breaker: BreakerConfig { slow_call_ms: 5_000, ..BreakerConfig::default() },
        ..RedisConfig::at(url)
    }
}

/// A limiter of one instance. All have the same master key.
pub(crate) fn limiter(config: &RedisConfig) -> RedisLimiter {
    let keyring = Keyring::from_bytes(&[7; 32]).expect("long enough");
    RedisLimiter::new(config, &keyring, Machine::default()).expect("the settings are within their bounds")
}

pub(crate) fn quota(burst: u32, per_second: u32) -> Quota {
    Quota::new(NonZeroU32::new(burst).expect("not zero"), NonZeroU32::new(per_second).expect("not zero"))
}

/// Takes from one bucket.
pub(crate) async fn take(limiter: &RedisLimiter, bucket: &str, quota: Quota, units: u32) -> Result<Taken, Error> {
    limiter.take(&[Charge { bucket: bucket.as_bytes(), quota, units }]).await
}

/// Sends a command on a connection of its own.
pub(crate) fn command(server: &Redis, words: &[&str]) -> Reply {
    server.command(words).expect("the server is there and knows the command")
}

/// The names of everything that lies there.
pub(crate) fn names(server: &Redis) -> Vec<String> {
    let Reply::List(names) = command(server, &["KEYS", "*"]) else { panic!("a list of names") };
    names.iter().map(|name| name.text().expect("a name").to_owned()).collect()
}
