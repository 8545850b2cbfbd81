//! Notices that the machine was suspended: the clock of leases stood still, and others have long taken this one for over.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::Lease;

use crate::connect::lock;

/// How often it is looked. For so long after the machine wakes up, what is asked may still be answered from before.
const EVERY: Duration = Duration::from_millis(50);
/// Growth that is none: clocks are corrected in steps that are smaller.
const NOTICED: Duration = Duration::from_millis(2);

/// Ends a lease whenever the machine was suspended.
pub(super) struct Suspension {
    /// How long it was, since it was started. May say too little, never too much.
    suspended: fn() -> Duration,
    known: Mutex<Duration>,
    lease: Arc<Lease>,
}

impl Suspension {
    pub(super) fn new(suspended: fn() -> Duration, lease: Arc<Lease>) -> Self {
        Self { suspended, known: Mutex::new(suspended()), lease }
    }

    /// Looks now and then.
    pub(super) async fn watch(&self) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look();
        }
    }

    /// Looks now. Says how long the machine was suspended, as far as is known: a renewal that was sent when this was less says nothing any more.
    pub(super) fn look(&self) -> Duration {
        let mut known = lock(&self.known);
        let grown = (self.suspended)().saturating_sub(*known);
        if grown > NOTICED {
            self.lease.end();
            tracing::warn!(
                ?grown,
                "the machine was suspended: nothing that is cached is used until the lease is renewed"
            );
            *known += grown;
        }
        *known
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cache_core::{Clock, SystemClock};

    use super::*;

    static SUSPENDED_MS: AtomicU64 = AtomicU64::new(7);

    fn suspended() -> Duration {
        Duration::from_millis(SUSPENDED_MS.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_lease_ends_when_the_machine_was_suspended_and_not_before() {
        let lease = Arc::new(Lease::over());
        lease.extend(SystemClock.now(), Duration::from_secs(3_600));
        let suspension = Suspension::new(suspended, Arc::clone(&lease));
        let before = suspension.look();
        SUSPENDED_MS.fetch_add(1, Ordering::Relaxed);
        assert!(suspension.look() == before && lease.holds(SystemClock.now()), "a correction");
        SUSPENDED_MS.fetch_add(60_000, Ordering::Relaxed);
        let watched = tokio::time::timeout(EVERY * 50, async {
            tokio::select! {
                _ = suspension.watch() => {}
                () = async {
                    while lease.holds(SystemClock.now()) {
                        tokio::time::sleep(EVERY / 10).await;
                    }
                } => {}
            }
        });
        assert!(watched.await.is_ok(), "it holds, and a minute has passed for everybody else");
        assert!(suspension.look() > before, "and a renewal that was sent before does not count");
    }
}
