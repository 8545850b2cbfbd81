//! Master keys, from outside of the program; one derived key for each purpose, so that no key ever does two things.
//!
//! A ring holds one key that seals, and others that only open: those that will seal once every instance knows them, and those that did. One key
//! of the ring, the lasting one, gives names and everything else that a rotation must not change. Keys are derived by HKDF-SHA256 (RFC 5869).

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::ConfigError;
use crate::ring_file::RingFile;

/// The least length of a master key, in bytes.
pub const MIN_MASTER_KEY_BYTES: usize = 32;
/// The greatest length of a master key's file, in bytes: what is larger is not a key.
pub const MAX_MASTER_KEY_FILE_BYTES: u64 = 4_096;
/// Says whose derivations these are; another program with the same master key derives others.
const SALT: &[u8] = b"tiergate/redis/v1";

/// Tells master keys apart, and says nothing of them.
pub(crate) type KeyId = [u8; 4];

/// Derives keys from master keys, which it does not keep.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[MasterKey]>,
    active: usize,
    lasting: usize,
}

/// What HKDF extracts from a master key.
pub(crate) struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub(crate) fn new(master: &[u8]) -> Self {
        let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(SALT), master);
        let kept = Zeroizing::new(extracted.into());
        extracted.as_mut_slice().zeroize();
        Self(kept)
    }

    pub(crate) fn id(&self) -> KeyId {
        *self.derive("key id")
    }

    pub(crate) fn derive<const BYTES: usize>(&self, purpose: &str) -> Zeroizing<[u8; BYTES]> {
        let extracted = Hkdf::<Sha256>::from_prk(&*self.0).expect("as long as a hash");
        let mut key = Zeroizing::new([0; BYTES]);
        extracted.expand(purpose.as_bytes(), &mut *key).expect("a key is shorter than 255 hashes");
        key
    }
}

impl Keyring {
    /// From the master key's bytes.
    ///
    /// # Errors
    /// Where there are fewer than [`MIN_MASTER_KEY_BYTES`].
    pub fn from_bytes(master: &[u8]) -> Result<Self, ConfigError> {
        if master.len() < MIN_MASTER_KEY_BYTES {
            return Err(ConfigError::Unusable {
                what: "the master key",
                problem: format!(
                    "it has {} bytes, and needs {MIN_MASTER_KEY_BYTES}; make one with: openssl rand -base64 32",
                    master.len()
                ),
            });
        }
        Ok(Self::of(vec![MasterKey::new(master)], 0, 0))
    }

    /// From text, as the environment holds it: hexadecimal or base64.
    ///
    /// # Errors
    /// Where it is neither, or too short.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let master = decode(text.trim()).ok_or_else(|| ConfigError::Unusable {
            what: "the master key",
            problem: "it is neither hexadecimal nor base64; make one with: openssl rand -base64 32".to_owned(),
        })?;
        Self::from_bytes(&master)
    }

    /// From a file that only its owner may read: hexadecimal, base64, or the bytes themselves.
    ///
    /// # Errors
    /// Where the file can't be read, where others may read it, or where it holds too little.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |problem: String| ConfigError::File {
            what: "the master key's file",
            path: path.display().to_string(),
            problem,
        };
        let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
        if metadata.len() > MAX_MASTER_KEY_FILE_BYTES {
            return Err(refuse(format!("it has {} bytes, and a key has fewer", metadata.len())));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(refuse(format!("its mode is {mode:o}, so that others may read it; run: chmod 600 on it")));
            }
        }
        let bytes = Zeroizing::new(std::fs::read(path).map_err(|error| refuse(error.to_string()))?);
        let decoded = std::str::from_utf8(&bytes).ok().and_then(|text| decode(text.trim()));
        Self::from_bytes(decoded.as_ref().unwrap_or(&bytes))
    }

    /// The ring of a file: see [`RingFile`].
    ///
    /// # Errors
    /// Where the file can't be read, others may read it, or a key in it can't be used.
    pub fn from_ring_file(path: &Path) -> Result<Self, ConfigError> {
        RingFile::read(path)?.keyring()
    }

    pub(crate) fn of(keys: Vec<MasterKey>, active: usize, lasting: usize) -> Self {
        Self { keys: keys.into(), active, lasting }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.keys.iter()
    }

    /// The place of the key that seals.
    pub(crate) const fn active_at(&self) -> usize {
        self.active
    }

    /// A ring whose master key nobody knows: what is stored under it, nobody else can read, and after a restart neither can we.
    ///
    /// # Errors
    /// Where the operating system has no randomness to give.
    pub fn random() -> Result<Self, ConfigError> {
        let mut master = Zeroizing::new([0; MIN_MASTER_KEY_BYTES]);
        getrandom::fill(&mut *master).map_err(|error| ConfigError::Unusable {
            what: "the master key",
            problem: format!("the operating system gave no randomness: {error}"),
        })?;
        Self::from_bytes(&*master)
    }

    /// The id of the key that seals, as a file and a metric show it: eight hexadecimal digits.
    #[must_use]
    pub fn active_id(&self) -> String {
        id_text(self.keys[self.active].id())
    }

    /// The key of one purpose, from the lasting key: a rotation does not change it.
    ///
    /// # Panics
    /// For keys of more than 8,160 bytes, which HKDF-SHA256 can't give; the length is a constant of the caller.
    #[must_use]
    pub fn derive<const BYTES: usize>(&self, purpose: &str) -> [u8; BYTES] {
        *self.keys[self.lasting].derive(purpose)
    }
}

/// An id as text.
pub(crate) fn id_text(id: KeyId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring([redacted])")
    }
}

/// Hexadecimal goes first: its digits are base64 as well, of something else.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let hexadecimal = || -> Option<Vec<u8>> {
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
    };
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    let base64 = || [STANDARD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(text).ok());
    hexadecimal().or_else(base64).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_master_key_gives_each_purpose_a_key_of_its_own() {
        let ring = Keyring::from_bytes(&[7; 32]).expect("long enough");
        assert_ne!(ring.derive::<16>("names"), ring.derive::<16>("checksum"));
        assert_eq!(ring.derive::<16>("names"), Keyring::from_bytes(&[7; 32]).expect("the same").derive::<16>("names"));
        assert_ne!(ring.derive::<16>("names"), Keyring::from_bytes(&[8; 32]).expect("another").derive::<16>("names"));
    }

    #[test]
    fn a_key_is_hexadecimal_or_base64_and_at_least_32_bytes() {
        let purposes = |ring: Keyring| ring.derive::<16>("names");
        let raw = Keyring::from_bytes(&[0xab; 32]).map(purposes);
        assert_eq!(Keyring::from_text(&"ab".repeat(32)).map(purposes), raw);
        let base64 = base64::engine::general_purpose::STANDARD.encode([0xab; 32]);
        assert_eq!(Keyring::from_text(&format!(" {base64}\n")).map(purposes), raw);
        let short = Keyring::from_text(&"ab".repeat(31)).expect_err("too short").to_string();
        assert!(short.contains("31 bytes") && short.contains("openssl rand"), "{short}");
        assert!(Keyring::from_text("not a key!").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        std::fs::write(&path, "ab".repeat(32)).expect("written");
        for (mode, usable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(Keyring::from_file(&path).is_ok(), usable, "mode {mode:o}");
        }
        assert!(Keyring::from_file(&folder.path().join("absent")).is_err());
    }
}
