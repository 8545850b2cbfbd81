//! What is cached: decisions, and what was read of relationships. Never an error, never "unknown".

use std::sync::Arc;

use cache_core::CacheValue;

use crate::relation::{Member, Presence};

/// A cached value of authorization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CachedValue {
    /// Allow, or deny.
    Decision(bool),
    /// Whether a tuple exists.
    Exists(Presence),
    /// The ids of the subjects of one kind. Behind a thin pointer, which leaves decisions the smaller.
    Subjects(Arc<Vec<Member>>),
}

impl CacheValue for CachedValue {
    fn heap_bytes(&self) -> usize {
        // Counters of an `Arc`: two words. A text rounds up to the allocator's grain.
        const ARC: usize = 16;
        match self {
            Self::Decision(_) | Self::Exists(_) => 0,
            Self::Subjects(ids) => {
                let texts: usize =
                    ids.iter().map(|member| (ARC + member.id.len() + 8).next_multiple_of(16).max(32)).sum();
                ARC + size_of::<Vec<Member>>() + ids.capacity() * size_of::<Member>() + texts
            }
        }
    }

    fn is_negative(&self) -> bool {
        match self {
            Self::Decision(held) => !held,
            Self::Exists(presence) => *presence == Presence::Absent,
            Self::Subjects(ids) => ids.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_negative_value() {
        assert!(CachedValue::Decision(false).is_negative());
        assert!(!CachedValue::Decision(true).is_negative());
        assert_eq!(size_of::<CachedValue>(), 16, "a million of them lie in memory");
    }
}
