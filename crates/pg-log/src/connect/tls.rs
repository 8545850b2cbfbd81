//! Whom a connection trusts: what `sslmode` says, kept by rustls. A mode that promises a check never falls back to one that makes none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::wire::{Watched, WireState};
use crate::{PgError, PgErrorKind};

/// The modes of libpq that make sense with TLS at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server has it; whoever it is.
    Prefer,
    /// TLS; whoever it is, unless a root certificate is given.
    Require,
    /// TLS; the certificate has to come from a trusted root.
    VerifyCa,
    /// The same, and the certificate has to name the host.
    VerifyFull,
}

const SETTING_UP: &str = "set up TLS";

/// What rustls has to be told for a mode. `roots` is a file in PEM, or `system`.
pub(crate) fn client_config(mode: Mode, roots: Option<&str>) -> Result<Option<ClientConfig>, PgError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, roots) {
        (Mode::Disable, _) => return Ok(None),
        (Mode::Prefer, _) | (Mode::Require, None) => Arc::new(Anybody(Arc::clone(&provider))),
        (Mode::Require | Mode::VerifyCa, roots) => Arc::new(AnyName(webpki(&provider, roots.unwrap_or(SYSTEM))?)),
        (Mode::VerifyFull, roots) => webpki(&provider, roots.unwrap_or(SYSTEM))?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PgError::new(PgErrorKind::Config, SETTING_UP, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(config))
}

const SYSTEM: &str = "system";

fn webpki(provider: &Arc<CryptoProvider>, roots: &str) -> Result<Arc<WebPkiServerVerifier>, PgError> {
    let refuse = |message: String| PgError::new(PgErrorKind::Config, SETTING_UP, message);
    let mut store = RootCertStore::empty();
    if roots == SYSTEM {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            return Err(refuse("the machine has no root certificates; name a file by sslrootcert=…".to_owned()));
        }
    } else {
        let unreadable = |error: rustls::pki_types::pem::Error| refuse(format!("sslrootcert {roots}: {error}"));
        for certificate in CertificateDer::pem_file_iter(roots).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            store.add(certificate).map_err(|error| refuse(format!("sslrootcert {roots}: {error}")))?;
        }
        if store.is_empty() {
            return Err(refuse(format!("sslrootcert {roots} holds no certificate in PEM")));
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|error| refuse(format!("sslrootcert {roots}: {error}")))
}

/// `require` without a root certificate: against listeners, not against impostors. That is what libpq's mode of that name means.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: a trusted root, whatever name the certificate has.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is what is compared last: the chain has been verified by then.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Puts a [`Watched`] stream on top of TLS, or of nothing: a connection without TLS is told to tokio-postgres as one that begins with it at
/// once (`sslnegotiation=direct`), because only there it lets a stream of ours in.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Option<MakeRustlsConnect>,
    pub(crate) state: Arc<WireState>,
}

type Rustls<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// The two ways to talk.
pub(crate) enum Stream<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    Plain(S),
    Tls(Box<Rustls<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Watched<Stream<S>>;
    type TlsConnect = Connecting;
    type Error = std::convert::Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connecting, Self::Error> {
        Ok(Connecting { connector: self.clone(), host: host.to_owned() })
    }
}

/// One connection on its way.
pub(crate) struct Connecting {
    pub(crate) connector: Connector,
    pub(crate) host: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connecting {
    type Stream = Watched<Stream<S>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Connector { tls, state } = self.connector;
            let stream = match tls {
                None => Stream::Plain(stream),
                Some(mut tls) => {
                    let Ok(tls) = MakeTlsConnect::<S>::make_tls_connect(&mut tls, &self.host);
                    Stream::Tls(Box::new(tls.connect(stream).await?))
                }
            };
            Ok(Watched::new(stream, state))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Stream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match self {
            Self::Plain(_) => ChannelBinding::none(),
            Self::Tls(stream) => stream.channel_binding(),
        }
    }
}
