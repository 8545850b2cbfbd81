//! How long an instance serves what it has when the log says nothing.

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::TestClock;
use cache_core::{Clock, Log as _, Source, Stamp};
use cache_redis::LogConfig;

use crate::support::{Bed, Instance, L1, L2, Origin, config, hasty};

const MAX_SILENCE: Duration = Duration::from_secs(60);

/// An instance whose log lives in a time that the test owns.
async fn timed(bed: &Bed, log: LogConfig) -> (Instance, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let instance = Instance::open(&hasty(bed.config()), log, Arc::clone(&clock) as Arc<dyn Clock>);
    instance.until(|status| status.identity.is_some()).await;
    (instance, clock)
}

/// Time goes on until the log is trusted again.
async fn trusted_again(instance: &Instance, clock: &TestClock) {
    let trusted = instance.until(|status| status.identity.is_some());
    tokio::pin!(trusted);
    loop {
        tokio::select! {
            biased;
            _ = &mut trusted => return,
            () = tokio::time::sleep(Duration::from_millis(5)) => clock.advance(Duration::from_millis(20)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_cut_off_serves_what_it_has_for_so_long_and_no_longer() {
    let Some(bed) = Bed::start() else { return };
    let (a, clock) = timed(&bed, config()).await;
    let origin = Origin::with(&[("x", "old")]);
    a.get("x", &origin).await;
    bed.redis.pause();
    clock.advance(MAX_SILENCE - Duration::from_millis(1));
    assert_eq!(a.get("x", &origin).await.1, L1, "the time is not over");
    assert!(a.log.identity().is_some());
    clock.advance(Duration::from_millis(1));
    a.until(|status| status.silences == 1).await;
    assert_eq!(a.log.identity(), None);
    assert_eq!(a.log.stamp(), Stamp::OLDEST);
    origin.write("x", "new");
    for _ in 0..3 {
        assert_eq!(a.get("x", &origin).await, ("new".to_owned(), Source::Origin), "and nothing is cached meanwhile");
    }
    bed.redis.resume();
    trusted_again(&a, &clock).await;
    assert_eq!(a.get("x", &origin).await, ("new".to_owned(), Source::Origin), "nothing from before counts");
    assert_eq!(a.get("x", &origin).await.1, L1, "and it is cached again, though nobody has changed anything since");
    assert_eq!(a.log.status().epochs, 0, "it is the same log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_nothing_of_the_log_uses_nothing_that_others_fill_meanwhile() {
    let Some(bed) = Bed::start() else { return };
    let origin = Origin::with(&[("x", "old")]);
    let clock = Arc::new(TestClock::default());
    // The log's user is cut off; the tier's goes on.
    let apart =
        cache_redis::RedisConfig { username: Some("apart".into()), password: Some("apart".into()), ..bed.config() };
    let log = cache_redis::RedisLog::open(&apart, config(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let a = Instance::over(&bed.config(), log);
    a.until(|status| status.identity.is_some()).await;
    let b = bed.instance().await;
    bed.cut_off();
    a.until(|status| status.failures > 0).await;
    b.get("x", &origin).await;
    assert_eq!(a.get("x", &origin).await.1, L2, "for a while it trusts what it finds");
    clock.advance(MAX_SILENCE);
    a.until(|status| status.silences == 1).await;
    origin.write("x", "new");
    b.invalidate("x").await;
    b.get("x", &origin).await;
    assert_eq!(a.get("x", &origin).await, ("new".to_owned(), Source::Origin));
    origin.write("x", "newer");
    b.invalidate("x").await;
    assert_eq!(a.get("x", &origin).await.0, "newer", "what B filled in between is dead, which A can't know");
    bed.heal();
    trusted_again(&a, &clock).await;
    b.until(|status| status.applied > b_floor(&a)).await;
    b.get("x", &origin).await;
    a.get("x", &origin).await;
    assert_eq!(a.get("x", &origin).await, ("newer".to_owned(), L1));
}

/// Everything that A has appended or read.
fn b_floor(a: &Instance) -> cache_core::Revision {
    cache_core::Revision::new(a.log.status().applied.get().saturating_sub(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_answers_is_trusted_for_as_long_as_it_does() {
    let Some(bed) = Bed::start() else { return };
    let (a, clock) = timed(&bed, config()).await;
    let origin = Origin::with(&[("x", "old")]);
    a.get("x", &origin).await;
    // Each step is longer than the time for an answer: the connection may be given up and made anew, which is no silence.
    for _ in 0..20 {
        clock.advance(Duration::from_secs(10));
        heard(&bed, &a, &clock).await;
    }
    assert_eq!(a.log.status().silences, 0);
    assert_eq!(a.get("x", &origin).await.1, L1);
}

/// A record has arrived, so that the reader is there again.
async fn heard(bed: &Bed, a: &Instance, clock: &TestClock) {
    let b = bed.instance().await;
    let revision = b.invalidate("y").await;
    let applied = a.applied(revision);
    tokio::pin!(applied);
    loop {
        tokio::select! {
            biased;
            () = &mut applied => break,
            () = tokio::time::sleep(Duration::from_millis(5)) => clock.advance(Duration::from_millis(20)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_log_is_joined_nothing_is_cached() {
    let Some(bed) = Bed::start() else { return };
    bed.redis.stop();
    let a = Instance::open(&hasty(bed.config()), config(), Arc::new(cache_core::SystemClock));
    a.until(|status| status.failures > 0).await;
    let origin = Origin::with(&[("x", "old")]);
    for _ in 0..3 {
        assert_eq!(a.get("x", &origin).await.1, Source::Origin);
    }
    assert!(a.chain.invalidate(crate::support::row("x")).await.unwrap_err().is_retryable());
    bed.redis.restart().unwrap();
    a.until(|status| status.identity.is_some()).await;
    assert_eq!(a.get("x", &origin).await.1, Source::Origin);
    assert_eq!(a.get("x", &origin).await.1, L1);
}
