//! Revision, stamp: two numbers that look alike and must never be mixed, hence two types.
//!
//! A [`Revision`] numbers one change in the invalidation log. A [`Stamp`] belongs to a value and says which changes the
//! value contains. They meet in exactly one comparison, [`Stamp::contains`]. The third notion, how far a reader of the
//! log has come, is a [`Position`](crate::Position): no revision is ever used as one.

use std::fmt;

/// The number of one change in the invalidation log. Only ever compared with a [`Stamp`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

/// What a value contains: every change with a lower revision, and possibly more.
///
/// Every change that a value does *not* contain has a revision that is equal or higher, and will reach every horizon.
/// A stamp may be lowered (the value is then thought to be older than it is, which costs a miss), never raised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Revision {
    /// Before every change.
    pub const ZERO: Self = Self(0);

    /// A revision as its log counts it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, for a log that stores it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The stamp of a value that contains this change and all before it, in a log whose order is its commit order.
    #[must_use]
    pub const fn stamp_after(self) -> Stamp {
        Stamp(self.0.saturating_add(1))
    }
}

impl Stamp {
    /// The oldest stamp: contains no change at all. A value that carries it never outlives a kill.
    pub const OLDEST: Self = Self(0);

    /// A stamp as a log gave it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, for an envelope that stores it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a value with this stamp contains the change: `revision < stamp`.
    #[must_use]
    pub const fn contains(self, revision: Revision) -> bool {
        revision.0 < self.0
    }

    /// The stamp of something made of two parts: the lower one.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        self.min(other)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_contains_lower_revisions_only() {
        let stamp = Stamp::new(7);
        assert!(stamp.contains(Revision::new(6)));
        assert!(!stamp.contains(Revision::new(7)));
        assert!(!stamp.contains(Revision::new(8)));
        assert!(!Stamp::OLDEST.contains(Revision::ZERO));
    }

    #[test]
    fn the_stamp_after_a_revision_contains_it() {
        let revision = Revision::new(41);
        assert!(revision.stamp_after().contains(revision));
        assert!(!revision.stamp_after().contains(Revision::new(42)));
    }
}
