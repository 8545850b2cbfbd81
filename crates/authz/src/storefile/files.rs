//! Reading files within bounds, and YAML out of them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::StoreFileError;
use crate::model::bounded_text;

/// The largest store file, model file or tuple file, in bytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// The text of a file.
pub(super) fn text(path: &Path, max_bytes: usize) -> Result<String, StoreFileError> {
    bounded_text(path, max_bytes).map_err(|(what, remedy)| StoreFileError::new(path, what, remedy))
}

/// A path that a file names is relative to that file.
pub(super) fn beside(file: &Path, named: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}

/// What a file holds as YAML. Aliases that multiply are refused, as is nesting of more than 64 levels.
pub(super) fn yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, StoreFileError> {
    // Each relationship takes 7 nodes; what a file of the largest size holds shall be enough.
    let budget = serde_saphyr::budget! { max_nodes: 4_000_000, max_events: 8_000_000 };
    // The words and numbers of YAML 1.1 as OpenFGA reads them: `yes` is a word unless a truth value is wanted, and `014` is 12.
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: budget,
        strict_booleans: true,
        legacy_octal_numbers: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let fault = StoreFileError::new(
            path,
            format!("the file can't be read as YAML: {}", message.lines().next().unwrap_or_default()),
            "see the format of OpenFGA's store files at https://openfga.dev/docs/modeling/testing",
        );
        match error.location() {
            Some(location) => fault.at(location.line()),
            None => fault,
        }
    })
}
