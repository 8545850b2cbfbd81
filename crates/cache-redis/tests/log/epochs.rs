//! A log that may have lost records is another log: nothing that was cached under the old one is used.

use std::sync::Arc;

use cache_core::{Log as _, Source};
use test_services::{Redis, RedisOptions, Reply};

use crate::support::{Bed, EPOCH, Instance, L1, L2, Origin, PATIENCE, STREAM, config};

/// Two instances that have cached what was true, before something happens to Redis.
async fn warm(bed: &Bed) -> (Instance, Instance, Origin) {
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        a.get(name, &origin).await;
        b.get(name, &origin).await;
    }
    (a, b, origin)
}

/// Both have seen that it is another log now, and it is the same one for both; from then on everything works as before.
async fn renewed(a: &Instance, b: &Instance, origin: &Origin, before: cache_core::Identity) {
    for instance in [a, b] {
        instance.until(|status| status.identity.is_some_and(|identity| identity != before)).await;
    }
    // One may have seen an epoch that ended at once, where Redis came back in several steps.
    let identity = a.log.status().identity;
    b.until(|status| status.identity == identity).await;
    found_again(a, b, origin).await;
    let loads = origin.loads();
    assert_eq!(b.get("y", origin).await.1, Source::Origin, "what was cached before means nothing");
    assert_eq!(b.get("y", origin).await.1, L1, "and is cached again");
    assert_eq!(a.get("y", origin).await.1, L2, "for all instances");
    assert_eq!(origin.loads(), loads + 1);
    origin.write("y", "newer");
    let revision = a.invalidate("y").await;
    b.applied(revision).await;
    assert_eq!(b.get("y", origin).await.0, "newer");
    assert_eq!(b.get("y", origin).await.1, L1);
}

/// The tiers have found Redis again: that is their own affair, and costs the one or other value.
async fn found_again(a: &Instance, b: &Instance, origin: &Origin) {
    let finding = async {
        for number in 0.. {
            let name = format!("probe {number}");
            origin.write(&name, "there");
            b.get(&name, origin).await;
            if a.get(&name, origin).await.1 == L2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, finding).await.expect("the tiers find Redis again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_was_flushed() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["FLUSHALL"]);
    renewed(&a, &b, &origin, before).await;
    assert_eq!((a.log.status().epochs, b.log.status().epochs), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_was_restarted_without_its_data() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.redis.kill();
    bed.redis.restart().unwrap();
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_was_restarted_with_its_data_which_may_not_be_all_of_it() {
    let Some(bed) = Bed::with(&RedisOptions::default().appendonly()) else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.redis.kill();
    bed.redis.restart().unwrap();
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_was_evicted() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["DEL", STREAM]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_epoch_was_evicted() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["DEL", EPOCH]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_was_replaced_by_an_older_copy_of_itself() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["COPY", STREAM, "copy"]);
    let revision = a.invalidate("x").await;
    b.applied(revision).await;
    bed.ask(&["COPY", "copy", STREAM, "REPLACE"]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_was_replaced_by_an_older_copy_that_has_grown_since() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["COPY", STREAM, "copy"]);
    let revision = a.invalidate("x").await;
    b.applied(revision).await;
    // In one step, so that nobody sees the shorter stream: the record that follows is above all that were seen, and names an older one.
    let script = "redis.call('COPY', KEYS[2], KEYS[1], 'REPLACE') \
                  local r = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] \
                  return redis.call('XADD', KEYS[1], ARGV[1], 'e', r[2][2], 'p', r[1], 'k', r[2][6])";
    let id = format!("{}-0", (revision.get() >> 20) + 1);
    bed.ask(&["EVAL", script, "2", STREAM, "copy", &id]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_epoch_goes_on_above_everything_that_anybody_has_seen() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    // As if the clock of the old primary had been a year ahead.
    let ahead = (a.log.status().applied.get() >> 20) + 31_536_000_000;
    bed.ask(&["XADD", STREAM, &format!("{ahead}-0"), "from", "the future"]);
    let seen = a.until(|status| status.applied.get() >> 20 >= ahead && status.identity.is_some()).await.applied;
    b.applied(seen).await;
    let before = a.log.identity().unwrap();
    bed.ask(&["FLUSHALL"]);
    renewed(&a, &b, &origin, before).await;
    assert!(a.log.status().applied > seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_wrote_into_the_stream_by_other_means() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    let next = (a.log.status().applied.get() >> 20) + 1;
    bed.ask(&["XADD", STREAM, &format!("{next}-0"), "user", "42"]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_finds_a_new_epoch_is_in_force_at_once() {
    let Some(bed) = Bed::start() else { return };
    let a = Instance::join(&bed.config(), cache_redis::LogConfig { heartbeat_ms: 10_000, ..config() }).await;
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        a.get(name, &origin).await;
    }
    // Nobody looks for ten seconds, and no record wakes the reader, because the append comes first.
    bed.ask(&["FLUSHALL"]);
    origin.write("x", "new");
    a.invalidate("x").await;
    assert_eq!(a.get("x", &origin).await.0, "new");
    assert_eq!(a.get("y", &origin).await.1, Source::Origin, "what was lost may have killed it");
    a.until(|status| status.epochs == 1 && status.identity.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_no_revision_ends_the_epoch() {
    let Some(bed) = Bed::start() else { return };
    let (a, b, origin) = warm(&bed).await;
    let before = a.log.identity().unwrap();
    let next = (a.log.status().applied.get() >> 20) + 1;
    bed.ask(&["XADD", STREAM, &format!("{next}-1048576"), "by", "hand"]);
    renewed(&a, &b, &origin, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_go_on_in_the_next_millisecond_where_one_is_full() {
    let Some(bed) = Bed::start() else { return };
    let a = bed.instance().await;
    let next = (a.log.status().applied.get() >> 20) + 3_600_000;
    // As if a million records had been appended within the last millisecond.
    let script = "local r = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] \
                  redis.call('XADD', KEYS[1], ARGV[1], 'e', r[2][2], 'p', r[1], 'k', r[2][6]) \
                  return redis.call('HSET', KEYS[2], 'last', ARGV[1])";
    bed.ask(&["EVAL", script, "2", STREAM, EPOCH, &format!("{next}-1048575")]);
    let revision = a.invalidate("x").await;
    assert_eq!(revision.get(), (next + 1) << 20);
    assert_eq!(a.invalidate("x").await.get(), ((next + 1) << 20) + 1);
    assert_eq!(a.log.status().epochs, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_has_become_a_replica_is_not_trusted_and_is_another_log_when_it_is_a_primary_again() {
    let Some(bed) = Bed::start() else { return };
    let Some(other) = Redis::start(&RedisOptions::default().password(bed.redis.password())) else { return };
    let log = cache_redis::LogConfig { answer_timeout_ms: 100, max_silence_ms: 300, ..config() };
    let a = Instance::join(&bed.config(), log).await;
    let before = a.log.identity().unwrap();
    let origin = Origin::with(&[("x", "old")]);
    a.get("x", &origin).await;
    let (host, port) = (other.address().ip().to_string(), other.address().port().to_string());
    bed.ask(&["REPLICAOF", &host, &port]);
    let status = a.until(|status| status.identity.is_none() && status.silences > 0).await;
    assert!(status.last_error.unwrap().to_string().contains("replica"));
    assert_eq!(a.get("x", &origin).await.1, Source::Origin);
    assert_eq!(a.get("x", &origin).await.1, Source::Origin, "nothing is cached meanwhile");
    assert!(a.chain.invalidate(crate::support::row("x")).await.is_err(), "a replica takes no records");
    bed.ask(&["REPLICAOF", "NO", "ONE"]);
    a.until(|status| status.identity.is_some_and(|identity| identity != before)).await;
    a.get("x", &origin).await;
    assert_eq!(a.get("x", &origin).await.1, L1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_anew_joins_the_epoch_that_is_there() {
    let Some(bed) = Bed::start() else { return };
    let logs = futures_util::future::join_all((0..8).map(|_| bed.instance())).await;
    let identities: Vec<_> = logs.iter().map(|instance| instance.log.identity().unwrap()).collect();
    assert!(identities.iter().all(|identity| *identity == identities[0]), "eight at once: {identities:?}");
    let Reply::Integer(1) = bed.ask(&["XLEN", STREAM]) else { panic!("one of them began it") };
    let logs: Vec<_> = logs.iter().map(|instance| Arc::clone(&instance.log)).collect();
    assert!(logs.iter().all(|log| log.status().epochs == 0));
}
