//! What can go wrong, by what there is to do about it. No text that a server sent is repeated: it may name users and keys.

use std::time::Duration;

use cache_core::{Error, ErrorKind};
use redis::{RedisError, ServerErrorKind};

/// A setting or a file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting is out of its bounds.
    #[error("{setting} is {value}, which is not {allowed}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The URL can't be understood. It is not repeated, because it may hold a password.
    #[error("the URL of Redis must {must}")]
    Url {
        /// What it must do.
        must: &'static str,
    },
    /// A file can't be used.
    #[error("{what} {path} can't be used: {problem}")]
    File {
        /// What it is for.
        what: &'static str,
        /// Where it is.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A key or a dictionary can't be used.
    #[error("{what} can't be used: {problem}")]
    Unusable {
        /// What.
        what: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("not asked, because too many of the last operations failed or were slow; it is asked again in a moment")]
    BreakerOpen,
    #[error(
        "as many operations as are allowed are under way, and none ended within {0:?}; raise max_in_flight, or ask less"
    )]
    Busy(Duration),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("can't be reached: {0}; check that it runs, and its URL")]
    Unreachable(String),
    #[error("the connection broke: {0}; it is replaced")]
    Broken(String),
    #[error("something that is not Redis answered, or answers got out of step; the connection is replaced")]
    Protocol,
    #[error("refused us ({0}); check the user, the password and the ACL rules")]
    Refused(&'static str),
    #[error("is loading its data; it is asked again in a moment")]
    Loading,
    #[error("has no memory left for writes; raise maxmemory, or let it evict")]
    OutOfMemory,
    #[error("is a replica and takes no writes; the connection is made anew, so that it may find the new master")]
    ReadOnly,
    #[error("is a node of a cluster that sent us to another ({0}); use a redis+cluster URL")]
    Redirected(&'static str),
    #[error("is a cluster that can't serve the key ({0}); it is asked again in a moment")]
    ClusterDown(&'static str),
    #[error("answered with the error {0}")]
    Server(String),
    #[error("was not to blame: the work on its values ended early here; see the log for a panic")]
    Abandoned,
}

impl Failure {
    /// What an error of the library means.
    pub(crate) fn of(error: &RedisError) -> Self {
        use redis::ErrorKind as Kind;
        match error.kind() {
            Kind::Server(ServerErrorKind::BusyLoading) => Self::Loading,
            Kind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            Kind::Server(ServerErrorKind::Moved) => Self::Redirected("MOVED"),
            Kind::Server(ServerErrorKind::Ask) => Self::Redirected("ASK"),
            Kind::Server(ServerErrorKind::CrossSlot) => Self::Redirected("CROSSSLOT"),
            Kind::Server(ServerErrorKind::ClusterDown) => Self::ClusterDown("CLUSTERDOWN"),
            Kind::Server(ServerErrorKind::TryAgain) => Self::ClusterDown("TRYAGAIN"),
            Kind::Server(ServerErrorKind::MasterDown) => Self::ClusterDown("MASTERDOWN"),
            Kind::Server(ServerErrorKind::NoPerm) => Self::Refused("NOPERM"),
            Kind::AuthenticationFailed => Self::Refused("AUTH"),
            Kind::ClusterConnectionNotFound => Self::Unreachable("no node of the cluster".to_owned()),
            Kind::MasterNameNotFoundBySentinel => Self::Unreachable("no sentinel knows the master".to_owned()),
            Kind::Parse | Kind::UnexpectedReturnType => Self::Protocol,
            Kind::Io if error.is_connection_refusal() => Self::Unreachable("connection refused".to_owned()),
            Kind::Io if error.is_timeout() => Self::Unreachable("the connection took too long".to_owned()),
            Kind::Io => Self::Broken(error.to_string()),
            _ => Self::of_code(error.code().unwrap_or("UNKNOWN")),
        }
    }

    /// What an error code of a server means that the library has no kind for.
    fn of_code(code: &str) -> Self {
        match code {
            "NOAUTH" => Self::Refused("NOAUTH"),
            "WRONGPASS" => Self::Refused("WRONGPASS"),
            "NOPERM" => Self::Refused("NOPERM"),
            "OOM" => Self::OutOfMemory,
            "LOADING" => Self::Loading,
            "READONLY" => Self::ReadOnly,
            other => Self::Server(other.chars().filter(char::is_ascii_uppercase).take(20).collect()),
        }
    }

    /// Whether the connection can't be used any more, nor any that was made before.
    pub(crate) fn breaks_connections(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::ReadOnly | Self::Refused(_) | Self::Unreachable(_))
    }

    /// Whether another try, on another connection, may succeed at once.
    pub(crate) fn deserves_a_retry(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Protocol | Self::ReadOnly)
    }

    /// Whether Redis is to blame, so that the breaker counts it. That it takes no writes says nothing of its reads, that it does not know a
    /// script that nobody has told it nothing against it, and that we ask too much nothing of it at all.
    pub(crate) fn counts_against_redis(&self) -> bool {
        !matches!(self, Self::BreakerOpen | Self::Busy(_) | Self::OutOfMemory | Self::Abandoned)
            && !self.is_unknown_script()
            && !self.refuses_writes_alone()
    }

    /// It can't save to its disk, or too few replicas hear it: it takes no writes, and answers look-ups.
    fn refuses_writes_alone(&self) -> bool {
        matches!(self, Self::Server(code) if code == "MISCONF" || code == "NOREPLICAS")
    }

    /// Whether the script has to be sent as a whole.
    pub(crate) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Server(code) if code == "NOSCRIPT")
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy(_) => ErrorKind::Overloaded,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::Redirected(_) => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        }
    }

    /// The error of the contract: which tier, doing what, at which address.
    pub(crate) fn into_error(self, tier: &'static str, operation: &'static str, address: &str) -> Error {
        Error::new(self.kind(), tier, operation, format!("redis at {address} {self}"))
    }
}
