//! A circuit breaker: who fails or is slow too often is not asked for a while, and then by a few callers first.
//!
//! The vocabulary, and the rules, are resilience4j's: outcomes of a sliding window of time; a failure rate and a slow-call rate, judged
//! once there were enough calls; open for a while; half open, when a bounded number of calls probes; closed again, or open, by the same
//! rates. Reopening is jittered, so that the instances of a deployment don't probe in step.
//!
//! It never waits. While it is closed and nothing in its window is amiss, a call that ends well takes no lock: it is only counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Clock, Entropy, Moment};
use serde::Deserialize;

use crate::error::ConfigError;

/// Parts of the window: outcomes leave it a part at a time.
const BUCKETS: usize = 10;
/// The half of a word that holds the number of a part.
const UPPER: u64 = !(u32::MAX as u64);

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
    is_closed: AtomicBool,
    /// It is closed, and no call in its window failed or was slow.
    is_clean: AtomicBool,
    /// Changes with each phase: a call that began in another one says nothing of this one.
    phases: AtomicU64,
    /// Calls that ended well, by part of the window: its number in the upper half, how many in the lower.
    well: [AtomicU64; BUCKETS],
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    opened: u64,
    /// All other calls.
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
        let inner = Inner { phase: Phase::Closed, opened: 0, window: [Bucket::default(); BUCKETS] };
        Self {
            config,
            clock,
            entropy,
            is_closed: AtomicBool::new(true),
            is_clean: AtomicBool::new(true),
            phases: AtomicU64::new(0),
            well: Default::default(),
            inner: Mutex::new(inner),
        }
    }

    /// Lets a call through, or not.
    pub(crate) fn permit(&self) -> Option<Permit<'_>> {
        let began = self.clock.now();
        let phase = self.phases.load(Ordering::Acquire);
        if self.is_closed.load(Ordering::Acquire) {
            return Some(Permit { breaker: self, phase, began, verdict: Verdict::Nothing });
        }
        let mut inner = self.lock();
        if let Phase::Open { until } = inner.phase
            && until <= began
        {
            let phase = Phase::HalfOpen { free: self.config.half_open_calls, seen: Counts::default() };
            self.enter(&mut inner, phase);
        }
        match &mut inner.phase {
            Phase::Closed => {}
            Phase::Open { .. } | Phase::HalfOpen { free: 0, .. } => return None,
            Phase::HalfOpen { free, .. } => *free -= 1,
        }
        let phase = self.phases.load(Ordering::Relaxed);
        Some(Permit { breaker: self, phase, began, verdict: Verdict::Nothing })
    }

    /// Opens at once: the next calls would fail as well, and more of them would help nobody.
    pub(crate) fn open(&self) {
        let now = self.clock.now();
        self.open_from(&mut self.lock(), now);
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
        let number = now.as_millis() / (self.config.window_ms / BUCKETS as u64);
        let slow = now.since(permit.began) >= Duration::from_millis(self.config.slow_call_ms);
        let failed = permit.verdict == Verdict::Failure;
        let is_current = self.phases.load(Ordering::Acquire) == permit.phase;
        if is_current && permit.verdict == Verdict::Success && !slow && self.is_clean.load(Ordering::Acquire) {
            self.count_well(number);
            return;
        }
        let one = Counts { calls: 1, failures: u32::from(failed), slow: u32::from(slow) };
        let mut inner = self.lock();
        if self.phases.load(Ordering::Relaxed) != permit.phase {
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
                        self.open_from(&mut inner, now);
                    } else {
                        tracing::info!("redis is asked again");
                        self.enter(&mut inner, Phase::Closed);
                    }
                }
            }
            Phase::Closed if permit.verdict == Verdict::Nothing => {}
            Phase::Closed => {
                let mut counts = inner.count(number, one);
                self.is_clean.store(counts.failures == 0 && counts.slow == 0, Ordering::Release);
                counts.calls = counts.calls.saturating_add(self.counted_well(number));
                if counts.calls >= self.config.minimum_calls && self.is_too_much(counts) {
                    self.open_from(&mut inner, now);
                }
            }
        }
    }

    /// Two that begin a part of the window at once may lose a count: a rate does not notice.
    fn count_well(&self, number: u64) {
        let place = &self.well[(number % BUCKETS as u64) as usize];
        let number = number << 32;
        if place.load(Ordering::Relaxed) & UPPER == number & UPPER {
            place.fetch_add(1, Ordering::Relaxed);
        } else {
            place.store(number | 1, Ordering::Relaxed);
        }
    }

    fn counted_well(&self, number: u64) -> u32 {
        let counts = self.well.iter().map(|place| place.load(Ordering::Relaxed)).filter(|place| {
            let age = (number as u32).wrapping_sub((place >> 32) as u32);
            age < BUCKETS as u32
        });
        counts.fold(0, |sum: u32, place| sum.saturating_add(place as u32))
    }

    fn open_from(&self, inner: &mut Inner, now: Moment) {
        if matches!(inner.phase, Phase::Closed) {
            tracing::warn!(
                "redis is left alone for now: too many calls failed or were slow; answers come from the other tiers"
            );
        }
        inner.opened += 1;
        self.enter(inner, Phase::Open { until: self.open_until(now) });
    }

    fn enter(&self, inner: &mut Inner, phase: Phase) {
        inner.phase = phase;
        inner.window = [Bucket::default(); BUCKETS];
        self.well.iter().for_each(|place| place.store(0, Ordering::Relaxed));
        self.phases.fetch_add(1, Ordering::Release);
        let is_closed = matches!(phase, Phase::Closed);
        self.is_closed.store(is_closed, Ordering::Release);
        self.is_clean.store(is_closed, Ordering::Release);
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

    /// Badly, and so that there is no use in another call.
    pub(crate) fn end_and_open(self) {
        let breaker = self.breaker;
        self.end(Verdict::Failure);
        breaker.open();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.end(self);
    }
}

#[cfg(test)]
mod tests;
