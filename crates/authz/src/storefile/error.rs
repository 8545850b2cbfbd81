//! Why a store file can't be used.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::relation::IdentError;

/// Why a store file, or a file that it names, can't be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct StoreFileError {
    /// The file with the fault, which may be one that the store file names.
    pub file: PathBuf,
    /// The line of the fault, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl StoreFileError {
    pub(super) fn new(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into(), remedy: remedy.into() }
    }

    pub(super) fn at(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// A refused identifier. Its message holds the remedy already.
    pub(super) fn ident(file: &Path, text: &str, error: &IdentError) -> Self {
        let message = error.to_string();
        let (what, remedy) = message.split_once("; ").unwrap_or((&message, "write it as type:id"));
        let shown: String = text.chars().take(64).collect();
        // Some messages quote the text themselves.
        let what =
            if what.contains(&shown) && !shown.is_empty() { what.to_owned() } else { format!("in {shown:?}, {what}") };
        Self::new(file, what, remedy)
    }
}

impl fmt::Display for StoreFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; {}", self.what, self.remedy)
    }
}
