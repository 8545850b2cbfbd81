//! A ring of master keys as a file that only its owner may read, and the steps that change it.
//!
//! ```toml
//! [[key]]
//! id = "1f2e3d4c"
//! state = "active"
//! names = true
//! secret = "…"
//! ```
//!
//! Exactly one key is active. No error shows a secret. Ids are derived from secrets, so that a secret that was cut or pasted under another id is
//! noticed.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::keyring::{Keyring, MIN_MASTER_KEY_BYTES, MasterKey, decode, id_text};
use crate::secret_file;

/// The most keys of a ring.
pub const MAX_RING_KEYS: usize = 16;
/// The largest file of a ring, in bytes.
const MAX_RING_FILE_BYTES: u64 = 64 << 10;
/// Fewer different bytes than these a random key of [`MIN_MASTER_KEY_BYTES`] never has (once in 10^20).
const MIN_DIFFERENT_BYTES: usize = 16;

/// What a key of a ring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It opens what others seal; it will seal once every instance knows it.
    PreActive,
    /// It seals. There is exactly one.
    Active,
    /// It opens what it sealed.
    Retiring,
}

impl KeyState {
    /// As the file says it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PreActive => "pre-active",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

/// What may be shown of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id: eight hexadecimal digits.
    pub id: String,
    /// What it is for.
    pub state: KeyState,
    /// Whether names derive from it.
    pub names: bool,
}

/// A ring, to be changed and written.
pub struct RingFile {
    keys: Vec<RingKey>,
}

struct RingKey {
    info: KeyInfo,
    secret: Zeroizing<Vec<u8>>,
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
    state: KeyState,
    #[serde(default)]
    names: bool,
    secret: Zeroizing<String>,
}

impl RingFile {
    /// A ring of one new key, which is active.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn generate() -> Result<Self, ConfigError> {
        let mut ring = Self { keys: Vec::new() };
        ring.add()?;
        ring.keys[0].info = KeyInfo { state: KeyState::Active, names: true, ..ring.keys[0].info.clone() };
        Ok(ring)
    }

    /// Reads a ring.
    ///
    /// # Errors
    /// Where it can't be read, others may read it, or something in it can't be used.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |problem: String| refused(path, problem);
        let text = secret_file::read(path, MAX_RING_FILE_BYTES).map_err(refuse)?;
        Self::parse(&text).map_err(refuse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let Document { key } = secret_file::parse(
            text,
            "a ring holds: [[key]] with id, state (pre-active, active, retiring), names and secret",
        )?;
        let mut keys: Vec<RingKey> = Vec::new();
        for Written { id, state, names, secret } in key {
            let shown: String = id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
            let secret = decode(secret.trim()).ok_or(format!(
                "the secret of key {shown} is neither hexadecimal nor base64; add a key with: tiergate ring add"
            ))?;
            check(&secret)
                .map_err(|problem| format!("the secret of key {shown} {problem}; add a key with: tiergate ring add"))?;
            let derived = id_text(MasterKey::new(&secret).id());
            if id != derived {
                return Err(format!(
                    "the secret under id {shown} is that of key {derived}: it was cut, changed, or stands under the wrong id"
                ));
            }
            if keys.iter().any(|known| known.info.id == id) {
                return Err(format!("key {id} stands there twice; remove one"));
            }
            keys.push(RingKey { info: KeyInfo { id, state, names }, secret });
        }
        let mut ring = Self { keys };
        ring.settle()?;
        Ok(ring)
    }

    /// Without a key that names derive from, that is the oldest.
    fn settle(&mut self) -> Result<(), String> {
        if self.keys.len() > MAX_RING_KEYS {
            return Err(format!("it holds {} keys, and at most {MAX_RING_KEYS} are allowed", self.keys.len()));
        }
        let active = self.keys.iter().filter(|key| key.info.state == KeyState::Active).count();
        if active != 1 {
            return Err(format!("{active} keys are active, and exactly one must be"));
        }
        match self.keys.iter().filter(|key| key.info.names).count() {
            0 => self.keys[0].info.names = true,
            1 => {}
            several => return Err(format!("{several} keys have names = true, and names derive from one")),
        }
        Ok(())
    }

    /// What may be shown of its keys, the oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.keys.iter().map(|key| &key.info)
    }

    /// The keys, to work with.
    ///
    /// # Errors
    /// Where not exactly one is active.
    pub fn keyring(&self) -> Result<Keyring, ConfigError> {
        let at = |wanted: &dyn Fn(&KeyInfo) -> bool| self.keys().position(wanted);
        match (at(&|key| key.state == KeyState::Active), at(&|key| key.names)) {
            (Some(active), Some(lasting)) => {
                let keys = self.keys.iter().map(|key| MasterKey::new(&key.secret)).collect();
                Ok(Keyring::of(keys, active, lasting))
            }
            _ => Err(unusable("no key is active".to_owned())),
        }
    }

    /// Adds a new key, which opens and does not seal yet; its id.
    ///
    /// # Errors
    /// Where there is no randomness, or there are [`MAX_RING_KEYS`] already.
    pub fn add(&mut self) -> Result<String, ConfigError> {
        if self.keys.len() >= MAX_RING_KEYS {
            return Err(unusable(format!("it holds {MAX_RING_KEYS} keys already; destroy one that retired long ago")));
        }
        let mut secret = Zeroizing::new(vec![0; MIN_MASTER_KEY_BYTES]);
        getrandom::fill(&mut secret)
            .map_err(|error| unusable(format!("the operating system gave no randomness: {error}")))?;
        let id = id_text(MasterKey::new(&secret).id());
        if self.keys().any(|key| key.id == id) {
            // Once in 2^32: two keys must not share an id.
            return self.add();
        }
        self.keys.push(RingKey { info: KeyInfo { id: id.clone(), state: KeyState::PreActive, names: false }, secret });
        Ok(id)
    }

    /// Lets a key seal; the one that did retires.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn activate(&mut self, id: &str) -> Result<(), ConfigError> {
        let at = self.find(id)?;
        for key in &mut self.keys {
            if key.info.state == KeyState::Active {
                key.info.state = KeyState::Retiring;
            }
        }
        self.keys[at].info.state = KeyState::Active;
        Ok(())
    }

    /// Lets a key that never sealed, or does no more, only open.
    ///
    /// # Errors
    /// Where there is no such key, or it is the active one.
    pub fn retire(&mut self, id: &str) -> Result<(), ConfigError> {
        let at = self.find_inactive(id)?;
        self.keys[at].info.state = KeyState::Retiring;
        Ok(())
    }

    /// Removes a key for ever: what it sealed nobody opens again. Whether names change by it, so that everything is a miss.
    ///
    /// # Errors
    /// Where there is no such key, or it is the active one.
    pub fn destroy(&mut self, id: &str) -> Result<bool, ConfigError> {
        let at = self.find_inactive(id)?;
        let named = self.keys.remove(at).info.names;
        self.settle().map_err(unusable)?;
        Ok(named)
    }

    fn find(&self, id: &str) -> Result<usize, ConfigError> {
        let known = || self.keys().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ");
        self.keys()
            .position(|key| key.id == id)
            .ok_or_else(|| unusable(format!("it has no such key; it has {}", known())))
    }

    fn find_inactive(&self, id: &str) -> Result<usize, ConfigError> {
        let at = self.find(id)?;
        match self.keys[at].info.state {
            KeyState::Active => {
                Err(unusable(format!("key {id} is active; activate another one first, which makes it retiring")))
            }
            _ => Ok(at),
        }
    }

    /// Writes it where nothing is yet.
    ///
    /// # Errors
    /// Where something is, or it can't be written.
    pub fn create(&self, path: &Path) -> Result<(), ConfigError> {
        secret_file::create(path, &self.text()).map_err(|error| refused(path, error.to_string()))
    }

    /// Writes it in place of what is there, in one step.
    ///
    /// # Errors
    /// Where it can't be written; what is there stays then.
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        secret_file::replace(path, &self.text()).map_err(|error| refused(path, error.to_string()))
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(512 * (1 + self.keys.len())));
        text.push_str("# Master keys of Tiergate. Keep it secret, and change it with `tiergate ring`.\n");
        for RingKey { info: KeyInfo { id, state, names }, secret } in &self.keys {
            text.push_str(&format!("\n[[key]]\nid = \"{id}\"\nstate = \"{}\"\n", state.label()));
            if *names {
                text.push_str("names = true\n");
            }
            let secret = Zeroizing::new(STANDARD.encode(&**secret));
            text.push_str("secret = \"");
            text.push_str(&secret);
            text.push_str("\"\n");
        }
        text
    }
}

impl std::fmt::Debug for RingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

/// Refuses what somebody has typed, or left as it was in an example.
fn check(secret: &[u8]) -> Result<(), String> {
    if secret.len() < MIN_MASTER_KEY_BYTES {
        return Err(format!("has {} bytes, and needs {MIN_MASTER_KEY_BYTES}", secret.len()));
    }
    let mut seen = [false; 256];
    secret.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    let step = secret[1].wrapping_sub(secret[0]);
    let is_counted = secret.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    let is_repeated = (1..=secret.len() / 2).any(|period| secret.iter().zip(&secret[period..]).all(|(a, b)| a == b));
    match different < MIN_DIFFERENT_BYTES || is_counted || is_repeated {
        true => Err("is not random, and can be guessed".to_owned()),
        false => Ok(()),
    }
}

fn refused(path: &Path, problem: String) -> ConfigError {
    ConfigError::File { what: "the ring of keys", path: path.display().to_string(), problem }
}

fn unusable(problem: String) -> ConfigError {
    ConfigError::Unusable { what: "the ring of keys", problem }
}

#[cfg(test)]
mod tests;
