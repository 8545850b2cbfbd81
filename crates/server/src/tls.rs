//! TLS of both listeners: a certificate and its key from files, which are read anew while the server runs.
//!
//! Versions 1.2 and 1.3. A connection goes on with the certificate that it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use cache_redis::secret_file;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The largest file of a certificate or of a key, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// What is spoken within.
const HTTP_1_1: &[u8] = b"http/1.1";

/// The certificate of the listeners.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
}

/// Why a certificate, or its key, can't be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{setting}: {path} can't be used: {problem}")]
pub struct TlsError {
    /// The setting that names the file.
    pub setting: &'static str,
    /// The file.
    pub path: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Tls {
    /// Reads a certificate, with those between it and its authority behind it, and its key; both in PEM.
    ///
    /// # Errors
    /// Where one can't be read, others may read the key, or they don't fit.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let config = ArcSwap::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), config })
    }

    /// Reads the files anew, without using what they say yet.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub(crate) fn read_again(&self) -> Result<Arc<ServerConfig>, TlsError> {
        read(&self.certificate, &self.key)
    }

    /// From now on connections begin with this.
    pub(crate) fn replace(&self, config: Arc<ServerConfig>) {
        self.config.store(config);
    }

    /// For a connection that begins now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let refuse =
        |setting, path: &Path, problem: String| TlsError { setting, path: path.display().to_string(), problem };
    let of_certificate = |problem: String| refuse("tls.cert_file", certificate, problem);
    let of_key = |problem: String| refuse("tls.key_file", key, problem);
    let length = std::fs::metadata(certificate).map_err(|error| of_certificate(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(of_certificate(format!("it has {length} bytes, and at most {MAX_FILE_BYTES} are allowed")));
    }
    let pem = std::fs::read(certificate).map_err(|error| of_certificate(error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    // What the library says may hold what it has read, and a key may have got into the wrong file.
    let chain = chain.map_err(|_| of_certificate("it is no PEM".to_owned()))?;
    if chain.is_empty() {
        return Err(of_certificate("no certificate is in it; it begins with -----BEGIN CERTIFICATE-----".to_owned()));
    }
    let pem = secret_file::read(key, MAX_FILE_BYTES).map_err(of_key)?;
    let secret = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        of_key(
            "no private key in PEM is in it; it begins with -----BEGIN PRIVATE KEY----- on a line of its own"
                .to_owned(),
        )
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_certificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| of_key(format!("it does not fit the certificate of tls.cert_file: {error}")))?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}
