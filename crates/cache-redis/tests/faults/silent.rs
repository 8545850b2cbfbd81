//! Redis is there and does not answer: stopped, slow, or gone without a word.

use std::time::{Duration, Instant};

use cache_core::{Clock, Moment, SystemClock};
use cache_redis::{BreakerConfig, BreakerState, RedisConfig};
use fault_proxy::{Direction, Fault};
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, Instance, late, patient, proxy, until};

/// Settings with little patience for answers.
fn hasty(url: impl Into<String>) -> RedisConfig {
    let breaker = BreakerConfig { minimum_calls: 8, half_open_calls: 2, ..patient("").breaker };
    RedisConfig { get_timeout_ms: 30, fill_timeout_ms: 30, remove_timeout_ms: 30, breaker, ..patient(url) }
}

fn time() -> Moment {
    SystemClock.now()
}

/// Answers go on, each within its bound, and after a few nobody asks Redis any more.
async fn answers_stay_quick(instance: &Instance) {
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let before = time();
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
        longest = longest.max(time().since(before));
    }
    // A look-up and a fill, each with its 30 ms, and the scheduling of a busy machine.
    assert!(longest < Duration::from_millis(500), "an answer took {longest:?}");
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.breaker, BreakerState::Open, "{statistics:?}");
    let before = time();
    for _ in 0..100 {
        assert_eq!(instance.answer("a").await, "a");
    }
    let after = time().since(before);
    assert!(after < Duration::from_secs(1), "100 answers with the breaker open took {after:?}");
}

async fn comes_back(instance: &Instance) {
    until(|| async {
        instance.clock.advance(Duration::from_millis(500));
        let there = instance.get("a").await.is_ok();
        (there && instance.redis.statistics().breaker == BreakerState::Closed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stopped_redis_costs_each_answer_little_and_then_nothing() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&hasty(redis.url()));
    until(|| async { instance.get("a").await.ok() }).await;
    redis.pause();
    answers_stay_quick(&instance).await;
    redis.resume();
    comes_back(&instance).await;
}

#[tokio::test]
async fn a_slow_redis_costs_each_answer_little_and_then_nothing() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let instance = Deployment::default().instance(&hasty(redis.url_at(proxy.address())));
    until(|| async { instance.get("a").await.ok() }).await;
    proxy.set_in(Direction::Replies, late(Duration::from_millis(100)));
    answers_stay_quick(&instance).await;
    proxy.set(Fault::None);
    comes_back(&instance).await;
}

/// No answer fails, and yet each costs too much: the rate of slow calls opens the breaker. Time is the machine's here.
#[tokio::test]
async fn answers_that_are_slow_but_in_time_open_the_breaker_as_well() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let breaker = BreakerConfig { minimum_calls: 5, slow_call_ms: 40, ..BreakerConfig::default() };
    let config = RedisConfig { breaker, ..patient(redis.url_at(proxy.address())) };
    let keyring = crate::support::keyring();
    let layer = cache_redis::RedisLayer::<cache_core::testing::TestValue>::new(
        &config,
        &keyring,
        cache_redis::Machine::default(),
    )
    .expect("the settings are right");
    let redis = layer.handle();
    redis.ping().await.expect("it is there");
    proxy.set_in(Direction::Replies, late(Duration::from_millis(60)));
    until(|| async {
        let _ = redis.ping().await;
        (redis.statistics().breaker == BreakerState::Open).then_some(())
    })
    .await;
    assert_eq!(redis.statistics().failures("timeout"), 0);
}

/// The peer vanished without a word: neither an end nor a reset comes. Nothing waits for the kernel, or for the pool's own time limit.
#[tokio::test]
async fn a_half_open_connection_is_given_up_and_replaced() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    // The breaker would hide the connections that are still silent.
    let breaker = BreakerConfig { minimum_calls: 1_000_000, ..patient("").breaker };
    let config =
        RedisConfig { breaker, connections: 1, connect_timeout_ms: 200, ..hasty(redis.url_at(proxy.address())) };
    let instance = Deployment::default().instance(&config);
    until(|| async { instance.get("a").await.ok() }).await;
    proxy.set(Fault::Blackhole);
    until(|| async {
        let error = instance.get("a").await.expect_err("nobody answers");
        assert!(error.contains("no answer within 30ms") || error.contains("took too long"), "{error}");
        (instance.redis.statistics().connections.condemned > 0).then_some(())
    })
    .await;
    proxy.set(Fault::None);
    until(|| async { instance.get("a").await.ok() }).await;
    assert!(instance.redis.statistics().connections.made >= 2);
}

#[tokio::test]
async fn connections_that_are_cut_again_and_again_are_errors_and_then_a_connection() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let proxy = proxy(&redis);
    let instance = Deployment::default().instance(&patient(redis.url_at(proxy.address())));
    instance.put("a", "1").await;
    proxy.refuse();
    proxy.reset();
    for _ in 0..5 {
        assert!(instance.get("a").await.is_err());
    }
    proxy.accept().expect("the same port again");
    assert_eq!(instance.get_at_last("a").await, "1");
}

#[test]
fn the_clock_of_these_tests_runs() {
    #[expect(clippy::disallowed_methods, reason = "another clock to compare with")]
    let (before, start) = (time(), Instant::now());
    while time() == before {
        assert!(start.elapsed() < Duration::from_secs(1), "it stands still");
    }
}
