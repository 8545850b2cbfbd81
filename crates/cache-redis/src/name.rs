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

/// The names of a batch, one behind the other: each is as long as the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    text: String,
    width: usize,
}

impl Namer {
    pub(crate) fn new(namespace: &str, keyring: &Keyring, schema: u16) -> Self {
        Self { prefix: format!("{namespace}:"), secret: keyring.derive("names"), schema }
    }

    /// The names of values, by the bytes of their keys.
    pub(crate) fn of_values<K: AsRef<[u8]>>(
        &self,
        identity: Identity,
        generation: u64,
        keys: impl ExactSizeIterator<Item = K>,
    ) -> Names {
        let [schema_low, schema_high] = self.schema.to_le_bytes();
        // Fields of fixed length, and then the key, the only one whose length varies: no two lists of fields share their bytes.
        self.names(&[b'v', VERSION, schema_low, schema_high, 0, 0, 0, 0], identity, generation, keys)
    }

    /// The name of the mark that holds the generation of a history's values.
    pub(crate) fn of_generation(&self, identity: Identity) -> String {
        self.names(b"g\0\0\0\0\0\0\0", identity, 0, std::iter::once([])).text
    }

    fn names<K: AsRef<[u8]>>(
        &self,
        kind: &[u8; 8],
        identity: Identity,
        generation: u64,
        keys: impl ExactSizeIterator<Item = K>,
    ) -> Names {
        // What they have in common is hashed once.
        let mut common = SipHasher24::new_with_key(&self.secret);
        common.write(kind);
        common.write(&identity.0);
        common.write(&generation.to_le_bytes());
        let width = self.prefix.len() + HASH_CHARS;
        let mut text = String::with_capacity(width * keys.len());
        for key in keys {
            let mut hasher = common;
            hasher.write(key.as_ref());
            let mut hash = [0; HASH_CHARS];
            URL_SAFE_NO_PAD
                .encode_slice(hasher.finish128().as_bytes(), &mut hash)
                .expect("16 bytes are 22 characters of base64url");
            text.push_str(&self.prefix);
            text.push_str(std::str::from_utf8(&hash).expect("base64url is ASCII"));
        }
        Names { text, width }
    }
}

impl Names {
    /// All of them.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|at| &self.text[at * self.width..(at + 1) * self.width])
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len().checked_div(self.width).unwrap_or(0)
    }

    /// What they take together.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
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
        let name = |namer: &Namer, identity, generation, key: &[u8]| -> String {
            namer.of_values(identity, generation, std::iter::once(key)).iter().collect()
        };
        let names = [
            name(&namer, one, 0, b"a"),
            name(&namer, one, 0, b"b"),
            name(&namer, one, 1, b"a"),
            name(&namer, two, 0, b"a"),
            namer.of_generation(one),
            namer.of_generation(two),
            name(&Namer::new("tiergate", &ring(1), 2), one, 0, b"a"),
            name(&Namer::new("tiergate", &ring(2), 1), one, 0, b"a"),
            name(&Namer::new("other", &ring(1), 1), one, 0, b"a"),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} names two things");
        }
        assert_eq!(names[0].len(), "tiergate:".len() + HASH_CHARS);
        assert!(names.iter().all(|name| !name.contains(['{', '}', '*', '\0'])));
    }
}
