//! What comes out of Redis is what was put there, under that name, by somebody with our keys, or it is nothing.
//!
//! A seal has one of two forms, by the settings and never by what lies there: a value in the other form is a miss, so that nobody can talk an
//! instance out of encryption.
//!
//! ```text
//! checksum:  version (1 byte) | key id (4) | content | checksum (16)
//! cipher:    magic (2) | format (1) | key id (4) | nonce (24) | content and padding, encrypted | tag (16)
//! ```
//!
//! The checksum is SipHash-2-4-128 (Aumasson and Bernstein 2012), keyed, over the name and the envelope; the name is a keyed hash of all that
//! tells two values apart. It hides nothing. The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), which hides the content and binds it
//! to everything that the name is a hash of, spelt out: see [`Place`]. Its nonces are drawn: with 192 bits no counter has to be shared by
//! instances. Content is padded to steps of [`PADDING_STEP`] bytes, so that its length says little.
//!
//! The key that an envelope names is the only one that is tried.

use std::hash::Hasher as _;
use std::sync::Arc;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use siphasher::sip128::{Hasher128, SipHasher24};
use zeroize::Zeroizing;

use crate::envelope::{Fault, Faulty};
use crate::keyring::{KeyId, Keyring};
use crate::name::{Place, prefixed};
use crate::randomness::{NoRandomness, Randomness};

/// What an envelope with a checksum begins with: the version of its layout. Another one for every change of it, and another name: see
/// [`crate::name`].
pub(crate) const VERSION: u8 = 2;
/// What an encrypted envelope begins with. Neither byte is text, nor a version of the other form, nor will one be.
pub(crate) const MAGIC: [u8; 2] = [0xe5, 0xa7];
/// The layout behind the magic bytes.
pub(crate) const FORMAT: u8 = 1;
/// Encrypted content is a multiple of so many bytes long.
pub const PADDING_STEP: usize = 64;

const KEY_ID_BYTES: usize = size_of::<KeyId>();
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 16;
/// Where the content of an envelope with a checksum begins.
const CHECKED_AT: usize = 1 + KEY_ID_BYTES;
/// Where the nonce of an encrypted one begins, and its content.
const NONCE_AT: usize = MAGIC.len() + 1 + KEY_ID_BYTES;
const ENCRYPTED_AT: usize = NONCE_AT + NONCE_BYTES;
/// What marks the end of the content within its padding (ISO/IEC 7816-4).
const END_MARK: u8 = 0x80;

/// How envelopes are sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Anybody can read them, and nobody else change them.
    Checksum,
    /// Nobody else can read them.
    Cipher,
}

/// Seals envelopes by one form, and opens them; with every key of a ring.
pub(crate) struct Seals {
    form: Form,
    keys: Vec<(KeyId, Lock)>,
    active: usize,
    randomness: Arc<dyn Randomness>,
}

enum Lock {
    Checksum(Zeroizing<[u8; 16]>),
    // It clears its key when it is dropped.
    Cipher(Box<XChaCha20Poly1305>),
}

/// An envelope whose seal fits.
#[derive(Debug)]
pub(crate) struct Opened {
    bytes: Vec<u8>,
    at: usize,
}

impl Opened {
    pub(crate) fn content(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

impl Seals {
    pub(crate) fn new(keyring: &Keyring, form: Form, randomness: Arc<dyn Randomness>) -> Self {
        let lock = |key: &crate::keyring::MasterKey| match form {
            Form::Checksum => Lock::Checksum(key.derive("checksum")),
            Form::Cipher => {
                let key: Zeroizing<[u8; 32]> = key.derive("values");
                Lock::Cipher(Box::new(XChaCha20Poly1305::new((&*key).into())))
            }
        };
        let keys = keyring.keys().map(|key| (key.id(), lock(key))).collect();
        Self { form, keys, active: keyring.active_at(), randomness }
    }

    /// An envelope that takes so many bytes of content.
    pub(crate) fn begin(&self, content: usize) -> Vec<u8> {
        let (id, _) = &self.keys[self.active];
        match self.form {
            Form::Checksum => {
                let mut bytes = Vec::with_capacity(CHECKED_AT + content + CHECKSUM_BYTES);
                bytes.push(VERSION);
                bytes.extend_from_slice(id);
                bytes
            }
            Form::Cipher => {
                let mut bytes = Vec::with_capacity(ENCRYPTED_AT + content + PADDING_STEP + TAG_BYTES);
                bytes.extend_from_slice(&MAGIC);
                bytes.push(FORMAT);
                bytes.extend_from_slice(id);
                bytes.resize(ENCRYPTED_AT, 0);
                bytes
            }
        }
    }

    /// Seals what [`Self::begin`] began, for a place.
    pub(crate) fn seal(&self, place: &Place<'_>, envelope: &mut Vec<u8>) -> Result<(), NoRandomness> {
        let (id, lock) = &self.keys[self.active];
        match lock {
            Lock::Checksum(secret) => {
                let checksum = checksum(secret, place.name, envelope);
                envelope.extend_from_slice(&checksum);
            }
            Lock::Cipher(cipher) => {
                envelope.push(END_MARK);
                let padded = (envelope.len() - ENCRYPTED_AT).next_multiple_of(PADDING_STEP);
                envelope.resize(ENCRYPTED_AT + padded, 0);
                let (head, content) = envelope.split_at_mut(ENCRYPTED_AT);
                let mut nonce = [0; NONCE_BYTES];
                self.randomness.fill(&mut nonce)?;
                head[NONCE_AT..].copy_from_slice(&nonce);
                let tag = cipher
                    .encrypt_inout_detached(&nonce.into(), &associated(place, *id), content.into())
                    .expect("a value is far smaller than 256 GiB");
                envelope.extend_from_slice(&tag);
            }
        }
        Ok(())
    }

    /// Opens an envelope that was sealed for the place. Any other one comes back as junk.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: Vec<u8>) -> Result<Opened, Faulty> {
        let (id, is_ours) = match self.form {
            Form::Checksum => match sealed.first_chunk::<CHECKED_AT>() {
                Some([version, id @ ..]) => (*id, *version == VERSION),
                None => return Err(junk(Fault::Seal, sealed)),
            },
            Form::Cipher => match sealed.first_chunk::<NONCE_AT>() {
                Some([one, two, format, id @ ..]) => (*id, [*one, *two] == MAGIC && *format == FORMAT),
                None => return Err(junk(Fault::Seal, sealed)),
            },
        };
        // What another release has sealed it may have sealed in another way.
        if !is_ours {
            return Err(junk(Fault::Version, sealed));
        }
        match self.keys.iter().find(|(known, _)| *known == id) {
            None => Err(Faulty { fault: Fault::Key, key: Some(id), junk: Some(sealed) }),
            Some((_, Lock::Checksum(secret))) => open_checked(secret, place, sealed),
            Some((_, Lock::Cipher(cipher))) => open_encrypted(cipher, id, place, sealed),
        }
    }
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seals({:?}, {} keys)", self.form, self.keys.len())
    }
}

fn junk(fault: Fault, sealed: Vec<u8>) -> Faulty {
    Faulty { fault, key: None, junk: Some(sealed) }
}

fn checksum(secret: &[u8; 16], name: &str, envelope: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = SipHasher24::new_with_key(secret);
    // With its length, so that nothing moves between the name and the envelope.
    hasher.write(&(name.len() as u32).to_le_bytes());
    hasher.write(name.as_bytes());
    hasher.write(envelope);
    hasher.finish128().as_bytes()
}

fn open_checked(secret: &[u8; 16], place: &Place<'_>, mut sealed: Vec<u8>) -> Result<Opened, Faulty> {
    match sealed.split_last_chunk::<CHECKSUM_BYTES>() {
        Some((envelope, found))
            if envelope.len() >= CHECKED_AT && is_same(&checksum(secret, place.name, envelope), found) =>
        {
            sealed.truncate(sealed.len() - CHECKSUM_BYTES);
            Ok(Opened { bytes: sealed, at: CHECKED_AT })
        }
        _ => Err(junk(Fault::Seal, sealed)),
    }
}

/// In a time that does not tell where they differ.
fn is_same(left: &[u8; CHECKSUM_BYTES], right: &[u8; CHECKSUM_BYTES]) -> bool {
    left.iter().zip(right).fold(0, |differences, (left, right)| differences | (left ^ right)) == 0
}

fn open_encrypted(
    cipher: &XChaCha20Poly1305,
    id: KeyId,
    place: &Place<'_>,
    mut sealed: Vec<u8>,
) -> Result<Opened, Faulty> {
    if sealed.len() < ENCRYPTED_AT + PADDING_STEP + TAG_BYTES {
        return Err(junk(Fault::Seal, sealed));
    }
    let end = sealed.len() - TAG_BYTES;
    let (head, rest) = sealed.split_at_mut(ENCRYPTED_AT);
    let (content, tag) = rest.split_at_mut(end - ENCRYPTED_AT);
    let nonce: [u8; NONCE_BYTES] = head[NONCE_AT..].try_into().expect("as long as a nonce");
    let tag: [u8; TAG_BYTES] = (&*tag).try_into().expect("as long as a tag");
    // The tag is judged, in constant time, before anything is decrypted: what does not fit stays as it was.
    let opened =
        cipher.decrypt_inout_detached(&nonce.into(), &associated(place, id), content.into(), &tag.into()).is_ok();
    if !opened {
        return Err(junk(Fault::Seal, sealed));
    }
    let Some(marked) = sealed[ENCRYPTED_AT..end].iter().rposition(|byte| *byte != 0) else {
        return Err(Fault::Value.into());
    };
    if sealed[ENCRYPTED_AT + marked] != END_MARK {
        return Err(Fault::Value.into());
    }
    sealed.truncate(ENCRYPTED_AT + marked);
    Ok(Opened { bytes: sealed, at: ENCRYPTED_AT })
}

/// What a value is bound to: all that its name is a hash of, its key and its format, each with its length.
fn associated(place: &Place<'_>, id: KeyId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(place.context.len() + place.key.len() + 32);
    bytes.extend_from_slice(place.context);
    prefixed(&mut bytes, &[FORMAT]);
    prefixed(&mut bytes, &id);
    prefixed(&mut bytes, place.key);
    bytes
}

#[cfg(test)]
mod tests;
