//! What is read anew while the server runs: the keys of callers, the ring of master keys, the certificate. All or nothing: where one file is wrong, nothing
//! changes.

use std::sync::PoisonError;

use cache_redis::Keyring;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::credentials::KeyFileError;
use crate::tls::TlsError;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// How many API keys are valid now; none without `auth.keys_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<usize>,
    /// Whether the ring of `keys.ring_file` is in use now. False where there is none, or the Redis tier has not begun.
    pub ring: bool,
    /// Whether connections begin with the certificate of `tls.cert_file` as it is now. False where there is none.
    pub certificate: bool,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The API keys can't be used.
    #[error("auth.keys_file: {0}")]
    Keys(#[from] KeyFileError),
    /// The ring can't be used.
    #[error("keys.ring_file: {0}")]
    Ring(#[from] cache_redis::ConfigError),
    /// The certificate, or its key, can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl App {
    /// Reads the files of keys and of the certificate anew, and uses what they say from now on.
    ///
    /// # Errors
    /// Where one of them can't be used. Everything is as it was then.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        let _reloading = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.credentials.read_again()?;
        let ring = self.settings.keys.ring_file.as_deref().map(Keyring::from_ring_file).transpose()?;
        let certificate = self.tls.as_ref().map(|tls| tls.read_again().map(|config| (tls, config))).transpose()?;
        // The tier checks the ring once more, so that it goes first; keys that were read can't fail.
        let ring = match (&ring, &self.pools.redis) {
            (Some(ring), Some(tier)) => tier.replace_keys(ring)?,
            _ => false,
        };
        let reloaded = Reloaded {
            api_keys: keys.map(|keys| self.credentials.replace(keys)),
            ring,
            certificate: certificate.is_some(),
        };
        if let Some((tls, config)) = certificate {
            tls.replace(config);
        }
        let Reloaded { api_keys, ring, certificate } = reloaded;
        tracing::info!(api_keys, ring, certificate, "keys and certificate were read anew");
        Ok(reloaded)
    }
}
