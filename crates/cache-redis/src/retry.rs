//! A retry is a privilege: each call earns a part of one, so that retries never multiply the load on a Redis that fails already.
//!
//! This layer retries once, and no other does.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a retry costs. A call earns as many of these as retries are allowed in percent.
const PRICE: u64 = 100;
/// Retries that can be saved up at most.
const MAX_SAVED: u64 = 10;

/// The retries that were earned and not spent.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    percent: u64,
    saved: AtomicU64,
}

impl RetryBudget {
    /// A full one.
    pub(crate) fn new(percent: u32) -> Self {
        let saved = if percent == 0 { 0 } else { MAX_SAVED * PRICE };
        Self { percent: percent.into(), saved: AtomicU64::new(saved) }
    }

    /// A call was made.
    pub(crate) fn earn(&self) {
        // Two at once may save a little less than they earned, or a little more than the most: neither matters.
        let saved = self.saved.load(Ordering::Relaxed);
        if saved < MAX_SAVED * PRICE && self.percent > 0 {
            self.saved.store((saved + self.percent).min(MAX_SAVED * PRICE), Ordering::Relaxed);
        }
    }

    /// Whether there is a retry left; it is spent then.
    pub(crate) fn spend(&self) -> bool {
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| saved.checked_sub(PRICE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_calls_once_the_savings_are_spent() {
        let budget = RetryBudget::new(10);
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.earn();
            retries += u64::from(budget.spend());
        }
        assert!((100..=100 + MAX_SAVED).contains(&retries), "{retries} retries of 1,000 calls");
    }

    #[test]
    fn no_percent_is_no_retry() {
        let budget = RetryBudget::new(0);
        budget.earn();
        assert!(!budget.spend());
    }
}
