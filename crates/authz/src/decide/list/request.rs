//! What is asked for, and what comes back.

use std::sync::Arc;

use cache_core::{Source, Stamp};

use super::super::{Consistency, RequestProperties};
use crate::condition::Context;
use crate::relation::{Object, Relationship, Subject, SubjectKind, Text};
use crate::store::{ModelId, StoreId};

/// To which objects of a type is a subject in a relation?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectsRequest {
    /// In which store.
    pub store: StoreId,
    /// By which version of its model; by the latest one without.
    pub model: Option<ModelId>,
    /// Who asks: one object, a userset, or a wildcard.
    pub subject: Subject,
    /// The relation.
    pub relation: Text,
    /// The type of the objects.
    pub object_type: Text,
    /// Relationships that hold for this question only, at most [`super::super::MAX_CONTEXTUAL_TUPLES`]. Objects that only they name count.
    pub contextual_tuples: Vec<Relationship>,
    /// Values for the parameters of conditions.
    pub context: Context,
    /// Properties that the question brings for its entities.
    pub properties: RequestProperties,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// Which subjects are in a relation to an object?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListUsersRequest {
    /// In which store.
    pub store: StoreId,
    /// By which version of its model; by the latest one without.
    pub model: Option<ModelId>,
    /// To what.
    pub object: Object,
    /// The relation.
    pub relation: Text,
    /// Which kinds of subjects are asked for, at most [`super::MAX_USER_FILTERS`].
    pub filters: Vec<SubjectKind>,
    /// Relationships that hold for this question only, at most [`super::super::MAX_CONTEXTUAL_TUPLES`].
    pub contextual_tuples: Vec<Relationship>,
    /// Values for the parameters of conditions.
    pub context: Context,
    /// Properties that the question brings for its entities.
    pub properties: RequestProperties,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// A whole list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// What is in it: sorted, each once.
    pub items: Arc<Vec<T>>,
    /// The tier that had it, or the origin.
    pub source: Source,
    /// Every change with a lower revision is contained in it.
    pub stamp: Stamp,
    /// The version of the model that decided.
    pub model: ModelId,
}
