//! Redis is not there: at the start, in the middle, for a moment, or with nothing left in it.

use std::time::Duration;

use cache_core::telemetry::Outcome;
use cache_core::testing::{ALPHA, TestKey, TestValue};
use cache_core::{Lookup, Source};
use cache_redis::{BreakerConfig, BreakerState, RedisConfig};
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, patient, row, until};

/// Few calls tell a breaker enough, so that a test needs few.
fn quick_to_judge(url: impl Into<String>) -> RedisConfig {
    let breaker = BreakerConfig { minimum_calls: 4, half_open_calls: 2, ..patient("").breaker };
    RedisConfig { breaker, ..patient(url) }
}

#[tokio::test]
async fn redis_is_down_at_the_start_and_the_tier_joins_by_itself() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    redis.kill();
    let instance = Deployment::default().instance(&quick_to_judge(redis.url()));
    for _ in 0..10 {
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
    }
    assert_eq!(instance.redis.statistics().breaker, BreakerState::Open);
    assert!(instance.redis.ping().await.is_err());

    redis.restart().expect("it starts again");
    until(|| async {
        instance.clock.advance(Duration::from_millis(100));
        instance.redis.ping().await.ok()
    })
    .await;
    instance.put("a", "1").await;
    assert_eq!(instance.get_at_last("a").await, "1");
    until(|| async {
        (instance.get("a").await.is_ok() && instance.redis.statistics().breaker == BreakerState::Closed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn redis_dies_in_the_middle_and_no_request_fails_or_tries_it_more_than_twice() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&quick_to_judge(redis.url()));
    instance.put("a", "1").await;
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));
    redis.kill();
    for _ in 0..50 {
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
    }
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.breaker, BreakerState::Open);
    assert!(statistics.retries <= 4, "{statistics:?}");
    let asked: u64 = statistics.failures("broken") + statistics.failures("unreachable");
    assert!((1..=6).contains(&asked), "the breaker let {asked} calls through: {statistics:?}");
    assert!(statistics.failures("breaker_open") > 50, "{statistics:?}");
}

#[tokio::test]
async fn an_error_of_a_dead_redis_says_where_and_what_to_do_and_no_password() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    redis.kill();
    let instance = Deployment::default().instance(&patient(redis.url()));
    let error = instance.get("a").await.expect_err("nobody is there");
    assert!(error.contains(&redis.address().to_string()) && error.contains("check that it runs"), "{error}");
    assert!(!error.contains(redis.password()), "{error}");
    assert!(!format!("{:?} {:?}", instance.redis, instance.chain).contains(redis.password()));
}

/// The connections of before are dead, and look alive until they are used.
#[tokio::test]
async fn after_a_restart_the_next_look_up_finds_a_new_connection() {
    let Some(redis) = Redis::start(&RedisOptions::default().appendonly()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    for round in 1..=3 {
        redis.kill();
        redis.restart().expect("it starts again");
        assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())), "in round {round}");
    }
    let statistics = instance.redis.statistics();
    assert!(statistics.retries >= 3, "a dead connection is noticed by a try: {statistics:?}");
    assert!(statistics.connections.condemned >= 3, "{statistics:?}");
}

#[tokio::test]
async fn a_flushed_redis_is_cold_and_no_error() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    redis.command(&["FLUSHALL"]).expect("flushed");
    assert_eq!(instance.get("a").await, Ok(None));
    instance.put("a", "2").await;
    assert_eq!(instance.get("a").await, Ok(Some("2".to_owned())));
    assert_eq!(instance.redis.statistics().failures.iter().sum::<u64>(), 0);
}

/// As after a failover that lost the removal, or with an old dump.
#[tokio::test]
async fn a_redis_that_comes_back_with_old_data_serves_none_that_was_invalidated() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "old").await;
    instance.put("b", "old").await;
    redis.command(&["SAVE"]).expect("saved");
    instance.chain.invalidate(row("a")).await.expect("the log takes it");
    redis.command(&["FLUSHALL"]).expect("as if it had been removed");
    redis.kill();
    // A dump is read at the start, and it still holds both.
    redis.restart().expect("it starts again");
    let key = TestKey::new(ALPHA, "a");
    match instance.chain.get(&key).await {
        Lookup::Miss => {}
        other => panic!("what was invalidated came back: {other:?}"),
    }
    let rejected = |instance: &crate::support::Instance| instance.chain.statistics().tiers[0].probes(Outcome::Rejected);
    assert_eq!(rejected(&instance), 1, "it was there, and the horizon rejected it");
    assert_eq!(instance.get("b").await, Ok(Some("old".to_owned())), "the dump was read");
    let load = |_| async { Ok::<_, std::io::Error>(TestValue::new("new")) };
    let answer = instance.chain.get_or_load(&key, load).await.expect("loaded");
    assert_eq!((answer.value().text(), answer.source), ("new", Source::Origin));
    assert_eq!(rejected(&instance), 2);
    assert_eq!(instance.get("a").await, Ok(Some("new".to_owned())), "the fill replaced it");
}
