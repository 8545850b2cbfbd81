//! What this process has applied, as a position: the bytes of a token.
//!
//! It is an **upper bound**. A snapshot that was read here was applied before its first answer was handed out, so that the position after an answer
//! contains whatever the answer rests on. The exception is a value from a tier that other processes fill: they may have read what is not applied
//! here yet. A follower's poll that was sent after such a value was taken contains that too; until one is applied the position says that it may be
//! short. Whoever must contain *that* waits for a poll that is sent after the question came: it sees what anybody had seen before.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::Position;
use pg_log::{LogReader, PgSnapshot};

use super::place::{put_snapshot, snapshot};

/// The snapshot contains everything.
const WHOLE: u8 = 1;
/// There may be more.
const SHORT: u8 = 2;
/// The most open transactions that are written down, so that a token fits a header. Beyond, the position says that it may be short.
const MAX_OPEN: usize = 32;

/// A position, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PgPosition {
    pub(super) snapshot: PgSnapshot,
    pub(super) whole: bool,
}

impl PgPosition {
    pub(super) fn write(&self) -> Position {
        let Self { snapshot, whole } = self;
        let fits = snapshot.xip().len() <= MAX_OPEN;
        let mut bytes = vec![if *whole && fits { WHOLE } else { SHORT }];
        // Without those that are open it serves to tell its age, and for nothing else.
        match PgSnapshot::new(snapshot.xmax(), snapshot.xmax(), Vec::new()) {
            Ok(bounds) if !fits => put_snapshot(&mut bytes, &bounds),
            _ => put_snapshot(&mut bytes, snapshot),
        }
        Position::from_bytes(bytes)
    }

    /// Reads what [`Self::write`] wrote, and nothing else.
    pub(super) fn read(position: &Position) -> Option<Self> {
        let (form, mut rest) = position.as_bytes().split_first()?;
        let whole = match *form {
            WHOLE => true,
            SHORT => false,
            _ => return None,
        };
        let snapshot = snapshot(&mut rest)?;
        rest.is_empty().then_some(Self { snapshot, whole })
    }
}

/// Knows whether anything may be ahead of what is applied.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// As many values from shared tiers have been noticed.
    noticed: AtomicU64,
    /// As many polls had been sent when the last of them was noticed.
    sent: AtomicU64,
}

impl Ahead {
    /// Whether what was taken from shared tiers, so many values by now, may contain what is not applied.
    pub(super) fn is_ahead(&self, reader: &LogReader, remote_hits: u64) -> bool {
        if remote_hits > self.noticed.load(Ordering::Acquire) {
            // The count of polls first: whoever sees the one number sees the other.
            self.sent.fetch_max(reader.polls_sent(), Ordering::AcqRel);
            self.noticed.fetch_max(remote_hits, Ordering::AcqRel);
        }
        let noticed_any = remote_hits > 0;
        noticed_any && !reader.has_polled_after(self.sent.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, whole: bool) -> PgPosition {
        PgPosition { snapshot: text.parse().unwrap(), whole }
    }

    #[test]
    fn a_position_reads_back_as_it_was_written() {
        for position in [position("3:3:", true), position("700:800:700,750", false), position("7:9:7", true)] {
            assert_eq!(PgPosition::read(&position.write()).unwrap(), position);
        }
    }

    #[test]
    fn more_open_transactions_than_fit_make_it_short_and_never_claim_too_much() {
        let open: Vec<String> = (0..=MAX_OPEN).map(|n| (1_000 + n * 7).to_string()).collect();
        let wide = position(&format!("1000:2000:{}", open.join(",")), true);
        let read = PgPosition::read(&wide.write()).unwrap();
        assert_eq!((read.whole, read.snapshot.xmax()), (false, 2_000));
        assert!(wide.write().as_bytes().len() < 16);
    }

    #[test]
    fn whatever_else_is_refused() {
        let written = position("700:800:700,750", true).write();
        let bytes = written.as_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(PgPosition::read(&Position::from_bytes(&bytes[..cut])), None, "cut at {cut}");
        }
        assert_eq!(PgPosition::read(&Position::from_bytes([bytes, &[0]].concat())), None);
        assert_eq!(PgPosition::read(&Position::from_bytes([&[9], &bytes[1..]].concat())), None);
    }
}
