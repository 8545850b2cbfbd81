//! Lifetimes across machines: what lies in Redis ends by the time of day, what lies here by a monotonic clock, and converting one into the
//! other never makes a life longer than the one that was given.
//!
//! Two things could. The clocks of two machines differ: a value that says it was filled in the future, by more than is tolerated, is not
//! used, and one within it lives as long as it was filled for and no longer. And a clock is set back: then the hour that was taken back
//! would be lived twice. So a step back is noticed (the time of day falls behind the monotonic clock), and until everything has ended that
//! may have been filled before it, values are judged by the time as it would be without the step.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Clock, Moment};

/// How far the clocks of two machines may differ, and a clock may be set back, without being noticed.
pub const TOLERATED_SKEW: Duration = Duration::from_secs(1);
const TOLERATED_SKEW_MS: i64 = TOLERATED_SKEW.as_millis() as i64;

/// Tells the time of day.
pub trait WallClock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn unix_millis(&self) -> u64;
}

/// The machine's time of day, with the resolution of [`cache_core::SystemClock`], whose ticks are its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    fn unix_millis(&self) -> u64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::RealtimeCoarse;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Realtime;
        let time = rustix::time::clock_gettime(CLOCK);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000 + time.tv_nsec as u64 / 1_000_000
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Now {
    pub(crate) moment: Moment,
    /// The time of day, to write into what is filled.
    pub(crate) unix_ms: u64,
    /// The time of day that what was filled is judged by: never earlier than `unix_ms`.
    pub(crate) judged_ms: u64,
}

/// Reads both clocks, and remembers how they stood to one another.
pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    wall: Arc<dyn WallClock>,
    /// How long a step back is remembered: as long as a value may live.
    memory: Duration,
    /// The time of day minus the monotonic time, at its highest.
    highest: AtomicI64,
    /// Since when the time of day lies behind that.
    behind_since: Mutex<Option<Moment>>,
}

impl Timeline {
    pub(crate) fn new(clock: Arc<dyn Clock>, wall: Arc<dyn WallClock>, memory: Duration) -> Self {
        Self { clock, wall, memory, highest: AtomicI64::new(i64::MIN), behind_since: Mutex::new(None) }
    }

    pub(crate) fn now(&self) -> Now {
        let moment = self.clock.now();
        let unix_ms = self.wall.unix_millis();
        let offset = (unix_ms as i64).wrapping_sub(moment.as_millis() as i64);
        let highest = self.highest.load(Ordering::Relaxed);
        let behind_ms = highest.saturating_sub(offset);
        if (0..=TOLERATED_SKEW_MS).contains(&behind_ms) {
            return Now { moment, unix_ms, judged_ms: unix_ms };
        }
        self.settle(moment, unix_ms, offset)
    }

    /// The clocks have moved against one another.
    fn settle(&self, moment: Moment, unix_ms: u64, offset: i64) -> Now {
        let mut behind_since = self.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = self.highest.load(Ordering::Relaxed);
        let behind_ms = highest.saturating_sub(offset);
        let level = behind_ms <= TOLERATED_SKEW_MS;
        if level || behind_since.is_some_and(|since| moment.since(since) >= self.memory) {
            self.highest.store(if level { highest.max(offset) } else { offset }, Ordering::Relaxed);
            *behind_since = None;
            return Now { moment, unix_ms, judged_ms: unix_ms };
        }
        behind_since.get_or_insert(moment);
        Now { moment, unix_ms, judged_ms: unix_ms.saturating_add(behind_ms as u64) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::AtomicU64;

    use cache_core::testing::TestClock;

    use super::*;

    /// A time of day that runs with a test's clock until it is set.
    pub(crate) struct TestWallClock {
        clock: Arc<TestClock>,
        offset_ms: AtomicU64,
    }

    impl TestWallClock {
        pub(crate) fn of(clock: &Arc<TestClock>) -> Arc<Self> {
            Arc::new(Self { clock: Arc::clone(clock), offset_ms: AtomicU64::new(1_700_000_000_000) })
        }

        pub(crate) fn set_back(&self, by: Duration) {
            self.offset_ms.fetch_sub(by.as_millis() as u64, Ordering::Relaxed);
        }

        pub(crate) fn set_forward(&self, by: Duration) {
            self.offset_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
        }
    }

    impl WallClock for TestWallClock {
        fn unix_millis(&self) -> u64 {
            self.offset_ms.load(Ordering::Relaxed) + self.clock.now().as_millis()
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    fn timeline() -> (Arc<TestClock>, Arc<TestWallClock>, Timeline) {
        let clock = Arc::new(TestClock::default());
        let wall = TestWallClock::of(&clock);
        let timeline =
            Timeline::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&wall) as Arc<dyn WallClock>, 24 * HOUR);
        (clock, wall, timeline)
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_time_back() {
        let (clock, wall, timeline) = timeline();
        let before = timeline.now();
        wall.set_back(HOUR);
        let after = timeline.now();
        assert_eq!(after.judged_ms, before.judged_ms, "an hour would be lived twice");
        assert_eq!(after.unix_ms, before.unix_ms - 3_600_000, "but what is written is the time of day");
        clock.advance(2 * HOUR);
        assert_eq!(timeline.now().judged_ms, before.judged_ms + 7_200_000);
    }

    #[test]
    fn a_step_back_is_forgotten_when_nothing_from_before_it_is_alive() {
        let (clock, wall, timeline) = timeline();
        timeline.now();
        wall.set_back(HOUR);
        assert_ne!(timeline.now().judged_ms, timeline.now().unix_ms);
        clock.advance(24 * HOUR);
        assert_eq!(timeline.now().judged_ms, timeline.now().unix_ms);
        wall.set_back(HOUR);
        assert_ne!(timeline.now().judged_ms, timeline.now().unix_ms, "the next step is noticed as well");
    }

    #[test]
    fn a_clock_that_is_set_forward_is_followed() {
        let (_, wall, timeline) = timeline();
        let before = timeline.now();
        wall.set_forward(HOUR);
        let after = timeline.now();
        assert_eq!((after.unix_ms, after.judged_ms), (before.unix_ms + 3_600_000, before.judged_ms + 3_600_000));
    }
}
