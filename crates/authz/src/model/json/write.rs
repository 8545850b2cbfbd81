//! Writes the JSON form.
//!
//! Values are moved into the objects around them. (`json!` would copy what it is given, and so a nested rewrite once for each
//! level around it.)

use serde_json::{Map, Value};

use crate::model::{
    ConditionDefinition, Model, Module, ParameterType, RelationDefinition, Restriction, RestrictionTarget, Rewrite,
    TypeDefinition,
};
use crate::relation::Text;

impl Model {
    /// The JSON form: an object with `schema_version`, `type_definitions` and `conditions`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        object([
            ("schema_version", Value::from(self.schema_version.as_str())),
            ("type_definitions", self.types.iter().map(type_definition).collect()),
            ("conditions", named(&self.conditions, |condition| (&condition.name, self::condition(condition)))),
        ])
    }
}

fn type_definition(definition: &TypeDefinition) -> Value {
    let mut metadata = origin(definition.module.as_ref());
    if !definition.relations.is_empty() {
        let relations = named(&definition.relations, |relation| (&relation.name, information(relation)));
        metadata.insert("relations".to_owned(), relations);
    }
    object([
        ("type", Value::from(&*definition.name)),
        ("relations", named(&definition.relations, |relation| (&relation.name, rewrite(&relation.rewrite)))),
        ("metadata", if metadata.is_empty() { Value::Null } else { Value::Object(metadata) }),
    ])
}

fn information(relation: &RelationDefinition) -> Value {
    let mut members = origin(relation.module.as_ref());
    let types = relation.restrictions.iter().map(restriction).collect();
    members.insert("directly_related_user_types".to_owned(), types);
    Value::Object(members)
}

/// The module and the file that something comes from; empty outside of modular models.
fn origin(module: Option<&Module>) -> Map<String, Value> {
    let mut members = Map::new();
    if let Some(Module { name, file }) = module {
        members.insert("module".to_owned(), Value::from(&**name));
        if let Some(file) = file {
            members.insert("source_info".to_owned(), object([("file", Value::from(&**file))]));
        }
    }
    members
}

fn restriction(restriction: &Restriction) -> Value {
    let mut members = Map::new();
    members.insert("type".to_owned(), Value::from(&*restriction.type_name));
    match &restriction.target {
        RestrictionTarget::Object => {}
        RestrictionTarget::Userset(relation) => drop(members.insert("relation".to_owned(), Value::from(&**relation))),
        RestrictionTarget::Wildcard => drop(members.insert("wildcard".to_owned(), object([]))),
    }
    if let Some(condition) = &restriction.condition {
        members.insert("condition".to_owned(), Value::from(&**condition));
    }
    Value::Object(members)
}

fn condition(definition: &ConditionDefinition) -> Value {
    let parameters = named(&definition.parameters, |parameter| (&parameter.name, parameter_type(&parameter.kind)));
    let mut members = Map::new();
    members.insert("name".to_owned(), Value::from(&*definition.name));
    members.insert("expression".to_owned(), Value::from(&*definition.expression));
    members.insert("parameters".to_owned(), parameters);
    let metadata = origin(definition.module.as_ref());
    if !metadata.is_empty() {
        members.insert("metadata".to_owned(), Value::Object(metadata));
    }
    Value::Object(members)
}

fn parameter_type(kind: &ParameterType) -> Value {
    let elements = kind.element().map(parameter_type).into_iter().collect();
    object([("type_name", Value::from(kind.json_name())), ("generic_types", elements)])
}

/// An object with a member for each of these.
fn named<'d, D>(definitions: &'d [D], member: impl Fn(&'d D) -> (&'d Text, Value)) -> Value {
    let members = definitions.iter().map(|definition| {
        let (name, value) = member(definition);
        (name.to_string(), value)
    });
    Value::Object(members.collect())
}

fn rewrite(value: &Rewrite) -> Value {
    let relation_of = |relation: &str| object([("relation", Value::from(relation))]);
    let joined = |operands: &[Rewrite]| object([("child", operands.iter().map(rewrite).collect())]);
    let (kind, value) = match value {
        Rewrite::Direct => ("this", object([])),
        Rewrite::Computed { relation } => ("computedUserset", relation_of(relation)),
        Rewrite::TupleToUserset { tupleset, computed } => (
            "tupleToUserset",
            object([("tupleset", relation_of(tupleset)), ("computedUserset", relation_of(computed))]),
        ),
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
