//! A port, and the connections that come in through it.
//!
//! Invariants: connections have a bound, and the one too many is told so; the head of a request has a time limit and a size; a peer that reads no answer
//! is cut off; stopping
//! means no new connection, no new request on an old one, and an answer to every request that was begun.

mod patient;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use crate::config::Http;
use crate::middleware::Edge;
use crate::shutdown::Stopped;
use crate::tls::Tls;
use patient::Patient;

/// Connections that the operating system keeps for us before they are accepted.
const BACKLOG: u32 = 4_096;
/// The longest head of a request, in bytes. Its longest legitimate part is a continuation token.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long to wait when there are no file descriptors left, instead of asking in a circle.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a connection too many is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// A port that is ours. Nobody is let in yet: who connects now is refused, and does not wait for an answer that does not come.
#[derive(Debug)]
pub struct Port {
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
    key: &'static str,
}

/// A port that takes connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Why a port can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error(
        "{address} is in use, perhaps by another tiergate; stop that one, or choose another port with {flag} (setting {key})"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The flag that sets the port.
        flag: &'static str,
        /// The setting of the port.
        key: &'static str,
    },
    /// The operating system refuses.
    #[error("can't listen at {address}: {cause}; check {key} and the address beside it")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// What it said.
        cause: io::Error,
        /// The setting of the port.
        key: &'static str,
    },
}

impl ListenError {
    fn new(address: SocketAddr, flag: &'static str, key: &'static str, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, flag, key },
            _ => Self::Refused { address, cause, key },
        }
    }
}

impl Port {
    /// Takes the port. `flag` and `key` are for the message where that fails.
    ///
    /// # Errors
    /// Where somebody else has it, or the operating system refuses.
    pub fn take(address: SocketAddr, flag: &'static str, key: &'static str) -> Result<Self, ListenError> {
        let (socket, address) = bind(address).map_err(|cause| ListenError::new(address, flag, key, cause))?;
        Ok(Self { socket, address, flag, key })
    }

    /// Lets connections in.
    ///
    /// # Errors
    /// Where somebody else was let in first, or the operating system refuses.
    pub fn listen(self) -> Result<Listener, ListenError> {
        let Self { socket, address, flag, key } = self;
        let socket = socket.listen(BACKLOG).map_err(|cause| ListenError::new(address, flag, key, cause))?;
        Ok(Listener { socket, address })
    }
}

impl Listener {
    /// Where it listens, with the port that was taken where any free one was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop, and then until the requests that were begun are answered.
    pub async fn serve(self, edge: Arc<Edge>, http: Http, tls: Option<Arc<Tls>>, mut stopped: Stopped) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(http.max_connections));
        let (server, handshake) = (server(&http), Duration::from_millis(http.header_timeout_ms));
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stopped.wait() => break,
            };
            match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((stream, peer)), Ok(place)) => {
                    let (edge, watcher) = (Arc::clone(&edge), graceful.watcher());
                    let connection = Connection { peer, edge, watcher, patience: http.request_timeout() };
                    // Answers are small; waiting for more to send would only delay them. Where it can't be set, they are delayed.
                    let _ = stream.set_nodelay(true);
                    let (server, tls, stopped) = (server.clone(), tls.clone(), stopped.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => connection.serve(stream, server).await,
                            Some(tls) => {
                                if let Some(stream) = shake_hands(&tls, stream, handshake, stopped).await {
                                    connection.serve(stream, server).await;
                                }
                            }
                        }
                        drop(place);
                    });
                }
                (Ok((stream, _)), Err(_)) => refuse(&stream, tls.is_some()),
                (Err(error), _) => pause(&error).await,
            }
        }
        drop(self.socket);
        graceful.shutdown().await;
    }
}

/// One connection with what it needs.
struct Connection {
    peer: SocketAddr,
    edge: Arc<Edge>,
    watcher: Watcher,
    /// How long a write may make no progress.
    patience: Duration,
}

impl Connection {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, server: http1::Builder) {
        let Self { peer, edge, watcher, patience } = self;
        let stream = TokioIo::new(Patient::new(stream, patience));
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let edge = Arc::clone(&edge);
            async move { Ok::<_, std::convert::Infallible>(edge.handle(request.map(Body::new), peer.ip()).await) }
        });
        // How a connection ended is its peer's business: most errors here are peers that went away.
        if let Err(error) = watcher.watch(server.serve_connection(stream, service)).await {
            tracing::trace!(%error, "a connection ended");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for connections of the process before it to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn server(http: &Http) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(http.header_timeout_ms))
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    server
}

/// Begins TLS, in the time that the head of a request may take. None where the peer does not, or the server stops.
async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    patience: Duration,
    mut stopped: Stopped,
) -> Option<TlsStream<TcpStream>> {
    let shaken = tokio::time::timeout(patience, tls.acceptor().accept(stream));
    tokio::select! {
        shaken = shaken => match shaken {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection did not begin with TLS");
                None
            }
            Err(_) => None,
        },
        () = stopped.wait() => None,
    }
}

/// Says that there is no place, as far as that can be done without waiting; within TLS it can't.
fn refuse(stream: &TcpStream, is_tls: bool) {
    if !is_tls {
        let _ = stream.try_write(FULL);
    }
    tracing::warn!("a connection was refused: http.max_connections are open");
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    // A peer that went away again is no reason to wait; having no file descriptors is.
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
