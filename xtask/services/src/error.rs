//! What went wrong, where, and what to do about it.

use std::io;
use std::path::Path;

/// Why there is no server, or why it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program is not on this machine. For tests a reason to skip, nowhere a reason to guess.
    #[error("{program} is not on this machine (looked in {looked}); {remedy}")]
    Missing {
        /// The program.
        program: &'static str,
        /// Where it was looked for.
        looked: String,
        /// How it comes here.
        remedy: &'static str,
    },
    /// A server is there and failed.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }

    /// An error of the operating system about a file.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::Failed(format!("{path}: {error}"))
    }
}
