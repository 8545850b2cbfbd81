//! Time and chance that a test owns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{BoxFuture, Clock, Entropy, Moment};

/// A clock that stands still until it is told to advance. Who sleeps wakes when the time has come, and not before.
#[derive(Debug)]
pub struct TestClock {
    now_ms: AtomicU64,
    sleepers: Mutex<Vec<(Moment, oneshot::Sender<()>)>>,
}

impl Default for TestClock {
    fn default() -> Self {
        // Not zero, so that an end which is computed by subtraction does not saturate unnoticed.
        Self { now_ms: AtomicU64::new(1_000_000), sleepers: Mutex::default() }
    }
}

impl TestClock {
    /// Moves the time forward and wakes whoever has slept long enough.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("a test does not run for 500 million years");
        let now = Moment::from_millis(self.now_ms.fetch_add(ms, Ordering::SeqCst) + ms);
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, sleeper) in sleepers.extract_if(.., |(until, _)| *until <= now) {
            // Who has stopped waiting in the meantime needs no waking.
            let _ = sleeper.send(());
        }
    }

    /// How many sleep, those that were given up not counted.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers.iter().filter(|(_, sleeper)| !sleeper.is_closed()).count()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        sleepers.push((self.now().after(duration), sender));
        Box::pin(async move {
            if receiver.await.is_err() {
                // The clock is gone: for whoever still waits, time stands still.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Chance that always falls the same way.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedEntropy(pub u64);

impl Entropy for FixedEntropy {
    fn next(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = TestClock::default();
        let mut sleep = clock.sleep(Duration::from_millis(10));
        clock.advance(Duration::from_millis(9));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(sleep.as_mut().poll(context).is_pending())).await
        );
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!(clock.sleepers(), 0);
    }
}
