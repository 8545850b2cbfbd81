//! A small HTTP client for the commands that ask a running server: one request, one connection, bounded in time and size.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request, Uri};
use cache_redis::secret_file;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A file that holds a key is no longer than this, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 4_096;

/// A server, and the key that it is shown.
#[derive(Clone)]
pub struct Server {
    url: String,
    authorization: Option<HeaderValue>,
    /// For servers at https.
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// A server at an address, which is shown the key of a file if there is one. At https it is trusted by the authorities of another file, or those of
    /// this machine.
    ///
    /// # Errors
    /// Where a file can't be read, others may read the key, or a file does not hold what it should.
    pub fn new(url: &str, key_file: Option<&Path>, ca_file: Option<&Path>) -> Result<Self, String> {
        let authorization = key_file.map(authorization).transpose()?;
        if authorization.is_some() && !is_https(url) && !is_of_this_machine(url) {
            return Err(format!("{url} is not https, and the key would travel in clear; ask at https"));
        }
        let tls = is_https(url).then(|| trusting(ca_file)).transpose()?;
        Ok(Self { url: url.to_owned(), authorization, tls })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

/// By the same reading that connects: a scheme may be written in any case.
fn is_https(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"))
}

fn is_of_this_machine(url: &str) -> bool {
    let Ok((host, _)) = authority(url) else { return false };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Who may vouch for a server.
fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let refuse = |problem: String| format!("the authorities in {} can't be used: {problem}", file.display());
            let found = CertificateDer::pem_file_iter(file).map_err(|error| refuse(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
                roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(refuse("no certificate in PEM is in it".to_owned()));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(found);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn authorization(file: &Path) -> Result<HeaderValue, String> {
    let refuse = |problem: String| format!("the key in {} can't be used: {problem}", file.display());
    let key = secret_file::read(file, MAX_KEY_FILE_BYTES).map_err(refuse)?;
    let text = Zeroizing::new(format!("Bearer {}", key.trim()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| refuse("it is no line of text".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body; null where it is no JSON.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address of another form.
    #[error("{0:?} is no address of a server; write it as http://127.0.0.1:8080")]
    Url(String),
    /// Nobody is there.
    #[error(
        "no server answers at {url}: {cause}; start one with `tiergate serve`, or name another address with --url, and with --admin-url where it is asked why"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// Something else than HTTP came back, or nothing.
    #[error("the server at {url} gave no answer: {cause}")]
    NoAnswer {
        /// The address.
        url: String,
        /// What happened.
        cause: String,
    },
}

/// Sends a request to a path under a base URL: POST with a body, GET without.
///
/// # Errors
/// Where there is no answer.
pub async fn send(server: &Server, path: &str, body: Option<Value>) -> Result<Reply, ClientError> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    Connection::new(server)?.send(&method, path, body.as_ref()).await
}

/// Sends a DELETE.
///
/// # Errors
/// Where there is no answer.
pub async fn delete(server: &Server, path: &str) -> Result<Reply, ClientError> {
    Connection::new(server)?.send(&Method::DELETE, path, None).await
}

async fn within_patience(
    url: &str,
    exchange: impl Future<Output = Result<Reply, ClientError>>,
) -> Result<Reply, ClientError> {
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(reply) => reply,
        Err(_) => {
            let cause = format!("nothing came within {} seconds", PATIENCE.as_secs());
            Err(ClientError::NoAnswer { url: url.to_owned(), cause })
        }
    }
}

/// A connection to a server that stays open from one request to the next.
pub struct Connection {
    server: Server,
    host: String,
    port: u16,
    open: Option<Open>,
}

/// What is there while it is open.
struct Open {
    sender: http1::SendRequest<Body>,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Connection {
    /// A connection that is opened when it is needed.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(server: &Server) -> Result<Self, ClientError> {
        let (host, port) = authority(&server.url)?;
        Ok(Self { server: server.clone(), host, port, open: None })
    }

    /// Sends a request, and waits for its whole answer.
    ///
    /// # Errors
    /// Where there is none. The next request opens the connection anew.
    pub async fn send(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let url = self.server.url.clone();
        let reply = within_patience(&url, self.exchange(method, path, body)).await;
        if reply.is_err() {
            self.open = None;
        }
        reply
    }

    async fn exchange(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let Self { server, host, port, .. } = &*self;
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let url = server.url.clone();
        let failed =
            |cause: &dyn std::fmt::Display| ClientError::NoAnswer { url: url.clone(), cause: cause.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, name)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.map(Value::to_string).unwrap_or_default()))
            .map_err(|error| failed(&error))?;
        if let Some(value) = &server.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let open = self.open().await?;
        let response = open.sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|error| failed(&error))?.to_bytes();
        Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    async fn open(&mut self) -> Result<&mut Open, ClientError> {
        let usable = self.open.as_mut().is_some_and(|open| !open.sender.is_closed());
        let open = match self.open.take() {
            Some(open) if usable => open,
            _ => {
                let unreachable = |cause| ClientError::Unreachable { url: self.server.url.clone(), cause };
                let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
                // A request is one write: waiting for more of it would only cost time.
                stream.set_nodelay(true).map_err(unreachable)?;
                let no_answer = |cause: String| ClientError::NoAnswer { url: self.server.url.clone(), cause };
                match &self.server.tls {
                    None => begin(stream).await.map_err(|error| no_answer(error.to_string()))?,
                    Some(tls) => {
                        let name = ServerName::try_from(self.host.clone())
                            .map_err(|_| no_answer("its host is no name of a server".to_owned()))?;
                        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                        let stream = stream.map_err(|error| no_answer(format!("TLS did not begin: {error}")))?;
                        begin(stream).await.map_err(|error| no_answer(error.to_string()))?
                    }
                }
            }
        };
        Ok(self.open.insert(open))
    }
}

async fn begin(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Open, hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    Ok(Open { sender, driver: tokio::spawn(connection) })
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn authority(url: &str) -> Result<(String, u16), ClientError> {
    let refuse = || ClientError::Url(url.chars().take(128).collect());
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    match (uri.scheme_str(), uri.host()) {
        (Some(scheme @ ("http" | "https")), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 })))
        }
        _ => Err(refuse()),
    }
}
