//! What an instance can't read any more it takes for killed, and only that.

use cache_core::Source;
use cache_redis::LogConfig;

use crate::support::{Bed, L1, L2, Origin, STREAM, config, row};

/// So few that the stream is trimmed in a test. Redis trims by whole nodes of a hundred records.
fn short() -> LogConfig {
    LogConfig { retained_records: 100, ..config() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_for_a_while_reads_what_it_missed() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance_apart(config()).await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        b.get(name, &origin).await;
    }
    bed.cut_off();
    b.until(|status| status.failures > 0).await;
    origin.write("x", "new");
    for _ in 0..1_000 {
        a.invalidate("z").await;
    }
    let revision = a.invalidate("x").await;
    bed.heal();
    let status = b.until(|status| status.applied >= revision).await;
    assert_eq!((status.gaps, status.epochs, status.silences), (0, 0, 0));
    assert_eq!(b.get("x", &origin).await.0, "new");
    assert_eq!(b.get("y", &origin).await, ("same".to_owned(), L1), "nothing was missed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_lags_behind_the_trimmed_stream_mistrusts_everything_from_before() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance_apart(config()).await);
    drop(a);
    let a = crate::support::Instance::join(&bed.config(), short()).await;
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        b.get(name, &origin).await;
    }
    bed.cut_off();
    b.until(|status| status.failures > 0).await;
    origin.write("x", "new");
    a.invalidate("x").await;
    let mut last = a.invalidate("z").await;
    for _ in 0..500 {
        last = a.invalidate("z").await;
    }
    bed.heal();
    let status = b.until(|status| status.applied >= last).await;
    assert_eq!((status.gaps, status.epochs), (1, 0), "the kill of x is not in the stream any more");
    assert_eq!(b.get("x", &origin).await, ("new".to_owned(), Source::Origin));
    assert_eq!(b.get("y", &origin).await, ("same".to_owned(), Source::Origin), "it might have been killed as well");
    assert_eq!(b.get("y", &origin).await.1, L1, "and is cached again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_takes_what_was_trimmed_for_killed_and_the_rest_for_warm() {
    let Some(bed) = Bed::start() else { return };
    let a = crate::support::Instance::join(&bed.config(), short()).await;
    let origin = Origin::with(&[("early", "old"), ("late", "same")]);
    a.get("early", &origin).await;
    for _ in 0..500 {
        a.invalidate("z").await;
    }
    a.get("late", &origin).await;
    let newcomer = bed.instance().await;
    assert_eq!(newcomer.get("late", &origin).await.1, L2);
    assert_eq!(newcomer.get("early", &origin).await.1, Source::Origin);
    assert_eq!(newcomer.log.status().gaps, 0, "who was never there has missed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_and_the_memory_of_each_process_stay_bounded() {
    let Some(bed) = Bed::start() else { return };
    let a = crate::support::Instance::join(&bed.config(), short()).await;
    let mut last = a.invalidate("z").await;
    for _ in 0..1_000 {
        last = a.invalidate("z").await;
    }
    a.applied(last).await;
    let length = match bed.ask(&["XLEN", STREAM]) {
        test_services::Reply::Integer(length) => length,
        other => panic!("{other:?}"),
    };
    assert!((100..300).contains(&length), "{length} records are retained");
    // Chains that are built later are told of what the process retains, and of the floor below it.
    let horizon = std::sync::Arc::new(cache_core::Horizon::<cache_core::sync::Std>::new(Default::default()));
    let sink = std::sync::Arc::clone(&horizon) as std::sync::Arc<dyn cache_core::KillSink>;
    cache_core::Log::attach(&*a.log, std::sync::Arc::downgrade(&sink));
    let usage = horizon.usage();
    assert_eq!(usage.tags, 1);
    assert!(usage.floor > cache_core::Revision::ZERO && usage.floor < last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_damaged_kills_everything() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance_apart(config()).await);
    let origin = Origin::with(&[("x", "old")]);
    b.get("x", &origin).await;
    bed.cut_off();
    b.until(|status| status.failures > 0).await;
    let last = a.invalidate("y").await;
    // The same record, with the same neighbours, but for what it kills.
    let script = "local r = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] \
                  redis.call('DEL', KEYS[1]) \
                  redis.call('XADD', KEYS[1], r[2][4], 'cut', 'off') \
                  return redis.call('XADD', KEYS[1], r[1], 'e', r[2][2], 'p', r[2][4], 'k', string.sub(r[2][6], 1, -2))";
    bed.ask(&["EVAL", script, "1", STREAM]);
    bed.heal();
    let status = b.until(|status| status.applied >= last).await;
    assert_eq!((status.gaps, status.epochs), (0, 0));
    assert_eq!(b.get("x", &origin).await.1, Source::Origin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_deleted_are_missed_where_they_were_not_read() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance_apart(config()).await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        b.get(name, &origin).await;
    }
    for then in [true, false] {
        bed.cut_off();
        let failures = b.log.status().failures;
        b.until(|status| status.failures > failures).await;
        origin.write("x", &format!("new {then}"));
        let revision = a.invalidate("x").await;
        a.applied(revision).await;
        bed.ask(&["XDEL", STREAM, &format!("{}-{}", revision.get() >> 20, revision.get() & 0xf_ffff)]);
        // Once with a record behind it, which shows the gap, and once at the end of the stream.
        let last = if then { a.kill(vec![cache_core::Kill::Tag(row("z"))]).await } else { revision };
        bed.heal();
        b.applied(last).await;
        assert_eq!(b.get("x", &origin).await.0, format!("new {then}"));
        assert_eq!(b.get("y", &origin).await.1, Source::Origin, "it might have been killed as well");
    }
}
