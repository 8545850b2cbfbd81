//! The settings of the master keys, from which every other key is derived.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SecretText;

/// Where the master key is. Instances that share a Redis need the same one.
///
/// Without any, the server makes one itself at its first start: in PostgreSQL where that is the origin, else as a file in the data
/// directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// A file that only its owner may read, with at least 32 bytes: hexadecimal, base64, or the bytes themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_file: Option<PathBuf>,
    /// The key itself, in hexadecimal or base64: for the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<SecretText>,
    /// A ring of keys, which can be rotated: a file that `tiergate ring` makes, and only its owner may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_file: Option<PathBuf>,
}
