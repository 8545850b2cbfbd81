//! What is cached: decisions, and what was read of relationships. Never an error, never "unknown".

use std::sync::Arc;

use cache_core::CacheValue;

use crate::relation::{Member, Presence, RelationshipCondition, Subject, Text};

/// A cached value of authorization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CachedValue {
    /// Allow, or deny.
    Decision(bool),
    /// Whether a tuple exists.
    Exists(Presence),
    /// The ids of the subjects of one kind. Behind a thin pointer, which leaves decisions the smaller.
    Subjects(Arc<Vec<Member>>),
    /// The ids of the objects that a subject is in a relation to.
    Objects(Arc<Vec<Text>>),
    /// The subjects that are in a relation to an object.
    Users(Arc<Vec<Subject>>),
}

impl CacheValue for CachedValue {
    fn heap_bytes(&self) -> usize {
        // Counters of an `Arc`: two words. A text rounds up to the allocator's grain.
        const ARC: usize = 16;
        let text = |text: &Text| (ARC + text.len() + 8).next_multiple_of(16).max(32);
        // A condition belongs to its relationship alone.
        let condition = |condition: &RelationshipCondition| {
            ARC + size_of::<RelationshipCondition>() + text(&condition.name) + condition.context.heap_bytes()
        };
        match self {
            Self::Decision(_) | Self::Exists(Presence::Absent | Presence::Present) => 0,
            Self::Exists(Presence::Conditional(under)) => condition(under),
            Self::Subjects(ids) => {
                let texts: usize =
                    ids.iter().map(|member| text(&member.id) + member.condition.as_deref().map_or(0, condition)).sum();
                ARC + size_of::<Vec<Member>>() + ids.capacity() * size_of::<Member>() + texts
            }
            Self::Objects(ids) => {
                let texts: usize = ids.iter().map(text).sum();
                ARC + size_of::<Vec<Text>>() + ids.capacity() * size_of::<Text>() + texts
            }
            Self::Users(subjects) => {
                // The names of types and relations are shared by many.
                let texts: usize = subjects
                    .iter()
                    .map(|subject| match subject {
                        Subject::Object(object) | Subject::Userset { object, .. } => text(&object.id),
                        Subject::Wildcard { .. } => 0,
                    })
                    .sum();
                ARC + size_of::<Vec<Subject>>() + subjects.capacity() * size_of::<Subject>() + texts
            }
        }
    }

    fn is_negative(&self) -> bool {
        match self {
            Self::Decision(held) => !held,
            Self::Exists(presence) => *presence == Presence::Absent,
            Self::Subjects(ids) => ids.is_empty(),
            Self::Objects(ids) => ids.is_empty(),
            Self::Users(subjects) => subjects.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Context;

    #[test]
    fn the_values_of_conditions_are_weighed() {
        let context = Context::new([(Text::from("x"), "a".repeat(30_000).into())]);
        let condition = Arc::new(RelationshipCondition { name: "until".into(), context });
        let exists = CachedValue::Exists(Presence::Conditional(Arc::clone(&condition)));
        assert!(exists.heap_bytes() >= 30_000);
        let member = |id: &str| Member { id: id.into(), condition: Some(Arc::clone(&condition)) };
        let subjects = CachedValue::Subjects(Arc::new(vec![member("ann"), member("bob")]));
        assert!(subjects.heap_bytes() >= 60_000);
    }

    #[test]
    fn a_refusal_is_a_negative_value() {
        assert!(CachedValue::Decision(false).is_negative());
        assert!(!CachedValue::Decision(true).is_negative());
        assert_eq!(size_of::<CachedValue>(), 16, "a million of them lie in memory");
    }
}
