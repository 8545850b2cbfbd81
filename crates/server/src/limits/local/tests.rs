//! The buckets of this process against another form of the algorithm (ITU-T I.371's leaky bucket), under a clock that the tests move.

use std::thread;

use cache_core::testing::TestClock;
use cache_core::{CacheKey, CacheType, KeyEncoder, Keyer};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
struct Named(u64);

impl CacheKey for Named {
    fn cache_type(&self) -> CacheType {
        authz::decide::RATE_LIMIT_STATUS
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        encoder.u64(self.0);
    }

    fn entities(&self, _: &mut dyn FnMut(&str, &str)) {}
}

fn bucket(number: u64) -> Digest {
    Keyer::with_secret((1, 2)).key(&Named(number)).digest()
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn quota(burst: u32, per_second: u32) -> Quota {
    Quota::new(count(burst), count(per_second))
}

/// A bucket that leaks a microsecond for each microsecond.
#[derive(Clone, Copy, Default)]
struct LeakyBucket {
    level_us: u128,
    at_us: u128,
}

impl LeakyBucket {
    fn take(&mut self, quota: Quota, units: u32, now_us: u128) -> (u32, Option<Duration>) {
        let (interval_us, size_us) = (quota.interval().as_micros(), quota.window().as_micros());
        self.level_us = self.level_us.saturating_sub(now_us - self.at_us);
        self.at_us = now_us;
        let filled_us = self.level_us + u128::from(units.min(quota.burst())) * interval_us;
        let over_us = u64::try_from(filled_us.saturating_sub(size_us)).unwrap();
        if over_us == 0 {
            self.level_us = filled_us;
        }
        let remaining = u32::try_from((size_us - self.level_us) / interval_us).unwrap();
        (remaining, (over_us > 0).then(|| Duration::from_micros(over_us)))
    }
}

proptest! {
    #[test]
    fn every_answer_is_that_of_a_leaky_bucket(
        burst in 1_u32..40,
        per_second in prop_oneof![1_u32..10, 10_u32..2_000],
        instances in 1_u32..4,
        steps in vec((0_u64..3, prop_oneof![6 => 0_u64..3, 3 => 0_u64..300, 1 => 0_u64..20_000], 1_u32..50), 1..150),
    ) {
        let clock = Arc::new(TestClock::default());
        clock.advance(Duration::from_secs(1_000));
        let whole = quota(burst, per_second);
        let local = Local::new(whole, count(instances), Arc::clone(&clock) as Arc<dyn Clock>);
        let part = whole.divided(count(instances));
        let mut model = [LeakyBucket::default(); 3];
        for (number, wait_ms, units) in steps {
            clock.advance(Duration::from_millis(wait_ms));
            let standing = local.take(bucket(number), units);
            let now_us = u128::from(clock.now().as_millis()) * 1_000;
            let reference = &mut model[usize::try_from(number).unwrap()];
            prop_assert_eq!((standing.remaining, standing.refused_for), reference.take(part, units, now_us));
            let full_us = standing.full_in.as_micros();
            prop_assert!((reference.level_us..reference.level_us + part.interval().as_micros()).contains(&full_us));
        }
    }
}

#[test]
fn many_threads_never_get_more_than_a_burst_and_what_came_back() {
    let clock = Arc::new(TestClock::default());
    let local = Local::new(quota(100, 10), NonZeroU32::MIN, Arc::clone(&clock) as Arc<dyn Clock>);
    let rush = || {
        let taken: Vec<usize> = thread::scope(|scope| {
            let take = || (0..200).filter(|_| local.take(bucket(1), 1).refused_for.is_none()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        taken.into_iter().sum::<usize>()
    };
    assert_eq!(rush(), 100);
    clock.advance(Duration::from_secs(3));
    assert_eq!(rush(), 30);
}

#[test]
fn the_parts_of_all_instances_together_are_no_more_than_the_quota() {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
    let instances: Vec<_> = (0..3).map(|_| Local::new(quota(10, 9), count(3), Arc::clone(&clock))).collect();
    let taken = |local: &Local| (0..20).filter(|_| local.take(bucket(1), 1).refused_for.is_none()).count();
    assert_eq!(instances.iter().map(taken).sum::<usize>(), 9);
}

#[test]
fn what_is_kept_is_bounded_and_what_is_full_again_is_forgotten() {
    let clock = Arc::new(TestClock::default());
    let (quota, bound) = (quota(2, 1), 100);
    let local = Local::bounded(quota, NonZeroU32::MIN, Arc::clone(&clock) as Arc<dyn Clock>, bound);
    clock.advance(SWEEP_INTERVAL);
    for number in 0..20_000 {
        local.take(bucket(number), 1);
    }
    let shared = usize::try_from(SHARED_BUCKETS).unwrap();
    assert!(local.limiter.len() <= bound + shared, "{local:?}");
    let crowded = (20_000..40_000).filter(|number| local.take(bucket(*number), 1).refused_for.is_none()).count();
    assert!(crowded <= 2 * shared, "those who come share what there is: {crowded}");
    clock.advance(Duration::from_secs(10));
    assert_eq!(local.take(bucket(1_000_000), 1).remaining, 1, "all others are full again, and make room");
    assert_eq!(local.limiter.len(), 1);
}
