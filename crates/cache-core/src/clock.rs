//! Time comes in as an argument. Lifetimes are monotonic; nothing in this crate asks for the time of day.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::Mistake;
use crate::mistakes::{planted, ticked};

/// A point in monotonic time, in milliseconds since an origin that only this process knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment(u64);

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Moment {
    /// The end of time, for what does not end.
    pub const NEVER: Self = Self(u64::MAX);

    /// A moment by its milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Its milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `duration` later; [`Moment::NEVER`] where that can't be told.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long it is from `earlier` to here; zero where it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Tells monotonic time, and waits.
pub trait Clock: Send + Sync + 'static {
    /// Now. Cheap: it is asked once for every look-up.
    fn now(&self) -> Moment;

    /// Ends after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with a resolution of one kernel tick (1 to 10 ms), which costs a third of a fine reading.
///
/// It waits by tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Moment {
        Moment(if planted(Mistake::ClockByATicker) { ticked(machine_ms) } else { machine_ms() })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl SystemClock {
    /// How long the machine has been suspended since it was started, or less: this clock stood still meanwhile. Zero where that can't be told.
    ///
    /// The clock that counts such time costs three times as much as this one, so that it is not what every look-up reads. Whoever keeps a lease
    /// compares this now and then, and ends the lease where it has grown.
    #[must_use]
    pub fn suspended() -> Duration {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let read = |clock| {
                let time = rustix::time::clock_gettime(clock);
                Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
            };
            // In this order what passes between the two readings makes the difference smaller, and never suspends anybody. Of a few tries one is not
            // interrupted in between.
            let tries = (0..3).map(|_| {
                let with = read(rustix::time::ClockId::Boottime);
                with.saturating_sub(read(rustix::time::ClockId::Monotonic))
            });
            tries.max().unwrap_or_default()
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Duration::ZERO
    }
}

#[inline]
fn machine_ms() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    (time.tv_sec as u64).wrapping_mul(1_000).wrapping_add(time.tv_nsec as u64 / 1_000_000)
}

/// Draws random numbers: for jitter, never for secrets.
pub trait Entropy: Send + Sync + 'static {
    /// A number, uniform over all `u64`.
    fn next(&self) -> u64;
}

/// A fast generator for each thread, seeded by the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next(&self) -> u64 {
        fastrand::u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_run_backwards() {
        let first = SystemClock.now();
        assert!(SystemClock.now() >= first);
    }

    #[test]
    fn time_that_passes_is_no_suspension() {
        let (begun, before) = (SystemClock.now(), SystemClock::suspended());
        let mut most = before;
        while SystemClock.now().since(begun) < Duration::from_millis(20) {
            most = most.max(SystemClock::suspended());
        }
        assert!(most - before < Duration::from_millis(15), "{before:?}, {most:?}");
    }

    #[test]
    fn a_moment_saturates() {
        assert_eq!(Moment::from_millis(5).after(Duration::MAX), Moment::NEVER);
        assert_eq!(Moment::from_millis(5).since(Moment::from_millis(9)), Duration::ZERO);
    }
}
