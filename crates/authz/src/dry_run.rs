//! The dry run of a new model: which decisions would change.
//!
//! Both models are asked the same questions about the same relationships, in a world of their own in memory. Relationships that a model does not allow do not count
//! under it, as they would not in a store.

use std::fmt;
use std::sync::Arc;

use ulid::Ulid;

use crate::decide::{
    BuildError, CheckError, CheckRequest, Consistency, DecisionPoint, RequestProperties, validate_relationship,
};
use crate::model::Model;
use crate::relation::Relationship;
use crate::store::memory::MemoryStore;
use crate::store::{MAX_WRITE_BATCH, ModelId, OnConflict, Store, StoreError, StoreId, WriteBatch};
use crate::storefile::Question;

/// What a dry run found.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// Questions that were asked.
    pub asked: usize,
    /// Those whose answers differ, in the order in which they were asked.
    pub changed: Vec<Changed>,
    /// Questions that neither model answers, with the old one's reason.
    pub unanswered: Vec<(Question, String)>,
    /// Relationships that count under the old model, and not under the new one.
    pub dropped: Vec<Relationship>,
}

/// A question whose answer would change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// The question.
    pub question: Question,
    /// The answer by the old model.
    pub before: Verdict,
    /// The answer by the new model.
    pub after: Verdict,
}

/// An answer, or why there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// The reason why there is no answer.
    Error(String),
}

/// Why a dry run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// A model that makes no sense.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The world could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The decision point could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
}

const STORE: StoreId = StoreId(Ulid(1));
const OLD: ModelId = ModelId(Ulid(2));
const NEW: ModelId = ModelId(Ulid(3));

impl DryRun {
    /// Asks both models. Where a relationship is given twice, the first one counts.
    ///
    /// # Errors
    /// See [`DryRunError`].
    pub async fn new(
        old: &Model,
        new: &Model,
        relationships: &[Relationship],
        questions: &[Question],
    ) -> Result<Self, DryRunError> {
        let point = world(old, new, relationships).await?;
        let mut found = Self { asked: questions.len(), ..Self::default() };
        for question in questions {
            let before = verdict(&point, OLD, question).await;
            let after = verdict(&point, NEW, question).await;
            if let (Verdict::Error(why), Verdict::Error(_)) = (&before, &after) {
                found.unanswered.push((question.clone(), why.clone()));
            } else if before != after {
                found.changed.push(Changed { question: question.clone(), before, after });
            }
        }
        let counts = |relationship: &Relationship, model| validate_relationship(relationship, model).is_ok();
        let dropped = relationships.iter().filter(|given| counts(given, old) && !counts(given, new));
        found.dropped = dropped.cloned().collect();
        Ok(found)
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.changed.is_empty()
    }
}

async fn world(old: &Model, new: &Model, relationships: &[Relationship]) -> Result<DecisionPoint, DryRunError> {
    let origin = Arc::new(MemoryStore::default());
    origin.create_store(STORE, "dry run").await?;
    for (id, model) in [(OLD, old), (NEW, new)] {
        model.validate().map_err(|errors| CheckError::InvalidModel(Arc::new(errors)))?;
        origin.write_model(STORE, id, &model.to_json().to_string()).await?;
    }
    let mut once: Vec<&Relationship> = relationships.iter().collect();
    once.sort_by(|left, right| left.tuple.cmp(&right.tuple));
    once.dedup_by(|later, first| later.tuple == first.tuple);
    for part in once.chunks(MAX_WRITE_BATCH) {
        let mut batch = WriteBatch::of(part.iter().map(|&relationship| relationship.clone()));
        batch.on_duplicate = OnConflict::Ignore;
        origin.write(STORE, batch).await?;
    }
    Ok(DecisionPoint::builder(origin).build().await?)
}

async fn verdict(point: &DecisionPoint, model: ModelId, question: &Question) -> Verdict {
    let Question { subject, relation, object, context } = question.clone();
    let request = CheckRequest {
        store: STORE,
        model: Some(model),
        subject,
        relation,
        object,
        contextual_tuples: Vec::new(),
        context,
        properties: RequestProperties::default(),
        consistency: Consistency::MinimizeLatency,
    };
    match point.check(&request).await {
        Ok(decision) if decision.allowed => Verdict::Allow,
        Ok(_) => Verdict::Deny,
        Err(error) => Verdict::Error(error.to_string()),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Deny => f.write_str("deny"),
            Self::Error(why) => write!(f, "no answer ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::{Object, Subject, Tuple};

    const OLD_MODEL: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define owner: [user]\n    define viewer: [user, user:*] or owner\n";
    const NEW_MODEL: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define owner: [user]\n    define banned: [user]\n    \
         define viewer: [user] but not banned\n";

    fn question(subject: &str, relation: &str, object: &str) -> Question {
        Question {
            subject: Subject::parse(subject).unwrap(),
            relation: relation.into(),
            object: Object::parse(object).unwrap(),
            context: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_dry_run_names_what_would_change_and_what_would_no_longer_count() {
        let models = [OLD_MODEL, NEW_MODEL].map(|text| Model::from_dsl(text).unwrap());
        let tuple = |object, relation, subject| Relationship::from(Tuple::parse(object, relation, subject).unwrap());
        let relationships = [
            tuple("doc:1", "owner", "user:ann"),
            tuple("doc:1", "viewer", "user:bob"),
            tuple("doc:2", "viewer", "user:*"),
            tuple("doc:1", "viewer", "user:bob"),
        ];
        let questions = [
            question("user:ann", "viewer", "doc:1"),
            question("user:bob", "viewer", "doc:1"),
            question("user:bob", "viewer", "doc:2"),
            question("user:bob", "banned", "doc:1"),
        ];
        let found = DryRun::new(&models[0], &models[1], &relationships, &questions).await.unwrap();
        let told: Vec<String> = found
            .changed
            .iter()
            .map(|Changed { question, before, after }| format!("{question}: {before} -> {after}"))
            .collect();
        assert_eq!(
            told,
            [
                "user:ann viewer doc:1: allow -> deny",
                "user:bob viewer doc:2: allow -> deny",
                "user:bob banned doc:1: no answer (type 'doc' has no relation 'banned') -> deny",
            ]
        );
        assert_eq!(found.dropped, [tuple("doc:2", "viewer", "user:*")]);
        assert!(DryRun::new(&models[0], &models[0], &relationships, &questions).await.unwrap().is_unchanged());
    }
}
