//! How the log is read and how long it is kept.

use std::time::Duration;

use crate::MemberConfig;

/// The default of [`LogConfig::poll_interval`].
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(350);
/// The default of [`LogConfig::poll_timeout`].
pub const DEFAULT_POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// The default of [`LogConfig::join_timeout`].
pub const DEFAULT_JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The default of [`LogConfig::apply_timeout`].
pub const DEFAULT_APPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// The default of [`LogConfig::retention`].
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(15 * 60);
/// The default of [`LogConfig::history`].
pub const DEFAULT_HISTORY: Duration = Duration::from_secs(24 * 3_600);
/// The default of [`LogConfig::max_poll_rows`].
pub const DEFAULT_MAX_POLL_ROWS: usize = 10_000;
/// The default of [`LogConfig::max_join_rows`].
pub const DEFAULT_MAX_JOIN_ROWS: usize = 1_000_000;

/// How the log is read and how long it is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogConfig {
    /// The longest time between two polls. This is what a change of a stranger, like `psql`, takes at most to be in force; wake-ups only make it
    /// shorter.
    pub poll_interval: Duration,
    /// How long a poll may take before its connection is given up.
    pub poll_timeout: Duration,
    /// How long reading the whole retained log may take at the start.
    pub join_timeout: Duration,
    /// How long a writer waits until its own change is applied here.
    pub apply_timeout: Duration,
    /// Values that contain nothing of the last so long are misses, and the log older than that is not read at a start.
    pub retention: Duration,
    /// Rows are kept for readers of the history for so long; at least [`LogConfig::retention`].
    pub history: Duration,
    /// The most rows of a poll. Where there are more, everything that is older is a miss instead.
    pub max_poll_rows: usize,
    /// The most rows that are read at a start, with the same consequence.
    pub max_join_rows: usize,
    /// Whether this process takes part in trimming. One at least should.
    pub trims: bool,
    /// This process as a member of those who follow the log.
    pub member: MemberConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            poll_interval: DEFAULT_POLL_INTERVAL,
            poll_timeout: DEFAULT_POLL_TIMEOUT,
            join_timeout: DEFAULT_JOIN_TIMEOUT,
            apply_timeout: DEFAULT_APPLY_TIMEOUT,
            retention: DEFAULT_RETENTION,
            history: DEFAULT_HISTORY,
            max_poll_rows: DEFAULT_MAX_POLL_ROWS,
            max_join_rows: DEFAULT_MAX_JOIN_ROWS,
            trims: true,
            member: MemberConfig::default(),
        }
    }
}
