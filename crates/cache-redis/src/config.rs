//! The settings of the Redis tier, with their bounds. No setting that is secret is ever shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::{Address, Place};
use crate::breaker::BreakerConfig;
use crate::error::ConfigError;
use crate::seal::Form;
use crate::secret::Secret;

/// The default of [`RedisConfig::url`].
pub const DEFAULT_URL: &str = "redis://127.0.0.1:6379";
/// The default of [`RedisConfig::namespace`].
pub const DEFAULT_NAMESPACE: &str = "tiergate";
/// The longest [`RedisConfig::namespace`]: it is stored with every key.
pub const MAX_NAMESPACE_BYTES: usize = 32;
/// The default of [`RedisConfig::max_lifetime_ms`]: a day.
pub const DEFAULT_MAX_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000;

/// The settings of the Redis tier.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where Redis is: `redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://host,host/master` or `redis+cluster://host,host`; the
    /// last two with `rediss+` for TLS. It may hold a user and a password, and is never shown.
    pub url: Secret,
    /// The ACL user, in place of the URL's.
    pub username: Option<String>,
    /// The password, in place of the URL's.
    pub password: Option<Secret>,
    /// The ACL user of the sentinels; none where they ask for none.
    pub sentinel_username: Option<String>,
    /// The password of the sentinels.
    pub sentinel_password: Option<Secret>,
    /// The certificates to trust in place of the machine's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the server, as a PEM file; with [`Self::client_key_file`].
    pub client_cert_file: Option<PathBuf>,
    /// The key of that certificate, as a PEM file.
    pub client_key_file: Option<PathBuf>,
    /// Connections; all callers share each of them, so a few are many.
    pub connections: u32,
    /// How long a connection may take to be made, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a look-up may take, of one key or of a batch, in milliseconds.
    pub get_timeout_ms: u64,
    /// How long a fill may take, in milliseconds.
    pub fill_timeout_ms: u64,
    /// How long a removal may take, in milliseconds.
    pub remove_timeout_ms: u64,
    /// Operations at once; further ones wait.
    pub max_in_flight: usize,
    /// How long one of those waits before it is refused, in milliseconds.
    pub max_wait_ms: u64,
    /// Keys of one round trip; a larger batch takes several.
    pub max_batch: usize,
    /// What every name in Redis begins with: for an ACL pattern, or for several deployments in one Redis.
    pub namespace: String,
    /// The largest value that is stored, in bytes before compression.
    pub max_value_bytes: usize,
    /// The largest value that is decompressed, in bytes.
    pub max_decompressed_bytes: usize,
    /// The longest life of a value here, in milliseconds, however long its policy lets it live. Nothing lies in Redis without an end.
    pub max_lifetime_ms: u64,
    /// How values are compressed, by the name of their cache type. A type that is not named is stored as it is.
    pub compression: BTreeMap<String, Compression>,
    /// Whether values are encrypted in Redis.
    pub encryption: Encryption,
    /// Files of dictionaries that values may still be compressed with, beside those that [`Self::compression`] names.
    pub dictionaries: Vec<PathBuf>,
    /// When to stop asking a Redis that fails or is slow.
    pub breaker: BreakerConfig,
    /// Retries that are allowed, in percent of the look-ups and removals. Fills are never retried.
    pub retry_percent: u32,
}

/// Whether values are encrypted in Redis, or only protected against changes by a keyed checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Always.
    On,
    /// Never: whoever can read Redis can read values.
    Off,
    /// Unless Redis is one server at a loopback address or a Unix socket. Sentinels and the nodes of a cluster name servers that may be elsewhere.
    #[default]
    Auto,
}

/// How the values of a cache type are compressed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Compression {
    /// Not at all.
    None,
    /// By zstd, where that makes them smaller.
    Zstd {
        /// zstd's level, 1 to 19.
        #[serde(default = "default_level")]
        level: i32,
        /// Values below this many bytes stay as they are.
        #[serde(default = "default_min_bytes")]
        min_bytes: usize,
        /// The file of a dictionary that was trained on values of this type; none to do without.
        #[serde(default)]
        dictionary: Option<PathBuf>,
    },
}

fn default_level() -> i32 {
    3
}

fn default_min_bytes() -> usize {
    128
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: DEFAULT_URL.into(),
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            connections: 4,
            connect_timeout_ms: 500,
            get_timeout_ms: 20,
            fill_timeout_ms: 50,
            remove_timeout_ms: 50,
            max_in_flight: 1_024,
            max_wait_ms: 10,
            max_batch: 1_000,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            max_value_bytes: 256 << 10,
            max_decompressed_bytes: 1 << 20,
            max_lifetime_ms: DEFAULT_MAX_LIFETIME_MS,
            compression: BTreeMap::new(),
            encryption: Encryption::default(),
            dictionaries: Vec::new(),
            breaker: BreakerConfig::default(),
            retry_percent: 10,
        }
    }
}

impl RedisConfig {
    /// The defaults for a Redis at some URL.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url), ..Self::default() }
    }

    /// Checks every bound, and the URL.
    ///
    /// # Errors
    /// For the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |setting: &'static str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => {
                Err(ConfigError::Setting { setting, value: value.to_string(), allowed: format!("{least} to {most}") })
            }
        };
        within("connections", self.connections.into(), 1, 64)?;
        within("connect_timeout_ms", self.connect_timeout_ms, 1, 60_000)?;
        within("get_timeout_ms", self.get_timeout_ms, 1, 60_000)?;
        within("fill_timeout_ms", self.fill_timeout_ms, 1, 60_000)?;
        within("remove_timeout_ms", self.remove_timeout_ms, 1, 60_000)?;
        within("max_in_flight", self.max_in_flight as u64, 1, 65_536)?;
        within("max_wait_ms", self.max_wait_ms, 0, 60_000)?;
        within("max_batch", self.max_batch as u64, 1, 10_000)?;
        within("max_value_bytes", self.max_value_bytes as u64, 1, 64 << 20)?;
        within("max_decompressed_bytes", self.max_decompressed_bytes as u64, 1, 64 << 20)?;
        within("max_lifetime_ms", self.max_lifetime_ms, 1_000, 30 * DEFAULT_MAX_LIFETIME_MS)?;
        within("retry_percent", self.retry_percent.into(), 0, 20)?;
        for compression in self.compression.values() {
            if let Compression::Zstd { level, .. } = compression {
                within("level", u64::try_from(*level).unwrap_or(0), 1, 19)?;
            }
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let namespace = &self.namespace;
        if namespace.is_empty() || namespace.len() > MAX_NAMESPACE_BYTES || !namespace.bytes().all(plain) {
            // Braces would tie all keys to one slot of a cluster.
            return Err(ConfigError::Setting {
                setting: "namespace",
                value: namespace.clone(),
                allowed: format!("1 to {MAX_NAMESPACE_BYTES} of the characters a-z A-Z 0-9 - _ . :"),
            });
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return Err(ConfigError::Setting {
                setting: "client_cert_file",
                value: "set alone".to_owned(),
                allowed: "set together with client_key_file".to_owned(),
            });
        }
        self.breaker.validate()?;
        self.address().map(drop)
    }

    /// The URL taken apart, with the credentials that the settings put in place of its own.
    pub(crate) fn address(&self) -> Result<Address, ConfigError> {
        let mut address = Address::parse(self.url.reveal())?;
        if let Some(user) = &self.username {
            address.user = Some(user.clone());
        }
        if let Some(password) = &self.password {
            address.password = Some(password.clone());
        }
        Ok(address)
    }

    /// Whether values are encrypted, as the setting and the URL say.
    ///
    /// # Errors
    /// Where the URL can't be understood.
    pub fn is_encrypted(&self) -> Result<bool, ConfigError> {
        Ok(match self.encryption {
            Encryption::On => true,
            Encryption::Off => false,
            Encryption::Auto => match self.address()?.place {
                Place::Socket(_) => false,
                Place::Server(host) => !host.is_loopback(),
                Place::Sentinels { .. } | Place::Cluster { .. } => true,
            },
        })
    }

    pub(crate) fn form(&self) -> Result<Form, ConfigError> {
        self.is_encrypted().map(|is_encrypted| if is_encrypted { Form::Cipher } else { Form::Checksum })
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_bounds_says_which_and_what_is_allowed() {
        assert_eq!(RedisConfig::default().validate(), Ok(()));
        let config = RedisConfig { connections: 0, ..RedisConfig::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "connections is 0, which is not 1 to 64");
        let config = RedisConfig { namespace: "{tiergate}".to_owned(), ..RedisConfig::default() };
        assert!(config.validate().unwrap_err().to_string().starts_with("namespace is {tiergate}, which is not 1 to"));
        assert!(RedisConfig { retry_percent: 21, ..RedisConfig::default() }.validate().is_err());
        let config = RedisConfig { client_cert_file: Some("cert.pem".into()), ..RedisConfig::default() };
        assert!(config.validate().is_err());
    }

    #[test]
    fn values_are_encrypted_unless_redis_is_on_this_machine_or_somebody_says_so() {
        let is_encrypted =
            |url: &str, encryption| RedisConfig { encryption, ..RedisConfig::at(url) }.is_encrypted().expect("a URL");
        for url in
            ["redis://127.0.0.1", "redis://[::1]:1", "redis://127.9.9.9", "redis://LocalHost", "unix:///run/redis.sock"]
        {
            assert!(!is_encrypted(url, Encryption::Auto), "{url}");
            assert!(is_encrypted(url, Encryption::On), "{url}");
        }
        for url in [
            "redis://10.0.0.1",
            "rediss://cache.example",
            "redis://localhost.example",
            "redis+sentinel://127.0.0.1/main",
            "redis+cluster://127.0.0.1",
        ] {
            assert!(is_encrypted(url, Encryption::Auto), "{url}");
            assert!(!is_encrypted(url, Encryption::Off), "{url}");
        }
    }

    #[test]
    fn no_credential_is_shown() {
        let config = RedisConfig {
            url: "redis://ann:hunter2@127.0.0.1".into(),
            password: Some("hunter2".into()),
            sentinel_password: Some("hunter2".into()),
            ..RedisConfig::default()
        };
        assert!(!format!("{config:?} {:?}", config.address()).contains("hunter2"));
    }
}
