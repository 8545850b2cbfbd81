use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::randomness::SystemRandomness;

const PLACE: Place<'static> = Place { name: "tiergate:a", context: b"context", key: b"a" };

struct Broken;

impl Randomness for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
        Err(NoRandomness)
    }
}

fn ring(byte: u8) -> Keyring {
    Keyring::from_bytes(&[byte; 32]).expect("long enough")
}

fn seals(byte: u8, form: Form) -> Seals {
    Seals::new(&ring(byte), form, Arc::new(SystemRandomness))
}

fn sealed(seals: &Seals, content: &[u8]) -> Vec<u8> {
    let mut bytes = seals.begin(content.len());
    bytes.extend_from_slice(content);
    seals.seal(&PLACE, &mut bytes).expect("the system has randomness");
    bytes
}

fn opened(seals: &Seals, place: &Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    seals.open(place, bytes.to_vec()).map(|opened| opened.content().to_vec()).map_err(|faulty| faulty.fault)
}

#[test]
fn content_of_every_length_comes_back_as_it_was() {
    for form in [Form::Checksum, Form::Cipher] {
        let seals = seals(1, form);
        for length in 0..200 {
            for byte in [0, 7, END_MARK] {
                let content = vec![byte; length];
                assert_eq!(opened(&seals, &PLACE, &sealed(&seals, &content)), Ok(content));
            }
        }
    }
}

#[test]
fn every_changed_bit_and_every_cut_is_noticed_and_comes_back_as_it_was() {
    for form in [Form::Checksum, Form::Cipher] {
        let seals = seals(1, form);
        let bytes = sealed(&seals, b"content");
        for length in 0..bytes.len() {
            let cut = seals.open(&PLACE, bytes[..length].to_vec()).expect_err("cut");
            assert_eq!(cut.junk.as_deref(), Some(&bytes[..length]));
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let faulty = seals.open(&PLACE, changed.clone()).expect_err("changed");
            assert_eq!(faulty.junk, Some(changed), "bit {bit} was changed");
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert!(seals.open(&PLACE, longer).is_err());
    }
}

/// Also where the name is the same: an encrypted value is bound to what the name stands for, and not only to a hash of it.
#[test]
fn an_encrypted_value_opens_in_its_own_place_alone() {
    let seals = seals(1, Form::Cipher);
    let bytes = sealed(&seals, b"content");
    for place in [
        Place { key: b"b", ..PLACE },
        Place { key: b"", ..PLACE },
        Place { context: b"other", ..PLACE },
        Place { context: &PLACE.context[..6], key: b"ta", ..PLACE },
        Place { context: b"context\x61", key: b"", ..PLACE },
    ] {
        assert_eq!(opened(&seals, &place, &bytes), Err(Fault::Seal), "{place:?}");
    }
}

#[test]
fn the_named_key_is_tried_and_no_other_one() {
    for form in [Form::Checksum, Form::Cipher] {
        let (ours, theirs) = (seals(1, form), seals(2, form));
        let bytes = sealed(&theirs, b"content");
        assert_eq!(opened(&ours, &PLACE, &bytes), Err(Fault::Key));
        let id_at = if form == Form::Cipher { NONCE_AT - KEY_ID_BYTES } else { 1 };
        let mut renamed = bytes;
        renamed[id_at..id_at + KEY_ID_BYTES].copy_from_slice(&ours.keys[0].0);
        assert_eq!(opened(&ours, &PLACE, &renamed), Err(Fault::Seal));
    }
}

#[test]
fn neither_form_is_taken_for_the_other() {
    let (checked, encrypted) = (seals(1, Form::Checksum), seals(1, Form::Cipher));
    assert_eq!(opened(&encrypted, &PLACE, &sealed(&checked, b"content")), Err(Fault::Version));
    assert_eq!(opened(&checked, &PLACE, &sealed(&encrypted, b"content")), Err(Fault::Version));
}

#[test]
fn without_randomness_nothing_is_sealed() {
    let broken = Seals::new(&ring(1), Form::Cipher, Arc::new(Broken));
    let mut bytes = broken.begin(7);
    bytes.extend_from_slice(b"content");
    assert_eq!(broken.seal(&PLACE, &mut bytes), Err(NoRandomness));
}

#[test]
fn lengths_come_in_steps_and_content_does_not_show() {
    let seals = seals(1, Form::Cipher);
    let lengths: HashSet<usize> = (0..PADDING_STEP).map(|length| sealed(&seals, &vec![b'x'; length]).len()).collect();
    assert_eq!(lengths, HashSet::from([ENCRYPTED_AT + PADDING_STEP + TAG_BYTES]));
    let bytes = sealed(&seals, b"user:canary");
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
}

fn nonces(count: usize) -> usize {
    let seals = seals(1, Form::Cipher);
    let drawn: HashSet<[u8; NONCE_BYTES]> =
        (0..count).map(|_| sealed(&seals, b"")[NONCE_AT..ENCRYPTED_AT].try_into().expect("a nonce")).collect();
    drawn.len()
}

#[test]
fn a_hundred_thousand_seals_have_as_many_nonces() {
    assert_eq!(nonces(100_000), 100_000);
}
