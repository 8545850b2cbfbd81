//! Kills as bytes: what one process writes another one reads, and what it can't read kills everything there.

use cache_core::testing::{ALPHA, BETA, TYPES};
use cache_core::{CacheType, Kill, Tag};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// The types of another process, which numbers them otherwise.
const THEIR_ALPHA: CacheType = CacheType::new(7, "alpha");
const THEIR_BETA: CacheType = CacheType::new(3, "beta");

fn pattern() -> impl Strategy<Value = Kill> {
    let text = prop_oneof![
        "[a-c:#@./-]{1,6}".prop_map(|id| format!("alpha:user:{id}:*")),
        "[a-cß語]{0,3}".prop_map(|id| format!("*:team:{id}*:*")),
        Just("beta:user:*:*".to_owned()),
    ];
    text.prop_map(|pattern| Kill::parse_pattern(&pattern, &TYPES).expect("a pattern"))
}

fn kill() -> impl Strategy<Value = Kill> {
    prop_oneof![
        4 => any::<u64>().prop_map(|hash| Kill::Tag(Tag::from_hash(hash))),
        2 => prop_oneof![Just(ALPHA), Just(BETA)].prop_map(Kill::Type),
        4 => pattern(),
        1 => Just(Kill::All),
    ]
}

fn names_a_type(kill: &Kill) -> bool {
    match kill {
        Kill::Type(_) => true,
        Kill::Rule(rule) => !format!("{rule:?}").contains("cache_type: None"),
        Kill::Tag(_) | Kill::All => false,
    }
}

/// The checksum, which a test that writes bytes by hand must write as well.
fn sealed(content: &[u8]) -> Vec<u8> {
    use std::hash::Hasher as _;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0x7469_6572_6761_7465, 0x6b69_6c6c_732d_7631);
    hasher.write(content);
    [content, &hasher.finish().to_le_bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back(kills in vec(kill(), 0..200)) {
        prop_assert_eq!(Kill::decode_all(&Kill::encode_all(&kills), &TYPES), kills);
    }

    #[test]
    fn types_travel_by_name(kills in vec(kill(), 0..20)) {
        let theirs = Kill::decode_all(&Kill::encode_all(&kills), &[THEIR_ALPHA, THEIR_BETA]);
        for (ours, theirs) in kills.iter().zip(&theirs) {
            match (ours, theirs) {
                (Kill::Type(ours), Kill::Type(theirs)) => prop_assert_eq!(ours.name(), theirs.name()),
                (ours, theirs) => prop_assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs)),
            }
        }
        // And back again: nothing was lost on the way.
        prop_assert_eq!(Kill::decode_all(&Kill::encode_all(&theirs), &TYPES), kills);
    }

    #[test]
    fn who_does_not_know_a_type_kills_everything(kills in vec(kill(), 0..20)) {
        let read = Kill::decode_all(&Kill::encode_all(&kills), &[]);
        let expected: Vec<_> =
            kills.into_iter().map(|kill| if names_a_type(&kill) { Kill::All } else { kill }).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn what_was_cut_kills_everything(kills in vec(kill(), 0..20), at: Index) {
        let bytes = Kill::encode_all(&kills);
        prop_assert_eq!(Kill::decode_all(&bytes[..at.index(bytes.len())], &TYPES), [Kill::All]);
    }

    #[test]
    fn what_was_damaged_kills_everything(kills in vec(kill(), 0..20), at: Index, by in 1_u8..) {
        let mut bytes = Kill::encode_all(&kills);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert_eq!(Kill::decode_all(&bytes, &TYPES), [Kill::All]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_read_nothing(content in vec(0_u8..6, 0..40), version: bool) {
        let mut content = content;
        content.insert(0, u8::from(version));
        for bytes in [content.clone(), sealed(&content)] {
            let kills = Kill::decode_all(&bytes, &TYPES);
            prop_assert!(!kills.is_empty() || bytes == Kill::encode_all(&[]), "{bytes:?} kills nothing");
        }
    }
}

#[test]
fn the_bytes_do_not_change_between_releases() {
    let rule = Kill::parse_pattern("alpha:user:a*:*", &TYPES).expect("a pattern");
    let kills = [Kill::Tag(Tag::from_hash(0x0807_0605_0403_0201)), Kill::Type(BETA), rule, Kill::All];
    let content = [
        &b"\x01\x04\x01\x08\x01\x02\x03\x04\x05\x06\x07\x08\x02\x04beta\x03\x0f"[..],
        b"\x01\x05alpha\x04user\x02\x01a\x04\x00",
    ];
    assert_eq!(Kill::encode_all(&kills), sealed(&content.concat()));
    assert_eq!(Kill::encode_all(&[])[2..], 0xd9c2_b347_a786_2c9f_u64.to_le_bytes(), "the checksum of nothing");
}

#[test]
fn a_kind_of_kill_that_a_later_release_brought_kills_everything_and_leaves_the_others_readable() {
    let content = b"\x01\x02\x09\x03abc\x02\x05alpha";
    assert_eq!(Kill::decode_all(&sealed(content), &TYPES), [Kill::All, Kill::Type(ALPHA)]);
}

#[test]
fn a_later_version_kills_everything() {
    assert_eq!(Kill::decode_all(&sealed(b"\x02\x00"), &TYPES), [Kill::All]);
}
