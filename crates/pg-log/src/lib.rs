//! PostgreSQL connections and the invalidation log on PostgreSQL: snapshots, polls, triggers, trimming.

mod config;
mod connect;
mod error;
mod migrate;

pub use config::{
    DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_EXCLUSIVE_MAX, DEFAULT_IDLE_IN_TRANSACTION_TIMEOUT,
    DEFAULT_IDLE_TIMEOUT, DEFAULT_LOCK_TIMEOUT, DEFAULT_MAX_WAITING, DEFAULT_SCHEMA, DEFAULT_SHARED_CONNECTIONS,
    DEFAULT_STATEMENT_TIMEOUT, DEFAULT_WAIT, PgConfig,
};
pub use connect::{Exclusive, Pg, PgStatistics, Shared};
pub use error::{PgContext, PgError, PgErrorKind};
pub use migrate::{Migration, migrate};
pub use tokio_postgres;
