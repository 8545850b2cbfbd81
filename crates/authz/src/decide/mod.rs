//! The cached decision point: may this subject do this action on this resource?

mod error;

use std::sync::Arc;

pub use error::CheckError;
use cache_core::{Source, Stamp, Statistics};

use crate::model::Model;
use crate::relation::{Object, Subject, Text, Tuple};
use crate::store::{
    Committed, InvalidationScope, ModelId, Page, PageRequest, StoreError, StoreId, StoreRecord, StoredTuple, TupleChange,
    TupleFilter, WriteBatch,
};
use cache_core::Revision;

/// One question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckRequest {
    /// In which store.
    pub store: StoreId,
    /// By which version of its model; by the latest one without.
    pub model: Option<ModelId>,
    /// Who asks: one object, a userset, or a wildcard.
    pub subject: Subject,
    /// The relation, which an API may call the action.
    pub relation: Text,
    /// To what.
    pub object: Object,
    /// Relationships that hold for this question only.
    pub contextual_tuples: Vec<Tuple>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Consistency {
    /// From a cache where possible. A revocation that was acknowledged before the question is honoured all the same.
    #[default]
    MinimizeLatency,
    /// From a new snapshot of the origin, with no cached part.
    Full,
}

/// The answer to a [`CheckRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whether the subject may.
    pub allowed: bool,
    /// The tier that had the answer, or the origin.
    pub source: Source,
    /// Every change with a lower revision is contained in the answer.
    pub stamp: Stamp,
    /// The version of the model that decided.
    pub model: ModelId,
}

/// An invalidation that is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidationReport {
    /// Its revision.
    pub revision: Revision,
    /// Instances that confirmed it.
    pub confirmed_by: usize,
    /// What tiers could not clean up; nothing of theirs is served all the same.
    pub errors: Vec<String>,
}

/// The decision point. Shared behind an `Arc`.
pub struct DecisionPoint {}

#[allow(missing_docs, unused_variables, clippy::unimplemented, clippy::unused_async)]
impl DecisionPoint {
    /// Answers at once where a local tier has the answer.
    pub fn check_now(&self, request: &CheckRequest) -> Option<Decision> {
        unimplemented!()
    }
    /// Answers.
    pub async fn check(&self, request: &CheckRequest) -> Result<Decision, CheckError> {
        unimplemented!()
    }
    pub async fn create_store(&self, name: &str) -> Result<StoreRecord, CheckError> {
        unimplemented!()
    }
    pub async fn store(&self, id: StoreId) -> Result<StoreRecord, CheckError> {
        unimplemented!()
    }
    pub async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, CheckError> {
        unimplemented!()
    }
    pub async fn delete_store(&self, id: StoreId) -> Result<Committed, CheckError> {
        unimplemented!()
    }
    /// Validates and adds a version.
    pub async fn write_model(&self, store: StoreId, model: &Model) -> Result<ModelId, CheckError> {
        unimplemented!()
    }
    pub async fn model(&self, store: StoreId, id: ModelId) -> Result<Arc<Model>, CheckError> {
        unimplemented!()
    }
    pub async fn models(&self, store: StoreId, page: PageRequest<ModelId>) -> Result<Page<(ModelId, Arc<Model>), ModelId>, CheckError> {
        unimplemented!()
    }
    /// Checks a batch against the model (the latest one without `model`) and writes it. In force when it returns.
    pub async fn write(&self, store: StoreId, model: Option<ModelId>, batch: WriteBatch) -> Result<Committed, CheckError> {
        unimplemented!()
    }
    pub async fn read_tuples(&self, store: StoreId, filter: TupleFilter, page: PageRequest<Tuple>) -> Result<Page<StoredTuple, Tuple>, CheckError> {
        unimplemented!()
    }
    pub async fn changes(&self, store: StoreId, object_type: Option<Text>, page: PageRequest<Revision>) -> Result<Page<TupleChange, Revision>, CheckError> {
        unimplemented!()
    }
    pub async fn invalidate(&self, scope: InvalidationScope) -> Result<InvalidationReport, CheckError> {
        unimplemented!()
    }
    pub fn statistics(&self) -> Statistics {
        unimplemented!()
    }
    /// False where no tier has that name.
    pub fn switch_tier(&self, name: &str, on: bool) -> bool {
        unimplemented!()
    }
    pub fn tier_names(&self) -> Vec<&'static str> {
        unimplemented!()
    }
    /// Whether the origin answers.
    pub async fn health(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Ends background work and closes the origin.
    pub async fn close(&self) {
        unimplemented!()
    }
}
