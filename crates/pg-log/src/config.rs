//! What one PostgreSQL is asked with: every bound has a name and a default, and nothing is connected yet.

use std::fmt;
use std::time::Duration;

use crate::LogConfig;

/// The default of [`PgConfig::schema`].
pub const DEFAULT_SCHEMA: &str = "tiergate";
/// The default of [`PgConfig::application_name`].
pub const DEFAULT_APPLICATION_NAME: &str = "tiergate";
/// The default of [`PgConfig::exclusive_max`].
pub const DEFAULT_EXCLUSIVE_MAX: usize = 16;
/// The default of [`PgConfig::shared_connections`].
pub const DEFAULT_SHARED_CONNECTIONS: usize = 2;
/// The default of [`PgConfig::max_waiting`].
pub const DEFAULT_MAX_WAITING: usize = 1_024;
/// The default of [`PgConfig::wait`].
pub const DEFAULT_WAIT: Duration = Duration::from_secs(2);
/// The default of [`PgConfig::connect_timeout`].
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The default of [`PgConfig::statement_timeout`].
pub const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The default of [`PgConfig::lock_timeout`].
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The default of [`PgConfig::idle_in_transaction_timeout`].
pub const DEFAULT_IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The default of [`PgConfig::idle_timeout`].
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// One PostgreSQL, and how it is used.
///
/// The connections set options in their first packet and keep prepared statements, so that a pooler between here and PostgreSQL has to
/// give each client a session of its own (PgBouncer: `pool_mode = session`).
#[derive(Clone)]
#[non_exhaustive]
pub struct PgConfig {
    /// `postgresql://user:password@host:port/database?sslmode=…`. Besides what tokio-postgres reads, `sslmode` may be `verify-ca` or
    /// `verify-full`, and `sslrootcert` a file in PEM, or `system` (the default of the verifying modes) for the machine's own store.
    ///
    /// Of several hosts (`host:port,host:port`) one after the other is tried. Say `target_session_attrs=read-write` then: it finds the primary among
    /// them, and a standby is refused.
    pub url: String,
    /// The schema of the log and of whatever else is made here. Letters, digits and underscores.
    pub schema: String,
    /// The name that `pg_stat_activity` shows.
    pub application_name: String,
    /// The most connections that are lent to one user each, for transactions.
    pub exclusive_max: usize,
    /// The connections that all single statements share.
    pub shared_connections: usize,
    /// The most callers that wait for an exclusive connection; who comes then is refused at once.
    pub max_waiting: usize,
    /// How long a caller waits for an exclusive connection.
    pub wait: Duration,
    /// How long opening a connection to one host may take, TLS and authentication included.
    pub connect_timeout: Duration,
    /// `statement_timeout` of every session.
    pub statement_timeout: Duration,
    /// `lock_timeout` of every session.
    pub lock_timeout: Duration,
    /// `idle_in_transaction_session_timeout` of every session: a transaction that was forgotten holds back the stamps of all reads.
    pub idle_in_transaction_timeout: Duration,
    /// How long an exclusive connection may lie unused before it is closed.
    pub idle_timeout: Duration,
    /// How the log is read and how long it is kept.
    pub log: LogConfig,
}

impl PgConfig {
    /// The defaults for a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: DEFAULT_SCHEMA.to_owned(),
            application_name: DEFAULT_APPLICATION_NAME.to_owned(),
            exclusive_max: DEFAULT_EXCLUSIVE_MAX,
            shared_connections: DEFAULT_SHARED_CONNECTIONS,
            max_waiting: DEFAULT_MAX_WAITING,
            wait: DEFAULT_WAIT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            statement_timeout: DEFAULT_STATEMENT_TIMEOUT,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            idle_in_transaction_timeout: DEFAULT_IDLE_IN_TRANSACTION_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            log: LogConfig::default(),
        }
    }

    /// Puts everything into another schema.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }
}

impl fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        f.debug_struct("PgConfig")
            .field("schema", &self.schema)
            .field("exclusive_max", &self.exclusive_max)
            .field("shared_connections", &self.shared_connections)
            .finish_non_exhaustive()
    }
}
