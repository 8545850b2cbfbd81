//! Names in Redis say nothing: each is a keyed hash of everything that tells two values apart.
//!
//! Beside the key's own bytes that is the log's identity, so that another history has other names; the schema and the version of the
//! envelope, so that two releases live side by side without reading or overwriting one another's values; and the generation, which a clear
//! changes. Values of both forms, encrypted and not, have names of their own as well, so that a change of that setting harms nobody while it is
//! rolled out. A name holds no braces: the keys of a cluster spread over its slots.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache_core::Identity;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher as _;

use zeroize::Zeroizing;

use crate::keyring::Keyring;
use crate::seal::{FORMAT, Form, VERSION};

/// Characters of a hash: 16 bytes in base64url without padding.
const HASH_CHARS: usize = 22;

/// What associated data begins with: whose they are.
const DOMAIN: &[u8] = b"tiergate redis value";

/// Makes names.
pub(crate) struct Namer {
    prefix: String,
    secret: Zeroizing<[u8; 16]>,
    schema: u16,
    form: Form,
}

/// The names of a batch, one behind the other: each is as long as the others. And what its values are bound to, where they are encrypted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    text: String,
    width: usize,
    context: Vec<u8>,
    /// The keys' bytes, one behind the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
}

/// Where a value lies, and what it is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'n> {
    pub(crate) name: &'n str,
    /// Domain, namespace, schema, history and generation, each with its length; empty where values have a checksum.
    pub(crate) context: &'n [u8],
    /// The key's own bytes, all of them; empty where values have a checksum.
    pub(crate) key: &'n [u8],
}

/// Appends bytes with their length, so that no two lists of fields share their bytes.
pub(crate) fn prefixed(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
    bytes.extend_from_slice(field);
}

impl Namer {
    pub(crate) fn new(namespace: &str, keyring: &Keyring, schema: u16, form: Form) -> Self {
        Self { prefix: format!("{namespace}:"), secret: Zeroizing::new(keyring.derive("names")), schema, form }
    }

    fn context(&self, identity: Identity, generation: u64) -> Vec<u8> {
        let mut context = Vec::with_capacity(128);
        prefixed(&mut context, DOMAIN);
        prefixed(&mut context, self.prefix.as_bytes());
        prefixed(&mut context, &self.schema.to_le_bytes());
        prefixed(&mut context, &identity.0);
        prefixed(&mut context, &generation.to_le_bytes());
        context
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
        let (version, form) = match self.form {
            Form::Checksum => (VERSION, 0),
            Form::Cipher => (FORMAT, 1),
        };
        let kind = [b'v', version, schema_low, schema_high, form, 0, 0, 0];
        match self.form {
            Form::Checksum => self.names(&kind, identity, generation, keys),
            Form::Cipher => {
                let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(keys.len()));
                let kept = keys.inspect(|key| {
                    bytes.extend_from_slice(key.as_ref());
                    ends.push(bytes.len());
                });
                let names = self.names(&kind, identity, generation, kept);
                Names { context: self.context(identity, generation), keys: bytes, ends, ..names }
            }
        }
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
        Names { text, width, ..Names::default() }
    }
}

impl std::fmt::Debug for Namer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Namer({}, [redacted])", self.prefix)
    }
}

impl<'n> Place<'n> {
    /// Of a name whose key nobody knows: enough for a checksum.
    pub(crate) const fn of_name(name: &'n str) -> Self {
        Self { name, context: &[], key: &[] }
    }
}

impl Names {
    /// Where each value lies.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = Place<'_>> {
        self.iter().enumerate().map(|(at, name)| {
            let from = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
            let key = self.ends.get(at).map_or(&[][..], |end| &self.keys[from..*end]);
            Place { name, context: &self.context, key }
        })
    }

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
        let namer = Namer::new("tiergate", &ring(1), 1, Form::Checksum);
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
            name(&Namer::new("tiergate", &ring(1), 2, Form::Checksum), one, 0, b"a"),
            name(&Namer::new("tiergate", &ring(2), 1, Form::Checksum), one, 0, b"a"),
            name(&Namer::new("other", &ring(1), 1, Form::Checksum), one, 0, b"a"),
            name(&Namer::new("tiergate", &ring(1), 1, Form::Cipher), one, 0, b"a"),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} names two things");
        }
        assert_eq!(names[0].len(), "tiergate:".len() + HASH_CHARS);
        assert!(names.iter().all(|name| !name.contains(['{', '}', '*', '\0'])));
    }
}
