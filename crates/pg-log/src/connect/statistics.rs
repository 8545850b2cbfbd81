//! What was waited for and what was opened: what the advice about sizes is computed from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that several tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn raise(&self, to: u64) {
        self.0.fetch_max(to, Ordering::Relaxed);
    }
}

/// The counts of one PostgreSQL.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) opened: Count,
    pub(crate) closed: Count,
    pub(crate) open_failures: Count,
    pub(crate) discarded: Count,
    pub(crate) lent: Count,
    pub(crate) waited: Count,
    pub(crate) waited_us: Count,
    pub(crate) longest_wait_us: Count,
    pub(crate) refused: Count,
    pub(crate) most_in_use: Count,
}

impl Counters {
    pub(crate) fn note_wait(&self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waited.add(1);
        self.waited_us.add(us);
        self.longest_wait_us.raise(us);
    }
}

/// What the connections to one PostgreSQL did so far. Counts only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PgStatistics {
    /// The most exclusive connections that may be lent at a time.
    pub exclusive_max: u64,
    /// Exclusive connections that are lent now.
    pub in_use: u64,
    /// The most that ever were.
    pub most_in_use: u64,
    /// Callers that wait for one now.
    pub waiting: u64,
    /// How often one was lent.
    pub lent: u64,
    /// How often a caller had to wait for one.
    pub waited: u64,
    /// How long they waited, together.
    pub waited_us: u64,
    /// The longest of these waits.
    pub longest_wait_us: u64,
    /// How often a caller was refused, because too many waited or it took too long.
    pub refused: u64,
    /// Connections that were opened, shared ones included.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// How often opening one failed.
    pub open_failures: u64,
    /// Exclusive connections that came back with a statement that did not end in time, and were closed.
    pub discarded: u64,
}

impl PgStatistics {
    /// A sentence about the number of exclusive connections, where what was measured says something.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        if self.refused > 0 {
            return Some(format!(
                "{} callers got no exclusive connection in time (longest wait {} ms): raise it above {}, or find what holds \
                 them for so long",
                self.refused,
                self.longest_wait_us / 1_000,
                self.exclusive_max
            ));
        }
        let often = self.lent >= ENOUGH_TO_JUDGE && self.waited * 10 > self.lent;
        let mean_us = self.waited_us.checked_div(self.waited).unwrap_or(0);
        if often && mean_us > NOTICEABLE_WAIT_US {
            return Some(format!(
                "{} of {} callers waited for an exclusive connection, {} us each: more than {} of them would spare them that",
                self.waited, self.lent, mean_us, self.exclusive_max
            ));
        }
        if self.lent >= ENOUGH_TO_JUDGE && self.most_in_use * 2 < self.exclusive_max {
            return Some(format!(
                "at most {} of {} exclusive connections were in use at a time: fewer would do",
                self.most_in_use, self.exclusive_max
            ));
        }
        None
    }
}

/// Below so many loans the counts say nothing.
const ENOUGH_TO_JUDGE: u64 = 1_000;
/// A mean wait below this is what a statement takes anyway.
const NOTICEABLE_WAIT_US: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_from_what_was_measured() {
        let quiet = PgStatistics { exclusive_max: 16, lent: 5_000, most_in_use: 12, ..PgStatistics::default() };
        assert_eq!(quiet.advice(), None);
        assert!(PgStatistics { refused: 3, ..quiet }.advice().unwrap().contains("raise it above 16"));
        let waits = PgStatistics { waited: 1_000, waited_us: 5_000_000, ..quiet };
        assert!(
            waits.advice().unwrap().contains("1000 of 5000 callers waited for an exclusive connection, 5000 us each")
        );
        assert!(PgStatistics { most_in_use: 2, ..quiet }.advice().unwrap().contains("at most 2 of 16"));
    }
}
