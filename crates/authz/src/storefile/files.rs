//! Reading files within bounds, and YAML out of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::StoreFileError;

/// The largest store file, model file or tuple file, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, StoreFileError> {
    let cannot = |error: std::io::Error| {
        StoreFileError::new(path, format!("the file can't be read: {error}"), "check the path and who may read it")
    };
    // Asked before it is opened, because opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(StoreFileError::new(path, "this is no file", "name a file"));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let what = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        return Err(StoreFileError::new(path, what, "split it into several files"));
    }
    String::from_utf8(bytes)
        .map_err(|error| StoreFileError::new(path, format!("the file is not UTF-8: {error}"), "save it as UTF-8"))
}

/// A path that a file names is relative to that file.
pub(super) fn beside(file: &Path, named: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}

/// What a file holds as YAML. Aliases that multiply are refused, as is nesting of more than 64 levels.
pub(super) fn yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, StoreFileError> {
    // Each relationship takes 7 nodes; what a file of the largest size holds shall be enough.
    let budget = serde_saphyr::budget! { max_nodes: 4_000_000, max_events: 8_000_000 };
    let options = serde_saphyr::options! { with_snippet: false, budget: budget };
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
