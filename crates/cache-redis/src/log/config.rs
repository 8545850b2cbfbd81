//! The settings of the log, with their bounds.

use std::time::Duration;

use cache_core::CacheType;

use crate::error::ConfigError;

/// The default of [`LogConfig::name`].
pub const DEFAULT_LOG_NAME: &str = "log";
/// The longest [`LogConfig::name`].
pub const MAX_LOG_NAME_BYTES: usize = 32;

/// The settings of the log. Every process that shares it gives it the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The name, for several logs in one namespace.
    pub name: String,
    /// The cache types that kills may name. A kill of a type, or by a pattern with a type, that is not among them kills everything here.
    pub types: Vec<CacheType>,
    /// The records that the stream retains, and this process as well. An instance that starts, or was away, reads them all; what it can't read any more it
    /// takes for killed.
    pub retained_records: usize,
    /// The bytes that this process retains of them, for chains that are built later.
    pub retained_bytes: usize,
    /// The largest record, in bytes. What would be larger kills everything instead.
    pub max_record_bytes: usize,
    /// How often the log is asked whether it is still the same, in milliseconds.
    pub heartbeat_ms: u64,
    /// How long cached values are served without a word from the log, in milliseconds.
    pub max_silence_ms: u64,
    /// How long Redis may take to answer, in milliseconds.
    pub answer_timeout_ms: u64,
    /// The longest wait between two tries to reach Redis, in milliseconds.
    pub max_backoff_ms: u64,
    /// Appends at once; further ones are refused.
    pub max_appends: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            name: DEFAULT_LOG_NAME.to_owned(),
            types: Vec::new(),
            retained_records: 65_536,
            retained_bytes: 16 << 20,
            max_record_bytes: 64 << 10,
            heartbeat_ms: 500,
            max_silence_ms: 3_000,
            answer_timeout_ms: 1_000,
            max_backoff_ms: 500,
            max_appends: 1_024,
        }
    }
}

impl LogConfig {
    /// The defaults for a process with these cache types.
    #[must_use]
    pub fn for_types(types: &[CacheType]) -> Self {
        Self { types: types.to_vec(), ..Self::default() }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// For the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |setting: &'static str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => {
                Err(ConfigError::Setting { setting, value: value.to_string(), allowed: format!("{least} to {most}") })
            }
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.name.is_empty() || self.name.len() > MAX_LOG_NAME_BYTES || !self.name.bytes().all(plain) {
            return Err(ConfigError::Setting {
                setting: "name",
                value: self.name.clone(),
                allowed: format!("1 to {MAX_LOG_NAME_BYTES} of the characters a-z A-Z 0-9 - _ . :"),
            });
        }
        within("retained_records", self.retained_records as u64, 1, 10_000_000)?;
        within("retained_bytes", self.retained_bytes as u64, 4 << 10, 1 << 30)?;
        within("max_record_bytes", self.max_record_bytes as u64, 64, 1 << 20)?;
        within("heartbeat_ms", self.heartbeat_ms, 10, 60_000)?;
        within("answer_timeout_ms", self.answer_timeout_ms, 1, 60_000)?;
        within("max_backoff_ms", self.max_backoff_ms, 1, 60_000)?;
        within("max_appends", self.max_appends as u64, 1, 65_536)?;
        // A connection that died must be noticed, and one more question answered, before the silence is too long.
        within("max_silence_ms", self.max_silence_ms, self.heartbeat_ms + 2 * self.answer_timeout_ms, 3_600_000)
    }

    pub(super) const fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(super) const fn max_silence(&self) -> Duration {
        Duration::from_millis(self.max_silence_ms)
    }

    pub(super) const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_bounds_says_which_and_what_is_allowed() {
        assert_eq!(LogConfig::default().validate(), Ok(()));
        let config = LogConfig { name: "{log}".to_owned(), ..LogConfig::default() };
        assert!(config.validate().unwrap_err().to_string().starts_with("name is {log}, which is not 1 to 32 of"));
        let config = LogConfig { max_silence_ms: 2_000, ..LogConfig::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "max_silence_ms is 2000, which is not 2500 to 3600000");
    }
}
