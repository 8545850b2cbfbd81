//! Opens connections. While PostgreSQL can't be reached callers are answered at once, and only one attempt is made at a time that doubles with
//! each failure: a server that starts again is not met by everybody at once.
//!
//! Of several hosts one after the other is tried, each for as long as one may take, and whether one has TLS says nothing of the others: one that is
//! gone, or hangs, stands in the way of none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{CancelToken, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::{Cancel, Heard, Home, Link, drive, lock};
use super::statistics::Counters;
use super::tls::{self, Connecting, Connector, Mode};
use super::url;
use super::wire::WireState;
use crate::{PgConfig, PgError, PgErrorKind};

/// The most connections that are opened at once.
const MAX_OPENING: usize = 4;
/// The shortest and the longest time without an attempt after a failure.
const BACKOFF_FIRST: Duration = Duration::from_millis(25);
const BACKOFF_LAST: Duration = Duration::from_millis(1_000);
/// How long a request to cancel may take.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

const OPENING: &str = "open a connection";

/// Opens connections to one PostgreSQL.
pub(crate) struct Opener {
    hosts: Vec<Endpoint>,
    /// Where to begin: at the last one that was there, where any one that takes writes is as good.
    first: AtomicUsize,
    mode: Mode,
    tls: Option<MakeRustlsConnect>,
    local: bool,
    place: String,
    timeout: Duration,
    opening: Semaphore,
    failed: Mutex<Option<Failed>>,
    pub(crate) counters: Arc<Counters>,
}

/// One host of the URL.
struct Endpoint {
    config: Config,
    place: String,
    /// `prefer` met a server without TLS.
    plain: AtomicBool,
}

struct Failed {
    times: u32,
    until: Instant,
    error: PgError,
}

impl Opener {
    pub(crate) fn new(settings: &PgConfig) -> Result<Self, PgError> {
        let target = url::read(settings)?;
        let tls = tls::client_config(target.mode, target.roots.as_deref())?.map(MakeRustlsConnect::new);
        let hosts = target.hosts.into_iter();
        Ok(Self {
            hosts: hosts
                .map(|config| Endpoint { place: url::place(&config), config, plain: AtomicBool::new(false) })
                .collect(),
            first: AtomicUsize::new(0),
            mode: target.mode,
            tls,
            local: target.local,
            place: target.place,
            timeout: settings.connect_timeout,
            opening: Semaphore::new(MAX_OPENING),
            failed: Mutex::new(None),
            counters: Arc::default(),
        })
    }

    /// Where it is, without credentials.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Opens a connection; fails at once where an attempt failed a moment ago.
    pub(crate) async fn open(&self, heard: Option<Arc<Notify>>) -> Result<Link, PgError> {
        self.check_recent_failure()?;
        let Ok(_permit) = self.opening.acquire().await else {
            return Err(self.error(PgErrorKind::Unavailable, "closing".to_owned()));
        };
        // Whoever waited for the permit meanwhile may know more.
        self.check_recent_failure()?;
        let result = self.connect(&heard).await;
        match &result {
            Ok(_) => *lock(&self.failed) = None,
            Err(error) => self.note_failure(error.clone()),
        }
        result
    }

    fn check_recent_failure(&self) -> Result<(), PgError> {
        match &*lock(&self.failed) {
            Some(failed) if Instant::now() < failed.until => Err(failed.error.clone()),
            _ => Ok(()),
        }
    }

    fn note_failure(&self, error: PgError) {
        self.counters.open_failures.add(1);
        let mut failed = lock(&self.failed);
        let times = failed.as_ref().map_or(0, |failed| failed.times.saturating_add(1));
        *failed = Some(Failed { times, until: Instant::now() + backoff(times, BACKOFF_FIRST, BACKOFF_LAST), error });
    }

    async fn connect(&self, heard: &Heard) -> Result<Link, PgError> {
        let mut errors: Vec<PgError> = Vec::new();
        for index in self.order() {
            let host = &self.hosts[index];
            let error = match tokio::time::timeout(self.timeout, self.connect_to(host, heard)).await {
                Ok(Ok(link)) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(link);
                }
                Ok(Err(error)) => error,
                Err(_) => host.error(PgErrorKind::Timeout, format!("no answer within {} ms", self.timeout.as_millis())),
            };
            errors.push(error);
        }
        let last = errors.pop().unwrap_or_else(|| self.error(PgErrorKind::Config, "the URL names no host".to_owned()));
        Err(last.after(&errors))
    }

    /// In which order the hosts are tried: that of the URL, and where only one that takes writes will do, the one that did last before the others. So a
    /// host that hangs costs whoever notices it first, and not everybody.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        let Some(Endpoint { config, .. }) = self.hosts.first() else { return order };
        if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            fastrand::shuffle(&mut order);
        } else if config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            let first = self.first.load(Ordering::Relaxed);
            order.sort_by_key(|index| *index != first);
        }
        order
    }

    async fn connect_to(&self, host: &Endpoint, heard: &Heard) -> Result<Link, PgError> {
        if self.local {
            return self.connect_locally(host, heard).await;
        }
        if self.mode == Mode::Disable || host.plain.load(Ordering::Relaxed) {
            return self.connect_by(host, None, heard).await.map_err(|error| host.failed(&error));
        }
        match self.connect_by(host, self.tls.clone(), heard).await {
            Err(error) if self.mode == Mode::Prefer && without_tls(&error) => {
                host.plain.store(true, Ordering::Relaxed);
                self.connect_by(host, None, heard).await
            }
            result => result,
        }
        .map_err(|error| host.failed(&error))
    }

    async fn connect_by(
        &self,
        host: &Endpoint,
        tls: Option<MakeRustlsConnect>,
        heard: &Heard,
    ) -> Result<Link, tokio_postgres::Error> {
        let mut config = host.config.clone();
        if tls.is_none() {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        let connector = Connector { tls, state: Arc::default() };
        let (client, connection) = config.connect(connector.clone()).await?;
        let wire = Arc::clone(&connector.state);
        let cancel = move |token: CancelToken| {
            // A state of its own: what the request to cancel sends is not part of the connection.
            let connector = Connector { state: Arc::default(), ..connector.clone() };
            tokio::spawn(tokio::time::timeout(CANCEL_PATIENCE, async move { token.cancel_query(connector).await }));
        };
        Ok(self.started(client, connection, wire, Box::new(cancel), heard))
    }

    async fn connect_locally(&self, at: &Endpoint, heard: &Heard) -> Result<Link, PgError> {
        let mut config = at.config.clone();
        config.ssl_negotiation(SslNegotiation::Direct);
        let connecting = |state| Connecting { connector: Connector { tls: None, state }, host: String::new() };
        let mut last = None;
        for (index, host) in config.get_hosts().iter().enumerate() {
            let Host::Unix(directory) = host else { continue };
            let port = config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(5432);
            let path = directory.join(format!(".s.PGSQL.{port}"));
            let stream = match UnixStream::connect(&path).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = Some(at.error(PgErrorKind::Unavailable, format!("{}: {error}", path.display())));
                    continue;
                }
            };
            let wire = Arc::<WireState>::default();
            match config.connect_raw(stream, connecting(Arc::clone(&wire))).await {
                Ok((client, connection)) => {
                    let cancel = move |token: CancelToken| {
                        let (path, connecting) = (path.clone(), connecting(Arc::default()));
                        tokio::spawn(tokio::time::timeout(CANCEL_PATIENCE, async move {
                            if let Ok(stream) = UnixStream::connect(&path).await {
                                let _ = token.cancel_query_raw(stream, connecting).await;
                            }
                        }));
                    };
                    return Ok(self.started(client, connection, wire, Box::new(cancel), heard));
                }
                Err(error) => last = Some(at.failed(&error)),
            }
        }
        Err(last.unwrap_or_else(|| at.error(PgErrorKind::Config, "the URL names no host".to_owned())))
    }

    fn started<S, T>(
        &self,
        client: Client,
        connection: Connection<S, T>,
        wire: Arc<WireState>,
        cancel: Cancel,
        heard: &Heard,
    ) -> Link
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let home = Arc::new(Home::new(heard.clone()));
        tokio::spawn(drive(connection, Arc::clone(&home), Arc::clone(&wire), cancel));
        Link::new(client, wire, home, Arc::clone(&self.counters))
    }

    fn error(&self, kind: PgErrorKind, message: String) -> PgError {
        PgError::new(kind, OPENING, format!("{}: {message}", self.place))
    }
}

impl Endpoint {
    fn error(&self, kind: PgErrorKind, message: String) -> PgError {
        PgError::new(kind, OPENING, format!("{}: {message}", self.place))
    }

    fn failed(&self, error: &tokio_postgres::Error) -> PgError {
        PgError::from_postgres_at(&self.place, OPENING, error)
    }
}

/// Says that a server has no TLS: the library has one sentence for it, and no code.
fn without_tls(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string() == "server does not support TLS")
}

/// How long to wait after the failure number `times` (from 0): doubled each time, and between half and all of that, so that those who failed
/// together don't come back together.
pub(crate) fn backoff(times: u32, first: Duration, last: Duration) -> Duration {
    let full = first.saturating_mul(1_u32.checked_shl(times.min(16)).unwrap_or(u32::MAX)).min(last);
    let half_us = u64::try_from(full.as_micros() / 2).unwrap_or(u64::MAX);
    Duration::from_micros(half_us + fastrand::u64(0..=half_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_end_and_never_falls_below_half() {
        for (times, full_ms) in [(0, 25), (1, 50), (4, 400), (6, 1_000), (60, 1_000)] {
            for _ in 0..100 {
                let wait = backoff(times, BACKOFF_FIRST, BACKOFF_LAST);
                assert!(
                    wait <= Duration::from_millis(full_ms) && wait >= Duration::from_millis(full_ms / 2),
                    "{times}: {wait:?}"
                );
            }
        }
    }
}
