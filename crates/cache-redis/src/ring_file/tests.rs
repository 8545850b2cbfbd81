use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn ids(ring: &RingFile) -> Vec<String> {
    ring.keys().map(|key| key.id.clone()).collect()
}

fn written(secret: &[u8], state: &str) -> String {
    let id = id_text(MasterKey::new(secret).id());
    format!("[[key]]\nid = \"{id}\"\nstate = \"{state}\"\nsecret = \"{}\"\n", STANDARD.encode(secret))
}

fn random() -> Vec<u8> {
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret).expect("the system has randomness");
    secret
}

#[test]
fn a_ring_comes_back_from_its_file_as_it_was_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ring.toml");
    let mut ring = RingFile::generate().expect("made");
    ring.create(&path).expect("written");
    assert!(ring.create(&path).is_err(), "nothing that is there is overwritten");
    ring.add().expect("added");
    ring.write(&path).expect("written");
    let read = RingFile::read(&path).expect("read");
    assert_eq!(read.keys().collect::<Vec<_>>(), ring.keys().collect::<Vec<_>>());
    assert_eq!(read.keyring().expect("usable").derive::<16>("names"), ring.keyring().expect("usable").derive("names"));
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
    for mode in [0o640, 0o604, 0o644] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        let error = Keyring::from_ring_file(&path).expect_err("others may read it").to_string();
        assert!(error.contains("chmod 600") && error.contains("ring.toml"), "{error}");
    }
}

#[test]
fn a_key_goes_from_pre_active_to_active_to_retiring_to_destroyed_and_names_stay_meanwhile() {
    let mut ring = RingFile::generate().expect("made");
    let names = |ring: &RingFile| ring.keyring().expect("usable").derive::<16>("names");
    let before = names(&ring);
    let second = ring.add().expect("added");
    let states = |ring: &RingFile| ring.keys().map(|key| key.state).collect::<Vec<_>>();
    assert_eq!(states(&ring), [KeyState::Active, KeyState::PreActive]);
    ring.activate(&second).expect("known");
    assert_eq!(states(&ring), [KeyState::Retiring, KeyState::Active]);
    assert_eq!((ring.keyring().expect("usable").active_id(), names(&ring)), (second.clone(), before));
    assert!(ring.destroy(&second).is_err() && ring.retire(&second).is_err(), "it is active");
    assert!(ring.activate("00000000").is_err());
    let first = ids(&ring).remove(0);
    assert_eq!(ring.destroy(&first), Ok(true), "names derived from it");
    assert_ne!(names(&ring), before);
    let third = ring.add().expect("added");
    assert_eq!(ring.destroy(&third), Ok(false));
}

#[test]
fn short_guessable_and_doubled_keys_unknown_fields_and_rings_without_one_active_key_are_refused() {
    let counted: Vec<u8> = (0..32).collect();
    let repeated = random()[..16].repeat(2);
    let (good, other) = (random(), random());
    let cut = written(&good, "active").replace(&STANDARD.encode(&good), &STANDARD.encode(&other));
    for (text, problem) in [
        (written(&good[..31], "active"), "31 bytes"),
        (written(&[7; 32], "active"), "can be guessed"),
        (written(b"changemechangemechangemechangeme", "active"), "can be guessed"),
        (written(&counted, "active"), "can be guessed"),
        (written(&repeated, "active"), "can be guessed"),
        (written(&good, "active").repeat(2), "twice"),
        (written(&good, "retiring"), "0 keys are active"),
        (written(&good, "active") + &written(&other, "active"), "2 keys are active"),
        (written(&good, "retired"), "line 3"),
        (written(&good, "active") + "owner = \"ann\"\n", "line"),
        (cut, "wrong id"),
        (String::new(), "0 keys are active"),
    ] {
        let error = RingFile::parse(&text).expect_err(problem);
        assert!(error.contains(problem), "{error}");
        for secret in [&good[..], &good[..31], &other, &repeated] {
            assert!(!error.contains(&STANDARD.encode(secret)[..12]), "{error}");
        }
    }
    assert!(RingFile::parse(&written(&good, "active")).is_ok());
}

#[test]
fn no_secret_is_shown() {
    let secret = random();
    let ring = RingFile::parse(&written(&secret, "active")).expect("usable");
    let shown = format!("{ring:?} {:?}", ring.keyring());
    assert!(!shown.contains(&STANDARD.encode(&secret)[..8]) && shown.contains("redacted"), "{shown}");
}
