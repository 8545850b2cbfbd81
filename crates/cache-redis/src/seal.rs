//! What comes out of Redis is what was put there, under that name, by somebody with our key, or it is nothing.
//!
//! A seal binds an envelope to its name, and thereby to all that the name is a keyed hash of: the key, the log's identity, the schema and the
//! generation. So a value under another key's name, one of another history, a reply that belongs to another request, and bytes that were cut or
//! changed are all told from a value by the same check. The checksum here is SipHash-2-4-128 (Aumasson and Bernstein 2012) with a key that only
//! the instances have. It hides nothing: whoever can read Redis can read values.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::keyring::Keyring;

/// Seals envelopes and opens them.
pub(crate) trait Seal: Send + Sync + 'static {
    /// Seals the bytes where they are, for a name. It may make them longer.
    fn seal(&self, name: &str, envelope: &mut Vec<u8>);

    /// Opens the bytes where they are. Those that were not sealed for this name with our key, or were changed since, come back as they were.
    fn open(&self, name: &str, sealed: Vec<u8>) -> Result<Vec<u8>, Vec<u8>>;
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

    fn of(&self, name: &str, envelope: &[u8]) -> [u8; Self::BYTES] {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        // With its length, so that nothing moves between the name and the envelope.
        hasher.write(&(name.len() as u32).to_le_bytes());
        hasher.write(name.as_bytes());
        hasher.write(envelope);
        hasher.finish128().as_bytes()
    }
}

impl Seal for Checksum {
    fn seal(&self, name: &str, envelope: &mut Vec<u8>) {
        let checksum = self.of(name, envelope);
        envelope.extend_from_slice(&checksum);
    }

    fn open(&self, name: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
        match sealed.split_last_chunk::<{ Self::BYTES }>() {
            Some((envelope, checksum)) if self.of(name, envelope) == *checksum => {
                sealed.truncate(sealed.len() - Self::BYTES);
                Ok(sealed)
            }
            _ => Err(sealed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_envelope_opens_under_its_own_name_alone() {
        let seal = Checksum::new(&Keyring::from_bytes(&[1; 32]).expect("long enough"));
        let mut sealed = b"envelope".to_vec();
        seal.seal("a", &mut sealed);
        assert_eq!(seal.open("a", sealed.clone()), Ok(b"envelope".to_vec()));
        assert_eq!(seal.open("b", sealed.clone()), Err(sealed.clone()), "as it was");
        let other = Checksum::new(&Keyring::from_bytes(&[2; 32]).expect("long enough"));
        assert!(other.open("a", sealed).is_err());
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let seal = Checksum::new(&Keyring::from_bytes(&[1; 32]).expect("long enough"));
        let mut sealed = b"envelope".to_vec();
        seal.seal("a", &mut sealed);
        for length in 0..sealed.len() {
            assert!(seal.open("a", sealed[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal.open("a", changed).is_err(), "bit {bit} was changed");
        }
    }
}
