//! What look-ups met, besides what the chain counts of every tier.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What look-ups of one key each met since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ViewStatistics {
    /// Rows that answered.
    pub rows: u64,
    /// Keys whose row is absent, which was an answer.
    pub absent: u64,
    /// Rows that do not answer: misses.
    pub unanswered: u64,
    /// Misses because the view was never refreshed, or is not known here.
    pub unready: u64,
    /// Misses because the view was refreshed in another history, or this process does not know its own yet.
    pub foreign: u64,
    /// Look-ups that got no turn in time.
    pub refused: u64,
    /// Look-ups that took too long.
    pub timeouts: u64,
    /// Round trips: one for each look-up, however many keys and views it has.
    pub round_trips: u64,
}

/// Reaches a tier that a chain has taken. Clones reach the same one.
#[derive(Clone, Debug, Default)]
pub struct ViewHandle(pub(crate) Arc<Counts>);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: Count,
    pub(crate) absent: Count,
    pub(crate) unanswered: Count,
    pub(crate) unready: Count,
    pub(crate) foreign: Count,
    pub(crate) refused: Count,
    pub(crate) timeouts: Count,
    pub(crate) round_trips: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ViewHandle {
    /// What look-ups met.
    #[must_use]
    pub fn statistics(&self) -> ViewStatistics {
        let Counts { rows, absent, unanswered, unready, foreign, refused, timeouts, round_trips } = &*self.0;
        ViewStatistics {
            rows: rows.get(),
            absent: absent.get(),
            unanswered: unanswered.get(),
            unready: unready.get(),
            foreign: foreign.get(),
            refused: refused.get(),
            timeouts: timeouts.get(),
            round_trips: round_trips.get(),
        }
    }
}
