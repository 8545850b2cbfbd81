//! What a log shows of itself, for operators and for whoever waits for something to happen.

use cache_core::{Error, Identity, Revision};

/// The state of a [`RedisLog`](crate::RedisLog).
#[derive(Clone, Debug, Default)]
pub struct LogStatus {
    /// Which log it is; none while it can't be trusted: before it was joined, after too long a silence, after it became another one. Nothing is
    /// served from any tier then.
    pub identity: Option<Identity>,
    /// Every record up to here was read and applied.
    pub applied: Revision,
    /// How often it was joined, or trusted again.
    pub joins: u64,
    /// How often records were gone before they were read.
    pub gaps: u64,
    /// How often it became another log.
    pub epochs: u64,
    /// How often it was silent for too long.
    pub silences: u64,
    /// How often the connection that reads was lost, or could not be made.
    pub failures: u64,
    /// What the last of those failed with.
    pub last_error: Option<Error>,
}
