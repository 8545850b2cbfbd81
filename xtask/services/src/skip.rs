//! What a test does without a server: it says so and ends, or fails where nobody would read that it said so.

use crate::error::Error;

/// Set by continuous integration, where a test that did not run is a failure.
const CI: &str = "CI";

/// The value; `None` and a line on standard error where a program is missing.
pub(crate) fn unless_present<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(missing @ Error::Missing { .. }) => skip(&missing.to_string()),
        // It is there and does not work: that is no reason to skip, but one to look.
        Err(failed) => panic!("{failed}"),
    }
}

/// Says that the running test is skipped.
#[expect(clippy::manual_assert, reason = "the condition is about the place, not about the value")]
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    // cargo and nextest tell a test whose it is.
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "a test".to_owned());
    let line = format!("SKIPPED {package}: run cargo xtask up ({why})");
    if std::env::var_os(CI).is_some_and(|value| !value.is_empty()) {
        panic!("{line}; {CI} is set, and there a test that can't run has failed");
    }
    eprintln!("{line}");
    None
}
