//! What is wrong with a definition or a setting, and what is allowed.

/// A definition or a setting out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, which is not {allowed}")]
pub struct ConfigError {
    /// What was set: a setting's name, or a view's name with what of it.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn check(
        holds: bool,
        setting: impl Into<String>,
        value: impl ToString,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { setting: setting.into(), value: value.to_string(), allowed }) }
    }
}
