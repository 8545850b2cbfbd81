//! What a transaction sees: every transaction below `xmin`, none from `xmax` on, and in between all but those in `xip`.
//!
//! Snapshots of one primary are taken one after the other, and each sees whatever an earlier one saw: see [`PgSnapshot::covers`]. Two that are not
//! ordered like this are not of one history. (PostgreSQL documentation, "Transaction ID and Snapshot Information Functions".)
//!
//! Whether a transaction is seen and whether it *committed* are two questions: a snapshot sees what was rolled back, too.

use std::fmt;
use std::str::FromStr;

use cache_core::Stamp;

use crate::{PgError, PgErrorKind};

/// A `pg_snapshot`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PgSnapshot {
    xmin: u64,
    xmax: u64,
    /// In order.
    xip: Vec<u64>,
}

impl PgSnapshot {
    /// A snapshot by its parts.
    ///
    /// # Errors
    /// Where they can't be those of one.
    pub fn new(xmin: u64, xmax: u64, mut xip: Vec<u64>) -> Result<Self, PgError> {
        xip.sort_unstable();
        xip.dedup();
        let inside = xip.first().is_none_or(|first| *first >= xmin) && xip.last().is_none_or(|last| *last < xmax);
        if xmin == 0 || xmin > xmax || !inside {
            return Err(PgError::new(PgErrorKind::Unexpected, READING, format!("{xmin}:{xmax}:{xip:?} is none")));
        }
        Ok(Self { xmin, xmax, xip })
    }

    /// The oldest transaction that was running.
    #[must_use]
    pub const fn xmin(&self) -> u64 {
        self.xmin
    }

    /// The first one that had not begun, or not ended as the latest.
    #[must_use]
    pub const fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Those in between that were running, in order.
    #[must_use]
    pub fn xip(&self) -> &[u64] {
        &self.xip
    }

    /// Whether a top-level transaction had ended: `pg_visible_in_snapshot`.
    #[must_use]
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.xip.binary_search(&xid).is_err())
    }

    /// The stamp of what was read in it: everything below was seen.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp::new(self.xmin)
    }

    /// Whether this one sees everything that `earlier` sees.
    #[must_use]
    pub fn covers(&self, earlier: &Self) -> bool {
        self.xmin >= earlier.xmin
            && self.xmax >= earlier.xmax
            && self.xip.iter().take_while(|xid| **xid < earlier.xmax).all(|xid| !earlier.sees(*xid))
    }

    /// `xip` as an array of PostgreSQL.
    pub(crate) fn xip_text(&self) -> String {
        list(&self.xip, ('{', '}'))
    }
}

const READING: &str = "read a snapshot";

fn list(xids: &[u64], (open, close): (char, char)) -> String {
    let mut text = String::with_capacity(2 + xids.len() * 8);
    text.push(open);
    for (index, xid) in xids.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&xid.to_string());
    }
    text.push(close);
    text
}

impl FromStr for PgSnapshot {
    type Err = PgError;

    fn from_str(text: &str) -> Result<Self, PgError> {
        let refuse = || PgError::new(PgErrorKind::Unexpected, READING, format!("{text:?} is none"));
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(xip), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(refuse());
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| refuse());
        let xip = xip.split(',').filter(|xid| !xid.is_empty()).map(number).collect::<Result<Vec<_>, _>>()?;
        Self::new(number(xmin)?, number(xmax)?, xip)
    }
}

impl fmt::Display for PgSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let xip = list(&self.xip, ('{', '}'));
        write!(f, "{}:{}:{}", self.xmin, self.xmax, &xip[1..xip.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> PgSnapshot {
        text.parse().unwrap()
    }

    #[test]
    fn a_snapshot_sees_what_had_ended() {
        let snapshot = snapshot("10:20:10,14,15");
        let seen: Vec<_> = (8..22).filter(|xid| snapshot.sees(*xid)).collect();
        assert_eq!(seen, [8, 9, 11, 12, 13, 16, 17, 18, 19]);
        assert_eq!(snapshot.stamp(), Stamp::new(10));
        assert_eq!(snapshot.to_string(), "10:20:10,14,15");
        assert_eq!(snapshot.xip_text(), "{10,14,15}");
    }

    #[test]
    fn a_later_snapshot_covers_an_earlier_one() {
        let earlier = snapshot("10:20:10,14");
        for later in ["10:20:10,14", "10:20:10", "14:20:14", "20:20:", "10:30:10,14,22", "25:30:25"] {
            assert!(snapshot(later).covers(&earlier), "{later}");
        }
        for other in ["10:19:10,14", "10:20:10,14,15", "9:20:9,10,14", "12:30:12"] {
            assert!(!snapshot(other).covers(&earlier), "{other}");
        }
    }

    #[test]
    fn what_covers_sees_at_least_as_much() {
        // By brute force over all snapshots of a small world.
        let mut all = Vec::new();
        for xmin in 1..5_u64 {
            for xmax in xmin..6 {
                for bits in 0..1_u32 << (xmax - xmin) {
                    let xip: Vec<_> = (xmin..xmax).filter(|xid| bits >> (xid - xmin) & 1 == 1).collect();
                    // xmin is the oldest that runs, or xmax where none does.
                    if xip.first().copied().unwrap_or(xmax) == xmin {
                        all.push(PgSnapshot::new(xmin, xmax, xip).unwrap());
                    }
                }
            }
        }
        for a in &all {
            for b in &all {
                let more = (1..8).all(|xid| !b.sees(xid) || a.sees(xid));
                assert_eq!(a.covers(b), more && a.xmax >= b.xmax, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for text in ["", "1:2", "2:1:", "1:2:3", "5:9:4", "a:b:", "1:2:,x", "0:1:", "1:2::"] {
            assert!(text.parse::<PgSnapshot>().is_err(), "{text}");
        }
    }
}
