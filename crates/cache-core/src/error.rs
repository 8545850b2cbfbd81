//! Errors of caching: what failed, where, and whether a retry can help. Cloned for every caller that waited for the same load.

use std::fmt;
use std::sync::Arc;

/// What kind of failure it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The backend can't be reached, or refused.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// A bound was met: a queue, a number of waiters.
    Overloaded,
    /// The load from the origin failed.
    Load,
    /// What was asked can't be done here, by configuration or by kind of backend.
    Unsupported,
}

/// A failure of a tier, of the log, or of a load.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    place: &'static str,
    message: String,
    retryable: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error: `operation` as a verb ("get"), `place` as the tier's or the log's name, `message` for whoever must act.
    #[must_use]
    pub fn new(kind: ErrorKind, place: &'static str, operation: &'static str, message: impl Into<String>) -> Self {
        let retryable = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded);
        Self(Arc::new(Inner { kind, operation, place, message: message.into(), retryable, source: None }))
    }

    /// The failure of a load.
    #[must_use]
    pub fn load(source: Arc<dyn std::error::Error + Send + Sync>) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Load,
            operation: "load",
            place: "origin",
            message: source.to_string(),
            retryable: false,
            source: Some(source),
        }))
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The tier's name, "origin", or the log's name.
    #[must_use]
    pub fn place(&self) -> &'static str {
        self.0.place
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// What a load failed with, if it was an error of type `E`.
    #[must_use]
    pub fn downcast_load<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.source.as_deref().and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.place, self.0.operation, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Whatever a loader fails with: anything that is an error converts into it by `?`.
pub struct LoadError(Arc<dyn std::error::Error + Send + Sync>);

impl LoadError {
    pub(crate) fn into_error(self) -> Error {
        Error::load(self.0)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for LoadError {
    fn from(error: E) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
