//! The command `keys`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::credentials::Scope;

const KEYS_EXAMPLES: &str = "\
Examples:
  tiergate keys new keys.toml --name render-service --scope check --store 01ARZ3NDEKTSV4RRFFQ69G5FAV --output render.key
  tiergate keys new keys.toml --name operator --scope check,write,explain,admin --days 90
  tiergate keys list keys.toml
  tiergate keys rotate keys.toml render-service      another key for the same; deploy it, then
  tiergate keys revoke keys.toml 3f9a1c0e77b2        remove the old one

The server reads the file that auth.keys_file names, when it starts, at SIGHUP, and at POST /admin/v1/reload:
a key that was revoked is valid on each instance until that one has read the file.
Scopes: check asks; write changes stores, models and relationships, and reads them; explain is told why;
admin operates the server. None contains another.

Exit status: 0 done, 2 it could not be carried out; the file is then as it was.";

/// What to do with API keys.
#[derive(Debug, Subcommand)]
#[command(after_help = KEYS_EXAMPLES)]
pub enum KeysCommand {
    /// Add a key for somebody, and print it: nobody can show it again. The file is made where it is missing
    New {
        /// The file; only its owner may read it
        file: PathBuf,
        /// Whom it is for, as in render-service
        #[arg(long)]
        name: String,
        /// What it may be used for; may be repeated
        #[arg(long = "scope", required = true, value_enum, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// The only store that it may name; all of them without
        #[arg(long, value_name = "ID")]
        store: Option<String>,
        /// For how many days it is valid; for ever without
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        days: Option<u32>,
        /// Write the key into this new file, which only its owner may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show the keys: id, name, scopes, store and end, and never a secret
    List {
        /// The file
        file: PathBuf,
    },
    /// Add a key that takes turns with the newest one of this name, and print it; the old ones stay valid
    Rotate {
        /// The file
        file: PathBuf,
        /// The name, as `keys list` shows it
        name: String,
        /// For how many days it is valid; for ever without, where that is so of the old one
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        days: Option<u32>,
        /// Write the key into this new file, which only its owner may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove the key of this id, or all keys of this name
    Revoke {
        /// The file
        file: PathBuf,
        /// Its id or name, as `keys list` shows it
        key: String,
    },
}
