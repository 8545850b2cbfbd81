//! PostgreSQL connections and the invalidation log on PostgreSQL: snapshots, polls, triggers, trimming.

mod config;
mod connect;
mod error;
mod log;
mod members;
mod migrate;
mod own_thread;
mod snapshot;

pub use config::{
    DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_EXCLUSIVE_MAX, DEFAULT_IDLE_IN_TRANSACTION_TIMEOUT,
    DEFAULT_IDLE_TIMEOUT, DEFAULT_LOCK_TIMEOUT, DEFAULT_MAX_WAITING, DEFAULT_SCHEMA, DEFAULT_SHARED_CONNECTIONS,
    DEFAULT_STATEMENT_TIMEOUT, DEFAULT_WAIT, PgConfig,
};
pub use connect::{Exclusive, Pg, PgStatistics, Shared};
pub use error::{PgContext, PgError, PgErrorKind};
pub use log::{
    COMPONENT, DEFAULT_APPLY_TIMEOUT, DEFAULT_HISTORY, DEFAULT_JOIN_TIMEOUT, DEFAULT_MAX_JOIN_ROWS,
    DEFAULT_MAX_POLL_ROWS, DEFAULT_POLL_INTERVAL, DEFAULT_POLL_TIMEOUT, DEFAULT_RETENTION, KIND_ALL, KIND_KILL,
    LogConfig, LogReader, LogRow, LogSink, Operation, PgLog, PollStatement, Polled, RowKills, attach_sql, migrations,
    read_identity,
};
pub use members::{DEFAULT_LEASE, MemberConfig};
pub use migrate::{Migration, migrate};
pub use snapshot::PgSnapshot;
pub use tokio_postgres;
