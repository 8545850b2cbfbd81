//! Between relationships and the columns that databases keep them in: the same names, the same texts for what is absent, in each.

use std::sync::Arc;

use ulid::Ulid;

use super::ModelId;
use super::text::parse;
use crate::condition::Context;
use crate::relation::{Object, RelationshipCondition, Subject, Text, Tuple};

/// A row that says what nobody here would write: somebody else wrote it, and only they know what was meant. The data is sound.
#[derive(Debug, thiserror::Error)]
#[error("{ROW_PREFIX}{what} that cannot be read ({cause})")]
pub(super) struct BrokenRow {
    what: &'static str,
    cause: String,
}

/// Before everything else in the message, so that nothing in a row can make it look like another fault.
pub(super) const ROW_PREFIX: &str = "a row of the origin holds ";

impl BrokenRow {
    pub(super) fn of(what: &'static str, cause: impl std::fmt::Display) -> Self {
        Self { what, cause: cause.to_string() }
    }
}

/// The subject id of a wildcard. No checked id is `*`.
pub(super) const WILDCARD: &str = "*";
/// The subject relation of whoever is no userset. No checked relation is empty.
pub(super) const NO_RELATION: &str = "";
/// The condition of a relationship that counts always, and the values that none brings.
pub(super) const NONE: &str = "";

/// A ULID as it is stored: 26 characters, whose order is that of the ids. Readable in a shell.
pub(super) struct IdText([u8; ulid::ULID_LEN]);

impl IdText {
    pub(super) fn of(id: Ulid) -> Self {
        let mut text = [0; ulid::ULID_LEN];
        id.array_to_str(&mut text);
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Reads a stored ULID. What is none (a shell wrote it) reads as the nil id, which no caller ever has.
pub(super) fn id_of(text: &str) -> Ulid {
    Ulid::from_string(text).unwrap_or(Ulid::nil())
}

/// The columns of a relationship.
#[derive(Clone, Copy)]
pub(super) struct TupleColumns<'a> {
    pub(super) store: &'a str,
    pub(super) object_type: &'a str,
    pub(super) object_id: &'a str,
    pub(super) relation: &'a str,
    pub(super) subject_type: &'a str,
    pub(super) subject_relation: &'a str,
    pub(super) subject_id: &'a str,
}

impl<'a> TupleColumns<'a> {
    pub(super) fn of(store: &'a str, tuple: &'a Tuple) -> Self {
        Self {
            store,
            object_type: &tuple.object.type_name,
            object_id: &tuple.object.id,
            relation: &tuple.relation,
            subject_type: tuple.subject.type_name(),
            subject_relation: tuple.subject.relation().map_or(NO_RELATION, |relation| relation),
            subject_id: tuple.subject.id(),
        }
    }
}

/// Reads the conditions of one answer. The same condition with the same values, which often stands in many rows, is read once.
#[derive(Default)]
pub(super) struct Conditions {
    last: Option<(String, Arc<RelationshipCondition>)>,
}

impl Conditions {
    /// The condition that two columns say. What cannot be read is an error: without its condition, a relationship would count always.
    pub(super) fn read(&mut self, name: &str, context: &str) -> Result<Option<Arc<RelationshipCondition>>, BrokenRow> {
        if name == NONE {
            return if context == NONE {
                Ok(None)
            } else {
                Err(BrokenRow::of("a condition", "it has values and no name"))
            };
        }
        if let Some((text, condition)) = &self.last
            && &*condition.name == name
            && text == context
        {
            return Ok(Some(Arc::clone(condition)));
        }
        let values = parse(context).map_err(|error| BrokenRow::of("the values of a condition", error))?;
        let condition = Arc::new(RelationshipCondition { name: Text::from(name), context: values });
        self.last = Some((context.to_owned(), Arc::clone(&condition)));
        Ok(Some(condition))
    }
}

/// The properties that a column says. A row without any is none that we would write.
pub(super) fn properties_of(body: &str) -> Result<Context, BrokenRow> {
    parse(body).map_err(|error| BrokenRow::of("the properties of an object", error))
}

/// A relationship of its columns, in the order of the key.
pub(super) fn tuple_of(
    object_type: impl Into<Text>,
    object_id: impl Into<Text>,
    relation: impl Into<Text>,
    subject_type: impl Into<Text>,
    subject_relation: impl Into<Text>,
    subject_id: impl Into<Text>,
) -> Tuple {
    let (subject_type, subject_relation, subject_id) =
        (subject_type.into(), subject_relation.into(), subject_id.into());
    let subject = if &*subject_relation != NO_RELATION {
        Subject::Userset { object: Object { type_name: subject_type, id: subject_id }, relation: subject_relation }
    } else if &*subject_id == WILDCARD {
        Subject::Wildcard { type_name: subject_type }
    } else {
        Subject::Object(Object { type_name: subject_type, id: subject_id })
    };
    Tuple { object: Object { type_name: object_type.into(), id: object_id.into() }, relation: relation.into(), subject }
}

/// The id of a model as it was read.
pub(super) fn model_id(text: &str) -> ModelId {
    ModelId(id_of(text))
}

/// The integers of databases are signed. What doesn't fit is a time beyond all calendars, or a row that nobody here wrote.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// See [`signed`].
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
