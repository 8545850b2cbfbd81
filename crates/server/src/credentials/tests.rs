use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use ulid::Ulid;

use super::*;

const STORE: StoreId = StoreId(Ulid(7));

struct At(AtomicU64);

impl WallClock for At {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::Relaxed)
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: Arc<At>,
    file: KeysFile,
}

impl World {
    fn new() -> Self {
        let (clock, file) = (Arc::new(At(AtomicU64::new(1_000))), KeysFile::default());
        Self { directory: tempfile::tempdir().unwrap(), clock, file }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("keys.toml")
    }

    fn add(&mut self, name: &str, expires: Option<UnixMillis>) -> String {
        let key = self.file.add(name, Scopes::of(&[Scope::Check]), Some(STORE), expires).unwrap();
        self.file.write(&self.path()).unwrap();
        key.to_string()
    }

    fn open(&self) -> Credentials {
        Credentials::with_clock(Some(&self.path()), Arc::clone(&self.clock) as Arc<dyn WallClock>).unwrap()
    }
}

fn bearer(key: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap())])
}

fn name(caller: &Caller) -> Option<&str> {
    match caller {
        Caller::Known(credential) => Some(&credential.name),
        Caller::Anyone | Caller::Nobody => None,
    }
}

#[test]
fn whoever_shows_a_key_is_known_and_any_other_byte_makes_them_nobody() {
    let mut world = World::new();
    let key = world.add("render", None);
    let credentials = world.open();
    let caller = |headers: &HeaderMap| credentials.caller(headers, Api::AuthZen);
    assert_eq!(name(&caller(&bearer(&key))), Some("render"));
    assert!(matches!(caller(&HeaderMap::new()), Caller::Nobody));
    for at in 0..key.len() {
        let mut other = key.clone().into_bytes();
        other[at] = if other[at] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(other).unwrap();
        assert!(matches!(caller(&bearer(&other)), Caller::Nobody), "byte {at}");
    }
    for other in ["", " ", &key[..key.len() - 1], &format!("{key}0"), "tiergate__", "tiergate_x_y"] {
        assert!(matches!(caller(&bearer(other)), Caller::Nobody), "{other}");
    }
}

#[test]
fn a_key_stands_in_one_header_once() {
    let mut world = World::new();
    let (one, two) = (world.add("one", None), world.add("two", None));
    let credentials = world.open();
    let value = |text: &str| HeaderValue::from_str(text).unwrap();
    let mut headers = bearer(&one);
    headers.insert(KEY_HEADER, value(&two));
    assert_eq!(name(&credentials.caller(&headers, Api::OpenFga)), Some("two"), "what is ours goes first");
    assert_eq!(name(&credentials.caller(&headers, Api::Gateway)), Some("two"));
    assert!(matches!(credentials.caller(&bearer(&one), Api::Gateway), Caller::Nobody), "that is the client's");
    headers.append(KEY_HEADER, value(&two));
    assert!(matches!(credentials.caller(&headers, Api::OpenFga), Caller::Nobody));
    let mut doubled = bearer(&one);
    doubled.append(AUTHORIZATION, value(&format!("Bearer {one}")));
    assert!(matches!(credentials.caller(&doubled, Api::OpenFga), Caller::Nobody));
    let basic = HeaderMap::from_iter([(AUTHORIZATION, value(&format!("Basic {one}")))]);
    assert!(matches!(credentials.caller(&basic, Api::OpenFga), Caller::Nobody));
    let lower = HeaderMap::from_iter([(AUTHORIZATION, value(&format!("bearer  {one}")))]);
    assert_eq!(name(&credentials.caller(&lower, Api::OpenFga)), Some("one"));
}

#[test]
fn a_key_ends_at_its_time() {
    let mut world = World::new();
    let key = world.add("render", Some(2_000));
    let credentials = world.open();
    for (now, is_known) in [(1_999, true), (2_000, false), (3_000, false)] {
        world.clock.0.store(now, Ordering::Relaxed);
        assert_eq!(name(&credentials.caller(&bearer(&key), Api::AuthZen)).is_some(), is_known, "{now}");
    }
}

#[test]
fn keys_take_turns_and_a_revoked_one_is_gone_when_the_file_is_read_again() {
    let mut world = World::new();
    let old = world.add("render", None);
    let credentials = world.open();
    let new = world.file.rotate("render", None).unwrap().to_string();
    world.file.write(&world.path()).unwrap();
    assert!(matches!(credentials.caller(&bearer(&new), Api::AuthZen), Caller::Nobody), "nobody has read it yet");
    assert_eq!(credentials.replace(credentials.read_again().unwrap().unwrap()), 2);
    for key in [&old, &new] {
        let caller = credentials.caller(&bearer(key), Api::AuthZen);
        assert_eq!((name(&caller), caller.own_store()), (Some("render"), Some(STORE)));
    }
    let id = world.file.keys().next().unwrap().id.clone();
    assert_eq!(world.file.revoke(&id), Ok(1));
    world.file.write(&world.path()).unwrap();
    credentials.replace(credentials.read_again().unwrap().unwrap());
    assert!(matches!(credentials.caller(&bearer(&old), Api::AuthZen), Caller::Nobody));
    assert_eq!(name(&credentials.caller(&bearer(&new), Api::AuthZen)), Some("render"));
    assert!(world.file.revoke(&id).is_err() && world.file.rotate("other", None).is_err());
    let other = world.file.add("render", Scopes::of(&[Scope::Admin]), None, None);
    assert!(other.unwrap_err().contains("choose another name"), "keys of one name are for the same");
    world.file.add("brief", Scopes::of(&[Scope::Check]), None, Some(5_000)).unwrap();
    assert!(world.file.rotate("brief", None).unwrap_err().contains("--days"), "an end is not lost by a rotation");
    assert!(world.file.rotate("brief", Some(9_000)).is_ok());
}

#[test]
fn a_file_that_is_wrong_is_refused_and_what_is_valid_stays() {
    let mut world = World::new();
    let key = world.add("render", None);
    let credentials = world.open();
    let good = std::fs::read_to_string(world.path()).unwrap();
    let wrong = [
        (good.replace("\"check\"", "\"ask\""), "there is no scope"),
        (good.replace("[\"check\"]", "[]"), "without a scope"),
        (good.replace("render", "ren der"), "a name has"),
        (good.replace("sha256 = \"", "sha256 = \"0"), "64 hexadecimal"),
        (good.replace("store = \"", "store = \"x"), "is no id"),
        (good.replace("name =", "title ="), "[[key]]"),
        (format!("{good}{}", good.replace("name", "# \nname")), "twice"),
        (format!("{good}expires = \"soon\"\n"), "is no time"),
    ];
    for (text, problem) in wrong {
        secret_file_with(&world.path(), &text);
        let refused = credentials.read_again().map(drop).unwrap_err();
        assert!(refused.problem.contains(problem), "{refused}\n{text}");
        assert_eq!(name(&credentials.caller(&bearer(&key), Api::AuthZen)), Some("render"));
    }
    secret_file_with(&world.path(), &good);
    std::fs::set_permissions(world.path(), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    assert!(credentials.read_again().map(drop).unwrap_err().problem.contains("chmod 600"));
}

fn secret_file_with(path: &Path, text: &str) {
    cache_redis::secret_file::replace(path, text).unwrap();
}

#[test]
fn without_a_file_everybody_is_somebody() {
    let credentials = Credentials::open(None).unwrap();
    assert!(matches!(credentials.caller(&bearer("tiergate_x"), Api::AuthZen), Caller::Anyone));
    assert!(!credentials.are_required() && credentials.read_again().unwrap().is_none());
}

#[test]
fn a_file_that_holds_a_key_itself_does_not_show_it() {
    let mut world = World::new();
    let key = world.add("render", None);
    for text in [key.clone(), format!("key = {key}"), format!("key = \"{key}\""), format!("[[key]]\nid = \"{key}\"\n")]
    {
        secret_file_with(&world.path(), &text);
        let problem = Credentials::open(Some(&world.path())).unwrap_err().to_string();
        assert!(!problem.contains(&key[30..]), "{problem}");
    }
}

#[test]
fn a_file_shows_no_key() {
    let mut world = World::new();
    let key = world.add("render", None);
    let text = std::fs::read_to_string(world.path()).unwrap();
    let secret = key.rsplit('_').next().unwrap();
    assert!(!text.contains(secret) && !text.contains(&key));
}
