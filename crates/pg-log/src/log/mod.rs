//! The invalidation log on PostgreSQL.

mod applied;
mod config;
mod floor;
mod follower;
mod following;
mod identity;
mod kills;
mod lost;
mod poll;
mod reader;
mod row;
mod schema;
mod trim;

pub use applied::Polled;
pub use config::{
    DEFAULT_APPLY_TIMEOUT, DEFAULT_HISTORY, DEFAULT_JOIN_TIMEOUT, DEFAULT_MAX_JOIN_ROWS, DEFAULT_MAX_POLL_ROWS,
    DEFAULT_POLL_INTERVAL, DEFAULT_POLL_TIMEOUT, DEFAULT_RETENTION, LogConfig,
};
pub(crate) use follower::Follower;
pub use identity::read_identity;
pub use kills::{PgLog, RowKills};
pub use poll::PollStatement;
pub use reader::LogReader;
pub use row::{KIND_ALL, KIND_KILL, LogRow, LogSink, Operation};
pub use schema::{COMPONENT, attach_sql, migrations};
