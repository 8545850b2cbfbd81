//! Why there is no decision. None of these is ever an allow, and none is cached.

use std::sync::Arc;

use super::admission::Refused;
use crate::condition::ConditionError;
use crate::evaluate;
use crate::model::ModelErrors;
use crate::store::{ModelId, StoreError, StoreId};

/// Why a question has no answer, or a change was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The store has no model yet.
    #[error("store {} has no authorization model; write one first", .0.0)]
    NoModel(StoreId),
    /// The store has no such version of its model.
    #[error("store {} has no authorization model {}; leave the id out to use the latest one", .store.0, .model.0)]
    UnknownModel {
        /// The store.
        store: StoreId,
        /// The version.
        model: ModelId,
    },
    /// A model that does not make sense.
    #[error("the model is not valid: {0}")]
    InvalidModel(Arc<ModelErrors>),
    /// The question names a type that the model does not have.
    #[error("type '{name}' is not in the model{hint}")]
    UnknownType {
        /// The name.
        name: String,
        /// The nearest names, as " (did you mean …?)", or nothing.
        hint: String,
    },
    /// The question names a relation that the type does not have.
    #[error("type '{type_name}' has no relation '{relation}'{hint}")]
    UnknownRelation {
        /// The type.
        type_name: String,
        /// The relation.
        relation: String,
        /// The nearest names, or nothing.
        hint: String,
    },
    /// A relationship that the model does not allow.
    #[error("{tuple} is not allowed by the model: {reason}")]
    InvalidTuple {
        /// The relationship.
        tuple: String,
        /// What the model allows instead.
        reason: String,
    },
    /// A condition could not be evaluated, and the answer depends on it.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// A condition of the model is faulty, and the answer depends on it.
    #[error(
        "the condition '{name}' of the model can't be used; write the model anew, which says what is wrong with it"
    )]
    FaultyCondition {
        /// The condition.
        name: String,
    },
    /// A bound of the request: a batch, a number of contextual tuples.
    #[error("{what} has {count} items; at most {max} are allowed")]
    TooMany {
        /// What was too long.
        what: &'static str,
        /// How many came.
        count: usize,
        /// How many may come.
        max: usize,
    },
    /// An entity that stands twice among those whose properties are written.
    #[error("the entity {entity} stands twice in one request; name it once")]
    Repeated {
        /// The entity.
        entity: String,
    },
    /// The evaluation met a bound of depth or breadth. There is no answer, and nothing was cached.
    #[error("the question is too complex: {what} is over {max}; make the model flatter, or raise the limit")]
    TooComplex {
        /// Which bound.
        what: &'static str,
        /// Its value.
        max: usize,
    },
    /// It took longer than it may.
    #[error("no decision within {0} ms; try again, or give it more time")]
    Timeout(u64),
    /// Too much at once.
    #[error("too many questions at once; try again")]
    Overloaded,
    /// Too much of one caller, about one subject, or of one kind.
    #[error(transparent)]
    RateLimited(Refused),
    /// A pattern or a scope that can't be read.
    #[error("{0}")]
    InvalidScope(String),
    /// The origin failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<evaluate::TooComplex> for CheckError {
    fn from(evaluate::TooComplex { what, max }: evaluate::TooComplex) -> Self {
        Self::TooComplex { what, max }
    }
}
