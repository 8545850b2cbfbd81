//! What is wrong with a configuration: everything that could be found at once, one line each.

use std::fmt;

/// The faults of a configuration; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub(super) fn one(fault: impl Into<String>) -> Self {
        Self(vec![fault.into()])
    }

    /// Nothing where there are no faults.
    pub(super) fn check(faults: Vec<String>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
