//! What PostgreSQL says, as an origin's error, with what to do about it.

use std::sync::Arc;

use pg_log::tokio_postgres;
use pg_log::{PgError, PgErrorKind};

use super::super::StoreError;
use super::super::columns::BrokenRow;

/// A failure of a running origin.
pub(super) fn running(operation: &'static str, error: &PgError) -> StoreError {
    let remedy = match error.kind() {
        PgErrorKind::Busy => return StoreError::Busy { what: "all connections to PostgreSQL are in use" },
        PgErrorKind::TooManyConnections => {
            return StoreError::Busy { what: "PostgreSQL has no connection left; raise its max_connections" };
        }
        PgErrorKind::Conflict => return StoreError::Busy { what: "others write the same relationships" },
        PgErrorKind::Config | PgErrorKind::Refused | PgErrorKind::Schema => {
            return StoreError::Unusable(Arc::from(cause(operation, error)));
        }
        PgErrorKind::Timeout => "look for locks and load in PostgreSQL, or raise the time limit",
        PgErrorKind::Unavailable => "check that PostgreSQL runs and can be reached; it is asked again by itself",
        _ => "see the cause; nothing was written",
    };
    StoreError::Unavailable { operation, cause: Arc::from(cause(operation, error)), remedy }
}

/// Without what was being done, where the origin's error says that already.
fn cause(operation: &str, error: &PgError) -> String {
    if error.operation() == operation { error.message().to_owned() } else { error.to_string() }
}

/// The same of what the client library says.
pub(super) fn failed(operation: &'static str) -> impl Fn(tokio_postgres::Error) -> StoreError {
    move |error| running(operation, &PgError::from_postgres(operation, &error))
}

/// The same of a connection that could not be had.
pub(super) fn connecting(operation: &'static str) -> impl Fn(PgError) -> StoreError {
    move |error| running(operation, &error)
}

/// A row that somebody else wrote, and nobody here would.
pub(super) fn broken(operation: &'static str) -> impl Fn(BrokenRow) -> StoreError {
    move |broken| StoreError::Unavailable {
        operation,
        cause: Arc::from(broken.to_string()),
        remedy: "somebody has written it past this program: correct or delete it there",
    }
}
