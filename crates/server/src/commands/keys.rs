//! `tiergate keys`

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use authz::store::{StoreId, SystemWallClock, UnixMillis, WallClock as _};
use cache_redis::secret_file;
use zeroize::Zeroizing;

use super::{YES, fail, note, say};
use crate::cli::KeysCommand;
use crate::credentials::{KeyInfo, KeysFile, Scopes};
use crate::routes::path::ulid;
use crate::wire::rfc3339;

const DAY_MS: u64 = 86_400_000;

pub(super) fn run(command: &KeysCommand) -> ExitCode {
    match carry_out(command) {
        Ok(()) => YES,
        Err(problem) => fail(problem),
    }
}

fn carry_out(command: &KeysCommand) -> Result<(), String> {
    match command {
        KeysCommand::New { file, name, scopes, store, days, output } => {
            let store = store.as_deref().map(|text| ulid(text, "--store").map(StoreId)).transpose();
            let store = store.map_err(|fault| fault.message.into_owned())?;
            let keys = if is_missing(file) { KeysFile::default() } else { read(file)? };
            add(file, keys, output.as_deref(), |keys| keys.add(name, Scopes::of(scopes), store, end(*days)))
        }
        KeysCommand::List { file } => {
            read(file)?.keys().for_each(|key| say(line(key)));
            Ok(())
        }
        KeysCommand::Rotate { file, name, days, output } => {
            let keys = read(file)?;
            let old: Vec<String> = keys.keys().filter(|key| key.name == *name).map(|key| key.id.clone()).collect();
            add(file, keys, output.as_deref(), |keys| keys.rotate(name, end(*days)))?;
            note(format_args!(
                "when it is in use everywhere: tiergate keys revoke {} {}",
                file.display(),
                old.join(" or ")
            ));
            Ok(())
        }
        KeysCommand::Revoke { file, key } => {
            let mut keys = read(file)?;
            let removed = keys.revoke(key)?;
            keys.write(file).map_err(|error| error.to_string())?;
            say(format_args!(
                "{removed} removed; they are valid until each instance has read the file (SIGHUP, or POST /admin/v1/reload)"
            ));
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<KeysFile, String> {
    KeysFile::read(file).map_err(|error| error.to_string())
}

/// Whether there is none. One that can't be looked at is none that is missing.
fn is_missing(file: &Path) -> bool {
    matches!(std::fs::symlink_metadata(file), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Adds a key, and gives it away: where that fails, the file is as it was.
fn add(
    file: &Path,
    mut keys: KeysFile,
    output: Option<&Path>,
    step: impl FnOnce(&mut KeysFile) -> Result<Zeroizing<String>, String>,
) -> Result<(), String> {
    let key = step(&mut keys)?;
    let problem =
        |what: &dyn std::fmt::Display, error: std::io::Error| format!("the key can't be written to {what}: {error}");
    match output {
        Some(output) => {
            secret_file::create(output, &format!("{}\n", key.as_str()))
                .map_err(|error| problem(&output.display(), error))?;
            keys.write(file).map_err(|error| error.to_string())
        }
        None => {
            keys.write(file).map_err(|error| error.to_string())?;
            let mut out = std::io::stdout();
            writeln!(out, "{}", key.as_str())
                .and_then(|()| out.flush())
                .map_err(|error| problem(&"the standard output", error))?;
            note("keep it: it can't be shown again");
            Ok(())
        }
    }
}

fn end(days: Option<u32>) -> Option<UnixMillis> {
    days.map(|days| SystemWallClock.unix_millis().saturating_add(u64::from(days).saturating_mul(DAY_MS)))
}

fn line(KeyInfo { id, name, scopes, store, expires }: &KeyInfo) -> String {
    let store = store.map_or_else(|| "all stores".to_owned(), |store| format!("store {}", store.0));
    let end = expires.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", rfc3339(end)));
    format!("{id}  {name:<20}  {scopes:<30}  {store:<32}  {end}")
}
