//! The settings of look-ups and of refreshes, with their bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// The default of [`ViewConfig::max_in_flight`].
pub const DEFAULT_MAX_IN_FLIGHT: usize = 256;
/// The default of [`ViewConfig::wait_ms`].
pub const DEFAULT_WAIT_MS: u64 = 100;
/// The default of [`ViewConfig::timeout_ms`].
pub const DEFAULT_TIMEOUT_MS: u64 = 500;
/// The default of [`ViewConfig::recheck_ms`].
pub const DEFAULT_RECHECK_MS: u64 = 1_000;
/// The default of [`RefreshConfig::lock_wait_ms`].
pub const DEFAULT_LOCK_WAIT_MS: u64 = 2_000;
/// The default of [`RefreshConfig::keep_ms`]: a day.
pub const DEFAULT_KEEP_MS: u64 = 24 * 60 * 60 * 1_000;
/// The default of [`RefreshConfig::alarm_intervals`].
pub const DEFAULT_ALARM_INTERVALS: u32 = 3;
/// The default of [`RefreshConfig::jitter_percent`].
pub const DEFAULT_JITTER_PERCENT: u8 = 10;

/// The settings of look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewConfig {
    /// The most look-ups (single ones or batches) that are under way at once; others wait, first come first served.
    pub max_in_flight: usize,
    /// How long a look-up waits for its turn before it is refused as overload.
    pub wait_ms: u64,
    /// How long a look-up may take once it has its turn. What is slower costs more than it saves.
    pub timeout_ms: u64,
    /// How often a view that was not refreshed yet is looked for.
    pub recheck_ms: u64,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            wait_ms: DEFAULT_WAIT_MS,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            recheck_ms: DEFAULT_RECHECK_MS,
        }
    }
}

impl ViewConfig {
    /// Checks every bound.
    ///
    /// # Errors
    /// For the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { max_in_flight, wait_ms, timeout_ms, recheck_ms } = *self;
        ConfigError::check((1..=65_536).contains(&max_in_flight), "max_in_flight", max_in_flight, "1 to 65536")?;
        ConfigError::check(wait_ms <= 60_000, "wait_ms", wait_ms, "0 to 60000")?;
        ConfigError::check((1..=60_000).contains(&timeout_ms), "timeout_ms", timeout_ms, "1 to 60000")?;
        ConfigError::check((10..=60_000).contains(&recheck_ms), "recheck_ms", recheck_ms, "10 to 60000")
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn recheck(&self) -> Duration {
        Duration::from_millis(self.recheck_ms)
    }
}

/// The settings of refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefreshConfig {
    /// How long a refresh waits for a lock. Shorter than the time limit, because a refresh that waits holds back the stamps of all reads
    /// of the cluster and achieves nothing.
    pub lock_wait_ms: u64,
    /// How long a version of a view that nobody uses any more is kept: an instance of another release may come back to it.
    pub keep_ms: u64,
    /// After how many intervals without a refresh a view is reported as too old.
    pub alarm_intervals: u32,
    /// By how many percent an interval is shortened at random, so that instances do not meet.
    pub jitter_percent: u8,
}

impl Default for RefreshConfig {
    fn default() -> Self {
        Self {
            lock_wait_ms: DEFAULT_LOCK_WAIT_MS,
            keep_ms: DEFAULT_KEEP_MS,
            alarm_intervals: DEFAULT_ALARM_INTERVALS,
            jitter_percent: DEFAULT_JITTER_PERCENT,
        }
    }
}

impl RefreshConfig {
    /// Checks every bound.
    ///
    /// # Errors
    /// For the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { lock_wait_ms, keep_ms, alarm_intervals, jitter_percent } = *self;
        ConfigError::check((1..=600_000).contains(&lock_wait_ms), "lock_wait_ms", lock_wait_ms, "1 to 600000")?;
        ConfigError::check(keep_ms >= 1_000, "keep_ms", keep_ms, "at least 1000")?;
        ConfigError::check((1..=1_000).contains(&alarm_intervals), "alarm_intervals", alarm_intervals, "1 to 1000")?;
        ConfigError::check(jitter_percent <= 50, "jitter_percent", jitter_percent, "0 to 50")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_bounds_says_which_and_what_is_allowed() {
        let config = ViewConfig { timeout_ms: 0, ..ViewConfig::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "timeout_ms is 0, which is not 1 to 60000");
        assert!(ViewConfig { max_in_flight: 0, ..ViewConfig::default() }.validate().is_err());
        assert!(RefreshConfig { jitter_percent: 51, ..RefreshConfig::default() }.validate().is_err());
        assert!(ViewConfig::default().validate().is_ok() && RefreshConfig::default().validate().is_ok());
    }
}
