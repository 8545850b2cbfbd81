use std::sync::Arc;
use std::time::Duration;

use cache_core::Clock;
use cache_core::testing::{TestClock, TestValue};

use super::*;
use crate::config::{Compression, RedisConfig};
use crate::keyring::Keyring;
use crate::randomness::SystemRandomness;
use crate::seal::{Form, VERSION};
use crate::time::tests::TestWallClock;
use crate::time::{Timeline, WallClock};

const PLACE: Place<'static> = Place { name: "tiergate:a", context: b"context", key: b"a" };
const DECISION: CacheType = CacheType::new(0, "decision");
const LIST: CacheType = CacheType::new(1, "list");
const MAX_LIFE_MS: u64 = 3_600_000;

struct World {
    clock: Arc<TestClock>,
    wall: Arc<TestWallClock>,
    timeline: Timeline,
    form: Form,
    seals: Seals,
    codec: Codec<TestValue>,
}

fn seals(keyring: &Keyring, form: Form) -> Seals {
    Seals::new(keyring, form, Arc::new(SystemRandomness))
}

fn keyring() -> Keyring {
    Keyring::from_bytes(&[1; 32]).expect("long enough")
}

fn worlds() -> [World; 2] {
    [world(Form::Checksum), world(Form::Cipher)]
}

fn world(form: Form) -> World {
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
    let (seals, codec) = (seals(&keyring(), form), Codec::new(compressors, 10_000, MAX_LIFE_MS));
    World { clock, wall, timeline, form, seals, codec }
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

    fn sealed(&self, cache_type: CacheType, entry: &Entry<TestValue>) -> Sealed {
        match self.codec.encode(&self.seals, &PLACE, cache_type, entry, self.timeline.now()) {
            Encoded::Sealed(sealed) => sealed,
            other => panic!("{other:?}"),
        }
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Option<Entry<TestValue>>, Fault> {
        self.codec.decode(&self.seals, &PLACE, bytes, self.timeline.now()).map_err(|faulty| faulty.fault)
    }

    fn life_left(&self, bytes: &[u8]) -> Option<Duration> {
        let entry = self.decode(bytes.to_vec()).expect("it can be read")?;
        Some(entry.hard_expiry().since(self.clock.now()))
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn an_entry_comes_back_as_it_was() {
    for world in worlds() {
        for (cache_type, text) in [(DECISION, "short".to_owned()), (LIST, "a list of teams, ".repeat(100))] {
            let entry = world.entry(&text, MINUTE);
            let sealed = world.sealed(cache_type, &entry);
            assert_eq!(sealed.life_ms, 60_000);
            let found = world.decode(sealed.bytes).expect("it can be read").expect("its time is not over");
            assert_eq!(found.value(), entry.value());
            assert_eq!((found.stamp(), found.tags(), found.types()), (entry.stamp(), entry.tags(), entry.types()));
            assert_eq!((found.hard_expiry(), found.soft_expiry()), (entry.hard_expiry(), entry.soft_expiry()));
        }
    }
}

#[test]
fn a_small_value_has_a_small_envelope_and_a_list_a_compressed_one() {
    let world = world(Form::Checksum);
    let sealed = world.sealed(DECISION, &world.entry("x", MINUTE));
    let (value, tags) = (2, 16);
    assert!(sealed.bytes.len() - value - tags <= 45, "{} bytes of envelope", sealed.bytes.len() - value - tags);
    let list = "a list of teams, ".repeat(100);
    assert!(world.sealed(LIST, &world.entry(&list, MINUTE)).bytes.len() < list.len() / 10);
}

#[test]
fn a_value_that_is_too_large_or_over_is_not_sealed() {
    for world in worlds() {
        let encode = |entry| world.codec.encode(&world.seals, &PLACE, DECISION, &entry, world.timeline.now());
        assert_eq!(encode(world.entry(&"x".repeat(10_000), MINUTE)), Encoded::TooLarge);
        assert_eq!(encode(world.entry("x", Duration::ZERO)), Encoded::Over);
    }
}

#[test]
fn what_we_did_not_seal_for_the_name_comes_back_as_it_was_and_what_we_sealed_stays() {
    for world in worlds() {
        let bytes = world.sealed(DECISION, &world.entry("x", MINUTE)).bytes;
        let decode =
            |seals: &Seals, place: Place<'_>| world.codec.decode(seals, &place, bytes.clone(), world.timeline.now());
        assert!(decode(&world.seals, PLACE).is_ok_and(|found| found.is_some()));
        let junk = Some(bytes.clone());
        let elsewhere = Place { name: "tiergate:b", key: b"b", ..PLACE };
        let other = decode(&world.seals, elsewhere).expect_err("another key");
        assert_eq!(other, Faulty { fault: Fault::Seal, key: None, junk: junk.clone() });

        let ring = Keyring::from_bytes(&[2; 32]).expect("long enough");
        let other = decode(&seals(&ring, world.form), PLACE).expect_err("another master key");
        assert_eq!(other, Faulty { fault: Fault::Key, key: Some(keyring().keys().next().expect("one").id()), junk });

        let ours = sealed_anew(&world, &Header { schema: 99, ..header(&world) }, b"");
        let ours = world.codec.decode(&world.seals, &PLACE, ours, world.timeline.now()).expect_err("another schema");
        assert_eq!(ours, Faulty::from(Fault::Schema));
    }
}

#[test]
fn a_payload_is_what_was_written_with_its_type_whatever_its_time() {
    for world in worlds() {
        let text = "a list of teams, ".repeat(100);
        let bytes = world.sealed(LIST, &world.entry(&text, MINUTE)).bytes;
        world.clock.advance(2 * MINUTE);
        assert_eq!(world.life_left(&bytes), None);
        assert_eq!(world.codec.payload(&world.seals, &PLACE, bytes), Ok((1, TestValue::new(&text).to_bytes())));
    }
}

#[test]
fn every_changed_bit_and_every_cut_is_a_fault_and_no_panic() {
    for world in worlds() {
        let bytes = world.sealed(LIST, &world.entry(&"a list of teams, ".repeat(20), MINUTE)).bytes;
        for length in 0..bytes.len() {
            assert!(world.decode(bytes[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(world.decode(changed).is_err(), "bit {bit} was changed");
        }
    }
}

/// As somebody with our key would write it.
fn sealed_anew(world: &World, header: &Header, rest: &[u8]) -> Vec<u8> {
    let mut bytes = world.seals.begin(0);
    bytes.extend(postcard::to_allocvec(header).expect("written"));
    bytes.extend(rest);
    world.seals.seal(&PLACE, &mut bytes).expect("the system has randomness");
    bytes
}

fn header(world: &World) -> Header {
    Header {
        cache_type: 0,
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
    for world in worlds() {
        let value = TestValue::new("x").to_bytes();
        assert_eq!(world.decode(sealed_anew(&world, &header(&world), &value)).map(|found| found.is_some()), Ok(true));

        let schema = |schema| world.decode(sealed_anew(&world, &Header { schema, ..header(&world) }, &value)).map(drop);
        assert_eq!(schema(TestValue::SCHEMA + 1), Err(Fault::Schema));
        assert_eq!(schema(TestValue::SCHEMA - 1), Err(Fault::Schema));

        let packed = |dictionary, length, bytes: &[u8]| {
            let packed = Some(PackedHeader { dictionary, length });
            world.decode(sealed_anew(&world, &Header { packed, ..header(&world) }, bytes)).map(drop)
        };
        let bomb = zstd::bulk::compress(&vec![1; 32 << 20], 3).expect("compressed");
        assert_eq!(packed(0, 32 << 20, &bomb), Err(Fault::TooLarge), "declared");
        assert_eq!(packed(0, u32::MAX, &bomb), Err(Fault::TooLarge), "declared beyond all measure");
        assert_eq!(packed(0, 100, &bomb), Err(Fault::TooLarge), "undeclared");
        assert_eq!(packed(99, 100, &bomb), Err(Fault::Dictionary));
        assert_eq!(packed(0, 100, b"not zstd"), Err(Fault::Value));

        let tags = |tags| world.decode(sealed_anew(&world, &Header { tags, ..header(&world) }, &value)).map(drop);
        assert_eq!(tags(u32::MAX), Err(Fault::Value));
        assert_eq!(world.decode(sealed_anew(&world, &header(&world), b"\x07")).map(drop), Err(Fault::Value));
        assert_eq!(world.decode(vec![VERSION; 100_000]).map(drop), Err(Fault::TooLarge));

        let life = Header { life_ms: u64::MAX, soft_life_ms: u64::MAX, ..header(&world) };
        assert_eq!(world.life_left(&sealed_anew(&world, &life, &value)), Some(Duration::from_millis(MAX_LIFE_MS)));
    }
}

#[test]
fn an_older_and_a_newer_version_are_faults() {
    let world = world(Form::Checksum);
    let bytes = world.sealed(DECISION, &world.entry("x", MINUTE)).bytes;
    for version in [VERSION - 1, VERSION + 1] {
        let mut other = bytes.clone();
        other[0] = version;
        assert_eq!(world.decode(other).map(drop), Err(Fault::Version));
    }
}

#[test]
fn a_life_grows_shorter_by_the_time_of_day_and_never_longer() {
    for world in worlds() {
        let bytes = world.sealed(DECISION, &world.entry("x", MINUTE)).bytes;
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
}

#[test]
fn a_value_from_the_future_is_a_fault_unless_clocks_may_differ_by_as_much() {
    let (ours, theirs) = (world(Form::Cipher), world(Form::Cipher));
    theirs.wall.set_forward(TOLERATED_SKEW);
    let bytes = theirs.sealed(DECISION, &theirs.entry("x", MINUTE)).bytes;
    assert_eq!(ours.life_left(&bytes), Some(MINUTE), "as long as it was filled for, and no longer");
    theirs.wall.set_forward(Duration::from_millis(1));
    let bytes = theirs.sealed(DECISION, &theirs.entry("x", MINUTE)).bytes;
    assert_eq!(ours.decode(bytes).map(drop), Err(Fault::Future));
}
