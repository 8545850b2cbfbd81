//! The settings of the access log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which accesses are noted for the view `access_patterns`, where PostgreSQL is the origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// One decision in so many is noted, and stands for all of them; 0 for none.
    pub one_in: u32,
    /// How long an access is kept.
    pub keep_days: u32,
}

impl AccessLog {
    /// How long an access is kept.
    #[must_use]
    pub fn keep(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_days) * 24 * 60 * 60)
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { one_in: 100, keep_days: 28 }
    }
}
