//! An API key as its holder has it: `tiergate_<id>_<secret>`, 12 and 64 hexadecimal digits.
//!
//! The beginning lets scanners of repositories and logs know one when they see it. Of the secret's 256 random bits only the SHA-256 of the whole key is kept: what is that
//! random can't be guessed, and needs no slow hash.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::wire::hex;

const PREFIX: &str = "tiergate_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// Hexadecimal digits of an id.
pub(super) const ID_DIGITS: usize = 2 * ID_BYTES;
/// Hexadecimal digits of a digest.
pub(super) const DIGEST_DIGITS: usize = 64;

/// A new key, which is shown once.
pub(super) struct NewKey {
    pub(super) id: String,
    pub(super) text: Zeroizing<String>,
}

/// A key that somebody shows.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    whole: &'a str,
}

/// The SHA-256 of a key. Two are compared in constant time, and in no other way.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl NewKey {
    /// Draws one.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], Zeroizing::new([0; SECRET_BYTES]));
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut *secret)?;
        let (id, secret) = (hex(&id), Zeroizing::new(hex(&*secret)));
        let text = Zeroizing::new([PREFIX, &id, "_", &secret].concat());
        Ok(Self { id, text })
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}

impl<'a> Presented<'a> {
    /// None where it can be no key, which tells nothing of any.
    pub(super) fn parse(whole: &'a str) -> Option<Self> {
        let (id, secret) = whole.strip_prefix(PREFIX)?.split_once('_')?;
        let is_key = id.len() == ID_DIGITS && secret.len() == 2 * SECRET_BYTES;
        is_key.then_some(Self { id, whole })
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.whole)
    }
}

impl Digest {
    fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != DIGEST_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        hex(&self.0)
    }

    /// Whether it is the known one. Where none is known, it takes as long.
    pub(super) fn is(&self, known: Option<&Self>) -> bool {
        let other = known.map_or([0; 32], |known| known.0);
        let is_same = bool::from(self.0.ct_eq(&other));
        is_same & known.is_some()
    }
}
