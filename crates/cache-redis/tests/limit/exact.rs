//! The script against another form of the algorithm: ITU-T I.371's continuous-state leaky bucket, fed with the times that the server tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_redis::limit::{Charge, Quota, Standing};
use proptest::collection::vec;
use proptest::prelude::*;

use super::support::{limiter, patient, quota, server};

/// A bucket that leaks a microsecond for each microsecond.
struct LeakyBucket {
    quota: Quota,
    level_us: i64,
    at_us: i64,
}

impl LeakyBucket {
    fn interval_us(&self) -> i64 {
        i64::try_from(self.quota.interval().as_micros()).expect("a short time")
    }

    fn size_us(&self) -> i64 {
        i64::from(self.quota.burst()) * self.interval_us()
    }

    fn leak(&mut self, now_us: i64) {
        self.level_us = (self.level_us - (now_us - self.at_us)).max(0);
        self.at_us = now_us;
    }

    fn drop_us(&self, units: u32) -> i64 {
        i64::from(units.min(self.quota.burst())) * self.interval_us()
    }

    fn has_room(&self, units: u32) -> bool {
        self.level_us + self.drop_us(units) <= self.size_us()
    }

    fn standing(&self, over_us: i64) -> Standing {
        let time = |us: i64| Duration::from_micros(us.try_into().expect("not negative"));
        Standing {
            remaining: ((self.size_us() - self.level_us) / self.interval_us()).try_into().expect("a burst at most"),
            full_in: time(self.level_us),
            refused_for: (over_us > 0).then(|| time(over_us)),
        }
    }
}

/// What the model answers at a time.
fn modelled(buckets: &mut [LeakyBucket], asked: &[(usize, u32)], now_us: i64) -> (bool, Vec<Standing>) {
    buckets.iter_mut().for_each(|bucket| bucket.leak(now_us));
    let allowed = asked.iter().all(|(at, units)| buckets[*at].has_room(*units));
    let standings = asked.iter().map(|(at, units)| {
        let bucket = &mut buckets[*at];
        let over_us = bucket.level_us + bucket.drop_us(*units) - bucket.size_us();
        if allowed {
            bucket.level_us += bucket.drop_us(*units);
        }
        bucket.standing(over_us)
    });
    (allowed, standings.collect())
}

fn quotas() -> impl Strategy<Value = Vec<(u32, u32)>> {
    // Rates at which a round trip brings back from much less than a unit to many of them.
    vec((1_u32..40, prop_oneof![1_u32..10, 100_u32..5_000, 10_000_u32..1_000_000]), 3)
}

/// For each question: which buckets, each once, and how much of each. More than a burst is a burst.
fn questions() -> impl Strategy<Value = Vec<Vec<(usize, u32)>>> {
    let buckets = prop::sample::subsequence(vec![0_usize, 1, 2], 1..=3);
    let question = (buckets, vec(prop_oneof![4 => 1_u32..4, 1 => 1_u32..60], 3));
    vec(question.prop_map(|(buckets, units)| buckets.into_iter().zip(units).collect()), 1..60)
}

#[test]
fn every_answer_is_that_of_a_leaky_bucket() {
    let Some(server) = server() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limiter = runtime.block_on(async { limiter(&patient(&server.url())) });
    let (worlds, allowed, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let law = |quotas: Vec<(u32, u32)>, questions: Vec<Vec<(usize, u32)>>| {
        let world = worlds.fetch_add(1, Ordering::Relaxed);
        let names: Vec<String> = (0..quotas.len()).map(|at| format!("{world}/{at}")).collect();
        let mut buckets: Vec<LeakyBucket> = quotas
            .iter()
            .map(|(burst, rate)| LeakyBucket { quota: quota(*burst, *rate), level_us: 0, at_us: 0 })
            .collect();
        for asked in questions {
            let charges: Vec<Charge<'_>> = asked
                .iter()
                .map(|(at, units)| Charge { bucket: names[*at].as_bytes(), quota: buckets[*at].quota, units: *units })
                .collect();
            let taken = runtime.block_on(limiter.take(&charges)).expect("the server is there");
            let now_us = i64::try_from(taken.server_time_us).expect("a time");
            let expected = modelled(&mut buckets, &asked, now_us);
            prop_assert_eq!((taken.allowed, taken.standings), expected);
            let counter = if taken.allowed { &allowed } else { &refused };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(quotas in quotas(), questions in questions())| law(quotas, questions)?);
    let (allowed, refused) = (allowed.into_inner(), refused.into_inner());
    assert!(allowed > 500 && refused > 500, "both must have come about: {allowed} allowed, {refused} refused");
}
