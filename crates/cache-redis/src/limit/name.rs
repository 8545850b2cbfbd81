//! The names of buckets: keyed hashes of what they are for, so that whoever reads in Redis learns nothing of it.

use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::keyring::Keyring;

/// Makes names.
#[derive(Clone)]
pub(super) struct Names {
    prefix: String,
    secret: [u8; 16],
}

impl Names {
    pub(super) fn new(namespace: &str, keyring: &Keyring) -> Self {
        Self { prefix: format!("{namespace}:"), secret: keyring.derive("rate limits") }
    }

    /// The name of a bucket. It holds no braces: the keys of a cluster spread over its slots.
    pub(super) fn of(&self, bucket: &[u8]) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(bucket);
        format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(hasher.finish128().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_nothing_and_depends_on_the_key() {
        let names = |byte: u8| Names::new("tiergate", &Keyring::from_bytes(&[byte; 32]).expect("long enough"));
        let name = names(1).of(b"user:ann");
        assert!(!name.contains("ann") && name.starts_with("tiergate:"), "{name}");
        assert_eq!(name, names(1).of(b"user:ann"));
        assert_ne!(name, names(1).of(b"user:bob"));
        assert_ne!(name, names(2).of(b"user:ann"));
    }
}
