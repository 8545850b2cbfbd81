//! Entries: a value with what decides whether it may still be used.
//!
//! An entry is one allocation that is shared without copying: header, value and read set lie side by side. All of it is immutable but
//! one counter, which remembers at which head of the horizon the entry was last found usable.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;
use triomphe::{Arc, HeaderSlice};

use crate::{Moment, Stamp, Tag, TypeSet};

/// What can be cached.
pub trait CacheValue: Clone + Send + Sync + 'static {
    /// The bytes that the value owns outside of itself (its heap), for the budget of a memory tier. A value that understates them makes
    /// the tier take more memory than it was given.
    fn heap_bytes(&self) -> usize;

    /// Whether the value says that there is nothing: an absent row, a refusal. Look-ups report it as a negative hit.
    fn is_negative(&self) -> bool {
        false
    }
}

/// The tags of one value: the predicates that it was computed from, sorted, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    tags: SmallVec<[Tag; 16]>,
}

impl ReadSet {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tag. True where it is new.
    pub fn insert(&mut self, tag: Tag) -> bool {
        match self.tags.binary_search(&tag) {
            Ok(_) => false,
            Err(at) => {
                self.tags.insert(at, tag);
                true
            }
        }
    }

    /// The tags.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there is none: a value without tags dies by time, by type or by everything alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

impl Extend<Tag> for ReadSet {
    fn extend<I: IntoIterator<Item = Tag>>(&mut self, tags: I) {
        self.tags.extend(tags);
        self.tags.sort_unstable();
        self.tags.dedup();
    }
}

impl FromIterator<Tag> for ReadSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let mut set = Self::new();
        set.extend(tags);
        set
    }
}

impl fmt::Debug for ReadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tags()).finish()
    }
}

/// A value with its provenance, before it is an entry of a tier.
#[derive(Clone, Debug)]
pub struct Draft<V> {
    /// The value.
    pub value: V,
    /// Which changes it contains.
    pub stamp: Stamp,
    /// What it was computed from.
    pub read_set: ReadSet,
    /// The cache types of the parts that it was composed of. Its own is added by the fill.
    pub types: TypeSet,
    /// When it stops being true by itself; [`Moment::NEVER`] where it doesn't. Tiers end it earlier.
    pub hard_expiry: Moment,
}

/// A value in a tier. Cloning shares it.
///
/// A wide pointer, whose length lies in whoever holds it. A thin one would keep the length behind the header and read it whenever a clone is
/// dropped: a second cache line for each look-up.
pub struct Entry<V>(Arc<HeaderSlice<Header<V>, [Tag]>>);

/// In this order, because a look-up reads the ends and mostly the value: with the allocation's counter they share a cache line.
#[repr(C)]
struct Header<V> {
    checked_at: AtomicU64,
    hard_expiry: Moment,
    /// How long before its hard end it is due to be loaded anew, in milliseconds. Half a word, because a million of these lie in memory; a
    /// soft end that is more than 49 days before the hard one comes later than it was asked for.
    soft_lead_ms: u32,
    types: TypeSet,
    value: V,
    stamp: Stamp,
}

impl<V> Entry<V> {
    /// Bytes of an entry beside its tags and its value's heap: the header with the allocation's counter.
    pub const HEADER_BYTES: usize = size_of::<Header<V>>() + size_of::<usize>();

    /// An entry that no head has vouched for yet.
    ///
    /// This is for tiers that decode what they stored. It grants nothing: a look-up through a chain compares the entry with the horizon
    /// before it is used, and only a [`Fill`](crate::Fill) gets a value into a tier.
    #[must_use]
    pub fn decoded(draft: Draft<V>, soft_expiry: Moment) -> Self {
        Self::with_check(draft, soft_expiry, 0)
    }

    pub(crate) fn with_check(draft: Draft<V>, soft_expiry: Moment, checked_at: u64) -> Self {
        let Draft { value, stamp, read_set, types, hard_expiry } = draft;
        let soft_lead_ms = u32::try_from(hard_expiry.since(soft_expiry).as_millis()).unwrap_or(u32::MAX);
        let header = Header { value, stamp, checked_at: AtomicU64::new(checked_at), hard_expiry, soft_lead_ms, types };
        Self(Arc::from_header_and_slice(header, read_set.tags()))
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &V {
        &self.0.header.value
    }

    /// Which changes it contains.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.0.header.stamp
    }

    /// What it was computed from.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.0.slice
    }

    /// From when on it may not be used.
    #[must_use]
    pub fn hard_expiry(&self) -> Moment {
        self.0.header.hard_expiry
    }

    /// From when on it should be loaded anew although it may still be used.
    #[must_use]
    pub fn soft_expiry(&self) -> Moment {
        let header = &self.0.header;
        Moment::from_millis(header.hard_expiry.as_millis() - u64::from(header.soft_lead_ms))
    }

    /// The cache types that it was made of, its own included.
    #[must_use]
    pub fn types(&self) -> TypeSet {
        self.0.header.types
    }

    /// The head at which the horizon last found it usable. Relaxed: the head itself is what orders.
    #[inline]
    pub(crate) fn checked_at(&self) -> u64 {
        self.0.header.checked_at.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_checked_at(&self, head: u64) {
        self.0.header.checked_at.store(head, Ordering::Relaxed);
    }
}

impl<V: CacheValue> Entry<V> {
    /// Its provenance, for another tier or for a value composed of it. The stamp stays what it is.
    #[must_use]
    pub fn to_draft(&self) -> Draft<V> {
        Draft {
            value: self.value().clone(),
            stamp: self.stamp(),
            read_set: self.tags().iter().copied().collect(),
            types: self.types(),
            hard_expiry: self.hard_expiry(),
        }
    }

    /// The bytes that the entry's allocation and its value's heap take, without the allocator's own rounding.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        Self::HEADER_BYTES + size_of_val(self.tags()) + self.value().heap_bytes()
    }
}

impl<V> Clone for Entry<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: fmt::Debug> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("value", self.value())
            .field("stamp", &self.stamp())
            .field("tags", &self.tags())
            .field("hard_expiry", &self.hard_expiry())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag;

    #[test]
    fn a_read_set_holds_each_tag_once_in_order() {
        let mut set = ReadSet::new();
        assert!(set.insert(tag!("b")));
        assert!(set.insert(tag!("a")));
        assert!(!set.insert(tag!("b")));
        set.extend([tag!("a"), tag!("c")]);
        assert_eq!(set.len(), 3);
        assert!(set.tags().is_sorted());
    }
}
