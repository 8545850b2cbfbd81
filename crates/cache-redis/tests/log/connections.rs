//! What the log does when its connections break, and what it needs to be allowed.

use std::sync::Arc;

use cache_core::{ErrorKind, Kill, Log as _, SystemClock};
use cache_redis::{LogConfig, RedisConfig, RedisLog};
use test_services::RedisOptions;

use crate::support::{Bed, Instance, L1, Origin, PATIENCE, config, patient, row};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_killed_are_made_anew_and_nothing_is_lost() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for round in 0..5 {
        for name in ["x", "y"] {
            b.get(name, &origin).await;
        }
        let failures = b.log.status().failures;
        bed.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        b.until(|status| status.failures > failures).await;
        origin.write("x", &format!("new {round}"));
        // The connection of appends was killed as well, which is found out by using it.
        let revision = a.invalidate("x").await;
        b.applied(revision).await;
        assert_eq!(b.get("x", &origin).await.0, format!("new {round}"));
        assert_eq!(b.get("y", &origin).await.1, L1, "the records hang together: nothing was missed");
    }
    let status = b.log.status();
    assert_eq!((status.gaps, status.epochs, status.silences), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_noticed_within_the_time_for_an_answer() {
    let Some(bed) = Bed::start() else { return };
    let log = LogConfig { answer_timeout_ms: 100, max_silence_ms: 60_000, ..config() };
    let a = Instance::join(&bed.config(), log).await;
    bed.redis.pause();
    let refused = a.chain.invalidate(row("x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let status = a.until(|status| status.failures > 0).await;
    assert!(status.last_error.unwrap().to_string().contains("no answer within"));
    bed.redis.resume();
    let appended = async {
        loop {
            if let Ok(done) = a.chain.invalidate(row("x")).await {
                return done.revision;
            }
        }
    };
    let revision = tokio::time::timeout(PATIENCE, appended).await.expect("it answers again");
    a.applied(revision).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_not_there_fails_the_start_and_says_where_it_was_looked_for() {
    let Some(bed) = Bed::start() else { return };
    bed.redis.stop();
    let error = RedisLog::connect(&bed.config(), config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let address = bed.redis.plain_address().to_string();
    assert!(error.to_string().starts_with(&format!("redis log read: redis at {address}")), "{error}");
    assert!(!error.to_string().contains(bed.redis.password()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_are_documented_suffice() {
    let rights = "log on >log ~tiergate:{log}* resetchannels -@all +ping +info +time +eval +evalsha +exists +hmget \
                  +hset +del +xadd +xrange +xread +xinfo|stream";
    let Some(bed) = Bed::with(&RedisOptions::default().user(rights)) else { return };
    let redis = RedisConfig { username: Some("log".into()), password: Some("log".into()), ..bed.config() };
    let log = RedisLog::connect(&redis, config()).await.unwrap();
    let revision = log.append(vec![Kill::Tag(row("x"))]).await.unwrap();
    tokio::time::timeout(PATIENCE, log.until(|status| status.applied >= revision)).await.unwrap();
    assert_eq!(log.read(None).await.unwrap().changes.len(), 2);
    bed.ask(&["ACL", "SETUSER", "log", "-info"]);
    let error = log.append(vec![Kill::Tag(row("x"))]).await.unwrap_err();
    assert!(error.to_string().contains("ACL"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_without_memory_refuses_appends_and_is_read_all_the_same() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old")]);
    b.get("x", &origin).await;
    bed.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = a.chain.invalidate(row("x")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("memory"), "{error}");
    bed.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let revision = a.invalidate("x").await;
    b.applied(revision).await;
    assert_eq!(b.log.status().failures, 0, "looking needs no memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_beyond_the_bound_are_refused_and_say_so() {
    let Some(bed) = Bed::start() else { return };
    let log = RedisLog::connect(&bed.config(), LogConfig { max_appends: 1, ..config() }).await.unwrap();
    bed.redis.pause();
    let mut first = Box::pin(log.append(vec![Kill::All]));
    assert!(futures_util::poll!(&mut first).is_pending(), "it waits for Redis");
    let error = log.append(vec![Kill::All]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    bed.redis.resume();
    assert!(first.await.is_ok());
    assert!(log.append(vec![Kill::All]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_dropped_leaves_no_connection_behind() {
    let Some(bed) = Bed::start() else { return };
    let connections = || match bed.ask(&["CLIENT", "LIST", "TYPE", "normal"]) {
        test_services::Reply::Text(text) => text.lines().count(),
        other => panic!("{other:?}"),
    };
    let before = connections();
    let log = RedisLog::open(&patient(bed.redis.url()), config(), Arc::new(SystemClock)).unwrap();
    tokio::time::timeout(PATIENCE, log.joined()).await.unwrap().unwrap();
    log.append(vec![]).await.unwrap();
    assert_eq!(connections(), before + 2);
    drop(log);
    let gone = async {
        while connections() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("they are closed");
}
