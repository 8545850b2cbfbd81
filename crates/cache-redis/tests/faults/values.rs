//! What Redis holds is not what was put there: corrupt, another's, another release's, or made to harm. Each is a counted miss.

use std::time::Duration;

use cache_core::testing::{ALPHA, TestKey, TestValue};
use cache_core::{CacheLayer, CacheValue, Chain, Draft, Identity, Lookup, Moment, StoredValue};
use cache_redis::{BreakerState, Fault, Keyring, RedisConfig, RedisLayer};
use fault_proxy::Direction;
use redis::AsyncCommands as _;
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, Instance, connection, keyring, machine, names, patient, proxy};

#[tokio::test]
async fn corrupt_cut_and_empty_values_are_misses_and_the_next_fill_mends_them() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    let mut raw = connection(&redis.url()).await;
    let faults = || instance.redis.statistics().faults.iter().sum::<u64>();
    for corrupt in [
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
        |bytes: &mut Vec<u8>| bytes.clear(),
        |bytes: &mut Vec<u8>| *bytes.last_mut().expect("not empty") ^= 1,
        |bytes: &mut Vec<u8>| *bytes = vec![0xff; 4_096],
        |bytes: &mut Vec<u8>| *bytes = b"{\"allowed\":true}".to_vec(),
    ] {
        instance.put("a", "1").await;
        assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));
        let name = names(&mut raw).await.pop().expect("one value");
        let mut bytes: Vec<u8> = raw.get(&name).await.expect("read");
        corrupt(&mut bytes);
        let () = raw.set(&name, bytes).await.expect("written");
        let before = faults();
        assert_eq!(instance.get("a").await, Ok(None));
        assert_eq!(faults(), before + 1);
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
        assert_eq!(instance.get("a").await, Ok(Some("a".to_owned())), "and mends it");
    }
}

#[tokio::test]
async fn a_value_of_another_type_than_a_string_is_an_error_and_no_guess() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    let mut raw = connection(&redis.url()).await;
    let name = names(&mut raw).await.pop().expect("one value");
    let () = raw.del(&name).await.expect("deleted");
    let () = raw.lpush(&name, "1").await.expect("written");
    let error = instance.get("a").await.expect_err("it is no string");
    assert!(error.contains("WRONGTYPE"), "{error}");
    instance.put("a", "2").await;
    assert_eq!(instance.get("a").await, Ok(Some("2".to_owned())), "a fill replaces it whatever it is");
}

/// A value whose encoding has a fault.
#[derive(Clone, Debug)]
struct Brittle;

impl CacheValue for Brittle {
    fn heap_bytes(&self) -> usize {
        200_000
    }
}

impl StoredValue for Brittle {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.resize(200_000, 7);
    }

    fn read(_: &[u8]) -> Option<Self> {
        panic!("a fault of whoever wrote this encoding")
    }
}

/// Large batches are decoded elsewhere: what goes wrong there is told like anything else, and is not taken for absent values.
#[tokio::test]
async fn values_that_can_not_be_decoded_for_a_fault_of_ours_are_errors_and_no_misses() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let layer =
        RedisLayer::<Brittle>::new(&patient(redis.url()), &keyring(), machine(&deployment.clock)).expect("right");
    let handle = layer.handle();
    let chain =
        Chain::builder().tier(layer).log(deployment.log.clone()).clock(deployment.clock.clone()).build().expect("fits");
    let keys = [TestKey::new(ALPHA, "a"), TestKey::new(ALPHA, "b")];
    let keys: Vec<_> = keys.iter().map(|key| chain.key(key)).collect();
    let draft = || Draft {
        value: Brittle,
        stamp: chain.ticket().stamp(),
        read_set: Default::default(),
        types: Default::default(),
        hard_expiry: Moment::NEVER,
    };
    chain.fill_many(&chain.ticket(), keys.iter().map(|key| (*key, draft())).collect()).await;
    let found = chain.find_many(&keys).await;
    assert!(found.iter().all(|lookup| matches!(lookup, Lookup::Error(_))), "{found:?}");
    assert_eq!((handle.statistics().offloaded, handle.statistics().breaker), (2, BreakerState::Closed));
}

#[tokio::test]
async fn values_that_were_swapped_between_keys_are_misses() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    instance.put("b", "2").await;
    let mut raw = connection(&redis.url()).await;
    let both = names(&mut raw).await;
    let values: Vec<Vec<u8>> = raw.mget(&both).await.expect("read");
    let () = raw.set(&both[0], &values[1]).await.expect("written");
    let () = raw.set(&both[1], &values[0]).await.expect("written");
    assert_eq!(instance.get_many(&["a", "b"]).await, [Ok(None), Ok(None)]);
    assert_eq!((instance.get("a").await, instance.get("b").await), (Ok(None), Ok(None)));
    assert_eq!(instance.redis.statistics().faults(Fault::Seal), 4);
}

/// A proxy swaps what comes back: the answers belong to other questions.
#[tokio::test]
async fn replies_that_belong_to_other_requests_are_never_accepted_and_the_connection_ends() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let config = RedisConfig { connections: 1, ..patient(redis.url_at(proxy.address())) };
    let instance = Deployment::default().instance(&config);
    instance.put("a", "1").await;
    instance.put("b", "2").await;
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));
    proxy.set_in(Direction::Replies, fault_proxy::Fault::SwapReplies { patience: Duration::from_secs(5) });
    assert_eq!(tokio::join!(instance.get("a"), instance.get("b")), (Ok(None), Ok(None)));
    assert_eq!(proxy.counters().replies.swapped, 1);
    proxy.set(fault_proxy::Fault::None);
    let statistics = instance.redis.statistics();
    assert_eq!((statistics.faults(Fault::Seal), statistics.connections.suspected), (2, 1), "{statistics:?}");
    assert_eq!(instance.get_many(&["a", "b"]).await, [Ok(Some("1".to_owned())), Ok(Some("2".to_owned()))]);
    assert_eq!(instance.redis.statistics().connections.made, 2);
}

/// Bits that flip on the way, where nothing else notices.
#[tokio::test]
async fn values_that_are_corrupted_on_the_wire_are_misses() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let instance = Deployment::default().instance(&patient(redis.url_at(proxy.address())));
    for number in 0..50 {
        instance.put(&number.to_string(), &number.to_string()).await;
    }
    proxy.set_in(Direction::Replies, fault_proxy::Fault::CorruptValues { one_in: 2 });
    for number in 0..50 {
        assert_eq!(instance.get(&number.to_string()).await, Ok(None), "half of its bytes are wrong");
    }
    assert!(proxy.counters().replies.corrupted > 50);
    proxy.set(fault_proxy::Fault::None);
    assert_eq!(instance.get_at_last("7").await, "7");
    assert_eq!(instance.redis.statistics().faults.iter().sum::<u64>(), 50);
}

#[tokio::test]
async fn a_value_of_another_history_or_another_key_is_not_found() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = patient(redis.url());
    let instance = Deployment::default().instance(&config);
    instance.put("a", "1").await;
    let restored = Deployment::of(Identity::random().expect("random")).instance(&config);
    assert_eq!(restored.get("a").await, Ok(None), "another log");
    let deployment = Deployment::default();
    deployment.instance(&config).put("a", "1").await;
    let other = Keyring::from_bytes(&[8; 32]).expect("long enough");
    assert_eq!(deployment.instance_with(&config, &other).get("a").await, Ok(None), "another key");
    let other = RedisConfig { namespace: "other".to_owned(), ..config.clone() };
    assert_eq!(deployment.instance(&other).get("a").await, Ok(None), "another namespace");
    assert_eq!(deployment.instance(&config).get("a").await, Ok(Some("1".to_owned())), "but another instance");
}

#[tokio::test]
async fn a_value_that_nobody_has_bound_to_a_history_is_neither_found_nor_stored() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let layer =
        RedisLayer::<TestValue>::new(&patient(redis.url()), &crate::support::keyring(), machine(&deployment.clock))
            .expect("the settings are right");
    let source = cache_core::testing::TestKey::new(cache_core::testing::ALPHA, "a");
    let key = deployment.keyer.key(&source);
    assert!(matches!(layer.get_many(&[key]).await.as_deref(), Ok([None])));
    layer.remove_many(&[key]).await.expect("nothing to remove");
    layer.clear().await.expect("nothing to clear");
    assert!(names(&mut connection(&redis.url()).await).await.is_empty());
}

/// The encoding of another release.
#[derive(Clone)]
struct Newer(TestValue);

impl CacheValue for Newer {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl StoredValue for Newer {
    const SCHEMA: u16 = TestValue::SCHEMA + 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"newer:");
        self.0.write(bytes);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        TestValue::read(bytes.strip_prefix(b"newer:")?).map(Self)
    }
}

/// During a rolling deployment both releases have their values, and neither reads or overwrites the other's.
#[tokio::test]
async fn an_older_and_a_newer_schema_live_side_by_side() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let older = deployment.instance(&patient(redis.url()));
    let layer = RedisLayer::<Newer>::new(&patient(redis.url()), &crate::support::keyring(), machine(&deployment.clock))
        .expect("the settings are right");
    let newer = cache_core::Chain::builder()
        .tier(layer)
        .log(std::sync::Arc::clone(&deployment.log))
        .clock(std::sync::Arc::clone(&deployment.clock) as _)
        .keyer(deployment.keyer.clone())
        .build()
        .expect("the parts fit");
    let source = cache_core::testing::TestKey::new(cache_core::testing::ALPHA, "a");
    older.put("a", "older").await;
    assert!(matches!(newer.get(&source).await, cache_core::Lookup::Miss));
    let load = |_| async { Ok::<_, std::io::Error>(Newer(TestValue::new("newer"))) };
    newer.get_or_load(&source, load).await.expect("loaded");
    let found = newer.get(&source).await.hit().map(|hit| hit.value().0.text().to_owned());
    assert_eq!(found.as_deref(), Some("newer"));
    assert_eq!(older.get("a").await, Ok(Some("older".to_owned())));
}

/// Every value of one release under the names of another one, as if names did not tell them apart.
#[tokio::test]
async fn a_value_of_another_schema_under_our_name_is_a_counted_miss() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    let mut raw = connection(&redis.url()).await;
    let name = names(&mut raw).await.pop().expect("one value");
    let bytes: Vec<u8> = raw.get(&name).await.expect("read");
    for version in [bytes[0] - 1, bytes[0] + 1] {
        let mut other = bytes.clone();
        other[0] = version;
        let () = raw.set(&name, other).await.expect("written");
        assert_eq!(instance.get("a").await, Ok(None));
    }
    assert_eq!(instance.redis.statistics().faults(Fault::Version), 2);
}

#[tokio::test]
async fn nothing_of_a_key_or_a_value_can_be_read_from_a_name_and_nothing_lies_there_without_an_end() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance: Instance = Deployment::default().instance(&patient(redis.url()));
    for number in 0..20 {
        instance.put(&format!("canary{number}"), "1").await;
    }
    instance.chain.invalidate_all_of(vec![cache_core::Kill::All]).await.expect("the log takes it");
    instance.put("canary", "1").await;
    let mut raw = connection(&redis.url()).await;
    for name in names(&mut raw).await {
        assert!(name.starts_with("tiergate:") && !name.contains("canary"), "{name}");
        let left: i64 = raw.pttl(&name).await.expect("asked");
        assert!(left > 0, "{name} lies there for ever");
    }
}
