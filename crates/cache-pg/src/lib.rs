#![doc = include_str!("../README.md")]

mod config;
mod core;
mod error;
mod layer;
mod refresh;
mod statistics;
mod view;
mod views;

pub use config::{
    DEFAULT_ALARM_INTERVALS, DEFAULT_JITTER_PERCENT, DEFAULT_KEEP_MS, DEFAULT_LOCK_WAIT_MS, DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_RECHECK_MS, DEFAULT_TIMEOUT_MS, DEFAULT_WAIT_MS, RefreshConfig, ViewConfig,
};
pub use core::MAX_KEYS_PER_STATEMENT;
pub use error::ConfigError;
pub use layer::{DEFAULT_NAME, ViewLayer};
/// The connections, and the log whose revisions judge what is looked up.
pub use pg_log;
pub use refresh::{Refreshed, Refresher, ViewHealth};
pub use statistics::{ViewHandle, ViewStatistics};
pub use view::{DEFAULT_EVERY, DEFAULT_LIMIT, MAX_KEY_COLUMNS, MAX_NAME_BYTES, View};
pub use views::Views;
