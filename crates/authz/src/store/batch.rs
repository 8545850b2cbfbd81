//! What makes a write wrong whatever is stored.

use std::collections::HashSet;

use super::text::{TooDeep, canonical};
use super::{
    MAX_ASSERTIONS_BYTES, MAX_CONTEXT_BYTES, MAX_PROPERTIES_BYTES, MAX_WRITE_BATCH, WriteBatch, WriteConflict,
};
use crate::condition::Context;
use crate::relation::{Object, Relationship};

impl WriteBatch {
    /// What can be refused without looking at what is stored: too many tuples, one that stands twice, values that are too large.
    /// Returns the text of each write's values.
    pub(super) fn check(&self) -> Result<Vec<String>, WriteConflict> {
        let given = self.writes.len() + self.deletes.len();
        if given > MAX_WRITE_BATCH {
            return Err(WriteConflict::TooMany { given });
        }
        let mut seen = HashSet::with_capacity(given);
        let mut tuples = self.deletes.iter().chain(self.writes.iter().map(|write| &write.tuple));
        if let Some(tuple) = tuples.find(|tuple| !seen.insert(*tuple)) {
            return Err(WriteConflict::Repeated(tuple.clone()));
        }
        self.writes.iter().map(context_text).collect()
    }
}

/// The text of the values that a relationship brings to its condition.
pub(super) fn context_text(relationship: &Relationship) -> Result<String, WriteConflict> {
    let Some(condition) = &relationship.condition else { return Ok(String::new()) };
    let tuple = || relationship.tuple.clone();
    match canonical(&condition.context) {
        Ok(text) if text.len() > MAX_CONTEXT_BYTES => {
            Err(WriteConflict::ContextTooLarge { tuple: tuple(), given: text.len() })
        }
        Ok(text) => Ok(text),
        Err(TooDeep) => Err(WriteConflict::ContextTooDeep(tuple())),
    }
}

/// What can be refused of properties without looking at what is stored. Returns the text of each object's properties.
pub(super) fn check_properties(properties: &[(Object, Context)]) -> Result<Vec<String>, WriteConflict> {
    if properties.len() > MAX_WRITE_BATCH {
        return Err(WriteConflict::TooManyObjects { given: properties.len() });
    }
    let mut seen = HashSet::with_capacity(properties.len());
    if let Some((object, _)) = properties.iter().find(|(object, _)| !seen.insert(object)) {
        return Err(WriteConflict::RepeatedObject(object.clone()));
    }
    let text = |(object, given): &(Object, Context)| match canonical(given) {
        Ok(text) if text.len() > MAX_PROPERTIES_BYTES => {
            Err(WriteConflict::PropertiesTooLarge { object: object.clone(), given: text.len() })
        }
        Ok(text) => Ok(text),
        Err(TooDeep) => Err(WriteConflict::PropertiesTooDeep(object.clone())),
    };
    properties.iter().map(text).collect()
}

/// What can be refused of assertions without looking at what is stored.
pub(super) fn check_assertions(body: &str) -> Result<(), WriteConflict> {
    if body.len() > MAX_ASSERTIONS_BYTES {
        return Err(WriteConflict::AssertionsTooLarge { given: body.len() });
    }
    Ok(())
}
