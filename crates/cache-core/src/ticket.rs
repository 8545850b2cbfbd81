//! Tickets: the right to fill.
//!
//! A ticket is taken *before* the first read of a load. It carries what was true then: the head of the horizon, and a lower bound for the
//! stamp. A [`Fill`] can only be made with a ticket, and tiers store nothing but fills: a path that fills without having taken a
//! ticket does not compile.
//!
//! ```compile_fail
//! use cache_core::{Draft, Fill, Key};
//! fn fill_without_a_ticket<'k>(key: Key<'k>, draft: Draft<u64>) -> Fill<'k, u64> {
//!     Fill { key, entry: todo!() }
//! }
//! ```

use crate::{CacheValue, Draft, Entry, Key, Moment, Stamp, TypeSet};

/// The right to fill, taken before the first read of a load.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    head: u64,
    stamp: Stamp,
}

impl Ticket {
    pub(crate) const fn new(head: u64, stamp: Stamp) -> Self {
        Self { head, stamp }
    }

    /// The stamp of a value whose reads began after this ticket was taken, where the origin gives no better one.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The entry for one tier. `checked_at` is the head from before the first read: if it has not moved since, nothing that was applied
    /// can have killed the value.
    pub(crate) fn fill<'k, V: CacheValue>(
        &self,
        key: Key<'k>,
        mut draft: Draft<V>,
        soft_expiry: Moment,
        checked_at: Option<u64>,
    ) -> Fill<'k, V> {
        draft.types = draft.types.union(TypeSet::of(key.cache_type()));
        Fill { key, entry: Entry::with_check(draft, soft_expiry, checked_at.unwrap_or(self.head)) }
    }
}

/// An entry on its way into a tier.
#[derive(Debug)]
pub struct Fill<'k, V> {
    key: Key<'k>,
    entry: Entry<V>,
}

impl<'k, V> Fill<'k, V> {
    /// Where it goes.
    #[must_use]
    pub const fn key(&self) -> &Key<'k> {
        &self.key
    }

    /// What goes there.
    #[must_use]
    pub const fn entry(&self) -> &Entry<V> {
        &self.entry
    }
}
