//! Writes the JSON form.
//!
//! Values are moved into the objects around them. (`json!` would copy what it is given, and so a nested rewrite once for each
//! level around it.)

use serde_json::{Map, Value};

use crate::model::{Model, RelationDefinition, Restriction, RestrictionTarget, Rewrite, TypeDefinition};

impl Model {
    /// The JSON form: an object with `schema_version`, `type_definitions` and `conditions`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        object([
            ("schema_version", Value::from(self.schema_version.as_str())),
            ("type_definitions", self.types.iter().map(type_definition).collect()),
            ("conditions", object([])),
        ])
    }
}

fn type_definition(definition: &TypeDefinition) -> Value {
    let by_name = |value: fn(&RelationDefinition) -> Value| -> Value {
        let relations = definition.relations.iter();
        Value::Object(relations.map(|relation| (relation.name.to_string(), value(relation))).collect())
    };
    let metadata = match definition.relations.as_slice() {
        [] => Value::Null,
        _ => object([("relations", by_name(information))]),
    };
    object([
        ("type", Value::from(&*definition.name)),
        ("relations", by_name(|relation| rewrite(&relation.rewrite))),
        ("metadata", metadata),
    ])
}

fn information(relation: &RelationDefinition) -> Value {
    object([("directly_related_user_types", relation.restrictions.iter().map(restriction).collect())])
}

fn restriction(restriction: &Restriction) -> Value {
    let type_name = ("type", Value::from(&*restriction.type_name));
    match &restriction.target {
        RestrictionTarget::Object => object([type_name]),
        RestrictionTarget::Userset(relation) => object([type_name, ("relation", Value::from(&**relation))]),
        RestrictionTarget::Wildcard => object([type_name, ("wildcard", object([]))]),
    }
}

fn rewrite(value: &Rewrite) -> Value {
    let named = |relation: &str| object([("relation", Value::from(relation))]);
    let joined = |operands: &[Rewrite]| object([("child", operands.iter().map(rewrite).collect())]);
    let (kind, value) = match value {
        Rewrite::Direct => ("this", object([])),
        Rewrite::Computed { relation } => ("computedUserset", named(relation)),
        Rewrite::TupleToUserset { tupleset, computed } => {
            ("tupleToUserset", object([("tupleset", named(tupleset)), ("computedUserset", named(computed))]))
        }
        Rewrite::Union(operands) => ("union", joined(operands)),
        Rewrite::Intersection(operands) => ("intersection", joined(operands)),
        Rewrite::Exclusion { base, subtract } => {
            ("difference", object([("base", rewrite(base)), ("subtract", rewrite(subtract))]))
        }
    };
    object([(kind, value)])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}
