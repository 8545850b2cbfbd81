//! API keys as a file that only its owner may read, and the steps that change it.
//!
//! ```toml
//! [[key]]
//! id = "3f9a1c0e77b2"
//! name = "render-service"
//! scopes = ["check"]
//! store = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
//! expires = "2027-06-30T00:00:00Z"
//! sha256 = "…"
//! ```
//!
//! `store` and `expires` may be left out. A key is not in it, and can't be found from it.

use std::collections::HashSet;
use std::path::Path;

use authz::store::{StoreId, UnixMillis};
use cache_redis::secret_file;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::key::{Digest, ID_DIGITS, NewKey};
use super::{Scope, Scopes};
use crate::routes::path::ulid;
use crate::wire::{millis, rfc3339};

/// The most keys of a file.
pub const MAX_KEYS: usize = 1_000;
/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Why a file of keys can't be used, or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file of keys {path} can't be used: {problem}")]
pub struct KeyFileError {
    /// The file.
    pub path: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What may be shown of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id: 12 hexadecimal digits.
    pub id: String,
    /// Whom it is for.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only store that it is for.
    pub store: Option<StoreId>,
    /// From when on it is no key any more.
    pub expires: Option<UnixMillis>,
}

/// A file of keys, to be looked at, or changed and written.
#[derive(Default)]
pub struct KeysFile {
    keys: Vec<(KeyInfo, Digest)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    name: String,
    scopes: Vec<String>,
    store: Option<String>,
    expires: Option<String>,
    sha256: String,
}

impl KeysFile {
    /// Reads one.
    ///
    /// # Errors
    /// Where it can't be read, others may read it, or something in it can't be used.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = secret_file::read(path, MAX_FILE_BYTES).map_err(|problem| refused(path, problem))?;
        Self::parse(&text).map_err(|problem| refused(path, problem))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let Document { key } =
            secret_file::parse(text, "a file of keys holds: [[key]] with id, name, scopes, store, expires and sha256")?;
        if key.len() > MAX_KEYS {
            return Err(format!("it holds {} keys, and at most {MAX_KEYS} are allowed", key.len()));
        }
        let mut ids = HashSet::new();
        let mut file = Self { keys: Vec::with_capacity(key.len()) };
        for (at, written) in key.into_iter().enumerate() {
            let entry = written.read().map_err(|problem| format!("key number {}: {problem}", at + 1))?;
            if !ids.insert(entry.0.id.clone()) {
                return Err(format!("key {} stands there twice; remove one", entry.0.id));
            }
            let KeyInfo { name, scopes, store, .. } = &entry.0;
            file.check_alike(name, *scopes, *store)?;
            file.keys.push(entry);
        }
        Ok(file)
    }

    /// What may be shown of its keys, the oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.keys.iter().map(|(info, _)| info)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&KeyInfo, Digest)> {
        self.keys.iter().map(|(info, digest)| (info, *digest))
    }

    /// Adds a new key; the key itself, which nobody can show again.
    ///
    /// # Errors
    /// Where the name can't be one, no scope is given, there are [`MAX_KEYS`] already, or there is no randomness.
    pub fn add(
        &mut self,
        name: &str,
        scopes: Scopes,
        store: Option<StoreId>,
        expires: Option<UnixMillis>,
    ) -> Result<Zeroizing<String>, String> {
        check_name(name)?;
        check_scopes(scopes)?;
        self.check_alike(name, scopes, store)?;
        if self.keys.len() >= MAX_KEYS {
            return Err(format!("it holds {MAX_KEYS} keys already; revoke those that nobody uses"));
        }
        let key = NewKey::generate().map_err(|error| format!("the operating system gave no randomness: {error}"))?;
        let digest = key.digest();
        self.keys.push((KeyInfo { id: key.id, name: name.to_owned(), scopes, store, expires }, digest));
        Ok(key.text)
    }

    /// Adds a key that takes turns with the newest one of this name, and is for the same; the old ones stay valid.
    ///
    /// # Errors
    /// Where no key has this name, and as [`KeysFile::add`].
    pub fn rotate(&mut self, name: &str, expires: Option<UnixMillis>) -> Result<Zeroizing<String>, String> {
        let newest = self.keys().filter(|key| key.name == name).last().cloned();
        let KeyInfo { scopes, store, expires: had_end, .. } = newest.ok_or_else(|| self.unknown(name))?;
        if had_end.is_some() && expires.is_none() {
            return Err(format!("the key of {name} has an end, and the new one would have none; say --days"));
        }
        self.add(name, scopes, store, expires)
    }

    /// Removes the key of this id, or all keys of this name; how many they were.
    ///
    /// # Errors
    /// Where there is none.
    pub fn revoke(&mut self, id_or_name: &str) -> Result<usize, String> {
        let before = self.keys.len();
        self.keys.retain(|(key, _)| key.id != id_or_name && key.name != id_or_name);
        match before - self.keys.len() {
            0 => Err(self.unknown(id_or_name)),
            removed => Ok(removed),
        }
    }

    /// Keys of one name take turns, and are for the same.
    fn check_alike(&self, name: &str, scopes: Scopes, store: Option<StoreId>) -> Result<(), String> {
        match self.keys().find(|key| key.name == name && (key.scopes, key.store) != (scopes, store)) {
            Some(other) => Err(format!(
                "key {} has the name {name} too, with other scopes or another store; choose another name",
                other.id
            )),
            None => Ok(()),
        }
    }

    fn unknown(&self, what: &str) -> String {
        let mut names: Vec<&str> = self.keys().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        format!("there is no key {what:?}; there are: {}", names.join(", "))
    }

    /// Writes it in place of what is there, in one step.
    ///
    /// # Errors
    /// Where it can't be written; what is there stays then.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        secret_file::replace(path, &self.text()).map_err(|error| refused(path, error.to_string()))
    }

    fn text(&self) -> String {
        let mut text = "# API keys of Tiergate, by their digests. Change it with `tiergate keys`.\n".to_owned();
        for (KeyInfo { id, name, scopes, store, expires }, digest) in &self.keys {
            let scopes: Vec<String> = scopes.iter().map(|scope| format!("{:?}", scope.label())).collect();
            text.push_str(&format!("\n[[key]]\nid = \"{id}\"\nname = \"{name}\"\nscopes = [{}]\n", scopes.join(", ")));
            if let Some(store) = store {
                text.push_str(&format!("store = \"{}\"\n", store.0));
            }
            if let Some(expires) = expires {
                text.push_str(&format!("expires = \"{}\"\n", rfc3339(*expires)));
            }
            text.push_str(&format!("sha256 = \"{}\"\n", digest.text()));
        }
        text
    }
}

impl Written {
    fn read(self) -> Result<(KeyInfo, Digest), String> {
        let Self { id, name, scopes, store, expires, sha256 } = self;
        if id.len() != ID_DIGITS || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format!("id has to be {ID_DIGITS} hexadecimal digits; add keys with: tiergate keys new"));
        }
        check_name(&name)?;
        let scopes = scopes.iter().map(|text| text.parse()).collect::<Result<Vec<Scope>, _>>()?;
        let scopes = Scopes::of(&scopes);
        check_scopes(scopes)?;
        let store = store.map(|text| ulid(&text, "store").map(StoreId)).transpose();
        let store = store.map_err(|fault| fault.message.into_owned())?;
        let expires = expires
            .map(|text| millis(&text).ok_or("expires is no time; write it as 2027-06-30T00:00:00Z"))
            .transpose()?;
        let digest = Digest::parse(&sha256).ok_or("sha256 has to be 64 hexadecimal digits")?;
        Ok((KeyInfo { id, name, scopes, store, expires }, digest))
    }
}

/// Names go into logs and into the file as they are.
fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(format!("a name has 1 to {MAX_NAME_BYTES} letters, digits, dots, - and _, as in render-service")),
    }
}

fn check_scopes(scopes: Scopes) -> Result<(), String> {
    match scopes.iter().next() {
        Some(_) => Ok(()),
        None => Err(format!("a key without a scope is for nothing; there are: {}", Scopes::of(&Scope::ALL))),
    }
}

fn refused(path: &Path, problem: String) -> KeyFileError {
    KeyFileError { path: path.display().to_string(), problem }
}
