//! Work is paid for before it is done, so that no condition runs longer than the budget of its question.

use super::bounds::BYTES_PER_STEP;
use super::error::Stop;

/// Steps that the evaluations of one question may take together.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    /// Of this many steps; see [`DEFAULT_MAX_STEPS`](super::DEFAULT_MAX_STEPS).
    #[must_use]
    pub const fn new(steps: u64) -> Self {
        Self { limit: steps, spent: 0 }
    }

    /// Steps that were taken.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        let spent = self.spent.saturating_add(steps);
        if spent > self.limit {
            self.spent = self.limit;
            return Err(Stop::Exceeded { bound: "steps for one question", limit: self.limit });
        }
        self.spent = spent;
        Ok(())
    }

    /// For looking at text.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spend(u64::try_from(bytes / BYTES_PER_STEP).unwrap_or(u64::MAX))
    }

    /// For making or looking at elements.
    pub(super) fn spend_elements(&mut self, elements: usize) -> Result<(), Stop> {
        self.spend(u64::try_from(elements).unwrap_or(u64::MAX))
    }
}
