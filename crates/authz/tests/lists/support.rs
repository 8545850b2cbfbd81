//! A decision point with a world in it.

use std::sync::Arc;

use authz::decide::{
    CheckError, CheckRequest, Consistency, DecisionPoint, ListObjectsRequest, ListUsersRequest, Listed,
};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Relationship, Subject, SubjectKind, Text};
use authz::store::memory::MemoryStore;
use authz::store::{StoreId, WriteBatch};
use cache_l1::{MemoryConfig, MemoryLayer};

/// The most relationships of one write.
const BATCH: usize = authz::store::MAX_WRITE_BATCH;

pub(crate) struct World {
    pub(crate) point: DecisionPoint,
    pub(crate) store: StoreId,
    pub(crate) contextual: Vec<Relationship>,
}

impl World {
    pub(crate) async fn new(limits: Limits, model: &Model) -> Self {
        let tier = MemoryLayer::new(MemoryConfig { budget_bytes: 4 << 20, ..MemoryConfig::default() }).unwrap();
        let origin = Arc::new(MemoryStore::default());
        let point = DecisionPoint::builder(origin).tier(tier).limits(limits).build().await.unwrap();
        let store = point.create_store("lists").await.unwrap().id;
        point.write_model(store, model).await.unwrap();
        Self { point, store, contextual: Vec::new() }
    }

    pub(crate) async fn write(&self, tuples: impl IntoIterator<Item = impl Into<Relationship>>) {
        let tuples: Vec<Relationship> = tuples.into_iter().map(Into::into).collect();
        for part in tuples.chunks(BATCH) {
            self.point.write(self.store, None, WriteBatch::of(part.to_vec())).await.unwrap();
        }
    }

    pub(crate) async fn check(&self, subject: &Subject, relation: &Text, object: &Object) -> Result<bool, CheckError> {
        let request = CheckRequest {
            store: self.store,
            model: None,
            subject: subject.clone(),
            relation: relation.clone(),
            object: object.clone(),
            contextual_tuples: self.contextual.clone(),
            context: Default::default(),
            properties: Default::default(),
            consistency: Consistency::Full,
        };
        self.point.check(&request).await.map(|decision| decision.allowed)
    }

    pub(crate) async fn objects(
        &self,
        subject: &Subject,
        relation: &str,
        object_type: &str,
        consistency: Consistency,
    ) -> Result<Listed<Text>, CheckError> {
        let request = ListObjectsRequest {
            store: self.store,
            model: None,
            subject: subject.clone(),
            relation: relation.into(),
            object_type: object_type.into(),
            contextual_tuples: self.contextual.clone(),
            context: Default::default(),
            properties: Default::default(),
            consistency,
        };
        self.point.list_objects(&request).await
    }

    pub(crate) async fn users(
        &self,
        object: &Object,
        relation: &str,
        filter: SubjectKind,
        consistency: Consistency,
    ) -> Result<Listed<Subject>, CheckError> {
        let request = ListUsersRequest {
            store: self.store,
            model: None,
            object: object.clone(),
            relation: relation.into(),
            filters: vec![filter],
            contextual_tuples: self.contextual.clone(),
            context: Default::default(),
            properties: Default::default(),
            consistency,
        };
        self.point.list_users(&request).await
    }
}
