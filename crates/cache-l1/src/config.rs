//! The settings of the memory tier, with their bounds.

use serde::{Deserialize, Serialize};

/// The default of [`MemoryConfig::budget_bytes`].
pub const DEFAULT_BUDGET_BYTES: u64 = 200_000_000;
/// The least budget.
pub const MIN_BUDGET_BYTES: u64 = 64 << 10;

/// The settings of the memory tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Bytes for entries, their values and the tables around them.
    pub budget_bytes: u64,
    /// Parts with a lock and a share of the budget of their own; none: four for each core.
    pub shards: Option<usize>,
    /// The share of the budget for entries that were asked for again, 0.5 to 0.99. The library's own default of 0.97 leaves what is new too
    /// little room where recency matters.
    pub hot_allocation: f64,
    /// Remembered evictions as a share of the expected number of entries, 0 to 1.
    pub ghost_allocation: f64,
    /// The expected bytes of an entry, which size the tables.
    pub expected_entry_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            budget_bytes: DEFAULT_BUDGET_BYTES,
            shards: None,
            hot_allocation: 0.90,
            ghost_allocation: 0.50,
            expected_entry_bytes: 200,
        }
    }
}

/// A setting out of its bounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{setting} is {value}, which is not {allowed}")]
pub struct ConfigError {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl MemoryConfig {
    /// Checks every bound.
    ///
    /// # Errors
    /// For the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |holds: bool, setting: &'static str, value: String, allowed: &'static str| {
            if holds { Ok(()) } else { Err(ConfigError { setting, value, allowed }) }
        };
        check(self.budget_bytes >= MIN_BUDGET_BYTES, "budget_bytes", self.budget_bytes.to_string(), "at least 65536")?;
        check(
            self.shards.is_none_or(|shards| (1..=1024).contains(&shards)),
            "shards",
            format!("{:?}", self.shards),
            "1 to 1024",
        )?;
        check(
            (0.5..=0.99).contains(&self.hot_allocation),
            "hot_allocation",
            self.hot_allocation.to_string(),
            "0.5 to 0.99",
        )?;
        check(
            (0.0..=1.0).contains(&self.ghost_allocation),
            "ghost_allocation",
            self.ghost_allocation.to_string(),
            "0 to 1",
        )?;
        check(
            (32..=1 << 20).contains(&self.expected_entry_bytes),
            "expected_entry_bytes",
            self.expected_entry_bytes.to_string(),
            "32 to 1048576",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_bounds_says_which_and_what_is_allowed() {
        let config = MemoryConfig { hot_allocation: 1.5, ..MemoryConfig::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "hot_allocation is 1.5, which is not 0.5 to 0.99");
        assert!(MemoryConfig { budget_bytes: 1, ..MemoryConfig::default() }.validate().is_err());
        assert!(MemoryConfig { shards: Some(0), ..MemoryConfig::default() }.validate().is_err());
        assert!(MemoryConfig::default().validate().is_ok());
    }
}
