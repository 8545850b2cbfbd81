//! A Redis that is gone, slow, new, or lies: an error within the time for it, and never room that is not there.

use std::time::Duration;

use cache_core::ErrorKind;
use cache_redis::{BreakerConfig, BreakerState, RedisConfig};

use test_services::Redis;

use super::support::{command, limiter, names, patient, quota, server, take};

/// How often a server was sent a command.
fn calls(server: &Redis, name: &str) -> u64 {
    let reply = command(server, &["INFO", "commandstats"]);
    let info = reply.text().expect("text");
    let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
    let count = line.and_then(|line| line.split(['=', ',']).nth(1));
    count.map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test]
async fn a_server_that_is_new_learns_the_script_with_the_first_question() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    let quota = quota(10, 1);
    assert_eq!(take(&limiter, "a", quota, 1).await.expect("it is there").standings[0].remaining, 9);
    command(&server, &["SCRIPT", "FLUSH"]);
    assert_eq!(take(&limiter, "a", quota, 1).await.expect("it is there").standings[0].remaining, 8);
    assert_eq!((calls(&server, "eval"), calls(&server, "evalsha")), (2, 2));
    take(&limiter, "a", quota, 1).await.expect("it is there");
    assert_eq!((calls(&server, "eval"), calls(&server, "evalsha")), (2, 3), "it is known by its hash from then on");
    assert_eq!(limiter.statistics().breaker_opened, 0, "that it did not know the script is nothing against it");
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_one_that_came_back_is_found() {
    let Some(server) = server() else { return };
    let breaker = BreakerConfig { minimum_calls: 5, open_ms: 20, slow_call_ms: 5_000, ..BreakerConfig::default() };
    let limiter = limiter(&RedisConfig { breaker, connect_timeout_ms: 200, ..patient(&server.url()) });
    let quota = quota(10, 1);
    take(&limiter, "a", quota, 1).await.expect("it is there");
    server.kill();
    while limiter.statistics().breaker != BreakerState::Open {
        let error = take(&limiter, "a", quota, 1).await.expect_err("nobody is there");
        assert!(error.is_retryable(), "{error:?}");
    }
    server.restart().expect("it starts again");
    let back = async {
        loop {
            match take(&limiter, "a", quota, 1).await {
                Ok(taken) => break taken,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), back).await.expect("the breaker lets it through again");
    assert!(taken.allowed, "it has forgotten everything, and the bucket is full");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_time_for_a_look_up() {
    let Some(server) = server() else { return };
    let limiter = limiter(&RedisConfig { get_timeout_ms: 30, ..patient(&server.url()) });
    let quota = quota(10, 1);
    while take(&limiter, "a", quota, 1).await.is_err() {}
    server.pause();
    let asked = tokio::time::timeout(Duration::from_secs(5), take(&limiter, "a", quota, 1)).await;
    server.resume();
    let error = asked.expect("it has a limit").expect_err("nothing was said");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}

#[tokio::test]
async fn what_a_bucket_cannot_hold_is_neither_endless_nor_more_than_a_burst() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    let quota = quota(10, 1);
    take(&limiter, "a", quota, 1).await.expect("it is there");
    let name = names(&server).pop().expect("a bucket");
    for odd in ["", "nonsense", "nan", "-1", "-1e300", "0", "0x10"] {
        command(&server, &["SET", &name, odd]);
        let taken = take(&limiter, "a", quota, 1).await.expect("it is there");
        assert_eq!((taken.allowed, taken.standings[0].remaining), (true, 9), "{odd:?} is a full bucket");
    }
    for late in ["9e15", "1e300", "inf"] {
        command(&server, &["SET", &name, late]);
        let taken = take(&limiter, "a", quota, 1).await.expect("it is there");
        assert_eq!(taken.standings[0].refused_for, Some(Duration::from_secs(1)), "{late:?} is an empty bucket");
    }
    command(&server, &["DEL", &name]);
    command(&server, &["LPUSH", &name, "a list"]);
    assert!(take(&limiter, "a", quota, 1).await.is_err(), "nothing is known of it");
}

#[tokio::test]
async fn a_replica_is_an_error() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    let quota = quota(10, 1);
    take(&limiter, "a", quota, 1).await.expect("it is there");
    command(&server, &["REPLICAOF", "127.0.0.1", "1"]);
    assert!(take(&limiter, "a", quota, 1).await.is_err());
}
