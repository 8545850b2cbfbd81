//! The envelope: a value with everything that decides whether it may still be used, so that one plain GET suffices.
//!
//! What can't be read is a fault with a name, never a guess and never a panic: a seal that does not fit, another version or schema, an
//! unknown dictionary, a length that is not allowed, a value that its own type can't read. Each is a miss, and is counted.
//!
//! ```text
//! version (1 byte) | header (postcard) | tags (8 bytes each, little-endian) | value | seal
//! ```

use std::marker::PhantomData;

use cache_core::{Draft, Entry, Identity, Moment, Stamp, StoredValue, Tag, TypeSet};
use serde::{Deserialize, Serialize};

use crate::compress::{Compressors, Unpackable};
use crate::seal::{Checksum, Context, Seal};
use crate::time::{Now, TOLERATED_SKEW};

/// The version of this layout. Another one for every change of it, and another name: see [`crate::name`].
pub(crate) const VERSION: u8 = 1;
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
    /// It was written by a release that lays envelopes out in another way.
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
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Seal, Self::Version, Self::Schema, Self::Dictionary, Self::TooLarge, Self::Value, Self::Future];

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
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
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
}

/// Writes envelopes and reads them.
pub(crate) struct Codec<V> {
    seal: Checksum,
    compressors: Compressors,
    max_value_bytes: usize,
    max_life_ms: u64,
    value: PhantomData<fn() -> V>,
}

impl<V: StoredValue> Codec<V> {
    pub(crate) fn new(seal: Checksum, compressors: Compressors, max_value_bytes: usize, max_life_ms: u64) -> Self {
        Self { seal, compressors, max_value_bytes, max_life_ms, value: PhantomData }
    }

    /// The envelope of an entry.
    pub(crate) fn encode(&self, context: Context<'_>, cache_type: &str, entry: &Entry<V>, now: Now) -> Encoded {
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
        let packed = self.compressors.pack(cache_type, &value);
        let header = Header {
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
        let length = 1 + header.len() + size_of_val(entry.tags()) + value.len() + Checksum::BYTES;
        let mut bytes = Vec::with_capacity(length);
        bytes.push(VERSION);
        bytes.extend_from_slice(header);
        for tag in entry.tags() {
            bytes.extend_from_slice(&tag.hash().to_le_bytes());
        }
        bytes.extend_from_slice(&value);
        self.seal.seal(context, &mut bytes);
        Encoded::Sealed(Sealed { bytes, life_ms })
    }

    /// The entry of an envelope; none where its time is over.
    pub(crate) fn decode(&self, context: Context<'_>, sealed: Vec<u8>, now: Now) -> Result<Option<Entry<V>>, Fault> {
        if sealed.len() > self.max_value_bytes + MAX_OVERHEAD_BYTES {
            return Err(Fault::TooLarge);
        }
        // Another version may be sealed in another way: this byte is what all of them have in common.
        match sealed.first() {
            None => return Err(Fault::Seal),
            Some(&VERSION) => {}
            Some(_) => return Err(Fault::Version),
        }
        let opened = self.seal.open(context, sealed).ok_or(Fault::Seal)?;
        let (header, rest) = postcard::take_from_bytes::<Header>(&opened[1..]).map_err(|_| Fault::Value)?;
        if header.schema != V::SCHEMA {
            return Err(Fault::Schema);
        }
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
        let tags_bytes = (header.tags as usize).checked_mul(size_of::<u64>()).ok_or(Fault::Value)?;
        let (tags, value) = rest.split_at_checked(tags_bytes).ok_or(Fault::Value)?;
        let (tags, _) = tags.as_chunks::<{ size_of::<u64>() }>();
        let unpacked = match header.packed {
            None => None,
            Some(PackedHeader { dictionary, length }) => {
                Some(self.compressors.unpack(dictionary, length as usize, value).map_err(Fault::from)?)
            }
        };
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

/// The context of a value.
pub(crate) fn context(identity: Identity, name: &str) -> Context<'_> {
    Context { identity, name }
}

#[cfg(test)]
mod tests;
