//! A tag is a hash of a predicate that a value was computed from.
//!
//! Tags are compared across processes and releases, so that the hash is fixed: SipHash-1-3 under a public key over typed,
//! length-prefixed fields (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). A collision kills one value
//! too many and never one too few, therefore the key need not be secret.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// A 64-bit hash of a predicate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

impl Tag {
    /// A tag whose hash is known, for an envelope or a log that stores it.
    #[must_use]
    pub const fn from_hash(hash: u64) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn hash(self) -> u64 {
        self.0
    }

    /// Begins the tag of a predicate; `domain` separates kinds of predicates from one another.
    ///
    /// ```
    /// use cache_core::Tag;
    /// let ann = Tag::of("member").field(b"team:9").field(b"user:ann").finish();
    /// let split = Tag::of("member").field(b"team:9user").field(b":ann").finish();
    /// assert_ne!(ann, split);
    /// ```
    pub fn of(domain: &str) -> TagBuilder {
        let mut hasher = SipHasher13::new_with_keys(0x7469_6572_6761_7465, 0x7461_672d_7631_0000);
        write_field(&mut hasher, domain.as_bytes());
        TagBuilder { hasher }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:016x}", self.0)
    }
}

/// Collects the fields of a predicate; see [`Tag::of`].
#[derive(Clone)]
#[must_use]
pub struct TagBuilder {
    hasher: SipHasher13,
}

impl TagBuilder {
    /// Adds one field. Fields are length-prefixed: no two lists of fields share their bytes.
    pub fn field(mut self, bytes: &[u8]) -> Self {
        write_field(&mut self.hasher, bytes);
        self
    }

    /// The tag.
    #[must_use]
    pub fn finish(self) -> Tag {
        Tag(self.hasher.finish())
    }
}

impl fmt::Debug for TagBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagBuilder")
    }
}

fn write_field(hasher: &mut SipHasher13, bytes: &[u8]) {
    // A length is a u32 on purpose: usize differs between machines that compare tags. No field comes near 4 GiB;
    // one that did would share its tag with another, which costs a miss.
    hasher.write(&(bytes.len() as u32).to_le_bytes());
    hasher.write(bytes);
}

/// A tag from literal parts: `tag!("user", 42)`.
///
/// The first part names the kind of predicate; the others are its values, anything that implements `Display`.
#[macro_export]
macro_rules! tag {
    ($domain:expr $(, $part:expr)* $(,)?) => {
        $crate::Tag::of($domain)$(.field(::std::string::ToString::to_string(&$part).as_bytes()))*.finish()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_does_not_change_between_releases() {
        assert_eq!(tag!("user", 42), Tag::of("user").field(b"42").finish());
        assert_eq!(tag!("user", 42).hash(), 0xddb3_35a5_c84c_eac5, "stored envelopes would be read with other tags");
    }

    #[test]
    fn fields_do_not_run_into_one_another() {
        assert_ne!(tag!("a", "bc"), tag!("ab", "c"));
        assert_ne!(tag!("a", "b", "c"), tag!("a", "bc"));
        assert_ne!(tag!("a"), tag!("a", ""));
    }
}
