//! The Redis tier as the settings describe it, and the master key that it needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authz::decide::{CachedValue, DecisionPoint};
use cache_core::Capabilities;
use cache_core::wrap::{Late, LateHandle};
use cache_redis::{Keyring, MIN_MASTER_KEY_BYTES, Machine, RedisConfig, RedisLayer, secret_file};

use super::{OpenError, Origin};
use crate::config::Settings;
use crate::dependency::Dependency;
use crate::wire::hex;

/// The name of the file within the data directory that holds a master key which the server made itself.
const KEY_FILE: &str = "master.key";

/// How long PostgreSQL may take to give the master key to a command.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the Redis tier is to the chain, as long as it is not there.
const CAPABILITIES: Capabilities = Capabilities { local: false, durable: true, fallible: true, fillable: true };

/// The place of the Redis tier in the chain. It is taken once there is a master key.
pub(super) type Place = Late<RedisLayer<CachedValue>>;

/// Reaches the Redis tier.
#[derive(Clone, Debug)]
pub struct RedisTier(LateHandle<RedisLayer<CachedValue>>);

impl RedisTier {
    /// The place for the chain, and what reaches the tier.
    pub(super) fn place() -> (Place, Self) {
        let (place, handle) = Late::new(cache_redis::DEFAULT_NAME, CAPABILITIES);
        (place, Self(handle))
    }

    /// Makes the tier, and puts it into its place.
    ///
    /// # Errors
    /// Where a setting, a certificate or a dictionary can't be used.
    pub(super) fn put(&self, config: &RedisConfig, keyring: &Keyring) -> Result<(), OpenError> {
        self.0.put(RedisLayer::new(config, keyring, Machine::default())?);
        Ok(())
    }

    /// Works with another ring of keys from now on, all of it at once: see [`cache_redis::RedisHandle::replace_keys`]. False where the tier is
    /// not there yet.
    ///
    /// # Errors
    /// Where the ring can't be used; the old one stays.
    pub fn replace_keys(&self, keyring: &Keyring) -> Result<bool, cache_redis::ConfigError> {
        match self.layer() {
            Some(layer) => layer.handle().replace_keys(keyring).map(|()| true),
            None => Ok(false),
        }
    }

    /// The tier, once it is there.
    #[must_use]
    pub fn layer(&self) -> Option<&RedisLayer<CachedValue>> {
        self.0.get()
    }
}

#[async_trait]
impl Dependency for RedisTier {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> Result<(), String> {
        match self.layer() {
            Some(layer) => layer.handle().ping().await.map_err(|error| error.to_string()),
            None => Err("the master key lies in PostgreSQL, which has not answered yet".to_owned()),
        }
    }
}

/// Where the master key comes from.
pub(super) enum MasterKey {
    /// It is at hand.
    AtHand(Keyring),
    /// The origin keeps it for all instances.
    AtOrigin,
}

impl MasterKey {
    /// The key that the settings name; without one, that of the origin, which the server makes at its first start.
    pub(super) fn find(settings: &Settings) -> Result<Self, OpenError> {
        let keys = &settings.keys;
        if let Some(path) = &keys.ring_file {
            return Ok(Self::AtHand(Keyring::from_ring_file(path)?));
        }
        if let Some(text) = &keys.master {
            return Ok(Self::AtHand(Keyring::from_text(text.expose())?));
        }
        if let Some(path) = &keys.master_file {
            return Ok(Self::AtHand(Keyring::from_file(path)?));
        }
        if settings.postgres.url.is_some() {
            return Ok(Self::AtOrigin);
        }
        let path = settings.data.directory.join(KEY_FILE);
        make(&path).map_err(|error| OpenError::KeyFile { path: path.display().to_string(), error: Arc::new(error) })?;
        Ok(Self::AtHand(Keyring::from_file(&path)?))
    }
}

/// The master key of a deployment, for a command beside its servers: unlike a server it makes none, because nothing would lie in Redis under it.
///
/// # Errors
/// Where there is none, or it can't be used.
pub(crate) async fn existing_keyring(settings: &Settings) -> Result<Keyring, OpenError> {
    let path = settings.data.directory.join(KEY_FILE);
    let keys = &settings.keys;
    let is_named = keys.master.is_some() || keys.master_file.is_some() || keys.ring_file.is_some();
    if !is_named && settings.postgres.url.is_none() && !path.exists() {
        return Err(OpenError::NoKey { path: path.display().to_string() });
    }
    match MasterKey::find(settings)? {
        MasterKey::AtHand(keyring) => Ok(keyring),
        MasterKey::AtOrigin => {
            let origin = Origin::open(settings)?;
            let Origin::Postgres(store) = &origin else { return Err(OpenError::KeyUnreachable) };
            // An origin joins its log, and answers, once somebody follows it.
            let decisions = DecisionPoint::builder(origin.store()).build().await?;
            let found = tokio::time::timeout(PATIENCE, super::postgres::master_key(store)).await;
            decisions.close().await;
            found.ok().flatten().ok_or(OpenError::KeyUnreachable)
        }
    }
}

/// Makes a key where there is none. Another process that does the same at this moment may be first, and both have its key.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let mut key = [0; MIN_MASTER_KEY_BYTES];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    match secret_file::create(path, &hex(&key)) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.data.directory = directory.path().join("data");
        assert!(matches!(MasterKey::find(&settings), Ok(MasterKey::AtHand(_))));
        let path = settings.data.directory.join(KEY_FILE);
        let first = std::fs::read(&path).unwrap();
        assert!(matches!(MasterKey::find(&settings), Ok(MasterKey::AtHand(_))));
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert_eq!(std::fs::read_dir(&settings.data.directory).unwrap().count(), 1, "no draft is left");
        settings.keys.master_file = Some(directory.path().join("nothing"));
        assert!(MasterKey::find(&settings).is_err());
    }

    #[test]
    fn with_postgresql_all_instances_have_the_key_that_lies_there() {
        let mut settings = Settings::default();
        settings.postgres.url = Some(crate::config::SecretUrl::new("postgres://db/x"));
        assert!(matches!(MasterKey::find(&settings), Ok(MasterKey::AtOrigin)));
    }
}
