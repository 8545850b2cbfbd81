//! An error says which PostgreSQL, what was done, what went wrong and what to do about it; never a password, never the values of a statement.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::SqlState;

/// What kind of failure it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PgErrorKind {
    /// The configuration can't be right.
    Config,
    /// PostgreSQL can't be reached, is starting or stopping, or the connection broke.
    Unavailable,
    /// It took longer than it may: a statement, a lock, an idle transaction, or opening a connection.
    Timeout,
    /// All exclusive connections were in use for as long as a caller may wait.
    Busy,
    /// PostgreSQL has no connection left (53300).
    TooManyConnections,
    /// Two transactions met (40001, 40P01): the same transaction may succeed when it is done again.
    Conflict,
    /// PostgreSQL refused: credentials, privileges, TLS, or a server that can't be used (a standby, too old a version).
    Refused,
    /// A constraint was violated (class 23).
    Constraint,
    /// The server came up from a crash, and what was seen before has not been settled: see [`LogReader`](crate::LogReader).
    Unsettled,
    /// The tables are of a release that this one can't work with.
    Schema,
    /// Anything else: the statement or the answer was not what it should have been.
    Unexpected,
}

/// A failure of PostgreSQL.
#[derive(Clone)]
pub struct PgError(Arc<Inner>);

struct Inner {
    kind: PgErrorKind,
    operation: &'static str,
    message: String,
    code: Option<SqlState>,
}

impl PgError {
    /// An error: `operation` as a verb with its object ("open a connection"), `message` for whoever must act.
    #[must_use]
    pub fn new(kind: PgErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, operation, message: message.into(), code: None }))
    }

    /// What tokio-postgres said.
    #[must_use]
    pub fn from_postgres(operation: &'static str, error: &tokio_postgres::Error) -> Self {
        Self::from_postgres_at("", operation, error)
    }

    pub(crate) fn from_postgres_at(place: &str, operation: &'static str, error: &tokio_postgres::Error) -> Self {
        let code = error.code().cloned();
        let kind = match &code {
            Some(code) => kind_of(code),
            None => kind_without_code(error),
        };
        let mut message = match error.as_db_error() {
            Some(db) => format!("{} ({})", db.message(), db.code().code()),
            None => chain(error),
        };
        if !place.is_empty() {
            message = format!("{place}: {message}");
        }
        if let Some(advice) = advice(kind) {
            message.push_str("; ");
            message.push_str(advice);
        }
        Self(Arc::new(Inner { kind, operation, message, code }))
    }

    /// The same, where others had failed before it was tried: it tells of them too.
    pub(crate) fn after(self, others: &[Self]) -> Self {
        if others.is_empty() {
            return self;
        }
        let told: Vec<_> = others.iter().chain([&self]).map(Self::message).collect();
        let (message, code) = (told.join("; "), self.0.code.clone());
        Self(Arc::new(Inner { kind: self.0.kind, operation: self.0.operation, message, code }))
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> PgErrorKind {
        self.0.kind
    }

    /// What was said, without what was being done.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What PostgreSQL called it.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        self.0.code.as_ref()
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            PgErrorKind::Unavailable
                | PgErrorKind::Unsettled
                | PgErrorKind::Timeout
                | PgErrorKind::Busy
                | PgErrorKind::TooManyConnections
                | PgErrorKind::Conflict
        )
    }

    /// As an error of caching, at the tier or log called `place`.
    #[must_use]
    pub fn into_cache(self, place: &'static str) -> cache_core::Error {
        use cache_core::ErrorKind;
        let kind = match self.kind() {
            PgErrorKind::Timeout => ErrorKind::Timeout,
            PgErrorKind::Busy | PgErrorKind::TooManyConnections => ErrorKind::Overloaded,
            PgErrorKind::Config | PgErrorKind::Schema | PgErrorKind::Constraint => ErrorKind::Unsupported,
            PgErrorKind::Unavailable
            | PgErrorKind::Unsettled
            | PgErrorKind::Refused
            | PgErrorKind::Conflict
            | PgErrorKind::Unexpected => ErrorKind::Unavailable,
        };
        cache_core::Error::new(kind, place, self.0.operation, self.0.message.clone())
    }
}

/// Says what was being done when tokio-postgres failed.
pub trait PgContext<T> {
    /// The same result with `operation` told: a verb with its object ("read the log").
    ///
    /// # Errors
    /// The failure, typed.
    fn during(self, operation: &'static str) -> Result<T, PgError>;
}

impl<T> PgContext<T> for Result<T, tokio_postgres::Error> {
    fn during(self, operation: &'static str) -> Result<T, PgError> {
        self.map_err(|error| PgError::from_postgres(operation, &error))
    }
}

fn kind_of(code: &SqlState) -> PgErrorKind {
    match code.code() {
        "53300" => PgErrorKind::TooManyConnections,
        "40001" | "40P01" => PgErrorKind::Conflict,
        // Cancelled (statement_timeout says so, too), no lock in time, idle in a transaction for too long.
        "57014" | "55P03" | "25P03" => PgErrorKind::Timeout,
        // Shutting down, crashed, starting, and a primary that has become a standby.
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" => PgErrorKind::Unavailable,
        "42501" | "3D000" => PgErrorKind::Refused,
        // No such schema, table, column or function.
        "3F000" | "42P01" | "42703" | "42883" => PgErrorKind::Schema,
        other => match other.get(..2) {
            Some("08" | "53" | "58") => PgErrorKind::Unavailable,
            Some("28") => PgErrorKind::Refused,
            Some("23") => PgErrorKind::Constraint,
            _ => PgErrorKind::Unexpected,
        },
    }
}

fn kind_without_code(error: &tokio_postgres::Error) -> PgErrorKind {
    if error.is_closed() {
        return PgErrorKind::Unavailable;
    }
    // What is left has no kind that could be asked for; its sentence is fixed in the library.
    let sentence = error.to_string();
    // Something between here and PostgreSQL spoils what it says. No setting is wrong.
    if ["error parsing response from server", "unexpected message from server"].contains(&&*sentence) {
        return PgErrorKind::Unavailable;
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            // rustls tells a certificate that it does not trust as invalid data.
            return match io.kind() {
                std::io::ErrorKind::InvalidData => PgErrorKind::Refused,
                std::io::ErrorKind::TimedOut => PgErrorKind::Timeout,
                _ => PgErrorKind::Unavailable,
            };
        }
        cause = inner.source();
    }
    match sentence.as_str() {
        "error performing TLS handshake" | "authentication error" => PgErrorKind::Refused,
        "error connecting to server" | "timeout waiting for server" => PgErrorKind::Unavailable,
        _ => PgErrorKind::Unexpected,
    }
}

fn advice(kind: PgErrorKind) -> Option<&'static str> {
    match kind {
        PgErrorKind::TooManyConnections => {
            Some("lower the numbers of connections here, or raise max_connections of the server")
        }
        PgErrorKind::Refused => Some("check user, password, privileges and sslmode of the URL"),
        PgErrorKind::Schema => Some("run the migrations of this release"),
        _ => None,
    }
}

fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres could not {}: {}", self.0.operation, self.0.message)
    }
}

impl fmt::Debug for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for PgError {}
