//! What can go wrong at an origin, in words for whoever must act on it.

use std::sync::Arc;

use super::{ModelId, StoreId};
use crate::relation::{Object, Tuple};

/// A failure of the origin. Never to be taken for "not found".
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A write that does not fit what is stored. Nothing of its batch was written.
    #[error(transparent)]
    Conflict(#[from] WriteConflict),
    /// No such store.
    #[error("there is no store {}; list the stores, or create one", .0.0)]
    UnknownStore(StoreId),
    /// No such model in its store.
    #[error("there is no model {} in this store; list the models, or write one", .0.0)]
    UnknownModel(ModelId),
    /// A place in the changes to go on from that this origin did not give.
    #[error(
        "the place in the changes is none of this origin's, or of before it was restored or failed over; read them from the beginning"
    )]
    UnknownPlace,
    /// A change, or a position, that is older than the log reaches.
    #[error(
        "what the token names is older than the log that is kept, which begins anew when PostgreSQL comes up from a crash; ask without the token"
    )]
    Expired,
    /// A position that this origin did not give.
    #[error("the position is none of this origin's; ask without the token")]
    UnknownPosition,
    /// The queue of writers, or of readers, is full, or waiting for a place took too long.
    #[error("the origin is busy ({what}); try again")]
    Busy {
        /// Which bound was met.
        what: &'static str,
    },
    /// The data could not be read or written.
    #[error("{operation} failed: {cause}; {remedy}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the backend said.
        cause: Arc<str>,
        /// What to do.
        remedy: &'static str,
    },
    /// The connection was lost while a change was being committed: it may be stored, or not.
    #[error(
        "{operation}: the origin was lost while it committed ({cause}), and whether the change is stored is not known; read it \
         back, or send it again and ask to ignore what is there already"
    )]
    FateUnknown {
        /// What was tried.
        operation: &'static str,
        /// What was noticed.
        cause: Arc<str>,
    },
    /// A change was committed, and could not be applied here in time: it is stored, and may not be in force yet.
    #[error("{operation}: it is stored, and may not be in force yet ({cause}); don't repeat it, read it back")]
    NotApplied {
        /// What was done.
        operation: &'static str,
        /// What was noticed.
        cause: Arc<str>,
    },
    /// The data directory can't be used as it is.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// The store was closed.
    #[error("the origin is closing")]
    Closed,
}

/// A write that does not fit what is stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteConflict {
    /// A tuple to add exists already.
    #[error("cannot write a tuple which already exists: {0}; leave it out, or ask to ignore duplicates")]
    Duplicate(Tuple),
    /// A tuple to add exists already, and counts under another condition or with other values. Refused also where duplicates are ignored.
    #[error("cannot write {0}: it exists already under another condition, or with other values; delete it first")]
    Differs(Tuple),
    /// A tuple to remove does not exist.
    #[error("cannot delete a tuple which does not exist: {0}; leave it out, or ask to ignore missing ones")]
    Missing(Tuple),
    /// A tuple stands twice in one batch, as two writes, two deletes, or one of each.
    #[error("the tuple {0} stands twice in one request; name it once")]
    Repeated(Tuple),
    /// More tuples than one transaction takes.
    #[error("{given} tuples in one request are more than {}; split them", super::MAX_WRITE_BATCH)]
    TooMany {
        /// How many there were.
        given: usize,
    },
    /// A store with this id exists already.
    #[error("there is a store {} already; choose a new id", .0.0)]
    StoreExists(StoreId),
    /// A model with this id exists already in its store.
    #[error("there is a model {} already; models do not change: write it under a new id", .0.0)]
    ModelExists(ModelId),
    /// The values that a relationship brings to its condition are too large.
    #[error(
        "the context of the condition of {tuple} has {given} bytes; at most {} are allowed",
        super::MAX_CONTEXT_BYTES
    )]
    ContextTooLarge {
        /// The relationship's tuple.
        tuple: Tuple,
        /// How many bytes they have.
        given: usize,
    },
    /// The values that a relationship brings to its condition are nested too deep.
    #[error(
        "the context of the condition of {0} is nested deeper than {most} levels; flatten it", most = super::MAX_CONTEXT_DEPTH
    )]
    ContextTooDeep(Tuple),
    /// The properties of more objects than one transaction takes.
    #[error("the properties of {given} objects in one request are more than {}; split them", super::MAX_WRITE_BATCH)]
    TooManyObjects {
        /// How many there were.
        given: usize,
    },
    /// An object stands twice among those whose properties are written.
    #[error("the object {0} stands twice in one request; name it once")]
    RepeatedObject(Object),
    /// The properties of one object are too large.
    #[error("the properties of {object} have {given} bytes; at most {} are allowed", super::MAX_PROPERTIES_BYTES)]
    PropertiesTooLarge {
        /// The object.
        object: Object,
        /// How many bytes they have.
        given: usize,
    },
    /// The properties of one object are nested too deep.
    #[error("the properties of {0} are nested deeper than {most} levels; flatten them", most = super::MAX_CONTEXT_DEPTH)]
    PropertiesTooDeep(Object),
    /// The assertions of one model are too large.
    #[error("the assertions have {given} bytes; at most {} are allowed: leave some out", super::MAX_ASSERTIONS_BYTES)]
    AssertionsTooLarge {
        /// How many bytes they have.
        given: usize,
    },
}
