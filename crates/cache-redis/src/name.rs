//! Names in Redis say nothing: each is a keyed hash of everything that tells two values apart.
//!
//! Beside the key's own bytes that is the log's identity, so that another history has other names; the schema and the version of the
//! envelope, so that two releases live side by side without reading or overwriting one another's values; and the generation, which a clear
//! changes. A name holds no braces: the keys of a cluster spread over its slots.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache_core::Identity;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher as _;

use crate::envelope::VERSION;
use crate::keyring::Keyring;

/// Characters of a hash: 16 bytes in base64url without padding.
const HASH_CHARS: usize = 22;

/// Makes names.
#[derive(Clone)]
pub(crate) struct Namer {
    prefix: String,
    secret: [u8; 16],
    schema: u16,
}

impl Namer {
    pub(crate) fn new(namespace: &str, keyring: &Keyring, schema: u16) -> Self {
        Self { prefix: format!("{namespace}:"), secret: keyring.derive("names"), schema }
    }

    /// The name of a value.
    pub(crate) fn of_value(&self, identity: Identity, generation: u64, key: &[u8]) -> String {
        let [schema_low, schema_high] = self.schema.to_le_bytes();
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        // Fields of fixed length, and then the only one whose length varies: no two lists of fields share their bytes.
        hasher.write(&[b'v', VERSION, schema_low, schema_high]);
        hasher.write(&identity.0);
        hasher.write(&generation.to_le_bytes());
        hasher.write(key);
        self.finish(&hasher)
    }

    /// The name of the mark that holds the generation of a history's values.
    pub(crate) fn of_generation(&self, identity: Identity) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(b"g");
        hasher.write(&identity.0);
        self.finish(&hasher)
    }

    fn finish(&self, hasher: &SipHasher24) -> String {
        let mut name = String::with_capacity(self.prefix.len() + HASH_CHARS);
        name.push_str(&self.prefix);
        URL_SAFE_NO_PAD.encode_string(hasher.finish128().as_bytes(), &mut name);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_tells_two_values_apart_gives_two_names() {
        let ring = |byte| Keyring::from_bytes(&[byte; 32]).expect("long enough");
        let namer = Namer::new("tiergate", &ring(1), 1);
        let (one, two) = (Identity([1; 16]), Identity([2; 16]));
        let names = [
            namer.of_value(one, 0, b"a"),
            namer.of_value(one, 0, b"b"),
            namer.of_value(one, 1, b"a"),
            namer.of_value(two, 0, b"a"),
            namer.of_generation(one),
            namer.of_generation(two),
            Namer::new("tiergate", &ring(1), 2).of_value(one, 0, b"a"),
            Namer::new("tiergate", &ring(2), 1).of_value(one, 0, b"a"),
            Namer::new("other", &ring(1), 1).of_value(one, 0, b"a"),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} names two things");
        }
        assert_eq!(names[0].len(), "tiergate:".len() + HASH_CHARS);
        assert!(names.iter().all(|name| !name.contains(['{', '}', '*', '\0'])));
    }
}
