//! The JSON form of a model as documents describe it. Nothing is read into these types but in the test below: what reads a model, and says what
//! is wrong with it, is the `authz` crate.

#![expect(dead_code, reason = "shapes for the documentation")]

use std::collections::BTreeMap;

#[cfg(test)]
use serde::Deserialize;
use utoipa::ToSchema;

/// A model: types with their relations, and conditions.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct AuthorizationModel {
    /// The version's id, in answers.
    id: Option<String>,
    /// `1.1`, or `1.2` of modular models.
    schema_version: String,
    type_definitions: Vec<TypeDefinition>,
    /// By their names.
    conditions: Option<BTreeMap<String, ConditionDefinition>>,
}

/// A type of objects.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct TypeDefinition {
    #[cfg_attr(test, serde(rename = "type"))]
    #[schema(rename = "type")]
    type_name: String,
    /// How each relation is computed.
    relations: Option<BTreeMap<String, Rewrite>>,
    metadata: Option<TypeMetadata>,
}

/// What else is known of a type.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct TypeMetadata {
    relations: Option<BTreeMap<String, RelationMetadata>>,
    module: Option<String>,
    source_info: Option<SourceInfo>,
}

/// What else is known of a relation.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct RelationMetadata {
    /// Who may stand in it directly.
    directly_related_user_types: Option<Vec<RelationReference>>,
    module: Option<String>,
    source_info: Option<SourceInfo>,
}

/// The file that something comes from, in a modular model.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct SourceInfo {
    file: String,
}

/// Users of a type; with a relation, those who stand in it; with the wildcard, all of them.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct RelationReference {
    #[cfg_attr(test, serde(rename = "type"))]
    #[schema(rename = "type")]
    type_name: String,
    relation: Option<String>,
    wildcard: Option<Empty>,
    /// Only under this condition.
    condition: Option<String>,
}

/// An object without fields.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct Empty {}

/// How a relation is computed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[cfg_attr(test, derive(Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub(super) enum Rewrite {
    /// From relationships that were written.
    This(Empty),
    /// Whoever stands in another relation to the same object.
    ComputedUserset(ObjectRelation),
    /// Whoever stands in a relation to an object that this one is related to.
    TupleToUserset(TupleToUserset),
    /// In any of these ways.
    Union(Rewrites),
    /// In all of these ways.
    Intersection(Rewrites),
    /// In the one way and not in the other.
    Difference(Box<Difference>),
}

/// A relation.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct ObjectRelation {
    relation: String,
    object: Option<String>,
}

/// The relation that leads to other objects, and the one to ask for there.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
#[schema(rename_all = "camelCase")]
pub(super) struct TupleToUserset {
    tupleset: ObjectRelation,
    computed_userset: ObjectRelation,
}

/// Several ways.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct Rewrites {
    #[schema(no_recursion)]
    child: Vec<Rewrite>,
}

/// One way, without those of another.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct Difference {
    #[schema(no_recursion)]
    base: Rewrite,
    #[schema(no_recursion)]
    subtract: Rewrite,
}

/// A condition: an expression over parameters.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct ConditionDefinition {
    name: String,
    /// In the Common Expression Language; its value is true or false.
    expression: String,
    parameters: Option<BTreeMap<String, ParameterType>>,
    metadata: Option<ConditionMetadata>,
}

/// What else is known of a condition.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct ConditionMetadata {
    module: Option<String>,
    source_info: Option<SourceInfo>,
}

/// The type of a parameter.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub(super) struct ParameterType {
    /// `TYPE_NAME_STRING` and so on.
    type_name: String,
    /// Of a list or a map, what it holds.
    #[schema(no_recursion)]
    generic_types: Option<Vec<ParameterType>>,
}

#[cfg(test)]
mod tests {
    use authz::model::Model;

    use super::*;

    const EVERY_PART: &str = "
model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type document
  relations
    define parent: [document]
    define owner: [user with in_time, user:*, group#member]
    define blocked: [user]
    define viewer: owner or viewer from parent
    define editor: owner and viewer
    define can_view: viewer but not blocked
condition in_time(now: timestamp, until: timestamp, tags: list<string>) {
  now < until && size(tags) > 0
}
";

    #[test]
    fn the_documented_shape_is_that_of_every_part_of_a_model() {
        for model in [Model::from_dsl(EVERY_PART).unwrap(), authz::demo::model()] {
            let shape: AuthorizationModel = serde_json::from_value(model.to_json()).unwrap();
            assert_eq!(shape.type_definitions.len(), model.types.len());
        }
    }
}
