//! Many at once: who waits, waits little; who is given up, harms nobody; and a stampede is one load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testing::{ALPHA, TestKey, TestValue};
use cache_redis::{BreakerConfig, BreakerState, Machine, RedisConfig, RedisLayer};
use fault_proxy::Direction;
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, connection, keyring, late, patient, proxy};

#[tokio::test]
async fn more_operations_than_are_allowed_wait_a_little_and_then_the_tier_is_skipped() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let config = RedisConfig { max_in_flight: 4, max_wait_ms: 10, ..patient(redis.url_at(proxy.address())) };
    let instance = Deployment::default().instance(&config);
    instance.put("a", "1").await;
    proxy.set_in(Direction::Replies, late(Duration::from_millis(300)));
    let gets = (0..40).map(|_| instance.get("a"));
    let answers = futures_util::future::join_all(gets).await;
    let busy =
        answers.iter().filter(|answer| answer.as_ref().is_err_and(|error| error.contains("max_in_flight"))).count();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4, "{answers:?}");
    assert_eq!(busy, 36, "{answers:?}");
    let statistics = instance.redis.statistics();
    assert!((33..=36).contains(&statistics.waits), "{statistics:?}");
    assert_eq!(statistics.failures("busy"), statistics.waits);
}

/// A look-up that is given up is still on its way: its answer comes, and must not be taken for another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn look_ups_that_are_given_up_under_load_shift_no_answer_to_another_question() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = RedisConfig { connections: 2, ..patient(redis.url()) };
    let instance = Arc::new(Deployment::default().instance(&config));
    for number in 0..100 {
        instance.put(&number.to_string(), &number.to_string()).await;
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let tasks = (0..32_u64).map(|task| {
        let (instance, answered) = (Arc::clone(&instance), Arc::clone(&answered));
        tokio::spawn(async move {
            for round in 0..200_u64 {
                let name = ((task * 37 + round * 11) % 100).to_string();
                tokio::select! {
                    biased;
                    answer = instance.get(&name) => {
                        assert_eq!(answer, Ok(Some(name.clone())));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    () = turns((task * 13 + round * 7) % 12) => {}
                }
            }
        })
    });
    for task in tasks {
        task.await.expect("every answer was its own");
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(
        (1..32 * 200).contains(&answered),
        "{answered} of 6,400 look-ups came to an end: none was given up, or all"
    );
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.faults.iter().sum::<u64>(), 0, "{statistics:?}");
    assert_eq!(statistics.connections.condemned, 0, "{statistics:?}");
    for number in 0..100 {
        let number = number.to_string();
        assert_eq!(instance.get(&number).await, Ok(Some(number)));
    }
}

/// Ends after others had this many turns: sooner than any timer can.
async fn turns(count: u64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hot_key_that_is_gone_is_loaded_once_however_many_ask_for_it() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    let key = TestKey::new(ALPHA, "hot");
    for _ in 0..3 {
        redis.command(&["FLUSHALL"]).expect("flushed");
        let loads = AtomicUsize::new(0);
        let asks = (0..100).map(|_| {
            instance.chain.get_or_load(&key, |_| async {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, std::io::Error>(TestValue::new("loaded"))
            })
        });
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.expect("loaded").value().text(), "loaded");
        }
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }
}

/// Counted by Redis itself.
#[tokio::test]
async fn a_batch_is_one_command_and_a_fill_of_many_one_round_trip() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&RedisConfig { connections: 1, ..patient(redis.url()) });
    let mut raw = connection(&redis.url()).await;
    instance.get("a").await.expect("the mark is read with the first look-up");
    let () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut raw).await.expect("reset");
    let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(instance.get_many(&names).await.len(), 100);
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut raw).await.expect("asked");
    assert!(info.contains("cmdstat_mget:calls=1,"), "{info}");
    assert!(!info.contains("cmdstat_get:"), "{info}");
}

/// The batches of a value's encoding that would hold up everybody else.
#[tokio::test]
async fn a_large_value_is_encoded_and_decoded_off_the_executor() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = RedisConfig { max_value_bytes: 1 << 20, ..patient(redis.url()) };
    let instance = Deployment::default().instance(&config);
    let text = "x".repeat(400 << 10);
    instance.put("a", &text).await;
    assert_eq!(instance.get("a").await, Ok(Some(text)));
    assert_eq!(instance.redis.statistics().offloaded, 2);
}

/// What is waited for a turn is our own doing. Time is the machine's here.
#[tokio::test]
async fn waiting_for_a_turn_makes_no_call_a_slow_one() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let breaker = BreakerConfig { minimum_calls: 5, slow_call_ms: 200, ..BreakerConfig::default() };
    let config = RedisConfig { breaker, max_in_flight: 1, ..patient(redis.url_at(proxy.address())) };
    let layer = RedisLayer::<TestValue>::new(&config, &keyring(), Machine::default()).expect("the settings are right");
    let redis = layer.handle();
    redis.ping().await.expect("it is there");
    proxy.set_in(Direction::Replies, late(Duration::from_millis(50)));
    let pings = futures_util::future::join_all((0..30).map(|_| redis.ping())).await;
    assert!(pings.iter().all(Result::is_ok), "{pings:?}");
    assert_eq!(redis.statistics().breaker, BreakerState::Closed);
}
