//! The settings of Redis: where it is, what it may cost, and when to do without it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cache_redis::{BreakerConfig, Compression, Encryption, RedisConfig, Secret};
use serde::{Deserialize, Serialize};

use super::{CACHE_TYPES, SecretText, SecretUrl};

/// The Redis tier's connections and bounds. In use where `url` is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it is: `redis://user:password@host:6379/0`, `rediss://` for TLS, `redis+sentinel://host,host/master`, `redis+cluster://host,host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretUrl>,
    /// The certificates to trust in place of the machine's, as a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to Redis, as a PEM file; with `client_key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key, as a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<PathBuf>,
    /// The user for the Sentinels themselves; that of the URL is for the servers behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel_username: Option<String>,
    /// The password for the Sentinels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel_password: Option<SecretText>,
    /// What every name in Redis begins with.
    pub namespace: String,
    /// `on`, `off`, or `auto`: whether values are encrypted there; `auto` unless Redis is one server at a loopback address or a Unix socket.
    pub encryption: Encryption,
    /// Connections, each of which all requests share.
    pub connections: u32,
    /// How long a connection may take to be made.
    pub connect_timeout_ms: u64,
    /// How long a look-up may take before the next tier is asked.
    pub get_timeout_ms: u64,
    /// How long a fill may take; nobody waits for it.
    pub fill_timeout_ms: u64,
    /// Operations at once; further ones wait.
    pub max_in_flight: usize,
    /// How long one of those waits before the tier is passed over.
    pub max_wait_ms: u64,
    /// The largest value that is stored, in bytes.
    pub max_value_bytes: usize,
    /// Second tries of look-ups, in percent of all.
    pub retry_percent: u32,
    /// Values from this size on are compressed where that makes them smaller; 0 never.
    pub compress_min_bytes: usize,
    /// zstd's level.
    pub compress_level: i32,
    /// Files of zstd dictionaries that were trained on values of a cache type, by its name.
    pub dictionaries: BTreeMap<String, PathBuf>,
    /// When to stop asking a Redis that fails or is slow.
    pub breaker: Breaker,
}

/// A circuit breaker, in resilience4j's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// How long an outcome counts.
    pub window_ms: u64,
    /// Calls in the window before it is judged.
    pub minimum_calls: u32,
    /// It opens when so many of a hundred calls failed.
    pub failure_rate_percent: u32,
    /// It opens when so many of a hundred calls were slow.
    pub slow_call_rate_percent: u32,
    /// From when on a call is slow.
    pub slow_call_ms: u64,
    /// How long it stays open.
    pub open_ms: u64,
    /// Calls that probe then.
    pub half_open_calls: u32,
}

impl Redis {
    /// As the tier takes them; none where there is no URL.
    #[must_use]
    pub fn tier(&self) -> Option<RedisConfig> {
        let url = self.url.as_ref()?;
        let Breaker {
            window_ms,
            minimum_calls,
            failure_rate_percent,
            slow_call_rate_percent,
            slow_call_ms,
            open_ms,
            half_open_calls,
        } = self.breaker;
        Some(RedisConfig {
            url: Secret::new(url.expose()),
            ca_file: self.ca_file.clone(),
            client_cert_file: self.client_cert_file.clone(),
            client_key_file: self.client_key_file.clone(),
            sentinel_username: self.sentinel_username.clone(),
            sentinel_password: self.sentinel_password.as_ref().map(|password| Secret::new(password.expose())),
            namespace: self.namespace.clone(),
            encryption: self.encryption,
            connections: self.connections,
            connect_timeout_ms: self.connect_timeout_ms,
            get_timeout_ms: self.get_timeout_ms,
            fill_timeout_ms: self.fill_timeout_ms,
            max_in_flight: self.max_in_flight,
            max_wait_ms: self.max_wait_ms,
            max_value_bytes: self.max_value_bytes,
            retry_percent: self.retry_percent,
            compression: self.compression(),
            breaker: BreakerConfig {
                window_ms,
                minimum_calls,
                failure_rate_percent,
                slow_call_rate_percent,
                slow_call_ms,
                open_ms,
                half_open_calls,
                ..BreakerConfig::default()
            },
            ..RedisConfig::default()
        })
    }

    /// Every type in the same way, each with a dictionary of its own.
    fn compression(&self) -> BTreeMap<String, Compression> {
        if self.compress_min_bytes == 0 {
            return BTreeMap::new();
        }
        let zstd = |name: &str| Compression::Zstd {
            level: self.compress_level,
            min_bytes: self.compress_min_bytes,
            dictionary: self.dictionaries.get(name).cloned(),
        };
        CACHE_TYPES.iter().map(|(name, ..)| ((*name).to_owned(), zstd(name))).collect()
    }
}

impl Default for Redis {
    fn default() -> Self {
        let tier = RedisConfig::default();
        Self {
            url: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            sentinel_username: None,
            sentinel_password: None,
            namespace: tier.namespace,
            encryption: tier.encryption,
            connections: tier.connections,
            connect_timeout_ms: tier.connect_timeout_ms,
            get_timeout_ms: tier.get_timeout_ms,
            fill_timeout_ms: tier.fill_timeout_ms,
            max_in_flight: tier.max_in_flight,
            max_wait_ms: tier.max_wait_ms,
            max_value_bytes: tier.max_value_bytes,
            retry_percent: tier.retry_percent,
            compress_min_bytes: 256,
            compress_level: 3,
            dictionaries: BTreeMap::new(),
            breaker: Breaker::default(),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        let tier = BreakerConfig::default();
        Self {
            window_ms: tier.window_ms,
            minimum_calls: tier.minimum_calls,
            failure_rate_percent: tier.failure_rate_percent,
            slow_call_rate_percent: tier.slow_call_rate_percent,
            slow_call_ms: tier.slow_call_ms,
            open_ms: tier.open_ms,
            half_open_calls: tier.half_open_calls,
        }
    }
}
