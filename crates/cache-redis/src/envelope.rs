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
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use cache_core::Clock;
    use cache_core::testing::{TestClock, TestValue};

    use super::*;
    use crate::config::{Compression, RedisConfig};
    use crate::keyring::Keyring;
    use crate::time::tests::TestWallClock;
    use crate::time::{Timeline, WallClock};

    const IDENTITY: Identity = Identity([3; 16]);
    const CONTEXT: Context<'_> = Context { identity: IDENTITY, name: "tiergate:a" };
    const MAX_LIFE_MS: u64 = 3_600_000;

    struct World {
        clock: Arc<TestClock>,
        wall: Arc<TestWallClock>,
        timeline: Timeline,
        codec: Codec<TestValue>,
    }

    fn seal() -> Checksum {
        Checksum::new(&Keyring::from_bytes(&[1; 32]).expect("long enough"))
    }

    fn world() -> World {
        let clock = Arc::new(TestClock::default());
        let wall = TestWallClock::of(&clock);
        let timeline = Timeline::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&wall) as Arc<dyn WallClock>,
            Duration::from_millis(MAX_LIFE_MS),
        );
        let zstd = Compression::Zstd { level: 3, min_bytes: 64, dictionary: None };
        let config = RedisConfig { compression: [("list".to_owned(), zstd)].into(), ..RedisConfig::default() };
        let compressors = Compressors::new(&config).expect("the settings are right");
        World { clock, wall, timeline, codec: Codec::new(seal(), compressors, 10_000, MAX_LIFE_MS) }
    }

    impl World {
        fn entry(&self, text: &str, life: Duration) -> Entry<TestValue> {
            let draft = Draft {
                value: TestValue::new(text),
                stamp: Stamp::new(7),
                read_set: [Tag::from_hash(1), Tag::from_hash(u64::MAX)].into_iter().collect(),
                types: TypeSet::from_bits(0b101).union(TypeSet::composed()),
                hard_expiry: self.clock.now().after(life),
            };
            Entry::decoded(draft, self.clock.now().after(life / 2))
        }

        fn sealed(&self, cache_type: &str, entry: &Entry<TestValue>) -> Sealed {
            match self.codec.encode(CONTEXT, cache_type, entry, self.timeline.now()) {
                Encoded::Sealed(sealed) => sealed,
                other => panic!("{other:?}"),
            }
        }

        fn decode(&self, bytes: Vec<u8>) -> Result<Option<Entry<TestValue>>, Fault> {
            self.codec.decode(CONTEXT, bytes, self.timeline.now())
        }

        fn life_left(&self, bytes: &[u8]) -> Option<Duration> {
            let entry = self.decode(bytes.to_vec()).expect("it can be read")?;
            Some(entry.hard_expiry().since(self.clock.now()))
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let world = world();
        for (cache_type, text) in [("decision", "short".to_owned()), ("list", "a list of teams, ".repeat(100))] {
            let entry = world.entry(&text, MINUTE);
            let sealed = world.sealed(cache_type, &entry);
            assert_eq!(sealed.life_ms, 60_000);
            let found = world.decode(sealed.bytes).expect("it can be read").expect("its time is not over");
            assert_eq!(found.value(), entry.value());
            assert_eq!((found.stamp(), found.tags(), found.types()), (entry.stamp(), entry.tags(), entry.types()));
            assert_eq!((found.hard_expiry(), found.soft_expiry()), (entry.hard_expiry(), entry.soft_expiry()));
        }
    }

    #[test]
    fn a_small_value_has_a_small_envelope_and_a_list_a_compressed_one() {
        let world = world();
        let sealed = world.sealed("decision", &world.entry("x", MINUTE));
        let (value, tags) = (2, 16);
        assert!(sealed.bytes.len() - value - tags <= 40, "{} bytes of envelope", sealed.bytes.len() - value - tags);
        let list = "a list of teams, ".repeat(100);
        assert!(world.sealed("list", &world.entry(&list, MINUTE)).bytes.len() < list.len() / 10);
    }

    #[test]
    fn a_value_that_is_too_large_or_over_is_not_sealed() {
        let world = world();
        let encode = |entry| world.codec.encode(CONTEXT, "decision", &entry, world.timeline.now());
        assert_eq!(encode(world.entry(&"x".repeat(10_000), MINUTE)), Encoded::TooLarge);
        assert_eq!(encode(world.entry("x", Duration::ZERO)), Encoded::Over);
    }

    #[test]
    fn a_value_under_another_name_or_of_another_history_is_a_fault() {
        let world = world();
        let bytes = world.sealed("decision", &world.entry("x", MINUTE)).bytes;
        let now = world.timeline.now();
        let decode = |context| world.codec.decode(context, bytes.clone(), now).map(|found| found.is_some());
        assert_eq!(decode(CONTEXT), Ok(true));
        assert_eq!(decode(Context { name: "tiergate:b", ..CONTEXT }), Err(Fault::Seal));
        assert_eq!(decode(Context { identity: Identity([4; 16]), ..CONTEXT }), Err(Fault::Seal));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_a_fault_and_no_panic() {
        let world = world();
        let bytes = world.sealed("list", &world.entry(&"a list of teams, ".repeat(20), MINUTE)).bytes;
        for length in 0..bytes.len() {
            assert!(world.decode(bytes[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(world.decode(changed).is_err(), "bit {bit} was changed");
        }
    }

    /// As somebody with our key would write it.
    fn sealed_anew(header: &Header, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(header).expect("written"));
        bytes.extend(rest);
        seal().seal(CONTEXT, &mut bytes);
        bytes
    }

    fn header(world: &World) -> Header {
        Header {
            schema: TestValue::SCHEMA,
            stamp: 7,
            types: 1,
            filled_at_ms: world.wall.unix_millis(),
            life_ms: 60_000,
            soft_life_ms: 60_000,
            tags: 0,
            packed: None,
        }
    }

    #[test]
    fn what_was_sealed_with_the_right_key_is_still_not_trusted_with_memory_or_time() {
        let world = world();
        let value = TestValue::new("x").to_bytes();
        assert_eq!(world.decode(sealed_anew(&header(&world), &value)).map(|found| found.is_some()), Ok(true));

        let schema = |schema| world.decode(sealed_anew(&Header { schema, ..header(&world) }, &value)).map(drop);
        assert_eq!(schema(TestValue::SCHEMA + 1), Err(Fault::Schema));
        assert_eq!(schema(TestValue::SCHEMA - 1), Err(Fault::Schema));

        let packed = |dictionary, length, bytes: &[u8]| {
            let packed = Some(PackedHeader { dictionary, length });
            world.decode(sealed_anew(&Header { packed, ..header(&world) }, bytes)).map(drop)
        };
        let bomb = zstd::bulk::compress(&vec![1; 32 << 20], 3).expect("compressed");
        assert_eq!(packed(0, 32 << 20, &bomb), Err(Fault::TooLarge), "declared");
        assert_eq!(packed(0, u32::MAX, &bomb), Err(Fault::TooLarge), "declared beyond all measure");
        assert_eq!(packed(0, 100, &bomb), Err(Fault::TooLarge), "undeclared");
        assert_eq!(packed(99, 100, &bomb), Err(Fault::Dictionary));
        assert_eq!(packed(0, 100, b"not zstd"), Err(Fault::Value));

        let tags = |tags| world.decode(sealed_anew(&Header { tags, ..header(&world) }, &value)).map(drop);
        assert_eq!(tags(u32::MAX), Err(Fault::Value));
        assert_eq!(world.decode(sealed_anew(&header(&world), b"\x07")).map(drop), Err(Fault::Value));
        assert_eq!(world.decode(vec![VERSION; 100_000]).map(drop), Err(Fault::TooLarge));

        let life = Header { life_ms: u64::MAX, soft_life_ms: u64::MAX, ..header(&world) };
        assert_eq!(world.life_left(&sealed_anew(&life, &value)), Some(Duration::from_millis(MAX_LIFE_MS)));
    }

    #[test]
    fn an_older_and_a_newer_version_are_faults() {
        let world = world();
        let bytes = world.sealed("decision", &world.entry("x", MINUTE)).bytes;
        for version in [VERSION - 1, VERSION + 1] {
            let mut other = bytes.clone();
            other[0] = version;
            assert_eq!(world.decode(other).map(drop), Err(Fault::Version));
        }
    }

    #[test]
    fn a_life_grows_shorter_by_the_time_of_day_and_never_longer() {
        let world = world();
        let bytes = world.sealed("decision", &world.entry("x", MINUTE)).bytes;
        world.clock.advance(Duration::from_secs(20));
        assert_eq!(world.life_left(&bytes), Some(Duration::from_secs(40)));
        world.wall.set_back(Duration::from_secs(15));
        assert_eq!(
            world.life_left(&bytes),
            Some(Duration::from_secs(40)),
            "a clock that is set back gives nothing back"
        );
        world.clock.advance(Duration::from_secs(41));
        assert_eq!(world.life_left(&bytes), None);
    }

    #[test]
    fn a_value_from_the_future_is_a_fault_unless_clocks_may_differ_by_as_much() {
        let (ours, theirs) = (world(), world());
        theirs.wall.set_forward(TOLERATED_SKEW);
        let bytes = theirs.sealed("decision", &theirs.entry("x", MINUTE)).bytes;
        assert_eq!(ours.life_left(&bytes), Some(MINUTE), "as long as it was filled for, and no longer");
        theirs.wall.set_forward(Duration::from_millis(1));
        let bytes = theirs.sealed("decision", &theirs.entry("x", MINUTE)).bytes;
        assert_eq!(ours.decode(bytes).map(drop), Err(Fault::Future));
    }
}
