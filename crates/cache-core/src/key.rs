//! Keys: every input of an answer, in one injective encoding.
//!
//! Two different keys never share their bytes, because every field is typed and length-prefixed. Tiers in this process compare a
//! 128-bit digest of those bytes, keyed with a secret that the process draws at start and never shows (SipHash-2-4-128, Aumasson
//! and Bernstein 2012): nobody outside can look for two keys with one digest. Tiers elsewhere get the bytes themselves.

use std::fmt;

use siphasher::sip128::{Hasher128, SipHasher24};
use smallvec::SmallVec;

use crate::{RowKey, Tag};

/// The most cache types of one process.
pub const MAX_CACHE_TYPES: usize = 31;

/// A class of values with lifetimes of its own; its name is a configuration key and a metric label.
#[derive(Clone, Copy)]
pub struct CacheType {
    index: u8,
    name: &'static str,
}

impl CacheType {
    /// A type. The index tells the types of one chain apart and stays below [`MAX_CACHE_TYPES`].
    ///
    /// # Panics
    /// When a constant is built with a larger index, that is at compile time.
    #[must_use]
    pub const fn new(index: u8, name: &'static str) -> Self {
        assert!((index as usize) < MAX_CACHE_TYPES, "at most 31 cache types");
        Self { index, name }
    }

    /// Its index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl PartialEq for CacheType {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for CacheType {}

impl fmt::Debug for CacheType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A set of cache types: those that a value was made of; and whether it was composed, that is whether its computation went through
/// entities which its own key does not name.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeSet(u32);

const COMPOSED: u32 = 1 << MAX_CACHE_TYPES;

impl TypeSet {
    /// No type, but composed.
    #[must_use]
    pub const fn composed() -> Self {
        Self(COMPOSED)
    }

    /// Whether it was composed.
    #[must_use]
    pub const fn is_composed(self) -> bool {
        self.0 & COMPOSED != 0
    }

    /// One type.
    #[must_use]
    pub const fn of(cache_type: CacheType) -> Self {
        Self(1 << cache_type.index)
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a type is among them.
    #[must_use]
    pub const fn contains(self, cache_type: CacheType) -> bool {
        self.0 & (1 << cache_type.index) != 0
    }

    /// The set as a number, for an envelope that stores it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// A set that [`Self::bits`] gave.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Their indices.
    pub(crate) fn indices(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0 & !COMPOSED;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let index = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                index
            })
        })
    }
}

impl fmt::Debug for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#b}", self.0)
    }
}

/// What a value is stored under.
///
/// Implementations destructure themselves without `..`, so that a field that is added and not encoded does not compile.
pub trait CacheKey: Send + Sync {
    /// The type of the values under this key.
    fn cache_type(&self) -> CacheType;

    /// Writes every field.
    fn encode(&self, encoder: &mut KeyEncoder);

    /// Shows the entities that the key names, as `(kind, id)`, for example `("user", "ann")`. Patterns match them, and an
    /// invalidation by an entity reaches every value whose key names it: see [`entity_tag`].
    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        let _ = visit;
    }

    /// Which row of which view answers it, for a tier that mirrors the origin; none where no view does.
    fn row(&self) -> Option<RowKey> {
        None
    }
}

/// The tag of an entity: of `user:ann`, of `team:9`.
///
/// A value carries those of the entities that its computation went through; those that its key names need no place in its read set.
#[must_use]
pub fn entity_tag(kind: &str, id: &str) -> Tag {
    Tag::of("entity").field(kind.as_bytes()).field(id.as_bytes()).finish()
}

/// Bytes of an encoded key; short ones stay on the stack.
pub type KeyBytes = SmallVec<[u8; 256]>;

/// Writes the fields of a key, each with its kind and, where its length varies, its length.
#[derive(Debug, Default)]
pub struct KeyEncoder {
    bytes: KeyBytes,
}

/// The kinds of fields. They are part of the encoding: never renumber them.
mod kind {
    pub(super) const TEXT: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const U64: u8 = 3;
    pub(super) const U128: u8 = 4;
    pub(super) const VARIANT: u8 = 5;
    pub(super) const NONE: u8 = 6;
    pub(super) const LIST: u8 = 7;
}

impl KeyEncoder {
    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.prefixed(kind::TEXT, text.as_bytes())
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.prefixed(kind::BYTES, bytes)
    }

    /// A number.
    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes.push(kind::U64);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A wide number, for example an ULID.
    pub fn u128(&mut self, number: u128) -> &mut Self {
        self.bytes.push(kind::U128);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Which variant of an enum follows.
    pub fn variant(&mut self, variant: u8) -> &mut Self {
        self.bytes.extend_from_slice(&[kind::VARIANT, variant]);
        self
    }

    /// The absence of an optional field.
    pub fn none(&mut self) -> &mut Self {
        self.bytes.push(kind::NONE);
        self
    }

    /// How many elements of a list follow.
    pub fn list(&mut self, length: usize) -> &mut Self {
        self.bytes.push(kind::LIST);
        self.length(length)
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> KeyBytes {
        self.bytes
    }

    fn prefixed(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        self.bytes.push(kind);
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Seven bits a byte, the lowest first, and the highest bit where more follow (LEB128). Each length has one form, none begins
    /// another, and those of nearly all fields take one byte: every byte of a key is hashed at every look-up.
    #[inline]
    fn length(&mut self, mut length: usize) -> &mut Self {
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self
    }
}

/// A keyed 128-bit digest of an encoded key. It means nothing outside of the process that made it.
///
/// Two halves rather than one `u128`, whose alignment would cost a memory tier eight bytes for each entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u64; 2]);

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // One half is hash enough for a table; equality compares both.
        state.write_u64(self.0[0]);
    }
}

impl Digest {
    /// Half of its bits, for a hash table: they are as good as random.
    #[must_use]
    pub const fn low(self) -> u64 {
        self.0[0]
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A digest identifies what somebody asked: logs get a quarter of it at most.
        write!(f, "{:08x}…", self.0[1] >> 32)
    }
}

/// Makes digests with the secret of this process.
#[derive(Clone)]
pub struct Keyer {
    secret: (u64, u64),
}

impl Keyer {
    /// A keyer with a secret from the operating system.
    ///
    /// # Errors
    /// Where the system has no randomness to give; a process that can't draw a secret must not cache.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self { secret: (getrandom::u64()?, getrandom::u64()?) })
    }

    /// A keyer with a given secret, for tests that must repeat.
    #[must_use]
    pub const fn with_secret(secret: (u64, u64)) -> Self {
        Self { secret }
    }

    /// The key of a request, ready for look-ups.
    #[must_use]
    pub fn key<'a>(&self, source: &'a dyn CacheKey) -> Key<'a> {
        // Hashed where it was written: handing the buffer on would copy it, at every look-up.
        let mut encoder = KeyEncoder::default();
        encode(source, &mut encoder);
        let mut hasher = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        std::hash::Hasher::write(&mut hasher, &encoder.bytes);
        let hash = hasher.finish128();
        Key { digest: Digest([hash.h1, hash.h2]), cache_type: source.cache_type(), source }
    }
}

impl fmt::Debug for Keyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyer([redacted])")
    }
}

/// How many bytes the type takes at the beginning of an encoded key.
const TYPE_BYTES: usize = 2;

fn encode(source: &dyn CacheKey, encoder: &mut KeyEncoder) {
    // The type is encoded here, so that no implementation can forget it: values of two types never share a key.
    encoder.variant(source.cache_type().index);
    if !crate::mistakes::planted(crate::Mistake::KeyWithoutAField) {
        source.encode(encoder);
    }
}

/// A key that is ready for look-ups in the tiers of one chain.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    digest: Digest,
    cache_type: CacheType,
    source: &'a dyn CacheKey,
}

impl<'a> Key<'a> {
    /// What tiers in this process compare.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The type of the values under it.
    #[must_use]
    pub const fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// The bytes that tiers elsewhere derive a name from. Encoded anew at each call.
    #[must_use]
    pub fn encoded(&self) -> KeyBytes {
        let mut encoder = KeyEncoder::default();
        encode(self.source, &mut encoder);
        encoder.finish()
    }

    /// The request itself.
    #[must_use]
    pub const fn source(&self) -> &'a dyn CacheKey {
        self.source
    }
}

/// A key that outlives its request, for whoever stores later. It says what tiers derive a name from, and no more.
pub(crate) struct OwnedKey {
    digest: Digest,
    cache_type: CacheType,
    encoded: KeyBytes,
}

impl OwnedKey {
    pub(crate) fn of(key: &Key<'_>) -> Self {
        Self { digest: key.digest, cache_type: key.cache_type, encoded: key.encoded() }
    }

    pub(crate) fn key(&self) -> Key<'_> {
        Key { digest: self.digest, cache_type: self.cache_type, source: self }
    }
}

impl CacheKey for OwnedKey {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        // The type, which whoever calls this has written, stands before the fields.
        encoder.bytes.extend_from_slice(&self.encoded[TYPE_BYTES..]);
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}", self.cache_type, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Part {
        Text(String),
        Bytes(Vec<u8>),
        Number(u64),
        Wide(u128),
        Variant(u8),
        None,
        List(usize),
    }

    fn encoded(parts: &[Part]) -> KeyBytes {
        let mut encoder = KeyEncoder::default();
        for part in parts {
            match part {
                Part::Text(text) => encoder.text(text),
                Part::Bytes(bytes) => encoder.bytes(bytes),
                Part::Number(number) => encoder.u64(*number),
                Part::Wide(number) => encoder.u128(*number),
                Part::Variant(variant) => encoder.variant(*variant),
                Part::None => encoder.none(),
                Part::List(length) => encoder.list(*length),
            };
        }
        encoder.finish()
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            "[a:*#\\x00-\\x08]{0,4}".prop_map(Part::Text),
            proptest::collection::vec(0u8..9, 0..5).prop_map(Part::Bytes),
            proptest::collection::vec(prop_oneof![Just(0x80u8), Just(2)], 126..130).prop_map(Part::Bytes),
            (0u64..9).prop_map(Part::Number),
            (0u128..9).prop_map(Part::Wide),
            (0u8..9).prop_map(Part::Variant),
            Just(Part::None),
            prop_oneof![0usize..9, 120usize..140, 16_380usize..16_390, Just(usize::MAX)].prop_map(Part::List),
        ]
    }

    proptest! {
        #[test]
        fn different_fields_never_share_their_bytes(
            left in proptest::collection::vec(part(), 0..6),
            right in proptest::collection::vec(part(), 0..6),
        ) {
            prop_assert_eq!(encoded(&left) == encoded(&right), left == right);
        }
    }

    struct Named(CacheType, &'static str);

    impl CacheKey for Named {
        fn cache_type(&self) -> CacheType {
            self.0
        }

        fn encode(&self, encoder: &mut KeyEncoder) {
            let Self(_, name) = self;
            encoder.text(name);
        }
    }

    #[test]
    fn a_key_that_outlives_its_request_has_the_same_bytes() {
        let source = Named(CacheType::new(2, "two"), "a");
        let keyer = Keyer::with_secret((1, 2));
        let key = keyer.key(&source);
        let owned = OwnedKey::of(&key);
        assert_eq!(owned.key().encoded(), key.encoded());
        assert_eq!(keyer.key(&owned).digest(), key.digest());
    }

    #[test]
    fn the_type_and_the_secret_are_part_of_a_digest() {
        let (one, two) = (CacheType::new(1, "one"), CacheType::new(2, "two"));
        let keyer = Keyer::with_secret((1, 2));
        let digest = keyer.key(&Named(one, "a")).digest();
        assert_eq!(digest, keyer.key(&Named(one, "a")).digest());
        assert_ne!(digest, keyer.key(&Named(two, "a")).digest());
        assert_ne!(digest, keyer.key(&Named(one, "b")).digest());
        assert_ne!(digest, Keyer::with_secret((1, 3)).key(&Named(one, "a")).digest());
    }
}
