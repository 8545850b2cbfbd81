//! Clearing, ends and compression, as several instances of a deployment see them.

use std::time::Duration;

use cache_core::Kill;
use cache_redis::{Compression, DEFAULT_DICTIONARY_BYTES, Dictionary, Fault, GENERATION_INTERVAL_MS, RedisConfig};
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, patient};

/// Elsewhere a clear is noticed with a look-up that is made anyway; no key is looked for.
#[tokio::test]
async fn a_clear_is_noticed_by_the_other_instances_and_they_share_what_comes_after() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    // Histories of their own for what is judged, so that it is the names alone that tell.
    let identity = cache_core::Identity::random().expect("random");
    let (one, other) = (Deployment::of(identity), Deployment::of(identity));
    let (one, other) = (one.instance(&patient(redis.url())), other.instance(&patient(redis.url())));
    one.put("a", "1").await;
    assert_eq!(other.get("a").await, Ok(Some("1".to_owned())));
    one.chain.invalidate_all_of(vec![Kill::All]).await.expect("the log takes it");
    assert_eq!(one.get("a").await, Ok(None));
    assert_eq!(other.get("a").await, Ok(Some("1".to_owned())), "it has not looked yet");
    other.clock.advance(Duration::from_millis(GENERATION_INTERVAL_MS));
    assert_eq!(other.get("a").await, Ok(None));
    one.put("a", "2").await;
    assert_eq!(other.get("a").await, Ok(Some("2".to_owned())));
    other.clock.advance(Duration::from_millis(GENERATION_INTERVAL_MS));
    assert_eq!(other.get("a").await, Ok(Some("2".to_owned())), "the mark is read again and is the same");
    let commands = redis.command(&["INFO", "commandstats"]).expect("asked");
    let commands = commands.text().expect("text").to_owned();
    assert!(!commands.contains("keys") && !commands.contains("scan") && !commands.contains("flush"), "{commands}");
}

fn with_dictionary(url: String, dictionary: Option<std::path::PathBuf>) -> RedisConfig {
    let zstd = Compression::Zstd { level: 3, min_bytes: 64, dictionary };
    RedisConfig { compression: [("alpha".to_owned(), zstd)].into(), ..patient(url) }
}

fn teams(number: usize) -> String {
    (0..30).map(|row| format!("team:{}#member@user:{},", number * 17 + row, row * 31)).collect()
}

#[tokio::test]
async fn an_instance_that_does_not_know_a_dictionary_misses_and_one_that_does_reads_old_and_new() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let train = |from: usize| {
        let samples: Vec<_> = (from..from + 300).map(teams).collect();
        let dictionary = Dictionary::train(&samples, DEFAULT_DICTIONARY_BYTES).expect("the samples are alike");
        let path = folder.path().join(format!("{}.dict", dictionary.id()));
        std::fs::write(&path, dictionary.as_bytes()).expect("written");
        path
    };
    let (old, new) = (train(0), train(10_000));
    assert_ne!(old, new, "two dictionaries");
    let deployment = Deployment::default();
    let before = deployment.instance(&with_dictionary(redis.url(), Some(old.clone())));
    before.put("a", &teams(1)).await;
    let stored = before.redis.statistics().stored_bytes;
    assert!(stored < teams(1).len() as u64 / 3, "{stored} bytes of {}", teams(1).len());

    let without = deployment.instance(&with_dictionary(redis.url(), None));
    assert_eq!(without.get("a").await, Ok(None));
    assert_eq!(without.redis.statistics().faults(Fault::Dictionary), 1);

    let config = RedisConfig { dictionaries: vec![old], ..with_dictionary(redis.url(), Some(new)) };
    let after = deployment.instance(&config);
    assert_eq!(after.get("a").await, Ok(Some(teams(1))));
    after.put("a", &teams(2)).await;
    assert_eq!(after.get("a").await, Ok(Some(teams(2))));
    assert_eq!(before.get("a").await, Ok(None), "the other way round it is a miss as well");
}
