//! Relationships: who (a subject) stands in which relation to what (an object).

mod ident;
mod relationship;

use std::fmt;

pub use ident::{
    IdentError, MAX_ID_BYTES, MAX_RELATION_BYTES, MAX_TYPE_BYTES, Object, Subject, SubjectKind, Text, check_id,
    check_relation, check_type,
};
pub use relationship::{Member, Presence, Relationship, RelationshipCondition};

/// Who stands in which relation to what: `subject` stands in `relation` to `object`. The field calls it a relationship tuple.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// What the relation is to.
    pub object: Object,
    /// The relation's name.
    pub relation: Text,
    /// Who stands in it.
    pub subject: Subject,
}

impl Tuple {
    /// A tuple of its notations: `Tuple::parse("document:1", "viewer", "team:9#member")`.
    ///
    /// # Errors
    /// Where one of them can't be read.
    pub fn parse(object: &str, relation: &str, subject: &str) -> Result<Self, IdentError> {
        Ok(Self {
            object: Object::parse(object)?,
            relation: check_relation(relation)?,
            subject: Subject::parse(subject)?,
        })
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.object, self.relation, self.subject)
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
