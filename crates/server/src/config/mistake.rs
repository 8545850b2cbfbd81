//! A deliberate mistake that a test wants in the running server, to see that it finds it. Only in a build with the feature `mistakes`.

use cache_core::{Mistake, Planted, plant};

use super::ConfigError;

/// The variable that names the mistake.
const VARIABLE: &str = "TIERGATE_TEST_MISTAKE";

/// Plants the mistake that the environment names, where it names one, until the guard is dropped.
///
/// # Errors
/// Where there is no mistake of that name.
pub fn plant_named() -> Result<Option<Planted>, ConfigError> {
    let Some(name) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let mistake: Mistake =
        name.to_string_lossy().parse().map_err(|unknown| ConfigError::one(format!("{VARIABLE}: {unknown}")))?;
    tracing::warn!(%mistake, "a mistake is planted in this server: it gives wrong answers, on purpose");
    Ok(Some(plant(mistake)))
}
