//! Time limits of look-ups, without a timer for each.
//!
//! To arm a timer may wake the thread that waits for the earliest one, which takes longer than a look-up: tens of microseconds. So one task ticks while
//! anything is under way, and each look-up asks the clock at every tick whether it has waited long enough. A limit is met late by up to one
//! tick, and never early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Clock, Moment};
use tokio::sync::Notify;

/// Ticks of one time limit.
const TICKS: u32 = 4;

/// Watches over what is under way.
pub(crate) struct Patience(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    limit: Duration,
    ticks: Notify,
    under_way: AtomicUsize,
    ticking: AtomicBool,
}

/// Something that is under way.
pub(crate) struct Waiting<'p> {
    shared: &'p Shared,
    began: Moment,
}

impl Patience {
    pub(crate) fn new(limit: Duration, clock: Arc<dyn Clock>) -> Self {
        let (ticks, under_way, ticking) = (Notify::new(), AtomicUsize::new(0), AtomicBool::new(false));
        Self(Arc::new(Shared { clock, limit, ticks, under_way, ticking }))
    }

    /// Begins. Needs a runtime.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        let shared = &*self.0;
        let waiting = Waiting { shared, began: shared.clock.now() };
        shared.under_way.fetch_add(1, Ordering::SeqCst);
        if !shared.ticking.swap(true, Ordering::SeqCst) {
            tokio::spawn(tick(Ticking(Arc::clone(&self.0))));
        }
        waiting
    }
}

impl Waiting<'_> {
    /// Ends when the limit is over.
    pub(crate) async fn is_over(&self) {
        loop {
            // Before the look at the clock, so that no tick is missed.
            let tick = self.shared.ticks.notified();
            if self.shared.clock.now().since(self.began) >= self.shared.limit {
                return;
            }
            tick.await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Who ticks. Where its runtime ends, the next one to begin finds that nobody does.
struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.ticking.store(false, Ordering::SeqCst);
    }
}

async fn tick(ticking: Ticking) {
    let shared = Arc::clone(&ticking.0);
    let mut ticking = Some(ticking);
    loop {
        shared.clock.sleep(shared.limit / TICKS).await;
        shared.ticks.notify_waiters();
        if shared.under_way.load(Ordering::SeqCst) == 0 {
            drop(ticking.take());
            // Whoever began in between saw that somebody ticks.
            if shared.under_way.load(Ordering::SeqCst) == 0 || shared.ticking.swap(true, Ordering::SeqCst) {
                return;
            }
            ticking = Some(Ticking(Arc::clone(&shared)));
        }
    }
}

#[cfg(test)]
mod tests {
    use cache_core::testing::TestClock;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_limit_is_met_at_the_next_tick_and_never_before() {
        let clock = Arc::new(TestClock::default());
        let patience = Patience::new(LIMIT, Arc::clone(&clock) as Arc<dyn Clock>);
        let waiting = patience.begin();
        let over = waiting.is_over();
        let mut over = std::pin::pin!(over);
        let mut is_over = async || {
            settle().await;
            std::future::poll_fn(|context| std::task::Poll::Ready(over.as_mut().poll(context).is_ready())).await
        };
        for _ in 0..3 {
            assert!(!is_over().await);
            clock.advance(Duration::from_millis(100));
        }
        assert!(!is_over().await);
        clock.advance(Duration::from_millis(100));
        assert!(is_over().await);
    }

    #[tokio::test]
    async fn nobody_ticks_while_nothing_is_under_way() {
        let clock = Arc::new(TestClock::default());
        let patience = Patience::new(LIMIT, Arc::clone(&clock) as Arc<dyn Clock>);
        for _ in 0..3 {
            drop(patience.begin());
            settle().await;
            assert_eq!(clock.sleepers(), 1, "the tick after the last one");
            clock.advance(Duration::from_millis(100));
            settle().await;
            assert_eq!(clock.sleepers(), 0);
        }
        let waiting = patience.begin();
        for _ in 0..5 {
            settle().await;
            assert_eq!(clock.sleepers(), 1);
            clock.advance(Duration::from_millis(100));
        }
        waiting.is_over().await;
    }
}
