//! The lease: how long this process may trust its horizon without hearing from the log.
//!
//! Invariants:
//! - A value that was cached is used only where the lease held at a reading of the clock after the question was put, and the horizon was asked
//!   after that reading. Whoever acknowledges a change waits for every holder to have applied it, or for its lease to be over: so an answer
//!   from a cached value that was asked for after the acknowledgement contains the change.
//! - The end is a moment of this process's own clock, counted from before the renewal was sent. It is compared with the clock at each look-up, and
//!   never moved by a thread of this process that merely means to follow the time: such a thread stops when the process is stopped.
//! - Once lost, a lease never holds again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::mistakes::planted;
use crate::{Mistake, Moment};

/// How much older than the time a reading of [`SystemClock`](crate::SystemClock) may be: one tick of the slowest kernels. A lease ends by so much earlier.
pub const CLOCK_TICK: Duration = Duration::from_millis(10);

/// The right to use what is cached, for a while.
#[derive(Debug, Default)]
pub struct Lease {
    /// In milliseconds of the clock of whoever looks; 0 before it was first extended, and once it is over.
    ends: AtomicU64,
    lost: AtomicBool,
}

impl Lease {
    /// One that does not hold yet.
    #[must_use]
    pub const fn over() -> Self {
        Self { ends: AtomicU64::new(0), lost: AtomicBool::new(false) }
    }

    /// One that always holds: for a process that hears of every change as it happens, because nobody else makes any, or because nobody waits for it.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { ends: AtomicU64::new(u64::MAX), lost: AtomicBool::new(false) }
    }

    /// Whether it always holds.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.ends.load(Ordering::Acquire) == u64::MAX
    }

    /// Whether what is cached may be used. Take `now` after the question was put, and ask the horizon after this.
    #[must_use]
    #[inline]
    pub fn holds(&self, now: Moment) -> bool {
        // Acquire: what was applied before the lease was extended is seen by whoever sees it extended.
        now.as_millis() < self.ends.load(Ordering::Acquire) || planted(Mistake::LeaseIgnored)
    }

    /// Extends it to `length` after `sent`, a reading of the clock from before the renewal was sent. An end is never moved back.
    pub fn extend(&self, sent: Moment, length: Duration) {
        let end = sent.after(length.saturating_sub(CLOCK_TICK));
        self.ends.fetch_max(end.as_millis(), Ordering::AcqRel);
        if self.lost.load(Ordering::SeqCst) {
            self.ends.store(0, Ordering::SeqCst);
        }
    }

    /// Ends it now: nothing cached is used until it is extended again.
    pub fn end(&self) {
        self.ends.store(0, Ordering::SeqCst);
    }

    /// Ends it for good.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn it_holds_from_its_first_renewal_until_a_tick_before_its_end() {
        let lease = Lease::over();
        assert!(!lease.holds(at(0)));
        lease.extend(at(500), SECOND);
        assert!(lease.holds(at(500)) && lease.holds(at(1_489)) && !lease.holds(at(1_490)));
        assert!(!lease.is_unlimited());
        assert!(Lease::unlimited().holds(at(u64::MAX - 1)) && Lease::unlimited().is_unlimited());
    }

    #[test]
    fn an_answer_that_comes_late_takes_nothing_back() {
        let lease = Lease::over();
        lease.extend(at(900), SECOND);
        lease.extend(at(500), SECOND);
        assert!(lease.holds(at(1_889)));
        lease.end();
        assert!(!lease.holds(at(900)));
        lease.extend(at(1_000), SECOND);
        assert!(lease.holds(at(1_500)));
    }

    #[test]
    fn a_lost_lease_never_holds_again() {
        let lease = Lease::over();
        lease.extend(at(0), SECOND);
        lease.lose();
        lease.extend(at(0), SECOND);
        assert!(!lease.holds(at(1)));
    }
}
