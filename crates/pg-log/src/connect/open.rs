//! Opens connections. While PostgreSQL can't be reached callers are answered at once, and only one attempt is made at a time that doubles with
//! each failure: a server that starts again is not met by everybody at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_postgres::config::{Host, SslNegotiation};
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
    config: Config,
    mode: Mode,
    tls: Option<MakeRustlsConnect>,
    local: bool,
    place: String,
    timeout: Duration,
    /// `prefer` met a server without TLS.
    plain: AtomicBool,
    opening: Semaphore,
    failed: Mutex<Option<Failed>>,
    pub(crate) counters: Arc<Counters>,
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
        Ok(Self {
            config: target.config,
            mode: target.mode,
            tls,
            local: target.local,
            place: target.place,
            timeout: settings.connect_timeout,
            plain: AtomicBool::new(false),
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
        let result = match tokio::time::timeout(self.timeout, self.connect(&heard)).await {
            Ok(result) => result,
            Err(_) => {
                Err(self.error(PgErrorKind::Timeout, format!("no answer within {} ms", self.timeout.as_millis())))
            }
        };
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
        if self.local {
            return self.connect_locally(heard).await;
        }
        if self.mode == Mode::Disable || self.plain.load(Ordering::Relaxed) {
            return self.connect_by(None, heard).await.map_err(|error| self.placed(&error));
        }
        match self.connect_by(self.tls.clone(), heard).await {
            Err(error) if self.mode == Mode::Prefer && without_tls(&error) => {
                self.plain.store(true, Ordering::Relaxed);
                self.connect_by(None, heard).await
            }
            result => result,
        }
        .map_err(|error| self.placed(&error))
    }

    async fn connect_by(&self, tls: Option<MakeRustlsConnect>, heard: &Heard) -> Result<Link, tokio_postgres::Error> {
        let mut config = self.config.clone();
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

    async fn connect_locally(&self, heard: &Heard) -> Result<Link, PgError> {
        let mut config = self.config.clone();
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
                    last = Some(self.error(PgErrorKind::Unavailable, format!("{}: {error}", path.display())));
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
                Err(error) => last = Some(self.placed(&error)),
            }
        }
        Err(last.unwrap_or_else(|| self.error(PgErrorKind::Config, "the URL names no host".to_owned())))
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

    fn placed(&self, error: &tokio_postgres::Error) -> PgError {
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
