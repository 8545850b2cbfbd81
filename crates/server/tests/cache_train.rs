//! `tiergate cache train` on a real Redis: from values that servers have put there to dictionaries that servers use.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use authz::decide::{CachedValue, GENERATION_RIGHTS, TEAM_ACCESS};
use cache_core::testing::TestKey;
use cache_core::{CacheType, Chain, Draft, FillOutcome, Identity, InProcessLog, Log, Moment, TypeSet};
use cache_redis::{Fault, Keyring, Machine, RedisConfig, RedisHandle, RedisLayer};
use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use server::config::Settings;
use test_services::{Redis, RedisOptions};

use crate::support::child::run;

const KEY: [u8; 32] = [7; 32];

/// An instance, as the settings in a file make it.
struct Instance {
    chain: Chain<CachedValue>,
    redis: RedisHandle<CachedValue>,
}

impl Instance {
    fn of(config: &RedisConfig, identity: Identity) -> Self {
        // The machine that runs the tests may be busy with others.
        let config = RedisConfig { get_timeout_ms: 10_000, fill_timeout_ms: 10_000, ..config.clone() };
        let keyring = Keyring::from_bytes(&KEY).unwrap();
        let layer = RedisLayer::new(&config, &keyring, Machine::default()).unwrap();
        let redis = layer.handle();
        let log: Arc<dyn Log> = Arc::new(InProcessLog::<cache_core::sync::Std>::with_identity(identity));
        Self { chain: Chain::builder().tier(layer).log(log).build().unwrap(), redis }
    }

    async fn put(&self, cache_type: CacheType, name: usize, value: CachedValue) {
        let ticket = self.chain.ticket();
        let draft = Draft {
            value,
            stamp: ticket.stamp(),
            read_set: [].into_iter().collect(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        };
        let outcome = self.chain.fill(&ticket, &TestKey::new(cache_type, name.to_string()), draft).await;
        assert_eq!(outcome, FillOutcome::Offered);
    }

    async fn get(&self, cache_type: CacheType, name: usize) -> Option<CachedValue> {
        let hit = self.chain.get(&TestKey::new(cache_type, name.to_string())).await.hit();
        hit.map(|hit| hit.value().clone())
    }
}

/// The teams that something is shared with: alike, and never the same.
fn teams(number: usize) -> CachedValue {
    let id = |row: usize| format!("department-{}/team-{}", number * 7 % 23, (number * 31 + row * 17) % 997).into();
    CachedValue::Objects(Arc::new((0..25).map(id).collect()))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The settings of the servers, with what a command printed behind them.
fn settings(file: &Path, redis: &Redis, more: &str) -> RedisConfig {
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("[keys]\nmaster = \"{key}\"\n\n[redis]\nurl = \"{}\"\n\n{more}", redis.url());
    std::fs::write(file, text).unwrap();
    // Not from the environment: that of a test has variables that are no settings.
    let figment = Figment::from(Serialized::defaults(Settings::default())).merge(Toml::file_exact(file));
    figment.extract::<Settings>().unwrap().redis.tier().expect("redis.url is set")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_redis_becomes_a_dictionary_that_makes_what_comes_after_it_smaller() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tiergate.toml");
    let dictionaries = directory.path().join("dictionaries");
    let train = |more: &[&str]| {
        let mut arguments = vec!["cache", "train", "--config", file.to_str().unwrap()];
        arguments.extend(["--output", dictionaries.to_str().unwrap()]);
        arguments.extend(more);
        run(&arguments)
    };
    let config = settings(&file, &redis, "");
    let identity = Identity::random().unwrap();
    let before = Instance::of(&config, identity);
    for number in 0..20 {
        before.put(TEAM_ACCESS, number, teams(number)).await;
    }
    let few = train(&["--type", "team_access"]);
    assert_eq!(few.status.code(), Some(1), "{}", said(&few));
    assert!(said(&few).contains("team_access: 20 values of 256 bytes and more, and 100 are needed"), "{}", said(&few));
    assert!(!dictionaries.exists());

    for number in 0..600 {
        before.put(TEAM_ACCESS, number, teams(number)).await;
        before.put(GENERATION_RIGHTS, number, CachedValue::Decision(number % 2 == 0)).await;
    }
    // Several, because what a dictionary was trained on is drawn.
    let others = 1_000..1_040;
    let stored = before.redis.statistics().stored_bytes;
    for number in others.clone() {
        before.put(TEAM_ACCESS, number, teams(number)).await;
    }
    let without = before.redis.statistics().stored_bytes - stored;

    let trained = train(&[]);
    let text = said(&trained);
    println!("{text}");
    assert_eq!(trained.status.code(), Some(0), "{text}");
    assert!(text.contains("team_access: trained on 576 values, tried on 64 others: "), "{text}");
    assert!(text.contains("generation_rights: 0 values of 256 bytes and more"), "decisions are too small: {text}");
    let (_, printed) = text.split_once("[redis.dictionaries]").expect("it says what to put into the settings");
    let path = printed.split('"').nth(1).expect("a path");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds parts of values");
    assert_eq!(std::fs::read_dir(&dictionaries).unwrap().count(), 1, "nothing unfinished stays");

    // Put into the settings as it was printed.
    let after = Instance::of(&settings(&file, &redis, &format!("[redis.dictionaries]{printed}")), identity);
    assert_eq!(after.get(TEAM_ACCESS, 7).await, Some(teams(7)), "what was stored before can still be read");
    for number in others.clone() {
        after.put(TEAM_ACCESS, number, teams(number)).await;
    }
    let with = after.redis.statistics().stored_bytes;
    println!("the envelopes of {} lists of 25 teams: {without} bytes, with the dictionary {with}", others.len());
    assert!(with < without * 4 / 5, "{with} bytes and {without} before");
    assert_eq!(after.get(TEAM_ACCESS, 1_000).await, Some(teams(1_000)));

    assert_eq!(before.get(TEAM_ACCESS, 1_000).await, None, "who does not know the dictionary does not guess");
    assert_eq!(before.redis.statistics().faults(Fault::Dictionary), 1);

    // Trained again by who has the dictionary, and by who has not.
    assert_eq!(train(&[]).status.code(), Some(0));
    settings(&file, &redis, "");
    let again = said(&train(&[]));
    assert!(again.contains("40 are compressed with a dictionary that redis.dictionaries does not name"), "{again}");
}

#[test]
fn what_can_not_be_trained_on_is_said_with_what_to_do() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let refused = |arguments: &[&str]| {
        let mut all = vec!["cache", "train"];
        all.extend(arguments);
        let output = run(&all);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    assert!(refused(&[]).contains("redis.url is not set"));
    let url = format!("redis.url={}", redis.url());
    let no_key = refused(&["--set", &url]);
    assert!(no_key.contains("there is no master key") && no_key.contains("--data"), "{no_key}");
    let key = format!("keys.master={}", "ab".repeat(32));
    let unknown = refused(&["--set", &url, "--set", &key, "--type", "teams"]);
    assert!(unknown.contains("no cache type") && unknown.contains("team_access"), "{unknown}");
    redis.kill();
    let gone = refused(&["--set", &url, "--set", &key]);
    assert!(gone.contains("can't be reached") && !gone.contains(redis.password()), "{gone}");
}

/// Another deployment's values in the same Redis, under the same prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_under_another_master_key_are_no_samples() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tiergate.toml");
    let theirs = Instance::of(&settings(&file, &redis, ""), Identity::random().unwrap());
    for number in 0..150 {
        theirs.put(TEAM_ACCESS, number, teams(number)).await;
    }
    let (url, key) = (format!("redis.url={}", redis.url()), format!("keys.master={}", "ab".repeat(32)));
    let output = run(&["cache", "train", "--set", &url, "--set", &key]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("read 0 values; 150 are under another master key"), "{}", said(&output));
}
