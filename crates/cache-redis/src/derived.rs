//! All that is derived from one ring of keys. It is swapped as one, and whoever has begun with one ends with it.

use std::sync::Arc;

use crate::config::RedisConfig;
use crate::error::ConfigError;
use crate::keyring::Keyring;
use crate::name::Namer;
use crate::randomness::Randomness;
use crate::seal::Seals;

/// Names values and seals them.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) namer: Namer,
    pub(crate) seals: Seals,
}

impl Derived {
    pub(crate) fn new(
        config: &RedisConfig,
        keyring: &Keyring,
        schema: u16,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, ConfigError> {
        let form = config.form()?;
        Ok(Self {
            namer: Namer::new(&config.namespace, keyring, schema, form),
            seals: Seals::new(keyring, form, randomness),
        })
    }
}
