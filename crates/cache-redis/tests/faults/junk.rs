//! What nobody with our key has put under our names is a miss, is counted, and does not stay there.

use std::time::Duration;

use cache_redis::{BreakerState, Fault, Keyring, MAX_UNKNOWN_KEYS, RedisConfig};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, Instance, connection, names, patient, until};

async fn only_name(raw: &mut MultiplexedConnection) -> String {
    let mut names = names(raw).await;
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

/// Moves time on until what was found is swept.
async fn removed(instance: &Instance, count: u64) {
    until(|| async {
        instance.clock.advance(Duration::from_millis(100));
        (instance.redis.statistics().junk_removed == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_corrupt_value_that_no_fill_replaces_is_removed_behind_the_answer() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    let mut raw = connection(&redis.url()).await;
    for (round, corrupt) in (1..).zip([&b""[..], b"{\"allowed\":true}", &[0xff; 4_096]]) {
        instance.put("a", "1").await;
        let name = only_name(&mut raw).await;
        let () = raw.set(&name, corrupt).await.expect("written");
        assert_eq!(instance.get("a").await, Ok(None));
        assert!(raw.exists::<_, bool>(&name).await.expect("asked"), "the answer waited for no removal");
        removed(&instance, round).await;
        assert!(!raw.exists::<_, bool>(&name).await.expect("asked"));
    }
    assert_eq!(instance.redis.statistics().failures.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn a_value_that_was_filled_since_the_corrupt_one_was_found_stays() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let instance = deployment.instance(&patient(redis.url()));
    let mut raw = connection(&redis.url()).await;
    instance.put("a", "1").await;
    let name = only_name(&mut raw).await;
    let () = raw.set(&name, "junk").await.expect("written");
    assert_eq!(instance.get("a").await, Ok(None));
    deployment.instance(&patient(redis.url())).put("a", "2").await;
    // The next one that is swept comes after it.
    instance.clock.advance(Duration::from_secs(1));
    until(|| async {
        instance.put("b", "1").await;
        let other = names(&mut connection(&redis.url()).await).await.into_iter().find(|other| *other != name)?;
        let () = connection(&redis.url()).await.set(&other, "junk").await.expect("written");
        assert_eq!(instance.get("b").await, Ok(None));
        instance.clock.advance(Duration::from_secs(1));
        (instance.redis.statistics().junk_removed > 0).then_some(())
    })
    .await;
    assert_eq!(instance.get("a").await, Ok(Some("2".to_owned())));
}

/// A removal takes the same rights as any other; where there are none, what lies there ends by its time.
#[tokio::test]
async fn many_corrupt_values_are_removed_a_few_at_a_time() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for key in &keys {
        instance.put(key, "1").await;
    }
    let mut raw = connection(&redis.url()).await;
    for name in names(&mut raw).await {
        let () = raw.set(&name, "junk").await.expect("written");
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut last = 0;
    while last < 100 {
        instance.get_many(&keys).await;
        let now = until(|| async {
            instance.clock.advance(Duration::from_millis(200));
            let now = instance.redis.statistics().junk_removed;
            (now > last).then_some(now)
        })
        .await;
        assert!(now - last <= 32, "{} at once", now - last);
        last = now;
    }
    assert!(names(&mut raw).await.is_empty());
}

/// Values of a key that is not ours any more, or not yet, under our names.
#[tokio::test]
async fn values_under_another_master_key_are_misses_by_key_and_nobody_tries_again() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let instance = deployment.instance(&patient(redis.url()));
    let mut raw = connection(&redis.url()).await;
    let retired = |number: usize| {
        let keyring = Keyring::from_bytes(&[number as u8 + 100; 32]).expect("long enough");
        deployment.instance_with(&patient(redis.url()), &keyring)
    };
    let rotated = MAX_UNKNOWN_KEYS + 3;
    for number in 0..rotated {
        redis.command(&["FLUSHALL"]).expect("flushed");
        let retired = retired(number);
        retired.put("a", "old").await;
        let theirs = only_name(&mut raw).await;
        instance.put("a", "new").await;
        let ours = names(&mut raw).await.into_iter().find(|name| *name != theirs).expect("another name");
        assert_eq!((retired.get("a").await, instance.get("a").await), (Ok(Some("old".into())), Ok(Some("new".into()))));
        let () = raw.rename(&theirs, &ours).await.expect("renamed");
        assert_eq!(instance.get("a").await, Ok(None));
        assert_eq!(instance.get("a").await, Ok(None));
    }
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.faults(Fault::Key), 2 * rotated as u64, "{statistics:?}");
    assert_eq!(statistics.unknown_keys.len(), MAX_UNKNOWN_KEYS, "{statistics:?}");
    assert!(statistics.unknown_keys.iter().all(|(id, count)| id.len() == 8 && *count == 2), "{statistics:?}");
    assert_eq!((statistics.retries, statistics.connections.suspected), (0, 0), "{statistics:?}");
    assert_eq!(statistics.breaker, BreakerState::Closed);
}

#[tokio::test]
async fn values_that_are_too_large_are_not_stored_and_counted() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = RedisConfig { max_value_bytes: 1_000, ..patient(redis.url()) };
    let instance = Deployment::default().instance(&config);
    instance.put("a", "small").await;
    instance.put("a", &"x".repeat(1_000)).await;
    assert_eq!(instance.get("a").await, Ok(None), "nor does the older one stay");
    assert_eq!(instance.redis.statistics().too_large, 1);
    assert_eq!(instance.chain.statistics().tiers[0].too_large, 1);
    assert!(names(&mut connection(&redis.url()).await).await.is_empty());
}

/// Somebody else's, or of an instance with a higher bound: it was not ours to allocate for, but it is ours not to use.
#[tokio::test]
async fn a_value_beyond_our_bound_is_a_counted_miss_and_stays_for_who_allows_it() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let generous = deployment.instance(&patient(redis.url()));
    let strict = deployment.instance(&RedisConfig { max_value_bytes: 1_000, ..patient(redis.url()) });
    let text = "x".repeat(100_000);
    generous.put("a", &text).await;
    assert_eq!(strict.get("a").await, Ok(None));
    assert_eq!(strict.redis.statistics().faults(Fault::TooLarge), 1);
    strict.clock.advance(Duration::from_secs(2));
    assert_eq!(generous.get("a").await, Ok(Some(text)));
    assert_eq!(strict.redis.statistics().junk_removed, 0);
}
