//! What only an origin in a file can do wrong.

mod bounds;
mod damage;
mod foreign;
mod history;
mod load;
mod reopen;
mod rows;
mod upgrade;

use std::path::{Path, PathBuf};

use authz::store::sqlite::SqliteConfig;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use tempfile::TempDir;

/// A directory and the path of a data file in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("origin.db");
    (directory, path)
}

/// Another program that has the data file open, as the `sqlite3` shell would: with SQLite's defaults.
fn shell(path: &Path) -> SqliteConnection {
    SqliteConnection::establish(path.to_str().unwrap()).unwrap()
}

fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path)
}
