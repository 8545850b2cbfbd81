//! Redis has no room: it refuses writes, or drops what it has.

use cache_core::testing::{ALPHA, TestKey};
use cache_core::{FillOutcome, Kill};
use cache_redis::BreakerState;
use redis::AsyncCommands as _;
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, connection, patient, row};

/// A Redis that takes no write any more, with one value in it.
async fn full(redis: &Redis) {
    let mut raw = connection(&redis.url()).await;
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut raw).await.expect("set");
    assert!(raw.set::<_, _, ()>("x", "1").await.is_err(), "it still takes writes");
}

#[tokio::test]
async fn a_fill_that_finds_no_memory_is_skipped_and_counted_while_reads_go_on() {
    let Some(redis) = Redis::start(&RedisOptions::default().maxmemory("64mb", "noeviction")) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("old", "1").await;
    full(&redis).await;
    for number in 0..50 {
        assert_eq!(instance.answer(&format!("new{number}")).await, format!("new{number}"), "nobody hears of it");
    }
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.out_of_memory, 50);
    assert_eq!(statistics.breaker, BreakerState::Closed, "its reads are well");
    assert_eq!(instance.chain.statistics().tiers[0].fill_errors, 50);
    assert_eq!(instance.get("old").await, Ok(Some("1".to_owned())));
}

#[tokio::test]
async fn removals_are_still_made_where_there_is_no_memory_for_writes() {
    let Some(redis) = Redis::start(&RedisOptions::default().maxmemory("64mb", "noeviction")) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    instance.put("b", "1").await;
    full(&redis).await;
    assert!(instance.chain.remove(&TestKey::new(ALPHA, "a")).await.is_empty(), "no tier reports an error");
    assert_eq!(instance.get("a").await, Ok(None));
    let draft = instance.draft("b", "2");
    let outcome = instance.chain.fill(&instance.chain.ticket(), &TestKey::new(ALPHA, "b"), draft).await;
    assert_eq!(outcome, FillOutcome::Offered);
    assert_eq!(instance.get("b").await, Ok(None), "the older value is not served in place of the one that was refused");
}

/// Safety lies in comparing, and nothing that it needs lies in Redis: also the mark of a clear may go.
#[tokio::test]
async fn evicted_values_and_marks_are_misses_and_bring_nothing_back_that_was_invalidated() {
    let Some(redis) = Redis::start(&RedisOptions::default().maxmemory("64mb", "allkeys-lru")) else { return };
    let deployment = Deployment::default();
    let instance = deployment.instance(&patient(redis.url()));
    instance.put("a", "old").await;
    instance.chain.invalidate_all_of(vec![Kill::All]).await.expect("the log takes it");
    let mut raw = connection(&redis.url()).await;
    let names = crate::support::names(&mut raw).await;
    assert_eq!(names.len(), 2, "the value of before, and the mark of the clear");
    // As an eviction would take the mark: the value of before has its old name again.
    for name in names {
        let length: usize = raw.strlen(&name).await.expect("asked");
        if length == 8 {
            let () = raw.unlink(&name).await.expect("unlinked");
        }
    }
    let late = deployment.instance(&patient(redis.url()));
    assert_eq!(late.get("a").await, Ok(None), "killed, whatever its name");
    late.put("a", "new").await;
    assert_eq!(late.get("a").await, Ok(Some("new".to_owned())));
    late.chain.invalidate(row("a")).await.expect("the log takes it");
    assert_eq!(late.get("a").await, Ok(None));

    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("3mb").query_async(&mut raw).await.expect("set");
    for number in 0..2_000 {
        late.put(&number.to_string(), &"x".repeat(2_000)).await;
    }
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut raw).await.expect("asked");
    assert!(!info.contains("evicted_keys:0\r\n"), "it evicted nothing");
    let statistics = late.redis.statistics();
    assert_eq!(statistics.failures.iter().sum::<u64>(), 0, "{statistics:?}");
    let kept = late.get_many(&["0", "1", "1999"]).await;
    assert_eq!(kept[2].as_ref().ok().and_then(Option::as_ref).map(String::len), Some(2_000));
}
