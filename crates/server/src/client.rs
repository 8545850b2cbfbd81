//! A small HTTP client for the commands that ask a running server: one request, one connection, bounded in time and size.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

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
pub async fn send(url: &str, path: &str, body: Option<Value>) -> Result<Reply, ClientError> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    within_patience(url, exchange(url, method, path, body)).await
}

/// Sends a DELETE.
///
/// # Errors
/// Where there is no answer.
pub async fn delete(url: &str, path: &str) -> Result<Reply, ClientError> {
    within_patience(url, exchange(url, Method::DELETE, path, None)).await
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

async fn exchange(url: &str, method: Method, path: &str, body: Option<Value>) -> Result<Reply, ClientError> {
    Connection::new(url)?.exchange(&method, path, body.as_ref()).await
}

/// A connection to a server that stays open from one request to the next.
pub struct Connection {
    url: String,
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
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let (host, port) = authority(url)?;
        Ok(Self { url: url.to_owned(), host, port, open: None })
    }

    /// Sends a request, and waits for its whole answer.
    ///
    /// # Errors
    /// Where there is none. The next request opens the connection anew.
    pub async fn send(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let url = self.url.clone();
        let reply = within_patience(&url, self.exchange(method, path, body)).await;
        if reply.is_err() {
            self.open = None;
        }
        reply
    }

    async fn exchange(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let Self { url, host, port, .. } = &*self;
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let url = url.clone();
        let failed =
            |cause: &dyn std::fmt::Display| ClientError::NoAnswer { url: url.clone(), cause: cause.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, name)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.map(Value::to_string).unwrap_or_default()))
            .map_err(|error| failed(&error))?;
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
                let unreachable = |cause| ClientError::Unreachable { url: self.url.clone(), cause };
                let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
                // A request is one write: waiting for more of it would only cost time.
                stream.set_nodelay(true).map_err(unreachable)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| ClientError::NoAnswer { url: self.url.clone(), cause: error.to_string() })?;
                Open { sender, driver: tokio::spawn(connection) }
            }
        };
        Ok(self.open.insert(open))
    }
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
        (Some("http"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), uri.port_u16().unwrap_or(80)))
        }
        _ => Err(refuse()),
    }
}
