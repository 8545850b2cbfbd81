//! Relationships as they go out.

use authz::condition::Context;
use authz::decide::CheckRequest;
use authz::relation::{RelationshipCondition, Tuple};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A relationship with its condition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WrittenTupleKey)]
pub(super) struct TupleKeyOut<'a> {
    user: String,
    relation: &'a str,
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionOut<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WrittenTupleCondition)]
struct ConditionOut<'a> {
    name: &'a str,
    #[schema(value_type = Map<String, Value>)]
    context: Values<'a>,
}

/// Values for conditions.
#[derive(Debug)]
pub(super) struct Values<'a>(pub(super) &'a Context);

impl<'a> TupleKeyOut<'a> {
    pub(super) fn new(tuple: &'a Tuple, condition: Option<&'a RelationshipCondition>) -> Self {
        let Tuple { object, relation, subject } = tuple;
        let condition =
            condition.map(|condition| ConditionOut { name: &condition.name, context: Values(&condition.context) });
        Self { user: subject.to_string(), relation, object: object.to_string(), condition }
    }

    /// What a question asks.
    pub(super) fn asked(CheckRequest { object, relation, subject, .. }: &'a CheckRequest) -> Self {
        Self { user: subject.to_string(), relation, object: object.to_string(), condition: None }
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_map(self.0.iter().map(|(name, value)| (&**name, value)))
    }
}
