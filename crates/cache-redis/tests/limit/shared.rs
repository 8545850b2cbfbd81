//! Many instances, one quota; what lies in Redis; and buckets that lie apart.

use std::sync::Arc;

use cache_redis::RedisConfig;
use cache_redis::limit::{Charge, MAX_BUCKETS, Quota};
use test_services::{Redis, RedisOptions, Reply};

use super::support::{command, limiter, names, patient, quota, server, take};

/// Asks from many tasks of several instances at once, and tells the times at which something was allowed, in their order.
async fn rush(config: &RedisConfig, quota: Quota, instances: usize, tasks: usize, asked_by_each: usize) -> Vec<u64> {
    let instances: Vec<_> = (0..instances).map(|_| Arc::new(limiter(config))).collect();
    let tasks = (0..tasks).map(|task| {
        let limiter = Arc::clone(&instances[task % instances.len()]);
        tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..asked_by_each {
                let taken = take(&limiter, "the one bucket", quota, 1).await.expect("the server is there");
                times.extend(taken.allowed.then_some(taken.server_time_us));
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.expect("the task ends"));
    }
    times.sort_unstable();
    times
}

/// Asserts that no stretch of time holds more than a burst and what came back in it.
fn assert_within(quota: Quota, times: &[u64]) {
    let interval_us = u64::try_from(quota.interval().as_micros()).expect("a short time");
    for (first, begin) in times.iter().enumerate() {
        for (count, end) in times[first..].iter().enumerate() {
            let most = u64::from(quota.burst()) + (end - begin) / interval_us;
            assert!((count as u64) < most, "{} within {} us, where {most} may be", count + 1, end - begin);
        }
    }
}

fn charge(bucket: &str, quota: Quota, units: u32) -> Charge<'_> {
    Charge { bucket: bucket.as_bytes(), quota, units }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_of_several_instances_never_get_more_than_one_quota() {
    let Some(server) = server() else { return };
    for (burst, per_second) in [(1, 1_000), (50, 500), (200, 1)] {
        let quota = quota(burst, per_second);
        command(&server, &["FLUSHALL"]);
        let times = rush(&patient(&server.url()), quota, 3, 30, 40).await;
        assert!(times.len() >= burst as usize, "a burst is there to be had: {}", times.len());
        assert!(times.len() < 1_200, "the quota is less than what was asked for");
        assert_within(quota, &times);
    }
}

#[tokio::test]
async fn a_question_takes_from_all_of_its_buckets_or_from_none() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    // Nothing comes back while the test runs.
    let both = [charge("wide", quota(100, 1), 10), charge("narrow", quota(2, 1), 1)];
    for _ in 0..2 {
        assert!(limiter.take(&both).await.expect("the server is there").allowed);
    }
    for _ in 0..5 {
        let taken = limiter.take(&both).await.expect("the server is there");
        assert!(!taken.allowed);
        assert_eq!(taken.standings[0].refused_for, None);
        assert!((80..85).contains(&taken.standings[0].remaining), "{taken:?}");
        assert!(taken.standings[1].refused_for.is_some());
    }
}

#[tokio::test]
async fn what_lies_there_has_an_end_and_says_nothing() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    take(&limiter, "user:ann", quota(10, 2), 4).await.expect("the server is there");
    let names = names(&server);
    let [name] = names.as_slice() else { panic!("one bucket: {names:?}") };
    assert!(name.starts_with("tiergate:") && !name.contains("ann"), "{name}");
    let Reply::Integer(life_ms) = command(&server, &["PTTL", name]) else { panic!("a number") };
    assert!((1..=2_000).contains(&life_ms), "until it is full again: {life_ms} ms");
}

#[tokio::test]
async fn a_refusal_leaves_nothing_there() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    take(&limiter, "narrow", quota(1, 1), 1).await.expect("the server is there");
    let both = [charge("narrow", quota(1, 1), 1), charge("new", quota(1, 1), 1)];
    assert!(!limiter.take(&both).await.expect("the server is there").allowed);
    assert_eq!(names(&server).len(), 1);
}

#[tokio::test]
async fn a_question_for_too_many_buckets_or_for_none_is_refused_without_asking() {
    let Some(server) = server() else { return };
    let limiter = limiter(&patient(&server.url()));
    assert!(limiter.take(&[]).await.is_err());
    assert!(limiter.take(&[charge("a", quota(1, 1), 1); MAX_BUCKETS + 1]).await.is_err());
    assert_eq!(names(&server), Vec::<String>::new());
}

/// A cluster of one node, which holds all slots.
fn cluster() -> Option<Redis> {
    let server = Redis::start(&RedisOptions::default().cluster_enabled())?;
    command(&server, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let is_ready =
        || command(&server, &["CLUSTER", "INFO"]).text().is_some_and(|info| info.starts_with("cluster_state:ok"));
    while !is_ready() {
        std::thread::yield_now();
    }
    Some(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_what_one_bucket_gave_comes_back_when_another_has_no_room() {
    let Some(server) = cluster() else { return };
    let config = patient(&server.url().replace("redis://", "redis+cluster://"));
    let limiter = limiter(&config);
    let both = [charge("wide", quota(100, 1), 10), charge("narrow", quota(2, 1), 1)];
    for _ in 0..2 {
        assert!(limiter.take(&both).await.expect("the server is there").allowed);
    }
    for _ in 0..20 {
        assert!(!limiter.take(&both).await.expect("the server is there").allowed);
    }
    let wide = take(&limiter, "wide", quota(100, 1), 1).await.expect("the server is there");
    assert!(wide.allowed && wide.standings[0].remaining >= 79, "two takes of ten, and one: {wide:?}");
    command(&server, &["FLUSHALL"]);
    let quota = quota(50, 500);
    assert_within(quota, &rush(&config, quota, 2, 20, 20).await);
}
