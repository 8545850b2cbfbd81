//! A circuit breaker: who fails or is slow too often is not asked for a while, and then by a few callers first.
//!
//! The vocabulary, and the rules, are resilience4j's: outcomes of a sliding window of time; a failure rate and a slow-call rate, judged
//! once there were enough calls; open for a while; half open, when a bounded number of calls probes; closed again, or open, by the same
//! rates. Reopening is jittered, so that the instances of a deployment don't probe in step.
//!
//! It never waits, and holds its lock for a few additions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Clock, Entropy, Moment};
use serde::Deserialize;

use crate::error::ConfigError;

/// Parts of the window: outcomes leave it a part at a time.
const BUCKETS: usize = 10;

/// The settings of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// How long an outcome counts, in milliseconds.
    pub window_ms: u64,
    /// Calls in the window before it is judged.
    pub minimum_calls: u32,
    /// It opens when this many of a hundred calls failed.
    pub failure_rate_percent: u32,
    /// It opens when this many of a hundred calls were slow.
    pub slow_call_rate_percent: u32,
    /// From when on a call is slow, in milliseconds.
    pub slow_call_ms: u64,
    /// How long it stays open, in milliseconds.
    pub open_ms: u64,
    /// By how much that may be longer, at random, in percent.
    pub open_jitter_percent: u32,
    /// Calls that probe when it is half open; as many must end before it closes or opens.
    pub half_open_calls: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window_ms: 10_000,
            minimum_calls: 20,
            failure_rate_percent: 50,
            slow_call_rate_percent: 80,
            slow_call_ms: 10,
            open_ms: 1_000,
            open_jitter_percent: 50,
            half_open_calls: 5,
        }
    }
}

impl BreakerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let within = |setting: &'static str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => {
                Err(ConfigError::Setting { setting, value: value.to_string(), allowed: format!("{least} to {most}") })
            }
        };
        within("breaker.window_ms", self.window_ms, BUCKETS as u64, 600_000)?;
        within("breaker.minimum_calls", self.minimum_calls.into(), 1, 1_000_000)?;
        within("breaker.failure_rate_percent", self.failure_rate_percent.into(), 1, 100)?;
        within("breaker.slow_call_rate_percent", self.slow_call_rate_percent.into(), 1, 100)?;
        within("breaker.slow_call_ms", self.slow_call_ms, 1, 60_000)?;
        within("breaker.open_ms", self.open_ms, 1, 600_000)?;
        within("breaker.open_jitter_percent", self.open_jitter_percent.into(), 0, 1_000)?;
        within("breaker.half_open_calls", self.half_open_calls.into(), 1, 1_000)
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BreakerState {
    /// Everything.
    #[default]
    Closed,
    /// Nothing.
    Open,
    /// A few calls, which decide.
    HalfOpen,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Well.
    Success,
    /// Badly, and whom it asked is to blame.
    Failure,
    /// In a way that says nothing: it was given up, or refused before it was made.
    Nothing,
}

pub(crate) struct Breaker {
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    /// Changes with each phase: a call that began in another one says nothing of this one.
    phases: u64,
    opened: u64,
    window: [Bucket; BUCKETS],
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Moment },
    HalfOpen { free: u32, seen: Counts },
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    number: u64,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    calls: u32,
    failures: u32,
    slow: u32,
}

/// A call that the breaker let through. Dropped without a verdict, it says nothing.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    phase: u64,
    began: Moment,
    verdict: Verdict,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let inner = Inner { phase: Phase::Closed, phases: 0, opened: 0, window: [Bucket::default(); BUCKETS] };
        Self { config, clock, entropy, inner: Mutex::new(inner) }
    }

    /// Lets a call through, or not.
    pub(crate) fn permit(&self) -> Option<Permit<'_>> {
        let began = self.clock.now();
        let mut inner = self.lock();
        if let Phase::Open { until } = inner.phase
            && until <= began
        {
            inner.enter(Phase::HalfOpen { free: self.config.half_open_calls, seen: Counts::default() });
        }
        match &mut inner.phase {
            Phase::Closed => {}
            Phase::Open { .. } | Phase::HalfOpen { free: 0, .. } => return None,
            Phase::HalfOpen { free, .. } => *free -= 1,
        }
        let phase = inner.phases;
        drop(inner);
        Some(Permit { breaker: self, phase, began, verdict: Verdict::Nothing })
    }

    /// Opens at once: the next calls would fail as well, and more of them would help nobody.
    pub(crate) fn open(&self) {
        let now = self.clock.now();
        self.lock().open(self.open_until(now));
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// How often it has opened.
    pub(crate) fn opened(&self) -> u64 {
        self.lock().opened
    }

    fn end(&self, permit: &Permit<'_>) {
        let now = self.clock.now();
        let slow = now.since(permit.began) >= Duration::from_millis(self.config.slow_call_ms);
        let one = Counts { calls: 1, failures: u32::from(permit.verdict == Verdict::Failure), slow: u32::from(slow) };
        let mut inner = self.lock();
        if inner.phases != permit.phase {
            return;
        }
        match &mut inner.phase {
            Phase::Open { .. } => {}
            Phase::HalfOpen { free, .. } if permit.verdict == Verdict::Nothing => *free += 1,
            Phase::HalfOpen { seen, .. } => {
                seen.add(one);
                let seen = *seen;
                if seen.calls >= self.config.half_open_calls {
                    if self.is_too_much(seen) {
                        inner.open(self.open_until(now));
                    } else {
                        inner.enter(Phase::Closed);
                    }
                }
            }
            Phase::Closed if permit.verdict == Verdict::Nothing => {}
            Phase::Closed => {
                let number = now.as_millis() / (self.config.window_ms / BUCKETS as u64);
                let counts = inner.count(number, one);
                if counts.calls >= self.config.minimum_calls && self.is_too_much(counts) {
                    inner.open(self.open_until(now));
                }
            }
        }
    }

    fn is_too_much(&self, counts: Counts) -> bool {
        let reaches =
            |part: u32, percent: u32| part > 0 && u64::from(part) * 100 >= u64::from(counts.calls) * u64::from(percent);
        reaches(counts.failures, self.config.failure_rate_percent)
            || reaches(counts.slow, self.config.slow_call_rate_percent)
    }

    fn open_until(&self, now: Moment) -> Moment {
        let most = self.config.open_ms * u64::from(self.config.open_jitter_percent) / 100;
        let jitter = if most == 0 { 0 } else { self.entropy.next() % (most + 1) };
        now.after(Duration::from_millis(self.config.open_ms + jitter))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phases += 1;
        self.window = [Bucket::default(); BUCKETS];
    }

    fn open(&mut self, until: Moment) {
        self.opened += 1;
        self.enter(Phase::Open { until });
    }

    /// Counts an outcome, and gives the counts of the window that ends with it.
    fn count(&mut self, number: u64, one: Counts) -> Counts {
        let place = &mut self.window[(number % BUCKETS as u64) as usize];
        if place.number != number {
            *place = Bucket { number, counts: Counts::default() };
        }
        place.counts.add(one);
        let mut all = Counts::default();
        for bucket in self.window.iter().filter(|bucket| bucket.number + BUCKETS as u64 > number) {
            all.add(bucket.counts);
        }
        all
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

impl Permit<'_> {
    pub(crate) fn end(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.end(self);
    }
}

#[cfg(test)]
mod tests {
    use cache_core::testing::{FixedEntropy, TestClock};

    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        window_ms: 10_000,
        minimum_calls: 10,
        failure_rate_percent: 50,
        slow_call_rate_percent: 80,
        slow_call_ms: 10,
        open_ms: 1_000,
        open_jitter_percent: 50,
        half_open_calls: 3,
    };

    fn breaker() -> (Arc<TestClock>, Breaker) {
        let clock = Arc::new(TestClock::default());
        let breaker = Breaker::new(CONFIG, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(FixedEntropy(499)));
        (clock, breaker)
    }

    fn calls(breaker: &Breaker, count: usize, verdict: Verdict) {
        for _ in 0..count {
            breaker.permit().expect("it lets calls through").end(verdict);
        }
    }

    fn wait(clock: &TestClock, ms: u64) {
        clock.advance(Duration::from_millis(ms));
    }

    #[test]
    fn it_opens_at_the_failure_rate_and_not_before_there_were_enough_calls() {
        let (_, breaker) = breaker();
        calls(&breaker, 9, Verdict::Failure);
        assert_eq!(breaker.state(), BreakerState::Closed, "nine calls say too little");
        calls(&breaker, 1, Verdict::Success);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.permit().is_none());
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn failures_below_the_rate_leave_it_closed() {
        let (_, breaker) = breaker();
        for _ in 0..50 {
            calls(&breaker, 2, Verdict::Success);
            calls(&breaker, 1, Verdict::Failure);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn what_left_the_window_does_not_count() {
        let (clock, breaker) = breaker();
        calls(&breaker, 9, Verdict::Failure);
        wait(&clock, 11_000);
        calls(&breaker, 9, Verdict::Failure);
        assert_eq!(breaker.state(), BreakerState::Closed);
        wait(&clock, 5_000);
        calls(&breaker, 1, Verdict::Failure);
        assert_eq!(breaker.state(), BreakerState::Open, "nine of these are still in it");
    }

    #[test]
    fn slow_calls_open_it_although_they_succeed() {
        let (clock, breaker) = breaker();
        for _ in 0..10 {
            let permit = breaker.permit().expect("closed");
            wait(&clock, 10);
            permit.end(Verdict::Success);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn half_open_it_lets_a_few_probe_and_closes_when_they_succeed() {
        let (clock, breaker) = breaker();
        breaker.open();
        wait(&clock, 1_498);
        assert!(breaker.permit().is_none(), "a second and a jitter of 499 ms");
        wait(&clock, 1);
        let probes: Vec<_> = (0..3).map(|_| breaker.permit().expect("a probe")).collect();
        assert!(breaker.permit().is_none(), "three probe at once and no more");
        probes.into_iter().for_each(|probe| probe.end(Verdict::Success));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn probes_that_fail_open_it_again() {
        let (clock, breaker) = breaker();
        breaker.open();
        wait(&clock, 1_500);
        calls(&breaker, 1, Verdict::Success);
        calls(&breaker, 2, Verdict::Failure);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_room_for_another_one() {
        let (clock, breaker) = breaker();
        breaker.open();
        wait(&clock, 1_500);
        for _ in 0..100 {
            drop(breaker.permit().expect("the one before was given up"));
        }
        calls(&breaker, 3, Verdict::Success);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_from_before_it_opened_says_nothing_afterwards() {
        let (clock, breaker) = breaker();
        let old: Vec<_> = (0..10).map(|_| breaker.permit().expect("closed")).collect();
        breaker.open();
        wait(&clock, 1_500);
        let probe = breaker.permit().expect("a probe");
        old.into_iter().for_each(|permit| permit.end(Verdict::Failure));
        probe.end(Verdict::Success);
        calls(&breaker, 2, Verdict::Success);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
