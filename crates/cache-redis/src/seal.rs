//! What comes out of Redis is what was put there, under that name, by somebody with our key, or it is nothing.
//!
//! A seal binds an envelope to its name and to the log's identity. So a value under another key's name, one of another history, a reply
//! that belongs to another request, and bytes that were cut or changed are all told from a value by the same check. The checksum here is
//! SipHash-2-4-128 (Aumasson and Bernstein 2012) with a key that only the instances have. It hides nothing: whoever can read Redis can read
//! values.

use std::hash::Hasher as _;

use cache_core::Identity;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::keyring::Keyring;

/// What an envelope is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) identity: Identity,
    pub(crate) name: &'a str,
}

/// Seals envelopes and opens them.
pub(crate) trait Seal: Send + Sync + 'static {
    /// Seals the bytes where they are. It may make them longer.
    fn seal(&self, context: Context<'_>, envelope: &mut Vec<u8>);

    /// Opens the bytes where they are; none where they were not sealed in this context with our key, or were changed since.
    fn open(&self, context: Context<'_>, sealed: Vec<u8>) -> Option<Vec<u8>>;
}

/// Seals by a keyed checksum behind the bytes.
#[derive(Clone)]
pub(crate) struct Checksum {
    secret: [u8; 16],
}

impl Checksum {
    /// Bytes that it adds.
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn new(keyring: &Keyring) -> Self {
        Self { secret: keyring.derive("checksum") }
    }

    fn of(&self, context: Context<'_>, envelope: &[u8]) -> [u8; Self::BYTES] {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&context.identity.0);
        // With its length, so that nothing moves between the name and the envelope.
        hasher.write(&(context.name.len() as u32).to_le_bytes());
        hasher.write(context.name.as_bytes());
        hasher.write(envelope);
        hasher.finish128().as_bytes()
    }
}

impl Seal for Checksum {
    fn seal(&self, context: Context<'_>, envelope: &mut Vec<u8>) {
        let checksum = self.of(context, envelope);
        envelope.extend_from_slice(&checksum);
    }

    fn open(&self, context: Context<'_>, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (envelope, checksum) = sealed.split_last_chunk::<{ Self::BYTES }>()?;
        if self.of(context, envelope) != *checksum {
            return None;
        }
        sealed.truncate(sealed.len() - Self::BYTES);
        Some(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_envelope_opens_in_its_own_context_alone() {
        let seal = Checksum::new(&Keyring::from_bytes(&[1; 32]).expect("long enough"));
        let context = Context { identity: Identity([1; 16]), name: "a" };
        let mut sealed = b"envelope".to_vec();
        seal.seal(context, &mut sealed);
        assert_eq!(seal.open(context, sealed.clone()).as_deref(), Some(b"envelope".as_slice()));
        assert_eq!(seal.open(Context { name: "b", ..context }, sealed.clone()), None);
        assert_eq!(seal.open(Context { identity: Identity([2; 16]), ..context }, sealed.clone()), None);
        let other = Checksum::new(&Keyring::from_bytes(&[2; 32]).expect("long enough"));
        assert_eq!(other.open(context, sealed), None);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let seal = Checksum::new(&Keyring::from_bytes(&[1; 32]).expect("long enough"));
        let context = Context { identity: Identity([1; 16]), name: "a" };
        let mut sealed = b"envelope".to_vec();
        seal.seal(context, &mut sealed);
        for length in 0..sealed.len() {
            assert_eq!(seal.open(context, sealed[..length].to_vec()), None, "cut to {length} bytes");
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(context, changed), None, "bit {bit} was changed");
        }
    }
}
