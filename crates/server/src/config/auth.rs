//! The settings of who may call.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who may call. Without any of these everybody may, and only from this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// API keys, by their digests: a file that `tiergate keys` makes, and only its owner may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<PathBuf>,
}
