//! The envelope: a value with everything that decides whether it may still be used, so that one plain GET suffices.
//!
//! What can't be read is a fault with a name, never a guess and never a panic: a seal that does not fit, another version or schema, an
//! unknown dictionary, a length that is not allowed, a value that its own type can't read. Each is a miss, and is counted.
//!
//! ```text
//! what the seal begins with | header (postcard) | tags (8 bytes each, little-endian) | value | what the seal ends with
//! ```
//!
//! The seal has one of two forms: see [`crate::seal`]. What it begins with says which, and under which key; it is read before anything is known
//! to be ours, and decides nothing but which one key is tried and what a fault is called.

use std::marker::PhantomData;

use cache_core::{CacheType, Draft, Entry, Moment, Stamp, StoredValue, Tag, TypeSet};
use serde::{Deserialize, Serialize};

use crate::compress::{Compressors, Unpackable};
use crate::keyring::KeyId;
use crate::name::Place;
use crate::seal::{Opened, Seals};
use crate::time::{Now, TOLERATED_SKEW};

/// A header is never longer: twelve numbers of at most ten bytes.
const MAX_HEADER_BYTES: usize = 120;
/// Bytes that an envelope may have beside its value's: header, seal, and the tags of a read set, which its bound keeps far below this.
pub(crate) const MAX_OVERHEAD_BYTES: usize = 64 << 10;

/// Why an envelope is no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Fault {
    /// It was not sealed with our key for this name and this history, or was cut or changed since.
    Seal,
    /// It was written by a release that lays envelopes out in another way, or is not encrypted where it must be, or the other way round.
    Version,
    /// Its value was written by another encoding of its type.
    Schema,
    /// It was compressed with a dictionary that is not known here.
    Dictionary,
    /// It is larger than is allowed, or than it says.
    TooLarge,
    /// It was sealed by us and yet can't be read.
    Value,
    /// It says that it was filled in the future, by more than clocks may differ.
    Future,
    /// It says that it was sealed under a master key that is not in the ring.
    Key,
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Seal,
        Self::Version,
        Self::Schema,
        Self::Dictionary,
        Self::TooLarge,
        Self::Value,
        Self::Future,
        Self::Key,
    ];

    /// A label for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Version => "version",
            Self::Schema => "schema",
            Self::Dictionary => "dictionary",
            Self::TooLarge => "too_large",
            Self::Value => "value",
            Self::Future => "future",
            Self::Key => "key",
        }
    }
}

/// An envelope that is no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Faulty {
    pub(crate) fault: Fault,
    /// The key that it says it was sealed under, where that is not ours.
    pub(crate) key: Option<KeyId>,
    /// All of it, where nobody with our key has sealed it for this name: then no instance can ever read it. What we sealed may be of use to
    /// another one, with other settings, or of another release.
    pub(crate) junk: Option<Vec<u8>>,
}

impl From<Fault> for Faulty {
    fn from(fault: Fault) -> Self {
        Self { fault, key: None, junk: None }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    /// The index of the cache type.
    cache_type: u8,
    schema: u16,
    stamp: u64,
    /// The set's bits, rotated so that the flag of composed values, the highest, does not make every number long.
    types: u32,
    filled_at_ms: u64,
    life_ms: u64,
    soft_life_ms: u64,
    tags: u32,
    packed: Option<PackedHeader>,
}

#[derive(Serialize, Deserialize)]
struct PackedHeader {
    dictionary: u32,
    length: u32,
}

/// An envelope on its way to Redis.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) life_ms: u64,
}

/// What became of an entry that was to be sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoded {
    Sealed(Sealed),
    /// Its value, or its read set, is larger than is allowed.
    TooLarge,
    /// Its time was over.
    Over,
    /// There was no randomness for a nonce.
    Unsealed,
}

/// Writes envelopes and reads them.
pub(crate) struct Codec<V> {
    compressors: Compressors,
    max_value_bytes: usize,
    max_life_ms: u64,
    value: PhantomData<fn() -> V>,
}

impl<V: StoredValue> Codec<V> {
    pub(crate) fn new(compressors: Compressors, max_value_bytes: usize, max_life_ms: u64) -> Self {
        Self { compressors, max_value_bytes, max_life_ms, value: PhantomData }
    }

    /// The envelope of an entry.
    pub(crate) fn encode(
        &self,
        seals: &Seals,
        place: &Place<'_>,
        cache_type: CacheType,
        entry: &Entry<V>,
        now: Now,
    ) -> Encoded {
        let left = |end: Moment| (end.since(now.moment).as_millis() as u64).min(self.max_life_ms);
        let life_ms = left(entry.hard_expiry());
        if life_ms == 0 {
            return Encoded::Over;
        }
        let mut value = Vec::new();
        entry.value().write(&mut value);
        if value.len() > self.max_value_bytes || size_of_val(entry.tags()) > MAX_OVERHEAD_BYTES / 2 {
            return Encoded::TooLarge;
        }
        let packed = self.compressors.pack(cache_type.name(), &value);
        let header = Header {
            cache_type: cache_type.index() as u8,
            schema: V::SCHEMA,
            stamp: entry.stamp().get(),
            types: entry.types().bits().rotate_left(1),
            filled_at_ms: now.unix_ms,
            life_ms,
            soft_life_ms: left(entry.soft_expiry()),
            tags: entry.tags().len() as u32,
            packed: packed
                .as_ref()
                .map(|packed| PackedHeader { dictionary: packed.dictionary, length: value.len() as u32 }),
        };
        let value = packed.map_or(value, |packed| packed.bytes);
        let mut space = [0; MAX_HEADER_BYTES];
        let header = postcard::to_slice(&header, &mut space).expect("a header is shorter than its bound");
        let mut bytes = seals.begin(header.len() + size_of_val(entry.tags()) + value.len());
        bytes.extend_from_slice(header);
        for tag in entry.tags() {
            bytes.extend_from_slice(&tag.hash().to_le_bytes());
        }
        bytes.extend_from_slice(&value);
        match seals.seal(place, &mut bytes) {
            Ok(()) => Encoded::Sealed(Sealed { bytes, life_ms }),
            Err(_) => Encoded::Unsealed,
        }
    }

    /// The entry of an envelope; none where its time is over.
    pub(crate) fn decode(
        &self,
        seals: &Seals,
        place: &Place<'_>,
        sealed: Vec<u8>,
        now: Now,
    ) -> Result<Option<Entry<V>>, Faulty> {
        let opened = self.open(seals, place, sealed)?;
        Ok(self.read(opened.content(), now)?)
    }

    /// The cache type and the value's bytes, as they were before compression, of an envelope whose time plays no part.
    pub(crate) fn payload(
        &self,
        seals: &Seals,
        place: &Place<'_>,
        sealed: Vec<u8>,
    ) -> Result<(usize, Vec<u8>), Faulty> {
        let opened = self.open(seals, place, sealed)?;
        let (header, _, value) = Self::take_apart(opened.content())?;
        let value = self.unpack(&header, value)?.unwrap_or_else(|| value.to_vec());
        match V::read(&value) {
            Some(_) => Ok((header.cache_type.into(), value)),
            None => Err(Fault::Value.into()),
        }
    }

    fn open(&self, seals: &Seals, place: &Place<'_>, sealed: Vec<u8>) -> Result<Opened, Faulty> {
        if sealed.len() > self.max_value_bytes + MAX_OVERHEAD_BYTES {
            return Err(Fault::TooLarge.into());
        }
        seals.open(place, sealed)
    }

    /// The header, the tags' bytes and the value's.
    fn take_apart(opened: &[u8]) -> Result<(Header, &[u8], &[u8]), Fault> {
        let (header, rest) = postcard::take_from_bytes::<Header>(opened).map_err(|_| Fault::Value)?;
        if header.schema != V::SCHEMA {
            return Err(Fault::Schema);
        }
        let tags_bytes = (header.tags as usize).checked_mul(size_of::<u64>()).ok_or(Fault::Value)?;
        let (tags, value) = rest.split_at_checked(tags_bytes).ok_or(Fault::Value)?;
        Ok((header, tags, value))
    }

    fn unpack(&self, header: &Header, value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match header.packed {
            None => Ok(None),
            Some(PackedHeader { dictionary, length }) => {
                Ok(Some(self.compressors.unpack(dictionary, length as usize, value)?))
            }
        }
    }

    fn read(&self, opened: &[u8], now: Now) -> Result<Option<Entry<V>>, Fault> {
        let (header, tags, value) = Self::take_apart(opened)?;
        // An end that is later than the one that was given would be worse than a miss.
        if header.filled_at_ms > now.judged_ms.saturating_add(TOLERATED_SKEW.as_millis() as u64) {
            return Err(Fault::Future);
        }
        let age_ms = now.judged_ms.saturating_sub(header.filled_at_ms);
        let end = |life_ms: u64| Moment::from_millis(now.moment.as_millis() + life_ms.saturating_sub(age_ms));
        let life_ms = header.life_ms.min(self.max_life_ms);
        if life_ms <= age_ms {
            return Ok(None);
        }
        let (tags, _) = tags.as_chunks::<{ size_of::<u64>() }>();
        let unpacked = self.unpack(&header, value)?;
        let draft = Draft {
            value: V::read(unpacked.as_deref().unwrap_or(value)).ok_or(Fault::Value)?,
            stamp: Stamp::new(header.stamp),
            read_set: tags.iter().map(|tag| Tag::from_hash(u64::from_le_bytes(*tag))).collect(),
            types: TypeSet::from_bits(header.types.rotate_right(1)),
            hard_expiry: end(life_ms),
        };
        Ok(Some(Entry::decoded(draft, end(header.soft_life_ms.min(life_ms)))))
    }
}

impl From<Unpackable> for Fault {
    fn from(why: Unpackable) -> Self {
        match why {
            Unpackable::UnknownDictionary => Self::Dictionary,
            Unpackable::TooLarge => Self::TooLarge,
            Unpackable::Broken => Self::Value,
        }
    }
}

#[cfg(test)]
mod tests;
