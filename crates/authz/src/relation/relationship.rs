//! A relationship with the condition under which it counts.

use std::fmt;
use std::sync::Arc;

use super::{Text, Tuple};
use crate::condition::Context;

/// A [`Tuple`] as it is written: always, or under a condition of the model. There is at most one relationship for each tuple.
#[derive(Clone, PartialEq, Eq)]
pub struct Relationship {
    /// Who stands in which relation to what.
    pub tuple: Tuple,
    /// When it counts; always without.
    pub condition: Option<Arc<RelationshipCondition>>,
}

/// Which condition a relationship is under, with the values that it brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelationshipCondition {
    /// The condition's name in the model.
    pub name: Text,
    /// Values of its parameters. They come before those of a question.
    pub context: Context,
}

/// Whether a relationship is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It is not.
    Absent,
    /// It is, and counts always.
    Present,
    /// It is, and counts under a condition.
    Conditional(Arc<RelationshipCondition>),
}

/// One of the subjects, or of the objects, that a look-up found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id.
    pub id: Text,
    /// When the relationship counts; always without.
    pub condition: Option<Arc<RelationshipCondition>>,
}

impl Presence {
    /// Of a relationship that is there.
    #[must_use]
    pub fn of(condition: Option<Arc<RelationshipCondition>>) -> Self {
        condition.map_or(Self::Present, Self::Conditional)
    }
}

impl From<Tuple> for Relationship {
    fn from(tuple: Tuple) -> Self {
        Self { tuple, condition: None }
    }
}

impl From<&str> for Member {
    fn from(id: &str) -> Self {
        Self { id: Text::from(id), condition: None }
    }
}

impl fmt::Display for Relationship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.tuple, f)?;
        match &self.condition {
            Some(condition) => write!(f, " with {}", condition.name),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Relationship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
