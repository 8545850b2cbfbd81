//! Whoever reads all of Redis learns nothing, and whoever moves values there makes misses.

use std::sync::Arc;

use cache_core::Identity;
use cache_redis::{Encryption, Fault, Keyring, Machine, NoRandomness, Randomness, RedisConfig, RedisLayer};
use redis::AsyncCommands as _;
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, Instance, connection, keyring, machine, names, patient};

#[tokio::test]
async fn a_dump_of_redis_holds_no_plaintext_and_no_value_that_opens_under_another_name() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    for number in 0..10 {
        instance.put(&format!("canary{number}"), &format!("canary of {number}")).await;
    }
    let mut raw = connection(&redis.url()).await;
    let all = names(&mut raw).await;
    let values: Vec<Vec<u8>> = raw.mget(&all).await.expect("read");
    for bytes in all.iter().map(|name| name.as_bytes()).chain(values.iter().map(Vec::as_slice)) {
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
    // Every value under every name, the matrix of all swaps.
    let keys: Vec<String> = (0..10).map(|number| format!("canary{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for shift in 1..all.len() {
        for (at, name) in all.iter().enumerate() {
            let () = raw.set(name, &values[(at + shift) % all.len()]).await.expect("written");
        }
        assert!(instance.get_many(&keys).await.iter().all(|found| *found == Ok(None)), "shifted by {shift}");
    }
    assert_eq!(instance.redis.statistics().faults(Fault::Seal), 90);
}

/// The only value of one instance under the only name of another, which has the same key for the same row.
async fn moved(from: &Instance, to: &Instance, redis: &Redis) -> Option<String> {
    redis.command(&["FLUSHALL"]).expect("flushed");
    let mut raw = connection(&redis.url()).await;
    from.put("a", "theirs").await;
    let theirs = names(&mut raw).await.pop().expect("one value");
    to.put("a", "ours").await;
    let ours = names(&mut raw).await.into_iter().find(|name| *name != theirs).expect("another name");
    let () = raw.rename(&theirs, &ours).await.expect("renamed");
    to.get("a").await.expect("redis answers")
}

#[tokio::test]
async fn a_value_of_another_history_namespace_key_or_form_does_not_open_under_our_name() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let config = patient(redis.url());
    let ours = deployment.instance(&config);
    let history = Deployment { keyer: deployment.keyer.clone(), ..Deployment::of(Identity::random().expect("random")) };
    let others = [
        (Fault::Seal, history.instance(&config)),
        (Fault::Seal, deployment.instance(&RedisConfig { namespace: "other".to_owned(), ..config.clone() })),
        (Fault::Key, deployment.instance_with(&config, &Keyring::from_bytes(&[8; 32]).expect("long enough"))),
        (Fault::Version, deployment.instance(&RedisConfig { encryption: Encryption::Off, ..config.clone() })),
    ];
    for (fault, other) in &others {
        let before = ours.redis.statistics().faults(*fault);
        assert_eq!(moved(other, &ours, &redis).await, None, "{fault:?}");
        assert_eq!(ours.redis.statistics().faults(*fault), before + 1, "{fault:?}");
    }
    let checked = deployment.instance(&RedisConfig { encryption: Encryption::Off, ..config });
    assert_eq!(moved(&ours, &checked, &redis).await, None, "nor the other way round");
}

struct Broken;

impl Randomness for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
        Err(NoRandomness)
    }
}

#[tokio::test]
async fn without_randomness_nothing_is_written_and_that_is_counted() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let machine = Machine { randomness: Arc::new(Broken), ..machine(&deployment.clock) };
    let layer = RedisLayer::new(&patient(redis.url()), &keyring(), machine).expect("the settings are right");
    let instance = deployment.instance_of(layer);
    instance.put("a", "1").await;
    assert_eq!(instance.get("a").await, Ok(None));
    assert!(names(&mut connection(&redis.url()).await).await.is_empty());
    assert_eq!(instance.redis.statistics().unsealed, 1);
    assert_eq!(instance.answer("a").await, "a", "the origin answers");
}
